/*
 * The figures of the whole sale come from one answer, never from several: total, sold and left fit
 * together only within one answer. So one node is chosen as the witness.
 *
 * Owner: one thread; nothing is kept.
 */
#include <string.h>

#include "admin-tui/model/model_private.h"
#include "admin-tui/model/number.h"

static bool redis_is(const struct model_node *n, const char *state)
{
    return strcmp(n->stats.redis, state) == 0;
}

/* How good a witness of the whole sale a node is; 0 is the best. A node without Redis has a sale of
 * its own: it counts only where no node has ever reported another. */
static int rank_of(const struct model_node *n)
{
    int alone = redis_is(n, "off") ? 5 : 0;
    if (!node_answers(n) || n->failures > 0)
        return alone + 4;
    if (!node_has_attached(&n->stats))
        return alone + 3;
    if (n->state == MODEL_REPAIR)
        return alone + 2;
    return redis_is(n, "down") ? 1 : alone;
}

/* What the node reports of the event, if it is a witness: a duplicate is none. */
static const struct stats_event *reported_by(const struct model_node *n, const char *event)
{
    if (!n->has_stats || n->state == MODEL_DUPLICATE)
        return NULL;
    return stats_find_event(&n->stats, event, NULL);
}

static const struct model_node *newest_witness(const struct model *m, const char *event)
{
    const struct model_node *best = NULL;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        if (reported_by(n, event) == NULL)
            continue;
        if (best == NULL || rank_of(n) < rank_of(best) ||
            (rank_of(n) == rank_of(best) && n->answer_mono_us > best->answer_mono_us))
            best = n;
    }
    return best;
}

/* Nodes learn of sales a beat late at most, so of two answers within a beat the later one need not
 * be fresher: there the one with the most sold is. Over longer times sold may fall. */
static void find_freshest(const struct model *m, const char *event, struct sale *s)
{
    const struct model_node *last = newest_witness(m, event);
    const struct stats_event *e = last != NULL ? reported_by(last, event) : NULL;
    if (e == NULL)
        return;
    const struct stats_event *best = e;
    s->from = last;
    s->agreed = true;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        const struct stats_event *other = reported_by(n, event);
        if (other == NULL || rank_of(n) != rank_of(last))
            continue;
        ASSERT(n->answer_mono_us <= last->answer_mono_us);
        if (strcmp(other->state, e->state) != 0 || other->total != e->total)
            s->agreed = false;
        if (other->total == best->total && other->sold > best->sold &&
            n->answer_mono_us + BEAT_PROMISE_MS * 1000 >= last->answer_mono_us) {
            best = other;
            s->from = n;
        }
    }
    s->state = best->state;
    s->total = best->total;
    s->sold = best->sold;
    s->left = best->left;
}

/* Nodes without Redis share nothing: each has a sale of its own. */
static void add_standalone(const struct model *m, const char *event, struct sale *s)
{
    s->total = s->sold = s->left = 0;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        const struct stats_event *e = redis_is(n, "off") ? reported_by(n, event) : NULL;
        if (e == NULL)
            continue;
        s->total = number_sum(s->total, e->total);
        s->sold = number_sum(s->sold, e->sold);
        s->left = number_sum(s->left, e->left);
    }
}

struct sale sale_of(const struct model *m, const char *event)
{
    struct sale s = {.state = ""};
    find_freshest(m, event, &s);
    if (s.from != NULL && redis_is(s.from, "off"))
        add_standalone(m, event, &s);
    s.alive = s.from != NULL && node_answers(s.from) && node_has_attached(&s.from->stats);
    return s;
}

bool sale_has_total(const struct sale *s)
{
    return s->total > 0 && strcmp(s->state, "repair") != 0;
}
