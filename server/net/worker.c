/*
 * The worker's loop: what happens in each turn, the one timer, the bells, the end.
 *
 *     sleep -> check: the time, the Date -> requests, new connections, time-outs
 *           -> prepare: verdicts off the ring, the ledger's bell if anything was pushed -> sleep
 *
 * Our own bell is armed only while messages are out: a worker that only refuses never touches it.
 * All memory is taken in worker_init(); worker_run() never calls the allocator.
 */
#include "server/net/worker.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/net/ev_alloc.h"
#include "server/net/worker_private.h"

#define MESSAGES_MAX       16384u
#define BUFFERS_MIN        64u
#define BUFFER_MIN         4096u
#define BUFFER_OPERATORS   (64u << 10) /* /metrics of all events in one piece */
#define ANSWER_MAX         1024u
#define STOP_PERIOD_US     100000u   /* between two checks, once that is over */
#define STOP_GRACE_US      500000u   /* beyond the answer time-out */
#define STOP_MESSAGES_US   10000000u /* the ledger gives every message back */
#define DESCRIPTORS_SPARE  64u       /* Redis, the journal, standard ones, what libraries open */
#define DESCRIPTORS_WORKER 4u        /* epoll, libev's pipe, bell */
#define ROUNDS_A_TURN      8

_Static_assert(CANNED_MAX <= ANSWER_MAX && ANSWER_MAX * 2 <= BUFFER_MIN, "an answer fits");

static struct worker workers[WORKERS_MAX + 1]; /* and the operators' */
static uint32_t planned;

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* One per connection at most; some may be on their way back with no connection waiting. */
uint32_t worker_messages(const struct conf *conf, enum route_side side)
{
    return side == ROUTE_OPERATORS ? WORKER_OPERATORS : min_u32(conf->connections, MESSAGES_MAX);
}

uint32_t worker_descriptors(const struct conf *conf, uint32_t operators)
{
    return conf->connections + operators +
           (conf->workers + 1) * (DESCRIPTORS_WORKER + conf->listen_count) + DESCRIPTORS_SPARE;
}

static void plan_pools(struct worker *w, struct arena *a)
{
    const size_t unit = _Alignof(max_align_t);
    uint32_t connections = conn_limit_max(w->o.limit);
    uint32_t messages = worker_messages(w->o.conf, w->o.side);
    uint32_t buffers = min_u32(connections, max_u32(BUFFERS_MIN, connections / 4));
    pool_plan(&w->connections, a, "connections", connections, 128);
    pool_plan(&w->messages, a, "orders", messages,
              (sizeof(struct message) + unit - 1) / unit * unit);
    pool_plan(&w->buffers, a, "buffers", buffers, w->buffer_bytes);
    w->shared_pool = arena_plan(a, "worker buffers", 2, w->buffer_bytes);
    w->canned = canned_plan(a, w->o.conf);
}

struct worker *worker_plan(const struct worker_options *options, struct arena *a)
{
    ASSERT(planned < ARRAY_LEN(workers));
    ASSERT(options->listener_count <= LISTEN_MAX && options->number < WORKERS_MAX);
    bool is_admin = options->side == ROUTE_OPERATORS;
    struct worker *w = &workers[planned++];
    w->o = *options;
    w->limits = (struct request_limits){options->conf->max_header, options->conf->max_body};
    uint32_t whole = (w->limits.max_header + w->limits.max_body + 63) / 64 * 64;
    w->buffer_bytes = max_u32(whole, is_admin ? BUFFER_OPERATORS : BUFFER_MIN);
    w->answer_max = is_admin ? WORKER_SERVES_MAX : ANSWER_MAX;
    plan_pools(w, a);
    return w;
}

static void close_all(struct worker *w)
{
    for (int state = 0; state < CONN_STATES; state++) {
        struct connection *c;
        while ((c = conn_state_first(w, (enum conn_state)state)) != NULL)
            connection_close(w, c);
    }
}

