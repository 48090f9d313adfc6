/*
 * filter: the keys that may have an order, on any node. A Bloom filter (B. H. Bloom, "Space/Time
 * Trade-offs in Hash Coding with Allowable Errors", 1970) of fixed size, with all probes of a key
 * in one cache line. Key hashes are added and never removed. "No" is certain; "maybe" sends the
 * request to the ledger, which answers exactly. A filter that holds more hashes than it was planned
 * for returns "maybe" for every key.
 *
 *     pool = filter_plan(a, n) .. arena_map .. f = filter_init(a, pool, n)
 *
 * Owner: the ledger adds. Any thread calls filter_may_have(), without a lock: relaxed loads, after
 * an acquiring load of the gate that says which grants the filter covers (board.h).
 */
#ifndef SPIKE_FILTER_H
#define SPIKE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/base/arena.h"

struct filter;

/* Reserves a filter for `capacity` key hashes, about 16 bits each, at most 32, and a cache line;
 * returns its number in the arena's plan. With capacity 0 it returns "maybe" for every key. */
size_t filter_plan(struct arena *a, uint32_t capacity);
/* The empty filter, in the arena; `capacity` as planned. */
struct filter *filter_init(const struct arena *a, size_t pool, uint32_t capacity);
void filter_add(struct filter *f, uint64_t key_hash);
bool filter_may_have(const struct filter *f, uint64_t key_hash);
/* Key hashes added, repeats included, at most the capacity. For the thread that adds. */
uint32_t filter_fill(const struct filter *f);
uint32_t filter_capacity(const struct filter *f);

#endif
