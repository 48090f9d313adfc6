/*
 * /metrics: the families of counters.def, in its order, in the text format 0.0.4 of Prometheus. The
 * table writes the head of every family and calls the one function here that writes its samples, so
 * no family is missing and none is written twice. The figures are those of /stats; times are in
 * seconds.
 */
#include <inttypes.h>
#include <string.h>

#include "server/admin/metric_totals.h"
#include "server/admin/process.h"

/* A page of /metrics that is being written, and the figures for it. */
struct page {
    const struct admin *admin;
    struct metric_totals totals;
    struct response *out;
};

static void put_number(const struct page *p, const char *name, uint64_t value)
{
    response_put(p->out, "%s %" PRIu64 "\n", name, value);
}

/* Microseconds as seconds. */
static void put_micros(const struct page *p, const char *name, uint64_t us)
{
    response_put(p->out, "%s %" PRIu64 ".%06u\n", name, us / 1000000, (unsigned)(us % 1000000));
}

static const char *event_name(const struct page *p, uint32_t event)
{
    ASSERT(event < p->admin->conf->event_count);
    return p->admin->conf->events[event].name;
}

static void put_histogram(const struct page *p, const char *name, const struct latency_total *t)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < LATENCY_EDGES; i++) {
        count += t->counts[i];
        response_put(p->out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                     (double)latency_edges_us[i] / 1e6, count);
    }
    count += t->counts[LATENCY_EDGES];
    response_put(p->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    response_put(p->out, "%s_sum %" PRIu64 ".%06u\n", name, t->sum_us / 1000000,
                 (unsigned)(t->sum_us % 1000000));
    response_put(p->out, "%s_count %" PRIu64 "\n", name, count);
}

/* ---- node and events ------------------------------------------------------------------------ */

static void put_build_info(const struct page *p, const char *name)
{
    response_put(p->out, "%s{version=\"%s\",node=\"%u\"} 1\n", name, SPIKE_VERSION,
                 (unsigned)p->admin->conf->node);
}

static void put_node_state(const struct page *p, const char *name)
{
    static const char *const states[] = {"starting", "up", "repair", "draining"};
    const char *state = node_state_name(p->admin->board);
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        response_put(p->out, "%s{state=\"%s\"} %d\n", name, states[i],
                     strcmp(state, states[i]) == 0);
}

static void put_event_value(const struct page *p, const char *name, uint32_t event, uint64_t value)
{
    response_put(p->out, "%s{event=\"%s\"} %" PRIu64 "\n", name, event_name(p, event), value);
}

/* NULL before the first attach: a 0 that was never counted would look like a sale that is over. */
static const struct board_event *known_event(const struct page *p, uint32_t event)
{
    ASSERT(event < p->admin->conf->event_count);
    const struct board_event *e = &p->admin->board->events[event];
    int state = atomic_load_explicit(&e->state, memory_order_acquire); /* the figures after it */
    return state == SALE_UNKNOWN ? NULL : e;
}

static void put_tickets_total(const struct page *p, const char *name)
{
    const struct board_event *e;
    for (uint32_t i = 0; i < p->admin->conf->event_count; i++)
        if ((e = known_event(p, i)) != NULL)
            put_event_value(p, name, i, GET(e->figures) >> 32);
}

static void put_tickets_left(const struct page *p, const char *name)
{
    const struct board_event *e;
    for (uint32_t i = 0; i < p->admin->conf->event_count; i++)
        if ((e = known_event(p, i)) != NULL) {
            uint64_t figures = GET(e->figures);
            uint32_t total = (uint32_t)(figures >> 32), gone = (uint32_t)figures;
            put_event_value(p, name, i, total > gone ? total - gone : 0);
        }
}

static void put_node_tickets(const struct page *p, const char *name)
{
    for (uint32_t i = 0; i < p->admin->conf->event_count; i++) {
        const struct board_event *e = &p->admin->board->events[i];
        response_put(p->out, "%s{event=\"%s\",state=\"sold\"} %" PRIu32 "\n", name,
                     event_name(p, i), GET(e->node_sold));
        response_put(p->out, "%s{event=\"%s\",state=\"held\"} %" PRIu32 "\n", name,
                     event_name(p, i), GET(e->node_held));
    }
}

static void put_tickets_granted(const struct page *p, const char *name)
{
    for (uint32_t i = 0; i < p->admin->conf->event_count; i++)
        put_event_value(p, name, i, GET(p->admin->board->events[i].orders.granted_tickets));
}

static void put_repair_waits(const struct page *p, const char *name)
{
    const struct board_event *e;
    for (uint32_t i = 0; i < p->admin->conf->event_count; i++)
        if ((e = known_event(p, i)) != NULL)
            put_event_value(p, name, i, GET(e->waits_count));
}

/* ---- requests ------------------------------------------------------------------------------- */

/* The verdicts of /buy for a known event. */
static bool is_buy_verdict(int v)
{
    return (v < VERDICT_SALE_COUNT && v != VERDICT_REFUND) || v == VERDICT_BAD_REQUEST ||
           v == VERDICT_METHOD;
}

