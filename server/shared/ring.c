/*
 * The producer writes the slot and then releases tail; the consumer acquires tail and then reads
 * the slot. The same the other way round for head: a slot is reused only after it was read.
 */
#include "server/shared/ring.h"

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;
    while (p < n)
        p <<= 1;
    return p;
}

void ring_plan(struct ring *r, struct arena *a, uint32_t capacity)
{
    ASSERT(capacity > 0 && capacity <= UINT32_C(1) << 30);
    r->capacity = power_of_two(capacity);
    r->mask = r->capacity - 1;
    r->slots_pool = arena_plan(a, "rings", r->capacity, sizeof *r->slots);
}

void ring_init(struct ring *r, const struct arena *a)
{
    r->slots = arena_block(a, r->slots_pool);
    r->head_seen = r->tail_seen = 0;
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
}

void ring_push(struct ring *r, void *object)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail - r->head_seen == r->capacity)
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    ASSERT(tail - r->head_seen < r->capacity);
    r->slots[tail & r->mask] = object;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

void *ring_pop(struct ring *r)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head == r->tail_seen) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (head == r->tail_seen)
            return NULL;
    }
    void *object = r->slots[head & r->mask];
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return object;
}

bool ring_is_empty(struct ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_relaxed) ==
           atomic_load_explicit(&r->tail, memory_order_acquire);
}
