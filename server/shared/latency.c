/*
 * The bucket of a time: below 16 us one bucket a microsecond; above, eight equal buckets an octave.
 * Bucket i >= 16 starts at (8 + i % 8) << (i / 8 - 1). A percentile is reported as the upper edge
 * of its bucket, so a slow answer never looks faster than it was.
 *
 * The seconds are a circular buffer with one entry more than is reported: the writer empties the
 * entry of the second that begins while readers use the other ten. A reader that sleeps for a
 * second inside one entry may count too few; that is accepted for a figure.
 */
#include "server/shared/latency.h"

#include "server/shared/counters.h"

const uint32_t latency_edges_us[LATENCY_EDGES] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

static uint32_t bucket_of(uint64_t us)
{
    if (us < 16)
        return (uint32_t)us;
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(us); /* 4 and up */
    uint32_t bucket = (octave - 2) * 8 + (uint32_t)(us >> (octave - 3) & 7);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static uint32_t upper_edge(uint32_t bucket)
{
    if (bucket < 16)
        return bucket;
    ASSERT(bucket < LATENCY_BUCKETS);
    uint32_t shift = bucket / 8 - 1;
    return (uint32_t)(((uint64_t)(8 + bucket % 8 + 1) << shift) - 1);
}

static void begin_second(struct latency *l, uint32_t entry, uint64_t second)
{
    ASSERT(second > 0);
    /* 0 while it is emptied. An exchange, because the stores below must not be reordered before it.
     */
    atomic_exchange_explicit(&l->seconds[entry].second, 0, memory_order_acq_rel);
    atomic_store_explicit(&l->seconds[entry].max_us, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        atomic_store_explicit(&l->seconds[entry].buckets[i], 0, memory_order_relaxed);
    atomic_store_explicit(&l->seconds[entry].second, second, memory_order_release);
}

/* Linear search from the lowest edge: most answers are quick. */
static void add_to_all(struct latency *l, uint64_t took_us, uint32_t times)
{
    uint32_t edge = 0;
    while (edge < LATENCY_EDGES && took_us > latency_edges_us[edge])
        edge++;
    COUNT(l->all[edge], times);
    COUNT(l->all_us, took_us * times);
}

void latency_add(struct latency *l, uint64_t now_mono_us, uint64_t took_us, uint32_t times)
{
    uint64_t second = now_mono_us / 1000000 + 1; /* 0: being emptied */
    uint32_t entry = (uint32_t)(second % (LATENCY_SECONDS + 1));
    if (atomic_load_explicit(&l->seconds[entry].second, memory_order_relaxed) != second)
        begin_second(l, entry, second);
    COUNT(l->seconds[entry].buckets[bucket_of(took_us)], times);
    add_to_all(l, took_us, times);
    uint32_t took = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
    if (took > atomic_load_explicit(&l->seconds[entry].max_us, memory_order_relaxed))
        atomic_store_explicit(&l->seconds[entry].max_us, took, memory_order_relaxed);
}

static void add_owner(const struct latency *l, uint64_t now_second,
                      uint64_t counts[LATENCY_BUCKETS], struct latency_summary *sum)
{
    ASSERT(l != NULL);
    for (uint32_t i = 0; i <= LATENCY_SECONDS; i++) {
        uint64_t second = atomic_load_explicit(&l->seconds[i].second, memory_order_acquire);
        if (second == 0 || second > now_second || now_second - second >= LATENCY_SECONDS)
            continue;
        uint32_t max = atomic_load_explicit(&l->seconds[i].max_us, memory_order_relaxed);
        if (max > sum->max_us)
            sum->max_us = max;
        for (uint32_t b = 0; b < LATENCY_BUCKETS; b++) {
            uint32_t n = atomic_load_explicit(&l->seconds[i].buckets[b], memory_order_relaxed);
            counts[b] += n;
            sum->count += n;
        }
    }
}

static uint32_t octave_of(uint32_t bucket)
{
    if (bucket < 2)
        return 0;
    return bucket < 16 ? 31u - (uint32_t)__builtin_clz(bucket) : bucket / 8 + 2;
}

/* The upper edge of the bucket of the answer number `rank`, counted from 1. */
static uint32_t at_rank(const uint64_t counts[LATENCY_BUCKETS], uint64_t rank, uint32_t max_us)
{
    uint64_t below = 0;
    ASSERT(rank >= 1);
    for (uint32_t b = 0; b < LATENCY_BUCKETS; b++) {
        below += counts[b];
        if (below >= rank && b < LATENCY_BUCKETS - 1)
            return upper_edge(b) < max_us ? upper_edge(b) : max_us;
    }
    return max_us; /* the last bucket has no upper edge */
}

struct latency_summary latency_sum(const struct latency *const *owners, uint32_t count,
                                   uint64_t now_mono_us)
{
    uint64_t counts[LATENCY_BUCKETS] = {0};
    struct latency_summary sum = {0};
    ASSERT(count <= WORKERS_MAX);
    for (uint32_t i = 0; i < count; i++)
        add_owner(owners[i], now_mono_us / 1000000 + 1, counts, &sum);
    if (sum.count > 0) {
        sum.p50_us = at_rank(counts, (sum.count + 1) / 2, sum.max_us);
        sum.p99_us = at_rank(counts, sum.count - sum.count / 100, sum.max_us);
    }
    for (uint32_t b = 0; b < LATENCY_BUCKETS; b++)
        sum.octaves[octave_of(b)] += counts[b];
    ASSERT(sum.p50_us <= sum.p99_us && sum.p99_us <= sum.max_us);
    return sum;
}

void latency_total_add(struct latency_total *t, const struct latency *l)
{
    t->sum_us += atomic_load_explicit(&l->all_us, memory_order_relaxed);
    for (uint32_t i = 0; i <= LATENCY_EDGES; i++)
        t->counts[i] += atomic_load_explicit(&l->all[i], memory_order_relaxed);
}
