/*
 * pool: a fixed number of equal objects, handed out and returned by one owner thread.
 *
 * The free objects are a stack of indices beside the block, so the object that was used last is
 * used next (it is in the cache), and memory that was never needed is never touched. An empty pool
 * returns NULL, and each caller has a defined answer for that. No function allocates after
 * pool_init().
 *
 * Owner: main until pool_init() returns, then one thread; any thread may read `used`, `count` and
 * `size`.
 */
#ifndef SPIKE_POOL_H
#define SPIKE_POOL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/base/arena.h"

struct pool {
    unsigned char *block;
    uint32_t *free; /* stack of the indices that were returned */
    uint32_t free_count;
    uint32_t high_water;          /* objects at or above this index were never handed out */
    uint32_t count;               /* of all objects */
    size_t size;                  /* bytes of one object */
    _Atomic uint32_t used;        /* objects handed out now */
    size_t block_pool, free_pool; /* numbers in the arena's plan */
};

/* Plans `count` objects of `size` bytes, a multiple of the strictest alignment. `name` is a
 * literal: the name in /stats. */
void pool_plan(struct pool *p, struct arena *a, const char *name, uint32_t count, size_t size);
/* After arena_map(): all objects are free. */
void pool_init(struct pool *p, const struct arena *a);
/* NULL: all objects are handed out. An object has the contents that its last user left in it, zeros
 * at first. */
void *pool_get(struct pool *p);
/* Returns an object of this pool that is handed out. */
void pool_put(struct pool *p, void *object);

#endif
