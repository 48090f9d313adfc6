/*
 * buffers: where answers gather while they arrive: chunks from one fixed pool, a chain for each
 * answer, given back as soon as it is read. Every node may always have BUFFERS_EACH chunks, so that
 * those that send too much cannot starve the others; what lies beyond comes from a common rest, and
 * is reserved as a whole: two halves of long answers never wait for each other.
 *
 * Owner: the thread of the poller. The memory is reserved once and touched only as far as needed.
 */
#ifndef SPIKE_TOP_BUFFERS_H
#define SPIKE_TOP_BUFFERS_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/check.h"

#define CHUNK_BYTES  4000u
#define BUFFERS_EACH 4u /* chunks: more than an honest node ever says */

struct chunk {
    struct chunk *next;
    uint32_t len;
    char bytes[CHUNK_BYTES];
};

struct chain {
    struct chunk *first, *last;
    uint32_t count;
    uint32_t reserved; /* of the rest */
    size_t len;        /* bytes in all */
};

struct buffers {
    struct chunk *all, *free;
    uint32_t count, fresh; /* chunks 0 .. fresh - 1 have been used */
    uint32_t rest;         /* what is left of the common rest */
};

/* For so many chains; rest: chunks that they may have together beyond BUFFERS_EACH. */
MUST_CHECK bool buffers_init(struct buffers *b, uint32_t chains, uint32_t rest);
void buffers_free(struct buffers *b);

/* Before a chain may have more than BUFFERS_EACH chunks: so many bytes will come. False: there is
 * no room now; ask again when a chain was cleared. */
MUST_CHECK bool chain_reserve(struct buffers *b, struct chain *c, size_t bytes);
/* Room behind the chain's bytes, *len of it. */
char *chain_room(struct buffers *b, struct chain *c, size_t *len);
/* So many bytes of that room have been filled. */
void chain_filled(struct chain *c, size_t len);
/* Copies the bytes to out, which has room for them. */
void chain_copy(const struct chain *c, char *out);
/* Gives all chunks back. */
void chain_clear(struct buffers *b, struct chain *c);

#endif
