/*
 * Rows that are one node: it was named by two addresses, or came back at another one. Its number is
 * counted once, in the row that answers: that row holds the number, the others are duplicates. A
 * holder remains one as long as it answers, so rows do not change to and fro.
 *
 * Two servers may also have one number by mistake. They are two processes, started at different
 * times, and may report different things of Redis and the sale; but so does one server before and
 * after a restart, and therefore only rows that have all answered in the same rounds are compared,
 * several times. A row that was found to be another server never gets the number while the other
 * row has it: at the first hiccup it would be taken for a node of the sale.
 *
 * A node without a known address has a row, too, until a node of its number answers.
 *
 * Owner: one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/model_private.h"

#define ROUNDS_APART  3    /* in a row, before two rows are called two servers */
#define START_STEP_MS 2000 /* uptime is in whole seconds */

struct duplicates {
    uint32_t
        apart[MODEL_NODES_MAX]; /* rounds in which the row was another server than the holder */
};

struct duplicates *duplicates_new(void)
{
    return calloc(1, sizeof(struct duplicates));
}

static uint32_t *rounds_apart(const struct model *m, const struct model_node *n)
{
    return &m->duplicates->apart[node_index(m, n)];
}

static bool is_other_server(const struct model *m, const struct model_node *n)
{
    return *rounds_apart(m, n) >= ROUNDS_APART;
}

void duplicates_forget(struct model *m, const struct model_node *n)
{
    *rounds_apart(m, n) = 0;
}

struct model_node *duplicates_holder(const struct model *m, const struct model_node *n,
                                     uint64_t number)
{
    for (uint32_t i = 0; i < m->node_count && number != 0; i++) {
        struct model_node *other = &m->nodes[i];
        if (other != n && other->number == number && other->state != MODEL_DUPLICATE &&
            !other->absent)
            return other;
    }
    return NULL;
}

void duplicates_yield(struct model *m, struct model_node *n, const struct model_node *to)
{
    ASSERT(n != to && !to->absent && to->state != MODEL_DUPLICATE);
    n->has_rates = false;
    snprintf(n->why, sizeof n->why,
             is_other_server(m, n) ? "another server than %.90s" : "same as %.90s", to->address);
    node_set_state(m, n, MODEL_DUPLICATE, "", 0);
}

static bool reports_differ(const struct stats *a, const struct stats *b)
{
    if (strcmp(a->redis, b->redis) != 0)
        return true;
    for (uint32_t i = 0; i < a->event_count; i++) {
        const struct stats_event *e = stats_find_event(b, a->events[i].name, NULL);
        if (e == NULL || e->total != a->events[i].total)
            return true;
    }
    return false;
}

/* The same process number on two machines proves nothing; then the rest decides. */
static bool are_two_servers(const struct stats *a, const struct stats *b)
{
    ASSERT(a->node == b->node);
    if (a->pid != 0 && b->pid != 0 && a->pid != b->pid)
        return true;
    uint64_t started_a = a->time_ms - a->uptime_s * 1000;
    uint64_t started_b = b->time_ms - b->uptime_s * 1000;
    uint64_t apart = started_a > started_b ? started_a - started_b : started_b - started_a;
    return (a->time_ms != 0 && b->time_ms != 0 && apart >= START_STEP_MS) || reports_differ(a, b);
}

static void compare(struct model *m, struct model_node *n, const struct model_node *holder,
                    uint64_t now_wall_ms)
{
    uint32_t *apart = rounds_apart(m, n);
    ASSERT(*apart <= ROUNDS_APART);
    if (!are_two_servers(&n->stats, &holder->stats))
        *apart = 0;
    else if (*apart < ROUNDS_APART && ++*apart == ROUNDS_APART) {
        model_announce(m, true, now_wall_ms, "two servers are node %u: %.40s and %.40s",
                       (unsigned)n->number, holder->address, n->address);
        duplicates_yield(m, n, holder);
    }
}

/* The holder, if there was one, does not answer any more, or reports another number. */
static void take_over(struct model *m, struct model_node *n, struct model_node *holder,
                      uint64_t now_wall_ms)
{
    ASSERT(n->state == MODEL_DUPLICATE && n->has_stats);
    n->why[0] = '\0';
    duplicates_forget(m, n);
    node_set_state(m, n, node_state_of(n, &n->stats), "", now_wall_ms);
    if (holder != NULL)
        duplicates_yield(m, holder, n);
}

/* A node that answers in any row is no longer absent. */
static void resolve_absent(const struct model *m, struct model_node *absent)
{
    ASSERT(absent->absent && absent->number != 0);
    absent->state = MODEL_NEW;
    for (uint32_t i = 0; i < m->node_count; i++)
        if (!m->nodes[i].absent && m->nodes[i].number == absent->number)
            absent->state = MODEL_DUPLICATE;
}

void duplicates_resolve(struct model *m, uint64_t before_mono_us, uint64_t now_wall_ms)
{
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[i];
        if (n->absent)
            resolve_absent(m, n);
        if (n->state != MODEL_DUPLICATE || n->answer_mono_us <= before_mono_us)
            continue;
        struct model_node *holder = duplicates_holder(m, n, n->number);
        if (holder == NULL || (!node_answers(holder) && !is_other_server(m, n)))
            take_over(m, n, holder, now_wall_ms);
        else if (holder->answer_mono_us > before_mono_us)
            compare(m, n, holder, now_wall_ms);
    }
}
