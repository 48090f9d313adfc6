/*
 * worker: one thread that speaks HTTP with many connections, and nothing else.
 *
 * It parses, reads the board, and answers what it can: refusals, /stock, wrong requests. Only
 * possible sales, orders and acts go to the ledger, through the channel, and come back as verdicts.
 * It never blocks, locks or allocates, and it owns the deadline of every answer. The admin worker
 * is the same code on the main thread, with `authorize` before each request and `serve` for its own
 * answers.
 *
 *     worker_plan .. arena_map .. ev_alloc_init .. worker_init .. arena_seal .. worker_run
 *
 * Owner: main until worker_run(); then the thread that runs it. Any thread: worker_stop, and the
 * figures.
 */
#ifndef SPIKE_WORKER_H
#define SPIKE_WORKER_H

#include "conf/base/conf.h"
#include "server/http/response.h"
#include "server/http/route.h"
#include "server/net/conn_limit.h"
#include "server/net/listener.h"
#include "server/shared/board.h"
#include "server/shared/channel.h"
#include "server/shared/counters.h"
#include "server/stat/stat_log.h"

struct worker;
struct ev_loop;

struct worker_options {
    const char *name; /* of the thread: at most 15 bytes, a literal or as long-lived */
    uint32_t number;  /* which of each listener's sockets is this worker's */
    const struct conf *conf;
    const struct board *board;
    struct channel *channel; /* its own; rings of worker_messages() */
    enum route_side side;
    struct listener **listeners; /* opened before worker_init */
    uint32_t listener_count;
    struct stat_ring *stats;  /* NULL: no stat log */
    struct conn_limit *limit; /* also the size of the pool of connections */
    /* The admin worker: may this request be answered at all? Called before anything is done. */
    bool (*authorize)(void *context, const struct request *r);
    /* The admin worker: writes the whole answer of /stats and the like, with response_begin ..
     * response_put; not response_end. */
    void (*serve)(void *context, const struct route *route, struct response *out);
    void *context;
};

/* What /stats says of a pool. */
struct worker_pool {
    const char *name;
    uint32_t used, size;
};
#define WORKER_POOLS 3

/* Messages of one worker of that side: its pool, and so the capacity of its rings. */
uint32_t worker_messages(const struct conf *conf, enum route_side side);
/* Descriptors that this process may need, everything included: for RLIMIT_NOFILE and ev_alloc. */
uint32_t worker_descriptors(const struct conf *conf, uint32_t operators);
/* The operators' connections: consoles, health checks, and the pool of a payment service. */
#define WORKER_OPERATORS 512u
/* Bytes of the longest answer that `serve` may write, head and body: /metrics of 16 events. */
#define WORKER_SERVES_MAX (48u << 10)

/* Reserves one more worker (at most WORKERS_MAX and the admin worker) and its pools. */
struct worker *worker_plan(const struct worker_options *options, struct arena *a);
MUST_CHECK bool worker_init(struct worker *w, const struct arena *a, struct fault *f);
/* The thread's body: returns when worker_stop() was called and all that was under way is answered,
 * or the answer time-out has passed; every message is back from the ledger by then. */
void worker_run(struct worker *w);
void worker_stop(struct worker *w);
/* After worker_run. */
void worker_close(struct worker *w);

/* The loop, for watchers of the thread that runs it (signals). */
struct ev_loop *worker_loop(struct worker *w);
const char *worker_name(const struct worker *w);
const struct counters *worker_counters(const struct worker *w);
void worker_pools(const struct worker *w, struct worker_pool pools[WORKER_POOLS]);

#endif
