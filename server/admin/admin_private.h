/*
 * admin_private: what the files of admin share. From the top down:
 *
 *     admin           the token, and the answer to a request
 *     stats, metrics  the bodies of /stats and /metrics
 *     metric_totals   the figures of all workers, added up
 *     node_state      the state of the node, by name
 *     process         figures of the kernel
 */
#ifndef SPIKE_ADMIN_PRIVATE_H
#define SPIKE_ADMIN_PRIVATE_H

#include "server/admin/admin.h"

/* A relaxed load: the figure is a moment old at most, and no thread waits for another. */
#define GET(figure) atomic_load_explicit(&(figure), memory_order_relaxed)

struct admin {
    const struct conf *conf;
    struct board *board;
    const struct stat_log *stats;
    const struct arena *arena;
    struct worker *const *workers;
    uint64_t started_mono_us, started_wall_ms;
    struct {
        const char *name;
        size_t bytes;
    } plan[ADMIN_PLAN_MAX]; /* the arena's pools by name */
    uint32_t plan_count;
    char token[ADMIN_TOKEN_MAX + 1]; /* empty: none is needed */
};

/* stats.c, metrics.c: the bodies of /stats and /metrics. */
void stats_put(const struct admin *a, struct response *out);
void metrics_put(const struct admin *a, struct response *out);

/* node_state.c: starting, up, repair, draining. */
const char *node_state_name(const struct board *b);

#endif
