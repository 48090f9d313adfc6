/*
 * The end of a round, figures: which nodes are slow, the totals of the chosen event, the histories.
 *
 * Figures of the whole sale come from one answer, never from several: total, sold and left fit
 * together only as one node has heard them. Figures of the nodes are added up. A node that is down
 * keeps what it last had in the sums of tickets, for it still has them; it has no rates.
 *
 * Owner: one thread.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model.h"
#include "admin-tui/model_inside.h"
#include "admin-tui/number.h"

/* Slow: p99 over so many times the median and over so many us, or Redis or an answer over that. To
 * be called fast again a node must do twice as well. */
#define SLOW_TIMES     10
#define SLOW_P99_US    20000
#define SLOW_REDIS_US  100000
#define SLOW_ANSWER_US 500000

#define FALL_S_LEAST   0.05
#define PACE_LEAST_US  400000 /* nodes hear of the sale in steps of a beat */
#define SECOND_US      UINT64_C(1000000)
#define EARLY_US       (SECOND_US / 10) /* a round may end a little before its second does */

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y ? 1 : 0;
}

/* The lower one of two in the middle: of two nodes one may be slow. 0: of nothing. */
static uint64_t median(uint64_t *values, uint32_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof values[0], by_value);
    return values[(count - 1) / 2];
}

static bool redis_is(const struct model_node *n, const char *word)
{
    return strcmp(n->stats.redis, word) == 0;
}

/* What is slow about it, compared with that; "": nothing. */
static void slow_reason(const struct model_node *n, uint64_t typical_us, char out[MODEL_LINE_BYTES])
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES];
    const struct stats *s = &n->stats;
    uint64_t ease = n->state == MODEL_SLOW ? 2 : 1;
    double far_us = (double)typical_us * SLOW_TIMES / (double)ease;
    out[0] = '\0';
    if (s->p99_us > SLOW_P99_US / ease && (double)s->p99_us > far_us)
        snprintf(out, MODEL_LINE_BYTES, "p99 %s ms, of all nodes %s ms", number_ms(a, s->p99_us),
                 number_ms(b, typical_us));
    else if (redis_is(n, "up") && s->redis_rtt_us > SLOW_REDIS_US / ease)
        snprintf(out, MODEL_LINE_BYTES, "redis takes %s ms", number_ms(a, s->redis_rtt_us));
    else if (n->rtt_us > SLOW_ANSWER_US / ease)
        snprintf(out, MODEL_LINE_BYTES, "/stats takes %s ms", number_ms(a, n->rtt_us));
}

static void judge(struct model *m, struct model_node *n, uint64_t typical_us, uint64_t now_wall_ms)
{
    char reason[MODEL_LINE_BYTES];
    struct past_node *p = model_past_node(m, n);
    slow_reason(n, typical_us, reason);
    p->slow = reason[0] != '\0' ? p->slow + 1 : 0;
    p->calm = reason[0] == '\0' ? p->calm + 1 : 0;
    if (n->state == MODEL_UP && p->slow >= ROUNDS_SLOW)
        model_enter(m, n, MODEL_SLOW, reason, now_wall_ms);
    else if (n->state == MODEL_SLOW && p->calm >= ROUNDS_CALM)
        model_enter(m, n, MODEL_UP, "no longer slow", now_wall_ms);
}

void model_judge(struct model *m, uint64_t now_wall_ms)
{
    uint64_t p99_us[MODEL_NODES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->node_count; i++)
        if (model_sells(&m->nodes[i]) && m->nodes[i].stats.p99_us > 0)
            p99_us[count++] = m->nodes[i].stats.p99_us;
    uint64_t typical_us = median(p99_us, count);
    for (uint32_t i = 0; i < m->node_count; i++)
        if (model_sells(&m->nodes[i]))
            judge(m, &m->nodes[i], typical_us, now_wall_ms);
}

/* How good a witness of the whole sale a node is; 0 is the best. One without Redis has a sale of
 * its own: it speaks of that only where no node has ever spoken of another. */
static int rank_of(const struct model *m, const struct model_node *n)
{
    int alone = redis_is(n, "off") ? 5 : 0;
    if (!model_answers(n) || model_past_node(m, n)->failures > 0)
        return alone + 4;
    if (!model_has_begun(&n->stats))
        return alone + 3;
    if (n->state == MODEL_REPAIR)
        return alone + 2;
    return redis_is(n, "down") ? 1 : alone;
}

