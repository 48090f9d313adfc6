/*
 * The nodes that the repair of an event waits for, as a line: the operator must start them, or give
 * them up. A node does not name itself, so the answer is what all of them report together.
 *
 * Owner: one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/model_private.h"

/* A set of nodes, rising, each once; of more than STATS_WAITS_MAX only the count is right. */
struct wait_set {
    uint32_t count;
    uint16_t node[STATS_WAITS_MAX];
};

/* Of an event. */
struct repair_wait {
    struct wait_set announced;
    uint64_t differs_mono_us; /* when another set was first reported; 0: no other is */
};

struct repair_waits {
    struct repair_wait events[EVENTS_MAX]; /* as model.events */
};

struct repair_waits *repair_waits_new(void)
{
    return calloc(1, sizeof(struct repair_waits));
}

static uint32_t kept_count(const struct wait_set *w)
{
    return w->count < STATS_WAITS_MAX ? w->count : STATS_WAITS_MAX;
}

/* Nodes beyond STATS_WAITS_MAX are counted all the same. */
static void add_node(struct wait_set *w, uint16_t node)
{
    uint32_t kept = kept_count(w), at = 0;
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
    ASSERT(at == 0 || w->node[at - 1] < node);
}

static void add_report(struct wait_set *w, const struct stats_event *e)
{
    for (uint32_t i = 0; i < e->waits && i < STATS_WAITS_MAX; i++)
        add_node(w, e->waits_for[i]);
}

/* What the node reports of the event's repair, if it takes part; older nodes name no node. */
static const struct stats_event *report_of(const struct model_node *n, const char *event)
{
    const struct stats_event *e = node_answers(n) ? stats_find_event(&n->stats, event, NULL) : NULL;
    return e != NULL && strcmp(e->state, "repair") == 0 && e->waits > 0 ? e : NULL;
}

static struct wait_set find_waits(const struct model *m, const char *event)
{
    struct wait_set all = {.count = 0};
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct stats_event *e = report_of(&m->nodes[i], event);
        if (e != NULL)
            add_report(&all, e);
    }
    return all;
}

/* Every node has left out no other node than itself: all know the same. */
static bool is_agreed(const struct model *m, const char *event, const struct wait_set *all)
{
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        const struct stats_event *e = report_of(n, event);
        struct wait_set reported = {.count = 0};
        if (e == NULL)
            continue;
        add_report(&reported, e);
        for (uint32_t k = 0; k < kept_count(all); k++)
            if (all->node[k] == n->number)
                add_node(&reported, all->node[k]);
        if (memcmp(&reported, all, sizeof reported) != 0)
            return false;
    }
    return true;
}

/* "node 3", "nodes 3, 7"; a list that is full may not be all of it: "nodes 1, ... and perhaps
 * others" */
static const char *names_of(char out[MODEL_LINE_BYTES], const struct wait_set *w)
{
    int len = snprintf(out, MODEL_LINE_BYTES, "node%s", w->count > 1 ? "s" : "");
    ASSERT(w->count > 0);
    for (uint32_t i = 0; i < kept_count(w); i++)
        len += snprintf(out + len, MODEL_LINE_BYTES - (size_t)len, "%s %u", i > 0 ? "," : "",
                        (unsigned)w->node[i]);
    ASSERT(len < MODEL_LINE_BYTES); /* STATS_WAITS_MAX numbers of nodes fit */
    if (w->count >= STATS_WAITS_MAX)
        snprintf(out + len, MODEL_LINE_BYTES - (size_t)len, " and perhaps others");
    return out;
}

/* A sale that begins is in repair, too, until all of its nodes are there. */
static void announce_event(struct model *m, const char *event, struct repair_wait *r,
                           uint64_t now_mono_us, uint64_t now_wall_ms)
{
    char names[MODEL_LINE_BYTES];
    struct wait_set w = find_waits(m, event);
    if (memcmp(&w, &r->announced, sizeof w) == 0) {
        r->differs_mono_us = 0;
        return;
    }
    if (r->differs_mono_us == 0)
        r->differs_mono_us = now_mono_us;
    if (!is_agreed(m, event, &w) && now_mono_us - r->differs_mono_us < CERTAIN_US)
        return;
    r->announced = w;
    r->differs_mono_us = 0;
    if (w.count > 0)
        model_announce(m, true, now_wall_ms, "%s in repair: waits for %.140s", event,
                       names_of(names, &w));
}

void repair_waits_announce(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    ASSERT(m->event_count <= EVENTS_MAX);
    for (uint32_t i = 0; i < m->event_count; i++)
        announce_event(m, m->events[i], &m->waits->events[i], now_mono_us, now_wall_ms);
}
