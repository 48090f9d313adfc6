/*
 * admin: the operators' requests that the admin worker answers without the ledger: /stats, /metrics
 * and /healthz, from the board, the counters and the pools, so that they are answered also while
 * Redis hangs; and /drain, which sets a flag on the board that workers and ledger obey. And the
 * token that every request of an operator needs. Payments and acts on an event go from the admin
 * worker to the ledger (net/submit.c).
 *
 * Owner: the main thread, which is the admin worker's.
 */
#ifndef SPIKE_ADMIN_H
#define SPIKE_ADMIN_H

#include "conf/base/arena.h"
#include "server/net/worker.h"

#define ADMIN_TOKEN_MAX 256
#define ADMIN_PLAN_MAX  48 /* names of pools in the arena's plan */

struct admin;

/* The admin of this process, which reports these; all of them outlive it. stats NULL: off. workers:
 * conf->workers of them, read by admin_serve() alone. */
struct admin *admin_new(const struct conf *conf, struct board *board, const struct stat_log *stats,
                        const struct arena *arena, struct worker *const *workers);
/* Adds up the arena's plan by name, for /stats: once all modules have planned. */
void admin_read_plan(struct admin *a);
/* The node starts now. Reads the file that `admin-token` names, if any: one line, 16 to
 * ADMIN_TOKEN_MAX printable bytes. */
MUST_CHECK bool admin_init(struct admin *a, struct fault *f);
/* For the admin worker; context is the struct admin. True: no token is configured, or the request
 * has it. */
bool admin_authorize(void *context, const struct request *r);
/* Writes the answer to /stats, /metrics, /healthz or /drain, without response_end(). */
void admin_serve(void *context, const struct route *route, struct response *out);

#endif
