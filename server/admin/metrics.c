/*
 * /metrics: what counters.def lists, in its order, in the text format 0.0.4 of Prometheus. The
 * table makes the head of every family and calls the one function here that writes its samples, so
 * that no family is forgotten and none comes twice. Figures are those of /stats; times are in
 * seconds.
 */
#include <inttypes.h>
#include <string.h>

#include "server/admin/metric_totals.h"
#include "server/admin/process.h"

/* What all families are made from. */
struct scene {
    const struct admin *admin;
    struct sums sums;
    struct process process;
    struct response *out;
};

static void put_number(const struct scene *s, const char *name, uint64_t value)
{
    response_put(s->out, "%s %" PRIu64 "\n", name, value);
}

static void put_micros(const struct scene *s, const char *name, uint64_t us)
{
    response_put(s->out, "%s %" PRIu64 ".%06u\n", name, us / 1000000, (unsigned)(us % 1000000));
}

static const char *event_name(const struct scene *s, uint32_t event)
{
    return s->admin->conf->events[event].name;
}

static void put_histogram(const struct scene *s, const char *name, const struct latency_total *t)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < LATENCY_EDGES; i++) {
        count += t->counts[i];
        response_put(s->out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                     (double)latency_edges_us[i] / 1e6, count);
    }
    count += t->counts[LATENCY_EDGES];
    response_put(s->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    response_put(s->out, "%s_sum %" PRIu64 ".%06u\n", name, t->sum_us / 1000000,
                 (unsigned)(t->sum_us % 1000000));
    response_put(s->out, "%s_count %" PRIu64 "\n", name, count);
}

/* ---- node and events ------------------------------------------------------------------------ */

static void put_build_info(const struct scene *s, const char *name)
{
    response_put(s->out, "%s{version=\"%s\",node=\"%u\"} 1\n", name, SPIKE_VERSION,
                 (unsigned)s->admin->conf->node);
}

static void put_node_state(const struct scene *s, const char *name)
{
    static const char *const states[] = {"starting", "up", "repair", "draining"};
    const char *state = admin_state(s->admin);
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        response_put(s->out, "%s{state=\"%s\"} %d\n", name, states[i],
                     strcmp(state, states[i]) == 0);
}

static void put_of_event(const struct scene *s, const char *name, uint32_t event, uint64_t value)
{
    response_put(s->out, "%s{event=\"%s\"} %" PRIu64 "\n", name, event_name(s, event), value);
}

/* The event's place on the board; NULL before the first attach: a 0 that nobody has counted would
 * look like a sale that is over. */
static const struct board_event *known_event(const struct scene *s, uint32_t event)
{
    const struct board_event *e = &s->admin->board->events[event];
    int state = atomic_load_explicit(&e->state, memory_order_acquire); /* the figures after it */
    return state == SALE_UNKNOWN ? NULL : e;
}

static void put_tickets_total(const struct scene *s, const char *name)
{
    const struct board_event *e;
    for (uint32_t i = 0; i < s->admin->conf->event_count; i++)
        if ((e = known_event(s, i)) != NULL)
            put_of_event(s, name, i, GET(e->figures) >> 32);
}

static void put_tickets_left(const struct scene *s, const char *name)
{
    const struct board_event *e;
    for (uint32_t i = 0; i < s->admin->conf->event_count; i++)
        if ((e = known_event(s, i)) != NULL) {
            uint64_t figures = GET(e->figures);
            uint32_t total = (uint32_t)(figures >> 32), gone = (uint32_t)figures;
            put_of_event(s, name, i, total > gone ? total - gone : 0);
        }
}

static void put_node_tickets(const struct scene *s, const char *name)
{
    for (uint32_t i = 0; i < s->admin->conf->event_count; i++) {
        const struct board_event *e = &s->admin->board->events[i];
        response_put(s->out, "%s{event=\"%s\",state=\"sold\"} %" PRIu32 "\n", name,
                     event_name(s, i), GET(e->node_sold));
        response_put(s->out, "%s{event=\"%s\",state=\"held\"} %" PRIu32 "\n", name,
                     event_name(s, i), GET(e->node_held));
    }
}

static void put_tickets_granted(const struct scene *s, const char *name)
{
    for (uint32_t i = 0; i < s->admin->conf->event_count; i++)
        put_of_event(s, name, i, GET(s->admin->board->events[i].orders.granted_tickets));
}

static void put_repair_waits(const struct scene *s, const char *name)
{
    const struct board_event *e;
    for (uint32_t i = 0; i < s->admin->conf->event_count; i++)
        if ((e = known_event(s, i)) != NULL)
            put_of_event(s, name, i, GET(e->waits_count));
}

/* ---- requests ------------------------------------------------------------------------------- */

/* What /buy of a known event may answer. */
static bool is_of_buy(int v)
{
    return (v < VERDICT_SALE_COUNT && v != VERDICT_REFUND) || v == VERDICT_BAD_REQUEST ||
           v == VERDICT_METHOD;
}