static void put_orders(const struct page *p, const char *name)
{
    char verdict[VERDICT_NAME_BYTES];
    for (uint32_t i = 0; i < p->admin->conf->event_count; i++)
        for (int v = 0; v < VERDICT_COUNT; v++) {
            if (!is_buy_verdict(v))
                continue;
            verdict_name((enum verdict)v, verdict);
            response_put(p->out, "%s{event=\"%s\",verdict=\"%s\"} %" PRIu64 "\n", name,
                         event_name(p, i), verdict, p->totals.verdicts[i][v]);
        }
}

/* Several verdicts share a status: its line is written at the first of them. */
static bool is_first_of_status(int verdict)
{
    ASSERT(verdict >= 0 && verdict < VERDICT_COUNT);
    for (int v = 0; v < verdict; v++)
        if (verdict_status((enum verdict)v) == verdict_status((enum verdict)verdict))
            return false;
    return true;
}

static void put_requests(const struct page *p, const char *name)
{
    for (int v = 0; v < VERDICT_COUNT; v++) {
        int status = verdict_status((enum verdict)v);
        if (is_first_of_status(v))
            response_put(p->out, "%s{code=\"%d\"} %" PRIu64 "\n", name, status,
                         metric_answers(p->totals.answers, status, status));
    }
}

static void put_duration(const struct page *p, const char *name)
{
    put_histogram(p, name, &p->totals.buy);
}

static void put_connections(const struct page *p, const char *name)
{
    put_number(p, name, p->totals.connections);
}

static void put_connections_max(const struct page *p, const char *name)
{
    put_number(p, name, p->totals.connections_max);
}

static void put_pool_used(const struct page *p, const char *name)
{
    ASSERT(p->totals.pool_count <= METRIC_POOLS);
    for (uint32_t k = 0; k < p->totals.pool_count; k++)
        response_put(p->out, "%s{pool=\"%s\"} %" PRIu32 "\n", name, p->totals.pools[k].name,
                     p->totals.pools[k].used);
}

static void put_pool_size(const struct page *p, const char *name)
{
    for (uint32_t k = 0; k < p->totals.pool_count; k++)
        response_put(p->out, "%s{pool=\"%s\"} %" PRIu32 "\n", name, p->totals.pools[k].name,
                     p->totals.pools[k].size);
}

/* ---- stores --------------------------------------------------------------------------------- */

static void put_journal_records(const struct page *p, const char *name)
{
    put_number(p, name, GET(p->admin->board->stores.journal_records));
}

static void put_journal_used(const struct page *p, const char *name)
{
    put_number(p, name, GET(p->admin->board->stores.journal_used_bytes));
}

static void put_journal_size(const struct page *p, const char *name)
{
    put_number(p, name, GET(p->admin->board->stores.journal_size_bytes));
}

static void put_journal_commit(const struct page *p, const char *name)
{
    struct latency_total total = {0};
    latency_total_add(&total, p->admin->board->stores.commits);
    put_histogram(p, name, &total);
}

static bool has_redis(const struct page *p)
{
    return GET(p->admin->board->stores.redis) != REDIS_OFF;
}

static void put_redis_up(const struct page *p, const char *name)
{
    if (has_redis(p))
        put_number(p, name, GET(p->admin->board->stores.redis) == REDIS_UP);
}

/* No sample while Redis is disconnected: the time of the last call would look like a current one.
 */
static void put_redis_rtt(const struct page *p, const char *name)
{
    uint32_t us = metric_redis_rtt_us(&p->admin->board->stores);
    if (us > 0)
        put_micros(p, name, us);
}

static void put_redis_reconnects(const struct page *p, const char *name)
{
    if (has_redis(p))
        put_number(p, name, GET(p->admin->board->stores.redis_reconnects));
}

static void put_stat_lines(const struct page *p, const char *name)
{
    if (p->admin->stats != NULL)
        put_number(p, name, stat_log_lines(p->admin->stats));
}

static void put_stat_dropped(const struct page *p, const char *name)
{
    if (p->admin->stats != NULL)
        put_number(p, name, stat_log_dropped(p->admin->stats));
}

/* ---- process -------------------------------------------------------------------------------- */

static void put_cpu(const struct page *p, const char *name)
{
    put_micros(p, name, process_cpu_us());
}

static void put_resident(const struct page *p, const char *name)
{
    put_number(p, name, process_resident_bytes());
}

static void put_virtual(const struct page *p, const char *name)
{
    put_number(p, name, process_virtual_bytes());
}

static void put_open_fds(const struct page *p, const char *name)
{
    put_number(p, name, process_open_fds());
}

static void put_max_fds(const struct page *p, const char *name)
{
    put_number(p, name, process_max_fds());
}

static void put_start_time(const struct page *p, const char *name)
{
    put_micros(p, name, p->admin->started_wall_ms * 1000);
}

/* ---- the page ------------------------------------------------------------------------------- */

static void put_head(const struct page *p, const char *name, const char *kind, const char *help)
{
    response_put(p->out, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, kind);
}

void metrics_put(const struct admin *a, struct response *out)
{
    struct page p = {.admin = a, .out = out};
    metric_totals_read(&p.totals, a);
#define COUNTER(name, metric, help)        \
    put_head(&p, metric, "counter", help); \
    put_number(&p, metric, p.totals.name);
#define FIGURE(name, metric, kind, labels, help) \
    put_head(&p, metric, #kind, help);           \
    put_##name(&p, metric);
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
}
