/*
 * counters: what a worker counts, and the latencies it saw. Written by one thread with relaxed
 * stores, read by any: a figure may be a moment old, never torn.
 *
 * Latency: a histogram per second for the last LATENCY_SECONDS, eight buckets an octave (an error
 * of at most 12.5 %), as in G. Tene's HdrHistogram with three significant bits.
 *
 * Owner: the worker that counts.
 */
#ifndef SPIKE_COUNTERS_H
#define SPIKE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "conf/base/check.h"
#include "conf/base/limits.h"
#include "conf/base/verdict.h"

#define LATENCY_SECONDS 10
#define LATENCY_BUCKETS 208 /* up to 2^28 us, four minutes; longer counts in the last */

struct latency_second {
    _Atomic uint64_t second; /* of the monotonic clock; another one means: old */
    _Atomic uint32_t max_us;
    _Atomic uint32_t buckets[LATENCY_BUCKETS];
};

struct latency {
    struct latency_second seconds[LATENCY_SECONDS + 1];
};

struct latency_summary {
    uint32_t p50_us, p99_us, max_us;
    uint64_t count;
};

struct counters {
    _Alignas(CACHE_LINE)
#define COUNTER(name, what) _Atomic uint64_t name;
#include "server/meet/counters.def"
#undef COUNTER
        _Atomic uint32_t connections,
        connections_max;
    _Atomic uint64_t verdicts[EVENTS_MAX][VERDICT_SALE_COUNT];
    struct latency buy;
};

/* The owner is the only writer, so a plain add of a relaxed load needs no locked instruction. */
#define COUNT(counter, by)                                                               \
    atomic_store_explicit(&(counter),                                                    \
                          atomic_load_explicit(&(counter), memory_order_relaxed) + (by), \
                          memory_order_relaxed)

void latency_add(struct latency *l, uint64_t now_mono_us, uint64_t took_us, uint32_t times);
/* Adds up `count` owners' last ten seconds. */
struct latency_summary latency_sum(const struct latency *const *owners, uint32_t count,
                                   uint64_t now_mono_us);

#endif
