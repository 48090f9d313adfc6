/*
 * counters: what a worker counts, and the latencies it saw. Written by one thread with relaxed
 * stores, read by any: a figure may be a moment old, never torn.
 *
 * Latency: a histogram per second for the last LATENCY_SECONDS, eight buckets an octave (an error
 * of at most 12.5 %), as in G. Tene's HdrHistogram with three significant bits; and one since the
 * start, with the exact edges that Prometheus is told.
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

#define LATENCY_OCTAVES 28 /* octave i: below 2 << i us; the last holds what is longer, too */
#define LATENCY_EDGES   16

/* Upper edges, included, of the histogram since the start; a last bucket has no edge. */
extern const uint32_t latency_edges_us[LATENCY_EDGES];

struct latency_second {
    _Atomic uint64_t second; /* of the monotonic clock; another one means: old */
    _Atomic uint32_t max_us;
    _Atomic uint32_t buckets[LATENCY_BUCKETS];
};

struct latency {
    struct latency_second seconds[LATENCY_SECONDS + 1];
    _Atomic uint64_t all_us; /* since the start, added up */
    _Atomic uint64_t all[LATENCY_EDGES + 1];
};

struct latency_summary {
    uint32_t p50_us, p99_us, max_us;
    uint64_t count;
    uint64_t octaves[LATENCY_OCTAVES];
};

/* Since the start, over some owners. */
struct latency_total {
    uint64_t sum_us;
    uint64_t counts[LATENCY_EDGES + 1];
};

struct counters {
    _Alignas(CACHE_LINE)
#define COUNTER(name, metric, help) _Atomic uint64_t name;
#define FIGURE(name, metric, kind, labels, help)
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
        _Atomic uint32_t connections,
        connections_max;
    _Atomic uint64_t answers[VERDICT_COUNT];              /* of every request */
    _Atomic uint64_t verdicts[EVENTS_MAX][VERDICT_COUNT]; /* of /buy */
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
void latency_total_add(struct latency_total *t, const struct latency *l);

#endif
