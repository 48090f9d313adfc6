/*
 * arena: all memory of the server, reserved at start.
 *
 * Three steps: every module plans its pools (a name, a count, the bytes of one object); the arena
 * is mapped once, with a guard page at each end; every module gets its blocks. Then it is sealed.
 * `-t` prints the plan without mapping it: the same code makes the plan that the server runs with.
 * Blocks are zeroed and aligned to a cache line.
 *
 * Owner: main, until arena_seal(); afterwards it is constant. A block belongs to the module that
 * got it. After start nothing is allocated, and nothing is ever freed.
 */
#ifndef SPIKE_ARENA_H
#define SPIKE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/fault.h"

#define ARENA_POOLS_MAX 1024 /* a dozen for each of WORKERS_MAX workers */

struct arena {
    struct {
        const char *name; /* a literal; /stats adds up pools of one name */
        size_t count;     /* objects */
        size_t size;      /* bytes of one object */
        size_t offset;    /* from the start of the arena */
    } pools[ARENA_POOLS_MAX];
    size_t pool_count;
    size_t bytes;        /* of the whole plan */
    unsigned char *base; /* NULL until mapped */
    bool sealed;
};

/* Plans `count` objects of `size` bytes and returns the pool's number for arena_block(). At most
 * ARENA_POOLS_MAX times; before arena_map(). */
size_t arena_plan(struct arena *a, const char *name, size_t count, size_t size);
/* Maps what was planned, once. False: f says why the kernel refuses. */
MUST_CHECK bool arena_map(struct arena *a, struct fault *f);
/* The block of a planned pool: `count` objects in a row, cache line aligned. Between arena_map()
 * and arena_seal(). */
void *arena_block(const struct arena *a, size_t pool);
/* From here on nothing may be planned, and no block handed out. */
void arena_seal(struct arena *a);
/* Bytes, and unless NULL the number of objects, of all pools with the name of this one. 0 if an
 * earlier pool has that name: a loop over all pools so sees each name once. */
size_t arena_named(const struct arena *a, size_t pool, size_t *objects);
/* Prints one line for each name and at last "total N bytes", to standard output. */
void arena_print(const struct arena *a);

#endif
