/*
 * sums: what all workers have counted, added up; for /stats and /metrics. Every figure is a relaxed
 * load of something that its owner publishes: a moment old at most, never waited for.
 *
 * Owner: the main thread.
 */
#ifndef SPIKE_SUMS_H
#define SPIKE_SUMS_H

#include "server/admin/admin.h"

#define GET(word)  atomic_load_explicit(&(word), memory_order_relaxed)

#define SUMS_POOLS (WORKER_POOLS + 4)

struct sums {
#define COUNTER(name, metric, help) uint64_t name;
#define FIGURE(name, metric, kind, labels, help)
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
    uint64_t connections, connections_max;
    uint64_t answers[VERDICT_COUNT];
    uint64_t verdicts[EVENTS_MAX][VERDICT_COUNT];
    struct latency_total buy;             /* since the start */
    struct worker_pool pools[SUMS_POOLS]; /* the workers', the holds, the filters of keys; and,
                                             standalone, the tables of keys and of buyers */
    uint32_t pool_count;
};

void sums_make(struct sums *s, const struct admin *a);
/* Time of the last call to Redis; 0: none yet, or Redis is not there. */
uint32_t sums_redis_rtt_us(const struct board_stores *s);
/* Answers with a status from `least` to `most`. */
uint64_t sums_answers(const uint64_t answers[VERDICT_COUNT], int least, int most);
/* What one worker has answered. */
uint64_t sums_requests(const struct counters *c);

#endif
