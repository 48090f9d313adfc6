/*
 * arena: all memory of the server, reserved at start.
 *
 * Three steps: every module plans its pools (a name, a count, the bytes of one); the arena is
 * mapped once, with a guard page at each end; every module takes its blocks. Then it is sealed.
 * `-t` prints the plan, so the plan is the same code that the server runs on, and -t needs no
 * mapping. Blocks are zeroed and aligned to a cache line.
 *
 * Owner: main, until arena_seal(); the blocks belong to whoever took them.
 */
#ifndef SPIKE_ARENA_H
#define SPIKE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/fault.h"

#define ARENA_POOLS_MAX 1024 /* a dozen for each of WORKERS_MAX workers */

struct arena_pool {
    const char *name; /* a literal: the module's word for it; parts of one name add up in /stats */
    size_t count;     /* objects */
    size_t size;      /* bytes of one */
    size_t offset;    /* from the start of the arena */
};

struct arena {
    struct arena_pool pools[ARENA_POOLS_MAX];
    size_t pool_count;
    size_t bytes;
    unsigned char *base; /* NULL until mapped */
    bool sealed;
};

/* Plans count objects of size bytes and answers the pool's number for arena_block(). */
size_t arena_plan(struct arena *a, const char *name, size_t count, size_t size);
/* Maps what was planned. */
MUST_CHECK bool arena_map(struct arena *a, struct fault *f);
/* The block of a planned pool. */
void *arena_block(const struct arena *a, size_t pool);
/* From here on nothing may be planned or taken. */
void arena_seal(struct arena *a);
/* Bytes, and if asked for objects, of all pools with the name of this one; 0 if an earlier one has
 * that name, so that who goes through all pools meets each name once. */
size_t arena_named(const struct arena *a, size_t pool, size_t *objects);
/* One line a pool and at last "total N bytes", on standard output. */
void arena_print(const struct arena *a);

#endif
