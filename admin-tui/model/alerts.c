/*
 * Lines about what stops a sale while its nodes answer: local stocks that are spent, and Redis.
 * Each is announced once, and once more when it is over.
 *
 * Owner: one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/model_private.h"
#include "admin-tui/model/number.h"

/* Of an event. */
struct stock_alert {
    bool is_spent;            /* every node's local stock, as announced */
    uint64_t differs_mono_us; /* when that was first otherwise; 0: it is not */
};

/* Nodes that Redis answers, or does not, and those of them that are news. */
struct redis_count {
    uint32_t count, new_count;
    const struct model_node *one; /* of the new ones */
};

struct alerts {
    struct stock_alert events[EVENTS_MAX]; /* as model.events */
    bool redis_lost[MODEL_NODES_MAX];      /* as model.nodes: as announced */
};

struct alerts *alerts_new(void)
{
    return calloc(1, sizeof(struct alerts));
}

static bool is_state(const char *state, const char *name)
{
    return strcmp(state, name) == 0;
}

/* ---- local stocks ---- */

/* All nodes that sell the event have spent their local stock; *selling: how many those are. */
static bool all_spent(const struct model *m, const char *event, uint32_t *selling)
{
    uint32_t spent = 0;
    *selling = 0;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        const struct stats_event *e =
            node_sells(n) ? stats_find_event(&n->stats, event, NULL) : NULL;
        *selling += e != NULL ? 1 : 0;
        spent += e != NULL && model_stock_is_spent(e) ? 1 : 0;
    }
    ASSERT(spent <= *selling);
    return spent > 0 && spent == *selling;
}

/* A sale that stands still though no operator has stopped it. That it goes on is announced; that it
 * has ended has a line of its own. */
static void check_stock(struct model *m, const char *event, struct stock_alert *a,
                        uint64_t now_mono_us, uint64_t now_wall_ms)
{
    char left[NUMBER_BYTES];
    uint32_t selling;
    struct sale s = sale_of(m, event);
    bool is_open = is_state(s.state, "open") && s.left > 0;
    bool spent = all_spent(m, event, &selling) && is_open;
    if (!s.alive || selling == 0 || spent == a->is_spent) {
        a->differs_mono_us = 0;
        return;
    }
    if (a->differs_mono_us == 0)
        a->differs_mono_us = now_mono_us;
    ASSERT(now_mono_us >= a->differs_mono_us);
    if (now_mono_us - a->differs_mono_us < CERTAIN_US)
        return;
    a->is_spent = spent;
    a->differs_mono_us = 0;
    if (spent)
        model_announce(m, true, now_wall_ms, "%s: raise local-stock (HUP): %s left, all spent",
                       event, number_whole(left, s.left));
    else if (is_open)
        model_announce(m, false, now_wall_ms, "%s: a node has local stock again, %s left", event,
                       number_whole(left, s.left));
}

void alerts_check_stock(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    ASSERT(m->event_count <= EVENTS_MAX);
    for (uint32_t i = 0; i < m->event_count; i++)
        check_stock(m, m->events[i], &m->alerts->events[i], now_mono_us, now_wall_ms);
}

/* ---- Redis ---- */

static void count_node(struct redis_count *c, const struct model_node *n, bool is_new)
{
    c->count++;
    if (!is_new)
        return;
    c->new_count++;
    c->one = n;
}

/* One line for all nodes: they share one Redis. */
static void announce_redis(struct model *m, const struct redis_count *c, uint32_t of,
                           const char *state, bool alone, uint64_t now_wall_ms)
{
    char label[MODEL_LINE_BYTES];
    bool trouble = is_state(state, "REDIS!");
    ASSERT(c->new_count <= c->count && c->count <= of);
    if (c->new_count == 0)
        return;
    if (alone)
        node_label(c->one, label);
    else
        snprintf(label, sizeof label, "%u of %u nodes", (unsigned)c->count, (unsigned)of);
    model_announce(m, trouble, now_wall_ms, "%.40s %s: Redis %s", label, state,
                   trouble ? "does not answer, buyers hear busy" : "answers again");
}

void alerts_check_redis(struct model *m, uint64_t now_wall_ms)
{
    struct redis_count up = {0, 0, NULL}, down = {0, 0, NULL};
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        bool *lost = &m->alerts->redis_lost[i];
        if (!node_answers(n)) {
            *lost = false; /* when the node answers again, all is news */
            continue;
        }
        if (node_has_lost_redis(&n->stats)) {
            count_node(&down, n, !*lost);
            *lost = true;
        } else if (is_state(n->stats.redis, "up")) {
            count_node(&up, n, *lost);
            *lost = false;
        }
    }
    uint32_t of = up.count + down.count;
    announce_redis(m, &down, of, "REDIS!", down.count == 1, now_wall_ms);
    announce_redis(m, &up, of, "UP", up.new_count == 1, now_wall_ms);
}
