/*
 * counters: what a worker counts. One thread writes with relaxed stores, any thread reads: a figure
 * may be a moment old, never torn.
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
#include "server/shared/latency.h"

struct counters {
    _Alignas(CACHE_LINE)
#define COUNTER(name, metric, help) _Atomic uint64_t name;
#define FIGURE(name, metric, kind, labels, help)
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
        _Atomic uint32_t connections,
        connections_max;
    _Atomic uint64_t answers[VERDICT_COUNT];              /* to every request */
    _Atomic uint64_t verdicts[EVENTS_MAX][VERDICT_COUNT]; /* of /buy */
    struct latency buy;
};

/* The owner is the only writer, so adding to a relaxed load needs no locked instruction. */
#define COUNT(counter, by)                                                               \
    atomic_store_explicit(&(counter),                                                    \
                          atomic_load_explicit(&(counter), memory_order_relaxed) + (by), \
                          memory_order_relaxed)

#endif
