/*
 * link: one connection to Redis and one call at a time, each with an absolute deadline.
 *
 * hiredis parses; connecting, sending and waiting are done here, because its own time-outs count
 * from the last byte (a peer that drips would never run out) and it has none for a connection made
 * without blocking. After any failure, one of the allocator included, the connection is closed:
 * what it was asked stays in doubt.
 *
 * Owner: the ledger thread. Opening and receiving allocate, sending does not.
 */
#ifndef SPIKE_LINK_H
#define SPIKE_LINK_H

#include <hiredis/hiredis.h>

#include "conf/base/conf.h"
#include "server/mem/arena.h"

#define LINK_BUFFER 16384 /* bytes: most commands, and what Redis itself reads at a time */

/* A command being put together: pointers into what the caller owns, numbers in `text`. */
struct link_args {
    const char **argv;
    size_t *lens;
    char *text;
    uint32_t count, max;
    uint32_t text_used, text_max;
};

struct link {
    redisReader *reader; /* NULL: closed */
    int fd;              /* while it is open */
    const struct conf_addr *addr;
    struct link_args args;
    char *buffer; /* LINK_BUFFER bytes, `used` of them wait to be sent */
    size_t used;
    size_t argv_pool, lens_pool, text_pool, buffer_pool;
};

static inline bool link_is_open(const struct link *l)
{
    return l->reader != NULL;
}

void link_plan(struct link *l, const struct conf_addr *addr, struct arena *a, uint32_t max_args);
void link_init(struct link *l, const struct arena *a);
MUST_CHECK bool link_open(struct link *l, uint64_t deadline_mono_us, struct fault *f);
void link_close(struct link *l);

void link_begin(struct link *l); /* a new, empty command */
void link_add(struct link *l, const char *text, size_t len);
void link_add_text(struct link *l, const char *text);
void link_add_number(struct link *l, int64_t number);

/* Sends the command. False: in doubt, see below. */
MUST_CHECK bool link_send(struct link *l, uint64_t deadline_mono_us, struct fault *f);
/* Waits for the reply, which the caller frees (freeReplyObject). NULL: the outcome is in doubt, the
 * link is closed, f says why. An error reply is a reply. */
MUST_CHECK redisReply *link_receive(struct link *l, uint64_t deadline_mono_us, struct fault *f);
/* Both. */
MUST_CHECK redisReply *link_call(struct link *l, uint64_t deadline_mono_us, struct fault *f);

#endif
