/*
 * The producer writes the slot, then releases tail; the consumer acquires tail, then reads the
 * slot. For head it is the other way round: a slot is reused only after it was read.
 *
 *     tail - head <= capacity, always; tail - head_seen may be too high, tail_seen - head too low,
 *     so a side that trusts its cached counter errs on the safe side
 */
#include "server/shared/ring.h"

#include <stdatomic.h>

struct ring {
    _Alignas(CACHE_LINE) _Atomic uint32_t tail; /* written by the producer */
    uint32_t head_seen;
    _Alignas(CACHE_LINE) _Atomic uint32_t head; /* written by the consumer */
    uint32_t tail_seen;
    _Alignas(CACHE_LINE) uint32_t mask;
    uint32_t capacity;
    void *slots[];
};

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;
    while (p < n)
        p <<= 1;
    return p;
}

size_t ring_plan(struct arena *a, uint32_t capacity)
{
    ASSERT(capacity > 0 && capacity <= UINT32_C(1) << 30);
    const size_t slot = sizeof(void *), head = sizeof(struct ring) / slot;
    return arena_plan(a, "rings", head + power_of_two(capacity), slot);
}

struct ring *ring_init(const struct arena *a, size_t pool, uint32_t capacity)
{
    struct ring *r = arena_block(a, pool);
    ASSERT(a->pools[pool].count >= sizeof *r / sizeof(void *) + capacity);
    r->capacity = power_of_two(capacity);
    r->mask = r->capacity - 1;
    r->head_seen = r->tail_seen = 0;
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
    return r;
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

bool ring_is_empty(const struct ring *r)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    ASSERT(tail - head <= r->capacity);
    return head == tail;
}
