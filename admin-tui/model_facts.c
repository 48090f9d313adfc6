/*
 * The end of a round, lines: what has become of the events and of Redis. Each fact is told once,
 * and only when it is one: nodes hear of a change a beat apart, so what one of them says alone
 * waits for the others or for half a second.
 *
 * Owner: one thread.
 */
#include <stdio.h>
#include <string.h>

#include "admin-tui/model.h"
#include "admin-tui/model_inside.h"
#include "admin-tui/number.h"

#define SURE_US       500000
#define REOPEN_US     10000000 /* returned tickets open a sold out sale again and again */
#define MICROS_SECOND 1e6

static bool is(const char *state, const char *word)
{
    return strcmp(state, word) == 0;
}

static void tell_sold_out(struct model *m, const char *event, const struct past_event *p,
                          uint64_t now_mono_us, uint64_t now_wall_ms)
{
    char number[NUMBER_BYTES], span[NUMBER_BYTES];
    number_whole(number, p->total);
    if (p->start_mono_us == 0)
        model_say(m, false, now_wall_ms, "%s SOLD OUT: %s", event, number);
    else
        model_say(m, false, now_wall_ms, "%s SOLD OUT: %s in %s", event, number,
                  number_span(span, (double)(now_mono_us - p->start_mono_us) / MICROS_SECOND));
}

static void tell_state(struct model *m, const char *event, const struct past_event *p,
                       const char *before, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    if (is(p->state, "soldout"))
        tell_sold_out(m, event, p, now_mono_us, now_wall_ms);
    else if (is(p->state, "repair"))
        model_say(m, true, now_wall_ms, "%s in REPAIR: Redis has lost memory", event);
    else
        model_say(m, false, now_wall_ms, "%s %s%s", event, p->state,
                  is(before, "repair")    ? ": repair is over"
                  : is(before, "soldout") ? " again: tickets came back"
                                          : "");
}

static void tell_total(struct model *m, const char *event, uint64_t before, uint64_t total,
                       uint64_t now_wall_ms)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES];
    model_say(m, false, now_wall_ms, "%s restocked: total %s, before %s", event,
              number_whole(b, total), number_whole(a, before));
}

/* In repair nobody can know the total, and a node that has not begun says 0. */
static bool total_is_known(const struct figures *f)
{
    return f->total > 0 && !is(f->state, "repair");
}

static void learn(struct past_event *p, const struct figures *f)
{
    memcpy(p->state, f->state, sizeof p->state);
    if (total_is_known(f))
        p->total = f->total;
    p->since_mono_us = 0;
    p->known = true;
}

/* Something else than what was told: is it sure, and due? */
static bool is_due(struct past_event *p, const struct figures *f, bool new_total,
                   uint64_t now_mono_us)
{
    if (p->since_mono_us == 0)
        p->since_mono_us = now_mono_us;
    if (!f->agreed && now_mono_us - p->since_mono_us < SURE_US)
        return false;
    bool reopened = is(p->state, "soldout") && is(f->state, "open") && !new_total;
    return !reopened || now_mono_us - p->told_mono_us >= REOPEN_US;
}

static void tell_event(struct model *m, const char *event, struct past_event *p,
                       uint64_t now_mono_us, uint64_t now_wall_ms)
{
    struct figures f = model_figures(m, event);
    if (!f.alive || f.state[0] == '\0')
        return;
    if (total_is_known(&f) && f.sold == 0)
        p->start_mono_us = now_mono_us;
    if (!p->known) {
        learn(p, &f);
        return;
    }
    bool new_state = !is(p->state, f.state);
    bool new_total = total_is_known(&f) && p->total > 0 && p->total != f.total;
    if (!new_state && !new_total) {
        learn(p, &f);
        return;
    }
    if (!is_due(p, &f, new_total, now_mono_us))
        return;
    struct past_event before = *p;
    learn(p, &f);
    if (new_total) {
        tell_total(m, event, before.total, f.total, now_wall_ms);
        p->start_mono_us = now_mono_us;
    }
    if (!new_state)
        return;
    p->told_mono_us = now_mono_us;
    if (!new_total || !is(before.state, "soldout") || !is(f.state, "open"))
        tell_state(m, event, p, before.state, now_mono_us, now_wall_ms);
}

