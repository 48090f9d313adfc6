/*
 * The totals of the chosen event: figures of the whole sale from its witness (sale.c), figures of
 * the nodes added up. A node that is down keeps what it last had in the sums of tickets, for it
 * still has them; it has no rates.
 *
 * Owner: one thread.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/model/model_private.h"
#include "admin-tui/model/number.h"

#define FALL_MIN_S 0.05 /* tickets a second; slower, and the end is not foretold */

/* Latencies are weighted by how many of them were measured. */
struct weighted {
    double count, p50_us;
};

static void add_event(struct model_totals *t, const struct stats_event *e)
{
    t->held = number_sum(t->held, e->node_held);
    t->node_sold = number_sum(t->node_sold, e->node_sold);
    t->granted = number_sum(t->granted, e->granted);
    t->paid = number_sum(t->paid, e->paid);
    t->cancelled = number_sum(t->cancelled, e->cancelled);
    t->expired = number_sum(t->expired, e->expired);
    t->late = number_sum(t->late, e->late);
    t->late_refused = number_sum(t->late_refused, e->late_refused);
    t->refused = number_sum(t->refused, e->refused);
}

/* A node that has measured nothing reports 0; one that does not report how much it has measured
 * counts like the others that do not. */
static void add_latency(struct weighted *w, const struct stats *s)
{
    double measured = s->buckets == 0 && s->p50_us > 0 ? 1 : 0;
    ASSERT(s->buckets <= STATS_BUCKETS_MAX);
    for (uint32_t i = 0; i < s->buckets; i++)
        measured += (double)s->bucket_count[i];
    w->count += measured;
    w->p50_us += measured * (double)s->p50_us;
}

static void add_node(const struct model *m, const struct model_node *n, struct model_totals *t,
                     struct weighted *w)
{
    uint32_t index = 0;
    const struct stats_event *e = model_event(m, n, &index);
    ASSERT(n->has_stats && index < EVENTS_MAX);
    if (e != NULL)
        add_event(t, e);
    t->requests = number_sum(t->requests, n->stats.requests);
    t->errors = number_sum(t->errors, n->stats.answers_5xx);
    if (!node_answers(n))
        return;
    t->connections = number_sum(t->connections, n->stats.connections);
    t->p99_us = n->stats.p99_us > t->p99_us ? n->stats.p99_us : t->p99_us;
    add_latency(w, &n->stats);
    if (!n->has_rates)
        return;
    t->has_rates = true;
    t->req_s += n->req_s;
    t->err_s += n->err_s;
    t->sold_s += e != NULL ? n->sold_s[index] : 0;
    t->refused_s += e != NULL ? n->refused_s[index] : 0;
}

static void add_nodes(const struct model *m, struct model_totals *t)
{
    struct weighted w = {0, 0};
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        if (n->state == MODEL_DUPLICATE)
            continue;
        t->nodes++;
        t->up += node_sells(n) ? 1 : 0;
        t->has_sums = t->has_sums || n->has_stats;
        if (n->has_stats)
            add_node(m, n, t, &w);
    }
    ASSERT(t->up <= t->nodes);
    t->p50_us = w.count > 0 ? (uint64_t)(w.p50_us / w.count + 0.5) : 0;
}

/* ---- Redis ---- */

static bool redis_is(const struct model_node *n, const char *state)
{
    return strcmp(n->stats.redis, state) == 0;
}

static void add_redis(const struct model *m, struct model_totals *t)
{
    uint64_t rtt_us[MODEL_NODES_MAX];
    uint32_t count = 0;
    t->redis_ok = true;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        if (!node_answers(n))
            continue;
        if (node_has_lost_redis(&n->stats))
            t->redis_ok = false;
        t->redis_off = t->redis_off || redis_is(n, "off");
        if (redis_is(n, "up"))
            rtt_us[count++] = n->stats.redis_rtt_us;
    }
    t->has_redis = count > 0 || !t->redis_ok;
    t->redis_ok = t->redis_ok && count > 0;
    t->redis_rtt_us = median_of(rtt_us, count);
}

const char *model_redis_text(const struct model_totals *t, char out[MODEL_LINE_BYTES])
{
    char ms[NUMBER_BYTES];
    if (t->has_redis && t->redis_ok)
        snprintf(out, MODEL_LINE_BYTES, "redis ok %sms", number_ms(ms, t->redis_rtt_us));
    else
        snprintf(out, MODEL_LINE_BYTES, "%s",
                 t->has_redis   ? "redis DOWN!"
                 : t->redis_off ? "redis off"
                                : "");
    return out;
}

/* ---- all of it ---- */

/* When the last ticket goes if the sale goes on like this. */
static double gone_in(const struct model *m, const struct model_totals *t)
{
    double fall_s = sale_pace_of(m, m->event);
    if (t->answering == 0 || strcmp(t->state, "open") != 0 || t->left == 0 || fall_s < FALL_MIN_S)
        return -1;
    return (double)t->left / fall_s;
}

void totals_update(struct model *m)
{
    struct model_totals t = {.peak_req_s = m->totals.peak_req_s};
    struct sale s = sale_of(m, m->event);
    snprintf(t.state, sizeof t.state, "%s", s.state);
    t.has_sale = s.from != NULL && s.total > 0; /* no sale has a total of 0: it is not known */
    t.total = s.total;
    t.sold = s.sold;
    t.left = s.left;
    add_nodes(m, &t);
    t.answering = model_answering(m);
    ASSERT(t.answering <= t.nodes);
    if (t.req_s > t.peak_req_s)
        t.peak_req_s = t.req_s;
    add_redis(m, &t);
    t.gone_in_s = gone_in(m, &t);
    m->totals = t;
}