/* What is due ends now: time-outs, and, long after worker_stop(), every connection that remains. */
static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct worker *w = timer->data;
    (void)loop;
    (void)revents;
    timer_rang(w);
    timeouts_expire(w);
    if (w->stopping && w->now_us >= w->stop_by_us)
        close_all(w);
    if (w->stopping)
        timer_wake_by(w, w->now_us < w->stop_by_us ? w->stop_by_us : w->now_us + STOP_PERIOD_US);
    uint64_t next_us = conn_state_next_us(w);
    if (next_us != DEADLINE_NEVER)
        timer_wake_by(w, next_us);
}

static void ring_ledger(struct worker *w)
{
    if (w->bell_due)
        doorbell_ring(w->o.channel->ledger);
    w->bell_due = false;
}

/* Verdicts that come back at once are taken at once, but not for ever: after some rounds the
 * worker rings its own bell, so that the loop serves the sockets and comes back. */
static void pass_messages(struct worker *w)
{
    struct channel *x = w->o.channel;
    for (int round = 0; atomic_load_explicit(&w->messages.used, memory_order_relaxed) > 0;
         round++) {
        complete_verdicts(w);
        ring_ledger(w);
        doorbell_arm(x->worker);
        w->armed = true;
        if (ring_is_empty(x->verdicts))
            return;
        if (round == ROUNDS_A_TURN) {
            doorbell_ring(x->worker);
            return;
        }
        doorbell_disarm(x->worker);
        w->armed = false;
    }
}

static bool is_finished(const struct worker *w)
{
    if (atomic_load_explicit(&w->connections.used, memory_order_relaxed) > 0)
        return false;
    uint32_t out = atomic_load_explicit(&w->messages.used, memory_order_relaxed);
    if (out > 0 && w->now_us >= w->stop_by_us + STOP_MESSAGES_US) {
        log_line(LOG_ERROR, "%s: %u messages have not come back from the ledger", w->o.name, out);
        return true;
    }
    return out == 0;
}

/* The clock is read once for all refusals of a turn: each of them took at most so long. */
static void measure_refusals(struct worker *w)
{
    if (w->refusals_in_turn == 0)
        return;
    uint64_t now_us = clock_mono_us();
    latency_add(&w->counters.buy, now_us, now_us - w->now_us, w->refusals_in_turn);
    w->refusals_in_turn = 0;
}

static void before_sleep(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    struct worker *w = prepare->data;
    (void)revents;
    measure_refusals(w);
    pass_messages(w);
    measure_refusals(w); /* a verdict lets the next request of its connection be served */
    if (w->stopping && is_finished(w))
        ev_break(loop, EVBREAK_ONE);
}

static void update_clock(struct worker *w)
{
    w->now_us = clock_mono_us();
    if (w->o.stats != NULL)
        w->wall_ms = clock_wall_ms();
    if (LIKELY(w->now_us < w->date_until_us))
        return;
    uint64_t wall_ms = clock_wall_ms();
    canned_set_date(w->canned, wall_ms);
    w->date_until_us = w->now_us + (1000 - wall_ms % 1000) * 1000;
}

static void after_sleep(struct ev_loop *loop, ev_check *check, int revents)
{
    struct worker *w = check->data;
    (void)revents;
    w->events = ev_pending_count(loop);
    if (w->armed)
        doorbell_disarm(w->o.channel->worker);
    w->armed = false;
    update_clock(w);
}

/* The bell has done its work by waking the loop: before_sleep takes the verdicts. */
static void on_bell(struct ev_loop *loop, ev_io *io, int revents)
{
    struct worker *w = io->data;
    (void)loop;
    (void)revents;
    doorbell_clear(w->o.channel->worker);
}

/* A request that has arrived already is answered; all other idle connections are closed. */
static void close_idle(struct worker *w)
{
    struct connection *c;
    while ((c = conn_state_first(w, CONN_IDLE)) != NULL) {
        connection_readable(w, c);
        if (conn_state_first(w, CONN_IDLE) == c)
            connection_close(w, c);
    }
}