const char *model_told(const struct model *m, uint64_t *total)
{
    const struct past_event *p = model_past_event(m, m->event);
    *total = p != NULL ? p->total : 0;
    return p != NULL && p->known ? p->state : "";
}

void model_tell_events(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    for (uint32_t i = 0; i < m->event_count; i++)
        tell_event(m, m->events[i], &m->past->events[i], now_mono_us, now_wall_ms);
}

/* Rising, each once; those that find no place are counted all the same. */
static void add_wait(struct waits *w, uint16_t node)
{
    uint32_t kept = w->count < STATS_WAITS_MAX ? w->count : STATS_WAITS_MAX, at = 0;
    while (at < kept && w->node[at] < node)
        at++;
    if (at < kept && w->node[at] == node)
        return;
    w->count++;
    if (at == STATS_WAITS_MAX)
        return;
    uint32_t behind = kept < STATS_WAITS_MAX ? kept - at : STATS_WAITS_MAX - 1 - at;
    memmove(&w->node[at + 1], &w->node[at], behind * sizeof node);
    w->node[at] = node;
}

static void add_waits(struct waits *w, const struct stats_event *e)
{
    for (uint32_t i = 0; i < e->waits && i < STATS_WAITS_MAX; i++)
        add_wait(w, e->waits_for[i]);
}

/* What the node says of the event's repair, if it is in it; older nodes name nobody. */
static const struct stats_event *waiting(const struct model_node *n, const char *event)
{
    const struct stats_event *e =
        model_answers(n) ? model_find_event(&n->stats, event, NULL) : NULL;
    return e != NULL && is(e->state, "repair") && e->waits > 0 ? e : NULL;
}

/* Nobody names himself, so it is what all of them say together. */
static struct waits find_waits(const struct model *m, const char *event)
{
    struct waits all = {.count = 0};
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct stats_event *e = waiting(&m->nodes[i], event);
        if (e != NULL)
            add_waits(&all, e);
    }
    return all;
}

/* Nobody has left out another than himself: all have heard the same. */
static bool waits_agreed(const struct model *m, const char *event, const struct waits *all)
{
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        const struct stats_event *e = waiting(n, event);
        struct waits said = {.count = 0};
        if (e == NULL)
            continue;
        add_waits(&said, e);
        for (uint32_t k = 0; k < all->count && k < STATS_WAITS_MAX; k++)
            if (all->node[k] == n->number)
                add_wait(&said, all->node[k]);
        if (memcmp(&said, all, sizeof said) != 0)
            return false;
    }
    return true;
}

/* "node 3", "nodes 3, 7"; a list that is full may not be all of it: "nodes 1, ... and perhaps
 * others" */
static const char *name_waits(char out[MODEL_LINE_BYTES], const struct waits *w)
{
    int len = snprintf(out, MODEL_LINE_BYTES, "node%s", w->count > 1 ? "s" : "");
    for (uint32_t i = 0; i < w->count && i < STATS_WAITS_MAX; i++)
        len += snprintf(out + len, MODEL_LINE_BYTES - (size_t)len, "%s %u", i > 0 ? "," : "",
                        (unsigned)w->node[i]);
    if (w->count >= STATS_WAITS_MAX)
        snprintf(out + len, MODEL_LINE_BYTES - (size_t)len, " and perhaps others");
    return out;
}

/* A sale that begins is in repair, too, until all of its nodes are there. */
static void tell_waits(struct model *m, const char *event, struct past_event *p,
                       uint64_t now_mono_us, uint64_t now_wall_ms)
{
    char who[MODEL_LINE_BYTES];
    struct waits w = find_waits(m, event);
    if (memcmp(&w, &p->waits, sizeof w) == 0) {
        p->waits_mono_us = 0;
        return;
    }
    if (p->waits_mono_us == 0)
        p->waits_mono_us = now_mono_us;
    if (!waits_agreed(m, event, &w) && now_mono_us - p->waits_mono_us < SURE_US)
        return;
    p->waits = w;
    p->waits_mono_us = 0;
    if (w.count > 0)
        model_say(m, true, now_wall_ms, "%s in repair: waits for %.140s", event,
                  name_waits(who, &w));
}

