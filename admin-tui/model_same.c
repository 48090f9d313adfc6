/*
 * Rows that are one node: it was named by two addresses, or came back at another one. Its number is
 * counted once, in the row that answers: that one holds the number, the others are SAME. A holder
 * stays one as long as it answers, so nothing changes to and fro.
 *
 * Two servers may also call themselves by one number by mistake. They were started at different
 * times; but so was one server before and after a restart, and therefore only rows that were all
 * heard in the same rounds are compared, several times.
 *
 * Owner: one thread.
 */
#include <stdio.h>

#include "admin-tui/model.h"
#include "admin-tui/model_inside.h"

#define START_STEP_MS 2000 /* uptime is in whole seconds */

struct model_node *model_holder(const struct model *m, const struct model_node *n, uint64_t number)
{
    for (uint32_t i = 0; i < m->node_count && number != 0; i++) {
        struct model_node *other = &m->nodes[i];
        if (other != n && other->number == number && other->state != MODEL_SAME)
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

static bool is_other_server(const struct stats *a, const struct stats *b)
{
    uint64_t started_a = a->time_ms - a->uptime_s * 1000;
    uint64_t started_b = b->time_ms - b->uptime_s * 1000;
    uint64_t apart = started_a > started_b ? started_a - started_b : started_b - started_a;
    return a->time_ms != 0 && b->time_ms != 0 && apart >= START_STEP_MS;
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
    model_enter(m, n, model_state_of(n, &n->stats), "", now_wall_ms);
    if (holder != NULL)
        model_yield(m, holder, n);
}

void model_part(struct model *m, uint64_t before_mono_us, uint64_t now_wall_ms)
{
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[i];
        if (n->state != MODEL_SAME || n->heard_mono_us <= before_mono_us)
            continue;
        struct model_node *holder = model_holder(m, n, n->number);
        if (holder == NULL || !model_answers(holder))
            take_over(m, n, holder, now_wall_ms);
        else if (holder->heard_mono_us > before_mono_us)
            compare(m, n, holder, now_wall_ms);
    }
}
