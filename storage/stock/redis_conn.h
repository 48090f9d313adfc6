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
#ifndef SPIKE_REDIS_CONN_H
#define SPIKE_REDIS_CONN_H

#include <hiredis/hiredis.h>

#include "conf/base/arena.h"
#include "conf/base/conf.h"

#define REDIS_CONN_BUFFER 16384 /* bytes: most commands, and what Redis itself reads at a time */

/* A command being put together: pointers into what the caller owns, numbers in `text`. */
struct redis_conn_args {
    const char **argv;
    size_t *lens;
    char *text;
    uint32_t count, max;
    uint32_t text_used, text_max;
};

struct redis_conn {
    redisReader *reader; /* NULL: closed */
    int fd;              /* while it is open */
    const struct conf_addr *addr;
    struct redis_conn_args args;
    char *buffer; /* REDIS_CONN_BUFFER bytes, `used` of them wait to be sent */
    size_t used;
    size_t argv_pool, lens_pool, text_pool, buffer_pool;
};

static inline bool redis_conn_is_open(const struct redis_conn *l)
{
    return l->reader != NULL;
}

void redis_conn_plan(struct redis_conn *l, const struct conf_addr *addr, struct arena *a,
                     uint32_t max_args);
void redis_conn_init(struct redis_conn *l, const struct arena *a);
MUST_CHECK bool redis_conn_open(struct redis_conn *l, uint64_t deadline_mono_us, struct fault *f);
void redis_conn_close(struct redis_conn *l);

void redis_conn_begin(struct redis_conn *l); /* a new, empty command */
void redis_conn_add(struct redis_conn *l, const char *text, size_t len);
void redis_conn_add_text(struct redis_conn *l, const char *text);
void redis_conn_add_number(struct redis_conn *l, int64_t number);

/* Sends the command. False: in doubt, see below. */
MUST_CHECK bool redis_conn_send(struct redis_conn *l, uint64_t deadline_mono_us, struct fault *f);
/* Waits for the reply, which the caller frees (freeReplyObject). NULL: the outcome is in doubt, the
 * link is closed, f says why. An error reply is a reply. */
MUST_CHECK redisReply *redis_conn_receive(struct redis_conn *l, uint64_t deadline_mono_us,
                                          struct fault *f);
/* Both. */
MUST_CHECK redisReply *redis_conn_call(struct redis_conn *l, uint64_t deadline_mono_us,
                                       struct fault *f);

#endif