void model_tell_waits(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    for (uint32_t i = 0; i < m->event_count; i++)
        tell_waits(m, m->events[i], &m->past->events[i], now_mono_us, now_wall_ms);
}

/* Of the nodes that sell the event, how many have spent their local stock. */
static bool are_spent(const struct model *m, const char *event, uint32_t *selling)
{
    uint32_t spent = 0;
    *selling = 0;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        const struct stats_event *e =
            model_sells(n) ? model_find_event(&n->stats, event, NULL) : NULL;
        *selling += e != NULL ? 1 : 0;
        spent += e != NULL && model_spent(e) ? 1 : 0;
    }
    return spent > 0 && spent == *selling;
}

/* A sale that stands still though nobody has stopped it. That it goes on is told; that it has ended
 * has a line of its own. */
static void tell_stock(struct model *m, const char *event, struct past_event *p,
                       uint64_t now_mono_us, uint64_t now_wall_ms)
{
    char left[NUMBER_BYTES];
    uint32_t selling;
    struct figures f = model_figures(m, event);
    bool is_open = is(f.state, "open") && f.left > 0;
    bool spent = are_spent(m, event, &selling) && is_open;
    if (!f.alive || selling == 0 || spent == p->spent) {
        p->stock_mono_us = 0;
        return;
    }
    if (p->stock_mono_us == 0)
        p->stock_mono_us = now_mono_us;
    if (now_mono_us - p->stock_mono_us < SURE_US)
        return;
    p->spent = spent;
    p->stock_mono_us = 0;
    if (spent)
        model_say(m, true, now_wall_ms, "%s: raise local-stock (HUP): %s left, all spent", event,
                  number_whole(left, f.left));
    else if (is_open)
        model_say(m, false, now_wall_ms, "%s: a node has local stock again, %s left", event,
                  number_whole(left, f.left));
}

void model_tell_stock(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    for (uint32_t i = 0; i < m->event_count; i++)
        tell_stock(m, m->events[i], &m->past->events[i], now_mono_us, now_wall_ms);
}

/* Nodes whose link to Redis is in a state, and those of them that were not in the round before. */
struct links {
    uint32_t count, fresh;
    const struct model_node *one; /* of the fresh */
};

static void add_link(struct links *l, const struct model_node *n, bool fresh)
{
    l->count++;
    if (!fresh)
        return;
    l->fresh++;
    l->one = n;
}

/* One line for all nodes: they share one Redis. */
static void tell_links(struct model *m, const struct links *l, uint32_t of, const char *word,
                       bool alone, uint64_t now_wall_ms)
{
    char who[MODEL_LINE_BYTES];
    bool trouble = is(word, "REDIS!");
    if (l->fresh == 0)
        return;
    if (alone)
        model_label(l->one, who);
    else
        snprintf(who, sizeof who, "%u of %u nodes", (unsigned)l->count, (unsigned)of);
    model_say(m, trouble, now_wall_ms, "%.40s %s: Redis %s", who, word,
              trouble ? "does not answer, buyers hear busy" : "answers again");
}

void model_tell_redis(struct model *m, uint64_t now_wall_ms)
{
    struct links up = {0, 0, NULL}, down = {0, 0, NULL};
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        struct past_node *p = model_past_node(m, n);
        if (!model_answers(n)) {
            p->redis_down = false; /* when it answers again all is news */
            continue;
        }
        if (model_redis_down(&n->stats)) {
            add_link(&down, n, !p->redis_down);
            p->redis_down = true;
        } else if (is(n->stats.redis, "up")) {
            add_link(&up, n, p->redis_down);
            p->redis_down = false;
        }
    }
    uint32_t of = up.count + down.count;
    tell_links(m, &down, of, "REDIS!", down.count == 1, now_wall_ms);
    tell_links(m, &up, of, "UP", up.fresh == 1, now_wall_ms);
}
