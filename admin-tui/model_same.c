/*
 * Rows that are one node: it was named by two addresses, or came back at another one. Its number is
 * counted once, in the row that answers: that one holds the number, the others are SAME. A holder
 * stays one as long as it answers, so nothing changes to and fro.
 *
 * Two servers may also call themselves by one number by mistake. They are two processes, started at
 * different times, and may say different things of Redis and the sale; but so does one server
 * before and after a restart, and therefore only rows that were all heard in the same rounds are
 * compared, several times. Who was found to be another server never gets the number while the other
 * row has it: it would be taken for the whole sale's at the first hiccup.
 *
 * A node that nobody knows where to ask has a row, too, until a node of its number is heard.
 *
 * Owner: one thread.
 */
#include <stdio.h>
#include <string.h>

#include "admin-tui/model.h"
#include "admin-tui/model_inside.h"

#define START_STEP_MS 2000 /* uptime is in whole seconds */

struct model_node *model_holder(const struct model *m, const struct model_node *n, uint64_t number)
{
    for (uint32_t i = 0; i < m->node_count && number != 0; i++) {
        struct model_node *other = &m->nodes[i];
        if (other != n && other->number == number && other->state != MODEL_SAME && !other->absent)
            return other;
    }
    return NULL;
}

void model_yield(struct model *m, struct model_node *n, const struct model_node *to)
{
    bool is_twin = model_past_node(m, n)->twin >= ROUNDS_TWIN;
    n->has_rates = false;
    snprintf(n->why, sizeof n->why, is_twin ? "another server than %.90s" : "same as %.90s",
             to->address);
    model_enter(m, n, MODEL_SAME, "", 0);
}

static bool says_otherwise(const struct stats *a, const struct stats *b)
{
    if (strcmp(a->redis, b->redis) != 0)
        return true;
    for (uint32_t i = 0; i < a->event_count; i++) {
        const struct stats_event *e = model_find_event(b, a->events[i].name, NULL);
        if (e == NULL || e->total != a->events[i].total)
            return true;
    }
    return false;
}

/* The same process number on two machines means nothing; what it leaves open, the rest decides. */
static bool is_other_server(const struct stats *a, const struct stats *b)
{
    if (a->pid != 0 && b->pid != 0 && a->pid != b->pid)
        return true;
    uint64_t started_a = a->time_ms - a->uptime_s * 1000;
    uint64_t started_b = b->time_ms - b->uptime_s * 1000;
    uint64_t apart = started_a > started_b ? started_a - started_b : started_b - started_a;
    return (a->time_ms != 0 && b->time_ms != 0 && apart >= START_STEP_MS) || says_otherwise(a, b);
}

static void compare(struct model *m, struct model_node *n, const struct model_node *holder,
                    uint64_t now_wall_ms)
{
    struct past_node *p = model_past_node(m, n);
    if (!is_other_server(&n->stats, &holder->stats))
        p->twin = 0;
    else if (p->twin < ROUNDS_TWIN && ++p->twin == ROUNDS_TWIN) {
        model_say(m, true, now_wall_ms, "two servers are node %u: %.40s and %.40s",
                  (unsigned)n->number, holder->address, n->address);
        model_yield(m, n, holder);
    }
}

/* The number was its until now; it has not answered any more, or says another one. */
static void take_over(struct model *m, struct model_node *n, struct model_node *holder,
                      uint64_t now_wall_ms)
{
    n->why[0] = '\0';
    model_past_node(m, n)->twin = 0;
    model_enter(m, n, model_state_of(n, &n->stats), "", now_wall_ms);
    if (holder != NULL)
        model_yield(m, holder, n);
}

/* Whoever has the number, it is no longer absent. */
static void look_for(const struct model *m, struct model_node *absent)
{
    absent->state = MODEL_ASKED;
    for (uint32_t i = 0; i < m->node_count; i++)
        if (!m->nodes[i].absent && m->nodes[i].number == absent->number)
            absent->state = MODEL_SAME;
}

void model_part(struct model *m, uint64_t before_mono_us, uint64_t now_wall_ms)
{
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[i];
        if (n->absent)
            look_for(m, n);
        if (n->state != MODEL_SAME || n->heard_mono_us <= before_mono_us)
            continue;
        bool is_twin = model_past_node(m, n)->twin >= ROUNDS_TWIN;
        struct model_node *holder = model_holder(m, n, n->number);
        if (holder == NULL || (!model_answers(holder) && !is_twin))
            take_over(m, n, holder, now_wall_ms);
        else if (holder->heard_mono_us > before_mono_us)
            compare(m, n, holder, now_wall_ms);
    }
}