/* What the node says of the event, if it is a witness: a row that counts nowhere is none. */
static const struct stats_event *said_of(const struct model_node *n, const char *event)
{
    if (!n->has_stats || n->state == MODEL_SAME)
        return NULL;
    return model_find_event(&n->stats, event, NULL);
}

static const struct model_node *newest(const struct model *m, const char *event)
{
    const struct model_node *best = NULL;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        if (said_of(n, event) == NULL)
            continue;
        if (best == NULL || rank_of(m, n) < rank_of(m, best) ||
            (rank_of(m, n) == rank_of(m, best) && n->heard_mono_us > best->heard_mono_us))
            best = n;
    }
    return best;
}

/* Nodes hear of the sale a beat late at most, so of answers within a beat the later one need not
 * know more: there the one with the most sold does. Over longer times sold may fall. */
static void find_freshest(const struct model *m, const char *event, struct figures *f)
{
    const struct model_node *last = newest(m, event);
    const struct stats_event *e = last != NULL ? said_of(last, event) : NULL;
    if (e == NULL)
        return;
    const struct stats_event *best = e;
    f->from = last;
    f->agreed = true;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        const struct stats_event *other = said_of(n, event);
        if (other == NULL || rank_of(m, n) != rank_of(m, last))
            continue;
        if (strcmp(other->state, e->state) != 0 || other->total != e->total)
            f->agreed = false;
        if (other->total == best->total && other->sold > best->sold &&
            n->heard_mono_us + BEAT_PROMISE_MS * 1000 >= last->heard_mono_us) {
            best = other;
            f->from = n;
        }
    }
    f->state = best->state;
    f->total = best->total;
    f->sold = best->sold;
    f->left = best->left;
}

/* Nodes without Redis share nothing: each has a sale of its own. */
static void add_standalone(const struct model *m, const char *event, struct figures *f)
{
    f->total = f->sold = f->left = 0;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        const struct stats_event *e = redis_is(n, "off") ? said_of(n, event) : NULL;
        if (e == NULL)
            continue;
        f->total = add(f->total, e->total);
        f->sold = add(f->sold, e->sold);
        f->left = add(f->left, e->left);
    }
}

struct figures model_figures(const struct model *m, const char *event)
{
    struct figures f = {.state = ""};
    find_freshest(m, event, &f);
    if (f.from != NULL && redis_is(f.from, "off"))
        add_standalone(m, event, &f);
    f.alive = f.from != NULL && model_answers(f.from) && model_has_begun(&f.from->stats);
    return f;
}

static void add_event(struct model_totals *t, const struct stats_event *e)
{
    t->held = add(t->held, e->node_held);
    t->node_sold = add(t->node_sold, e->node_sold);
    t->granted = add(t->granted, e->granted);
    t->paid = add(t->paid, e->paid);
    t->cancelled = add(t->cancelled, e->cancelled);
    t->expired = add(t->expired, e->expired);
    t->late = add(t->late, e->late);
    t->late_refused = add(t->late_refused, e->late_refused);
    t->refused = add(t->refused, e->refused);
}

/* Latencies are weighted by how many of them were measured. */
struct weights {
    double sum, p50_us;
};

/* A node that has measured nothing says 0; one that does not say how much counts like the others
 * that do not. */
static void add_latency(struct weights *w, const struct stats *s)
{
    double measured = s->buckets == 0 && s->p50_us > 0 ? 1 : 0;
    for (uint32_t i = 0; i < s->buckets; i++)
        measured += (double)s->bucket_count[i];
    w->sum += measured;
    w->p50_us += measured * (double)s->p50_us;
}

static void add_node(const struct model *m, const struct model_node *n, struct model_totals *t,
                     struct weights *w)
{
    uint32_t index = 0;
    const struct stats_event *e = model_event(m, n, &index);
    if (e != NULL)
        add_event(t, e);
    t->requests = add(t->requests, n->stats.requests);
    t->errors = add(t->errors, n->stats.answers_5xx);
    if (!model_answers(n))
        return;
    t->connections = add(t->connections, n->stats.connections);
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

static void total_redis(const struct model *m, struct model_totals *t)
{
    uint64_t rtt_us[MODEL_NODES_MAX];
    uint32_t count = 0;
    t->redis_ok = true;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        if (!model_answers(n))
            continue;
        if (model_redis_down(&n->stats))
            t->redis_ok = false;
        t->redis_off = t->redis_off || redis_is(n, "off");
        if (redis_is(n, "up"))
            rtt_us[count++] = n->stats.redis_rtt_us;
    }
    t->has_redis = count > 0 || !t->redis_ok;
    t->redis_ok = t->redis_ok && count > 0;
    t->redis_rtt_us = median(rtt_us, count);
}

