/*
 * metric_totals: the figures of all workers and of the ledger's pools, added up for /stats and
 * /metrics.
 *
 * Owner: the main thread. The figures belong to other threads and are read with relaxed loads.
 */
#ifndef SPIKE_METRIC_TOTALS_H
#define SPIKE_METRIC_TOTALS_H

#include "server/admin/admin_private.h"

#define METRIC_POOLS (WORKER_POOLS + 4)

struct metric_totals {
#define COUNTER(name, metric, help) uint64_t name;
#define FIGURE(name, metric, kind, labels, help)
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
    uint64_t connections, connections_max;
    uint64_t answers[VERDICT_COUNT];
    uint64_t verdicts[EVENTS_MAX][VERDICT_COUNT];
    struct latency_total buy;               /* since the start */
    struct worker_pool pools[METRIC_POOLS]; /* the workers', the hold queues, the filters; and,
                                               standalone, the tables of keys and of buyers */
    uint32_t pool_count;
};

void metric_totals_read(struct metric_totals *t, const struct admin *a);
/* Time of the last call to Redis; 0: none yet, or Redis is not connected. */
uint32_t metric_redis_rtt_us(const struct board_stores *s);
/* Answers whose status is min .. max. */
uint64_t metric_answers(const uint64_t answers[VERDICT_COUNT], int min, int max);
/* All answers of one worker. */
uint64_t metric_worker_requests(const struct counters *c);

#endif
