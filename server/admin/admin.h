/*
 * admin: who may ask at the operators' desk, and what it answers by itself: /stats, /metrics and
 * /healthz, from the board, the counters and the pools, never from the ledger, so that it answers
 * when Redis hangs too; and /drain, which is nobody's but the workers' and the ledger's to obey.
 * Payments and acts on an event go from the desk to the ledger (net/ask.c).
 *
 * Owner: the main thread.
 */
#ifndef SPIKE_ADMIN_H
#define SPIKE_ADMIN_H

#include "conf/base/arena.h"
#include "server/net/worker.h"

#define ADMIN_TOKEN_MAX 256
#define ADMIN_PLAN_MAX  48

struct admin {
    const struct conf *conf;
    struct board *board;
    const struct stat_log *stats;
    const struct arena *arena;
    struct worker *const *workers;
    uint32_t worker_count;
    uint64_t started_mono_us, started_wall_ms;
    struct {
        const char *name;
        size_t bytes;
    } plan[ADMIN_PLAN_MAX]; /* the arena's pools by name */
    uint32_t plan_count;
    char token[ADMIN_TOKEN_MAX + 1]; /* empty: none needed */
};

/* What the arena's plan says, added up by name: once all is planned. */
void admin_read_plan(struct admin *a);
/* Reads the file that `admin-token` names: one line, 16 to ADMIN_TOKEN_MAX printable bytes. */
MUST_CHECK bool admin_read_token(struct admin *a, const char *path, struct fault *f);
/* For the operators' worker; context is a struct admin. May: no token is needed, or the request has
 * it. */
bool admin_may(void *context, const struct request *r);
void admin_serve(void *context, const struct route *route, struct response *out);
/* stats.c, metrics.c: the bodies of /stats and /metrics. */
void admin_stats(const struct admin *a, struct response *out);
void admin_metrics(const struct admin *a, struct response *out);
/* starting, up, repair, draining. */
const char *admin_state(const struct admin *a);

#endif