const char *model_redis(const struct model_totals *t, char out[MODEL_LINE_BYTES])
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

/* How fast the sale's own left falls. What nodes sell says nothing of it: holds that run out come
 * back. Another total is another sale. */
static void keep_pace(struct past_event *p, const struct figures *f)
{
    uint64_t heard = f->alive && f->total > 0 ? f->from->heard_mono_us : 0;
    bool goes_on = heard != 0 && p->pace_mono_us != 0 && p->pace_total == f->total;
    if (goes_on && heard < p->pace_mono_us + PACE_LEAST_US)
        return;
    double seconds = (double)(heard - p->pace_mono_us) / SECOND_US;
    bool falls = goes_on && f->left < p->pace_left;
    p->fall_s = falls ? (double)(p->pace_left - f->left) / seconds : 0;
    p->pace_mono_us = heard;
    p->pace_left = f->left;
    p->pace_total = f->total;
}

void model_pace(struct model *m)
{
    for (uint32_t i = 0; i < m->event_count; i++) {
        struct figures f = model_figures(m, m->events[i]);
        keep_pace(&m->past->events[i], &f);
    }
}

/* When the last ticket goes if it goes on like this. */
static double gone_in(const struct model *m, const struct model_totals *t)
{
    const struct past_event *p = model_past_event(m, m->event);
    if (p == NULL || t->answering == 0 || strcmp(t->state, "open") != 0 || t->left == 0 ||
        p->fall_s < FALL_S_LEAST)
        return -1;
    return (double)t->left / p->fall_s;
}

void model_total(struct model *m)
{
    struct model_totals t = {.peak_req_s = m->totals.peak_req_s};
    struct weights w = {0, 0};
    struct figures f = model_figures(m, m->event);
    snprintf(t.state, sizeof t.state, "%s", f.state);
    t.known = f.from != NULL && f.total > 0; /* no sale has a total of 0: nobody can say */
    t.total = f.total;
    t.sold = f.sold;
    t.left = f.left;
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (m->nodes[i].state == MODEL_SAME)
            continue;
        t.nodes++;
        t.up += model_sells(&m->nodes[i]) ? 1 : 0;
        t.heard = t.heard || m->nodes[i].has_stats;
        if (m->nodes[i].has_stats)
            add_node(m, &m->nodes[i], &t, &w);
    }
    t.answering = model_answering(m);
    t.p50_us = w.sum > 0 ? (uint64_t)(w.p50_us / w.sum + 0.5) : 0;
    if (t.req_s > t.peak_req_s)
        t.peak_req_s = t.req_s;
    total_redis(m, &t);
    t.gone_in_s = gone_in(m, &t);
    m->totals = t;
}

static void push(struct model_history *h, uint64_t seconds, bool known, double value)
{
    uint64_t count = seconds < MODEL_HISTORY ? seconds : MODEL_HISTORY;
    memmove(h->at, h->at + count, (MODEL_HISTORY - count) * sizeof h->at[0]);
    for (uint64_t i = MODEL_HISTORY - count; i < MODEL_HISTORY; i++)
        h->at[i] = known ? (float)value : NAN;
}

/* The seconds that have passed get the values of the round that has just ended. */
void model_move_on(struct model *m, uint64_t now_mono_us)
{
    struct model_past *past = m->past;
    if (past->second_mono_us == 0)
        past->second_mono_us = now_mono_us;
    uint64_t seconds = (now_mono_us + EARLY_US - past->second_mono_us) / SECOND_US;
    past->second_mono_us += seconds * SECOND_US;
    push(&m->req, seconds, m->totals.has_rates, m->totals.req_s);
    push(&m->sold, seconds, m->totals.has_rates, m->totals.sold_s);
    for (uint32_t i = 0; i < m->node_count; i++)
        push(&m->nodes[i].req, seconds, m->nodes[i].has_rates, m->nodes[i].req_s);
}
