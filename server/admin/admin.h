/*
 * admin: what operators may ask: /stats and /healthz. It answers from the board, the counters and
 * the pools; it never asks the ledger, so it answers when Redis hangs too.
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
/* The operators' worker calls this; context is a struct admin. */
void admin_serve(void *context, const struct request *r, const struct route *route,
                 struct response *out);
/* stats.c: the body of /stats. */
void admin_stats(const struct admin *a, struct response *out);
/* starting, up, repair, draining. */
const char *admin_state(const struct admin *a);

#endif
