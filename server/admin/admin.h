/*
 * admin: who may ask at the operators' desk, and what it answers by itself: /stats and /healthz,
 * from the board, the counters and the pools, never from the ledger, so that it answers when Redis
 * hangs too. Payments and acts on an event go from the desk to the ledger (net/ask.c).
 *
 * Owner: the main thread.
 */
#ifndef SPIKE_ADMIN_H
#define SPIKE_ADMIN_H

#include "server/mem/arena.h"
#include "server/net/worker.h"

#define ADMIN_TOKEN_MAX 256

struct admin {
    const struct conf *conf;
    const struct board *board;
    const struct arena *arena;
    struct worker *const *workers;
    uint32_t worker_count;
    uint64_t started_mono_us;
    char token[ADMIN_TOKEN_MAX + 1]; /* empty: none needed */
};

/* Reads the file that `admin-token` names: one line, 16 to ADMIN_TOKEN_MAX printable bytes. */
MUST_CHECK bool admin_read_token(struct admin *a, const char *path, struct fault *f);
/* For the operators' worker; context is a struct admin. May: no token is needed, or the request has
 * it. */
bool admin_may(void *context, const struct request *r);
void admin_serve(void *context, const struct route *route, struct response *out);
/* stats.c: the body of /stats. */
void admin_stats(const struct admin *a, struct response *out);
/* starting, up, repair, draining. */
const char *admin_state(const struct admin *a);

#endif
