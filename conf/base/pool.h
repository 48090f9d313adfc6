/*
 * pool: a fixed number of equal objects, handed out and taken back by one owner thread.
 *
 * The free ones are a stack of indices beside the block, so the object that was used last is used
 * next (it is warm) and memory that was never needed is never touched. An empty pool answers
 * NULL: the caller has a defined answer for that.
 *
 * Owner: one thread, named by who calls pool_init; used and size may be read by any.
 */
#ifndef SPIKE_POOL_H
#define SPIKE_POOL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/base/arena.h"

struct pool {
    unsigned char *block;
    uint32_t *free; /* stack of indices; those at or above `fresh` were never handed out */
    uint32_t free_count;
    uint32_t fresh;
    uint32_t count;
    size_t size;                  /* bytes of one object */
    _Atomic uint32_t used;        /* handed out now */
    size_t block_pool, free_pool; /* numbers in the arena's plan */
};

void pool_plan(struct pool *p, struct arena *a, const char *name, uint32_t count, size_t size);
void pool_init(struct pool *p, const struct arena *a);
/* NULL when all are out. The object is as its last user left it. */
void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *object);

#endif