static void put_orders(const struct scene *s, const char *name)
{
    char word[VERDICT_NAME_BYTES];
    for (uint32_t i = 0; i < s->admin->conf->event_count; i++)
        for (int v = 0; v < VERDICT_COUNT; v++) {
            if (!is_of_buy(v))
                continue;
            verdict_name((enum verdict)v, word);
            response_put(s->out, "%s{event=\"%s\",verdict=\"%s\"} %" PRIu64 "\n", name,
                         event_name(s, i), word, s->sums.verdicts[i][v]);
        }
}

/* A status has a line where its first verdict stands. */
static bool is_first_of_status(int verdict)
{
    for (int v = 0; v < verdict; v++)
        if (verdict_status((enum verdict)v) == verdict_status((enum verdict)verdict))
            return false;
    return true;
}

static void put_requests(const struct scene *s, const char *name)
{
    for (int v = 0; v < VERDICT_COUNT; v++) {
        int status = verdict_status((enum verdict)v);
        if (is_first_of_status(v))
            response_put(s->out, "%s{code=\"%d\"} %" PRIu64 "\n", name, status,
                         sums_answers(s->sums.answers, status, status));
    }
}

static void put_duration(const struct scene *s, const char *name)
{
    put_histogram(s, name, &s->sums.buy);
}

static void put_connections(const struct scene *s, const char *name)
{
    put_number(s, name, s->sums.connections);
}

static void put_connections_max(const struct scene *s, const char *name)
{
    put_number(s, name, s->sums.connections_max);
}

static void put_pool_used(const struct scene *s, const char *name)
{
    for (uint32_t k = 0; k < s->sums.pool_count; k++)
        response_put(s->out, "%s{pool=\"%s\"} %" PRIu32 "\n", name, s->sums.pools[k].name,
                     s->sums.pools[k].used);
}

static void put_pool_size(const struct scene *s, const char *name)
{
    for (uint32_t k = 0; k < s->sums.pool_count; k++)
        response_put(s->out, "%s{pool=\"%s\"} %" PRIu32 "\n", name, s->sums.pools[k].name,
                     s->sums.pools[k].size);
}

/* ---- stores --------------------------------------------------------------------------------- */

static void put_journal_records(const struct scene *s, const char *name)
{
    put_number(s, name, GET(s->admin->board->stores.journal_records));
}

static void put_journal_used(const struct scene *s, const char *name)
{
    put_number(s, name, GET(s->admin->board->stores.journal_used_bytes));
}

static void put_journal_size(const struct scene *s, const char *name)
{
    put_number(s, name, GET(s->admin->board->stores.journal_size_bytes));
}

static void put_journal_commit(const struct scene *s, const char *name)
{
    struct latency_total total = {0};
    latency_total_add(&total, s->admin->board->stores.commits);
    put_histogram(s, name, &total);
}

static bool has_redis(const struct scene *s)
{
    return GET(s->admin->board->stores.redis) != REDIS_OFF;
}

static void put_redis_up(const struct scene *s, const char *name)
{
    if (has_redis(s))
        put_number(s, name, GET(s->admin->board->stores.redis) == REDIS_UP);
}

/* While Redis is away there is no call to time: the last one would look like a good one. */
static void put_redis_rtt(const struct scene *s, const char *name)
{
    uint32_t us = sums_redis_rtt_us(&s->admin->board->stores);
    if (us > 0)
        put_micros(s, name, us);
}

static void put_redis_reconnects(const struct scene *s, const char *name)
{
    if (has_redis(s))
        put_number(s, name, GET(s->admin->board->stores.redis_reconnects));
}

static void put_stat_lines(const struct scene *s, const char *name)
{
    if (stat_log_is_on(s->admin->stats))
        put_number(s, name, stat_log_lines(s->admin->stats));
}

static void put_stat_dropped(const struct scene *s, const char *name)
{
    if (stat_log_is_on(s->admin->stats))
        put_number(s, name, stat_log_dropped(s->admin->stats));
}

/* ---- process -------------------------------------------------------------------------------- */

static void put_cpu(const struct scene *s, const char *name)
{
    put_micros(s, name, s->process.cpu_us);
}

static void put_resident(const struct scene *s, const char *name)
{
    put_number(s, name, s->process.resident_bytes);
}

static void put_virtual(const struct scene *s, const char *name)
{
    put_number(s, name, s->process.virtual_bytes);
}

static void put_open_fds(const struct scene *s, const char *name)
{
    put_number(s, name, s->process.open_fds);
}

static void put_max_fds(const struct scene *s, const char *name)
{
    put_number(s, name, s->process.max_fds);
}

static void put_start_time(const struct scene *s, const char *name)
{
    put_micros(s, name, s->admin->started_wall_ms * 1000);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void put_head(const struct scene *s, const char *name, const char *kind, const char *help)
{
    response_put(s->out, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, kind);
}

void admin_metrics(const struct admin *a, struct response *out)
{
    struct scene s = {.admin = a, .out = out};
    sums_make(&s.sums, a);
    process_look(&s.process);
#define COUNTER(name, metric, help)        \
    put_head(&s, metric, "counter", help); \
    put_number(&s, metric, s.sums.name);
#define FIGURE(name, metric, kind, labels, help) \
    put_head(&s, metric, #kind, help);           \
    put_##name(&s, metric);
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
}
