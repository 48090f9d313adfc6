/*
 * filter: which keys may have an order, on any node. A Bloom filter (B. H. Bloom, "Space/Time
 * Trade-offs in Hash Coding with Allowable Errors", 1970) whose probes stay in one cache line, of
 * fixed size, that only ever gains marks. "No" is certain; "maybe" crosses the ring and gets the
 * true answer. A filter that was given more marks than it was planned for says "maybe" to all.
 *
 * Owner: the ledger adds; any thread asks, without a lock: relaxed loads, after an acquiring load
 * of the gate that says how far the filter has read (board.h).
 */
#ifndef SPIKE_FILTER_H
#define SPIKE_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/base/arena.h"

struct filter {
    _Atomic uint64_t *words;
    uint32_t blocks; /* of a cache line each, a power of two */
    uint32_t capacity;
    uint64_t count; /* marks added, repeats included; the ledger's */
    _Atomic bool full;
    size_t pool;
};

/* For `marks` marks: about 16 bits each, at most 32. For none it has no memory and says "maybe" to
 * all, as does one that was never planned. */
void filter_plan(struct filter *f, struct arena *a, uint32_t marks);
void filter_init(struct filter *f, const struct arena *a);
void filter_add(struct filter *f, uint64_t mark);
bool filter_may_have(const struct filter *f, uint64_t mark);

#endif
