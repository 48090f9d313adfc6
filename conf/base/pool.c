/*
 * The free stack is filled only by what comes back; objects that were never out are counted by
 * `fresh`. So neither start nor an idle pool touches the memory behind it.
 */
#include "conf/base/pool.h"

void pool_plan(struct pool *p, struct arena *a, const char *name, uint32_t count, size_t size)
{
    ASSERT(size > 0 && size % _Alignof(max_align_t) == 0);
    p->count = count;
    p->size = size;
    p->block_pool = arena_plan(a, name, count, size);
    p->free_pool = arena_plan(a, "free lists", count, sizeof *p->free);
}

void pool_init(struct pool *p, const struct arena *a)
{
    p->block = arena_block(a, p->block_pool);
    p->free = arena_block(a, p->free_pool);
    p->free_count = 0;
    p->fresh = 0;
    atomic_init(&p->used, 0);
}

static void used_by(struct pool *p, uint32_t change)
{
    atomic_store_explicit(&p->used, atomic_load_explicit(&p->used, memory_order_relaxed) + change,
                          memory_order_relaxed);
}

void *pool_get(struct pool *p)
{
    uint32_t index;
    if (p->free_count > 0)
        index = p->free[--p->free_count];
    else if (p->fresh < p->count)
        index = p->fresh++;
    else
        return NULL;
    used_by(p, 1);
    return p->block + (size_t)index * p->size;
}

void pool_put(struct pool *p, void *object)
{
    size_t offset = (size_t)((unsigned char *)object - p->block);
    ASSERT((unsigned char *)object >= p->block && offset % p->size == 0);
    ASSERT(offset / p->size < p->fresh && p->free_count < p->fresh);
    p->free[p->free_count++] = (uint32_t)(offset / p->size);
    used_by(p, UINT32_MAX);
}
