/*
 * ring: a queue of pointers from one thread to one other, without locks.
 *
 * Single producer, single consumer; head and tail run freely and are masked on use (as in
 * L. Lamport, "Specifying Concurrent Program Modules", 1983). Each side keeps a copy of the
 * other's index on its own cache line and looks at the real one only when the copy says
 * full or empty. A ring is as large as the pool whose objects travel on it, so that a push cannot
 * fail: ring_push asserts it.
 *
 * Owner: push: the producer thread; pop: the consumer thread; count: any (a figure, not a promise).
 */
#ifndef SPIKE_RING_H
#define SPIKE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/base/arena.h"

struct ring {
    _Alignas(CACHE_LINE) _Atomic uint32_t tail; /* written by the producer */
    uint32_t head_seen;
    _Alignas(CACHE_LINE) _Atomic uint32_t head; /* written by the consumer */
    uint32_t tail_seen;
    _Alignas(CACHE_LINE) void **slots;
    uint32_t mask;
    uint32_t capacity;
    size_t slots_pool;
};

/* capacity is rounded up to a power of two. */
void ring_plan(struct ring *r, struct arena *a, uint32_t capacity);
void ring_init(struct ring *r, const struct arena *a);
void ring_push(struct ring *r, void *object);
/* NULL when empty. */
void *ring_pop(struct ring *r);
bool ring_is_empty(struct ring *r);

#endif
