/*
 * pool: see pool.h. The free stack holds only objects that were returned; those that were never
 * handed out lie above `high_water`. So neither the start nor an idle pool touches their memory.
 *
 *     index  0 ........ high_water ........ count
 *            used or on the stack | never handed out
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
    ASSERT(p->size > 0); /* planned */
    p->block = arena_block(a, p->block_pool);
    p->free = arena_block(a, p->free_pool);
    p->free_count = 0;
    p->high_water = 0;
    atomic_init(&p->used, 0);
}

/* Only the owner writes `used`; so no read-modify-write is needed. */
static void change_used(struct pool *p, uint32_t change)
{
    atomic_store_explicit(&p->used, atomic_load_explicit(&p->used, memory_order_relaxed) + change,
                          memory_order_relaxed);
}

void *pool_get(struct pool *p)
{
    uint32_t index;
    ASSERT(p->free_count <= p->high_water && p->high_water <= p->count);
    if (p->free_count > 0)
        index = p->free[--p->free_count];
    else if (p->high_water < p->count)
        index = p->high_water++;
    else
        return NULL;
    change_used(p, 1);
    return p->block + (size_t)index * p->size;
}

void pool_put(struct pool *p, void *object)
{
    size_t offset = (size_t)((unsigned char *)object - p->block);
    ASSERT((unsigned char *)object >= p->block && offset % p->size == 0);
    ASSERT(offset / p->size < p->high_water && p->free_count < p->high_water);
    p->free[p->free_count++] = (uint32_t)(offset / p->size);
    change_used(p, UINT32_MAX);
}
