/*
 * latency: two histograms of how long answers took.
 *
 * The recent one: a histogram a second for the last LATENCY_SECONDS, eight buckets an octave (an
 * error of at most 12.5 %), as in G. Tene's HdrHistogram with three significant bits. The total
 * one: everything since the start, in the exact buckets of /metrics.
 *
 * Owner: one thread adds, with relaxed stores. Any thread reads: a figure may be a moment old,
 * never torn.
 */
#ifndef SPIKE_LATENCY_H
#define SPIKE_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#define LATENCY_SECONDS 10
#define LATENCY_BUCKETS 208 /* up to 2^28 us, four minutes; the last one has no upper edge */

#define LATENCY_OCTAVES 28 /* octave i: below 2 << i us; the last one also counts longer ones */
#define LATENCY_EDGES   16

/* Upper edges, included, of the buckets since the start; the last bucket has no edge. */
extern const uint32_t latency_edges_us[LATENCY_EDGES];

struct latency {
    struct {
        _Atomic uint64_t second; /* of the monotonic clock, from 1; 0: being emptied */
        _Atomic uint32_t max_us;
        _Atomic uint32_t buckets[LATENCY_BUCKETS];
    } seconds[LATENCY_SECONDS + 1];
    _Atomic uint64_t all_us; /* since the start: the sum of all times */
    _Atomic uint64_t all[LATENCY_EDGES + 1];
};

struct latency_summary {
    uint32_t p50_us, p99_us, max_us;
    uint64_t count;
    uint64_t octaves[LATENCY_OCTAVES];
};

/* Since the start, over several owners. */
struct latency_total {
    uint64_t sum_us;
    uint64_t counts[LATENCY_EDGES + 1];
};

/* Adds `times` answers that took took_us each. */
void latency_add(struct latency *l, uint64_t now_mono_us, uint64_t took_us, uint32_t times);
/* Adds up the last ten seconds of `count` owners. */
struct latency_summary latency_sum(const struct latency *const *owners, uint32_t count,
                                   uint64_t now_mono_us);
/* Adds one owner's histogram since the start to *t. */
void latency_total_add(struct latency_total *t, const struct latency *l);

#endif
