/*
 * model: see model.h. An answer makes the rates of its node at once; what needs all nodes (slow or
 * not, totals, histories, the lines about events) waits for the end of the round.
 *
 * Owner: one thread. Nothing is stored: the next console begins with the next answers.
 */
#include "admin-tui/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/model_private.h"

struct model *model_new(void)
{
    struct model *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->nodes = calloc(MODEL_NODES_MAX, sizeof *m->nodes);
    m->duplicates = duplicates_new();
    m->health = health_new();
    m->pace = sale_pace_new();
    m->news = event_news_new();
    m->waits = repair_waits_new();
    m->alerts = alerts_new();
    if (m->nodes == NULL || m->duplicates == NULL || m->health == NULL || m->pace == NULL ||
        m->news == NULL || m->waits == NULL || m->alerts == NULL) {
        model_free(m);
        return NULL;
    }
    history_clear(&m->req);
    history_clear(&m->sold);
    m->totals.gone_in_s = -1;
    return m;
}

void model_free(struct model *m)
{
    if (m == NULL)
        return;
    free(m->alerts);
    free(m->waits);
    free(m->news);
    free(m->pace);
    free(m->health);
    free(m->duplicates);
    free(m->nodes);
    free(m);
}

/* ---- the chosen event ---- */

void model_choose(struct model *m, const char *event)
{
    ASSERT(strlen(event) <= EVENT_NAME_MAX);
    snprintf(m->event, sizeof m->event, "%s", event);
    history_clear(&m->sold);
    totals_update(m);
}

void model_choose_next(struct model *m, int step)
{
    uint32_t at = event_index(m, m->event), count = m->event_count;
    ASSERT(step == 1 || step == -1);
    if (count == 0)
        return;
    if (at == count)
        at = 0;
    else
        at = (at + (step < 0 ? count - 1 : 1)) % count;
    model_choose(m, m->events[at]);
}

/* Events that no node has reported before get a slot; the first one is chosen. */
static void learn_events(struct model *m, const struct stats *s)
{
    for (uint32_t i = 0; i < s->event_count && m->event_count < EVENTS_MAX; i++)
        if (event_index(m, s->events[i].name) == m->event_count)
            memcpy(m->events[m->event_count++], s->events[i].name, sizeof m->events[0]);
    if (m->event[0] == '\0' && m->event_count > 0)
        memcpy(m->event, m->events[0], sizeof m->event);
}

/* ---- answers and failures ---- */

static bool is_restarted(const struct stats *old, const struct stats *new)
{
    return new->uptime_s < old->uptime_s || new->requests < old->requests || new->node != old->node;
}

/* Stores the answer in the row. */
static void store(struct model *m, struct model_node *n, const struct stats *s, uint64_t rtt_us,
                  uint64_t now_mono_us)
{
    if (n->number != s->node)
        duplicates_forget(m, n);
    n->stats = *s;
    n->has_stats = true;
    n->number = (uint32_t)s->node;
    n->rtt_us = rtt_us;
    n->answer_mono_us = now_mono_us;
    n->why[0] = '\0';
    n->failures = 0;
    learn_events(m, s);
}

void model_answered(struct model *m, struct model_node *n, const struct stats *s, uint64_t rtt_us,
                    uint64_t now_mono_us, uint64_t now_wall_ms)
{
    char label[MODEL_LINE_BYTES];
    ASSERT(node_index(m, n) < m->node_count && !n->absent);
    ASSERT(s->node >= 1 && s->node <= NODE_MAX && now_mono_us >= n->answer_mono_us);
    bool restarted = n->has_stats && is_restarted(&n->stats, s);
    const struct model_node *holder = duplicates_holder(m, n, s->node);
    enum model_state old = n->state, state = node_state_of(n, s);
    if (restarted || !node_answers(n))
        rates_drop(n);
    else
        rates_update(n, s, rtt_us, now_mono_us);
    store(m, n, s, rtt_us, now_mono_us);
    if (holder != NULL) {
        duplicates_yield(m, n, holder);
        return;
    }
    if (restarted && state == old)
        model_announce(m, true, now_wall_ms, "%s restarted", node_label(n, label));
    node_set_state(m, n, state,
                   restarted                ? "restarted"
                   : state == MODEL_UNKNOWN ? s->state
                                            : "",
                   now_wall_ms);
}

/* Failures that a busy node or network can cause once. All others (refused, garbage, no such name)
 * are certain. */
static bool is_hiccup(const char *why)
{
    static const char *const hiccups[] = {"timed out", "connection reset", "closed",
                                          "half an answer"};
    for (size_t i = 0; i < ARRAY_LEN(hiccups); i++)
        if (strncmp(why, hiccups[i], strlen(hiccups[i])) == 0)
            return true;
    return false;
}

void model_failed(struct model *m, struct model_node *n, const char *why, uint64_t now_wall_ms)
{
    ASSERT(node_index(m, n) < m->node_count && !n->absent);
    ASSERT(why[0] != '\0');
    rates_drop(n);
    if (++n->failures == 1 && node_answers(n) && is_hiccup(why))
        return;
    if (n->state == MODEL_DUPLICATE && duplicates_holder(m, n, n->number) != NULL)
        return;
    snprintf(n->why, sizeof n->why, "%s", why);
    node_set_state(m, n, MODEL_DOWN, n->why, now_wall_ms);
}

/* ---- the end of a round ---- */

void model_round(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    ASSERT(now_mono_us >= m->round_mono_us && m->round_mono_us >= m->previous_mono_us);
    duplicates_resolve(m, m->round_mono_us, now_wall_ms);
    m->previous_mono_us = m->round_mono_us;
    m->round_mono_us = now_mono_us;
    health_check(m, now_wall_ms);
    sale_pace_update(m);
    totals_update(m);
    history_advance(m, now_mono_us);
    event_news_announce(m, now_mono_us, now_wall_ms);
    repair_waits_announce(m, now_mono_us, now_wall_ms);
    alerts_check_stock(m, now_mono_us, now_wall_ms);
    alerts_check_redis(m, now_wall_ms);
    m->rounds++;
}