static void on_stop(struct ev_loop *loop, ev_async *async, int revents)
{
    struct worker *w = async->data;
    (void)loop;
    (void)revents;
    if (w->stopping)
        return;
    ASSERT_OWNER(w);
    w->stopping = true;
    w->stop_by_us = w->now_us + conn_state_limit_us(w, CONN_WAITING) + STOP_GRACE_US;
    accept_stop(w);
    close_idle(w);
    timer_wake_by(w, w->stop_by_us);
}

static void start_watchers(struct worker *w)
{
    ev_prepare_init(&w->prepare, before_sleep);
    ev_check_init(&w->check, after_sleep);
    ev_async_init(&w->stop, on_stop);
    ev_set_priority(&w->check, EV_MAXPRI); /* the time first */
    w->prepare.data = w->check.data = w->stop.data = w;
    timer_start(w, on_timer);
    ev_prepare_start(w->loop, &w->prepare);
    ev_check_start(w->loop, &w->check);
    ev_async_start(w->loop, &w->stop);
    ev_io_init(&w->bell, on_bell, doorbell_fd(w->o.channel->worker), EV_READ);
    w->bell.data = w;
    ev_io_start(w->loop, &w->bell);
    accept_start(w);
}

static void init_memory(struct worker *w, const struct arena *a)
{
    pool_init(&w->connections, a);
    pool_init(&w->messages, a);
    pool_init(&w->buffers, a);
    canned_init(w->canned, a, w->o.conf, clock_wall_ms());
    w->in = arena_block(a, w->shared_pool);
    w->out = w->in + w->buffer_bytes;
    for (int i = 0; i < CONN_STATES; i++)
        deadline_list_init(&w->by_state[i]);
}

/* Watchers are started here and not by the thread, so that libev has all its tables before the
 * arena is sealed; nothing happens until the loop runs. */
bool worker_init(struct worker *w, const struct arena *a, struct fault *f)
{
    ASSERT_MAIN();
    ASSERT(w->loop == NULL);
    uint32_t descriptors = worker_descriptors(w->o.conf, WORKER_OPERATORS);
    init_memory(w, a);
    w->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOSIGMASK);
    if (w->loop == NULL)
        return fault(f, "%s: no event loop (epoll): %s", w->o.name, strerror(errno));
    if (!ev_alloc_grow(w->loop, descriptors, conn_limit_max(w->o.limit), f))
        return false;
    w->now_us = clock_mono_us();
    start_watchers(w);
    return true;
}

void worker_run(struct worker *w)
{
    if (w->o.side == ROUTE_BUYERS) /* the admin worker runs on main */
        thread_set_role(THREAD_WORKER, w->o.name);
    ASSERT_OWNER(w);
    ev_run(w->loop, 0);
}

void worker_stop(struct worker *w)
{
    ev_async_send(w->loop, &w->stop);
}

void worker_close(struct worker *w)
{
    for (uint32_t i = 0; i < w->o.listener_count; i++)
        listener_leave(w->o.listeners[i], w->o.number);
    ev_loop_destroy(w->loop);
    w->loop = NULL;
}

struct ev_loop *worker_loop(struct worker *w)
{
    return w->loop;
}

const char *worker_name(const struct worker *w)
{
    return w->o.name;
}

const struct counters *worker_counters(const struct worker *w)
{
    return &w->counters;
}

static struct worker_pool figure(const char *name, const struct pool *p)
{
    return (struct worker_pool){name, atomic_load_explicit(&p->used, memory_order_relaxed),
                                p->count};
}

void worker_pools(const struct worker *w, struct worker_pool pools[WORKER_POOLS])
{
    pools[0] = figure("connections", &w->connections);
    pools[1] = figure("orders", &w->messages);
    pools[2] = figure("buffers", &w->buffers);
}
