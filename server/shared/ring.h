/*
 * ring: a queue of pointers from one thread to one other, without locks.
 *
 * Single producer, single consumer. Head and tail are free-running counters, masked on use (as in
 * L. Lamport, "Specifying Concurrent Program Modules", 1983). Each side caches the counter of the
 * other side in its own cache line and reads the shared one only when the cached value means full
 * or empty. A ring has as many slots as the pool has objects that travel on it, so a push cannot
 * fail: ring_push() asserts it.
 *
 *     pool = ring_plan(a, n) .. arena_map .. r = ring_init(a, pool, n)
 *
 * Owner: ring_push: the producer thread; ring_pop and ring_is_empty: the consumer thread.
 */
#ifndef SPIKE_RING_H
#define SPIKE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/base/arena.h"

struct ring;

/* Reserves a ring of `capacity` slots, rounded up to a power of two; returns its number in the
 * arena's plan. */
size_t ring_plan(struct arena *a, uint32_t capacity);
/* The empty ring, in the arena; `capacity` as planned. */
struct ring *ring_init(const struct arena *a, size_t pool, uint32_t capacity);
void ring_push(struct ring *r, void *object);
/* NULL: empty. */
void *ring_pop(struct ring *r);
bool ring_is_empty(const struct ring *r);

#endif
