/*
 * buffers: memory for response bodies while they arrive: chunks of one fixed pool, in one chain for
 * each body, returned as soon as the body has been read.
 *
 * Each chain may always have BUFFERS_EACH chunks, so a node that sends too much cannot starve the
 * others. Chunks beyond that come from a shared reserve, and a chain reserves all that it will need
 * at once: two long bodies never wait for each other half-way.
 *
 * Owner: the thread of the loop. The memory is mapped once and touched only as far as needed.
 */
#ifndef SPIKE_TOP_BUFFERS_H
#define SPIKE_TOP_BUFFERS_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/check.h"

#define CHUNK_BYTES  4000u
#define BUFFERS_EACH 4u /* chunks of each chain: more than a correct node ever sends */

struct buffers;
struct chain;

/* For so many chains; shared: chunks that all of them together may have beyond BUFFERS_EACH. NULL:
 * no memory. */
struct buffers *buffers_new(uint32_t chains, uint32_t shared);
void buffers_free(struct buffers *b);

/* The next unused chain, empty. No more than the `chains` of buffers_new(). */
struct chain *chain_new(struct buffers *b);
/* Bytes that the chain holds. */
size_t chain_len(const struct chain *c);
/* Makes sure that the chain can hold `bytes` in all; needed before it takes more than BUFFERS_EACH
 * chunks. False: the shared reserve is too small now; try again after a chain_clear() that returned
 * true. */
MUST_CHECK bool chain_reserve(struct chain *c, size_t bytes);
/* The free space behind the chain's bytes, *len of it, at least 1. */
char *chain_tail(struct chain *c, size_t *len);
/* `len` bytes of that space have been filled. */
void chain_filled(struct chain *c, size_t len);
/* Copies the bytes to out, which has space for chain_len() of them. */
void chain_copy(const struct chain *c, char *out);
/* Returns all chunks to the pool. True: some of the shared reserve was among them. */
bool chain_clear(struct chain *c);

#endif
