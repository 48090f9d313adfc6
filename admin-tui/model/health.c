/*
 * Which nodes are slow: p99 compared with the median of all nodes, and the time that Redis or an
 * answer takes. A node is called slow, and fast again, only after several rounds in a row.
 *
 * Owner: one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/model_private.h"
#include "admin-tui/model/number.h"

#define ROUNDS_SLOW 2 /* in a row, before a node is called slow */
#define ROUNDS_CALM 3 /* in a row, before it no longer is */

/* Slow: p99 over so many times the median and over so many us, or Redis or an answer over that. To
 * be called fast again a node must do twice as well. */
#define SLOW_TIMES     10
#define SLOW_P99_US    20000
#define SLOW_REDIS_US  100000
#define SLOW_ANSWER_US 500000

/* Of a node, since its last change of state. */
struct streak {
    uint32_t slow, calm; /* rounds in a row */
    uint32_t state_changes;
};

struct health {
    struct streak nodes[MODEL_NODES_MAX]; /* by the same index as model.nodes */
};

struct health *health_new(void)
{
    return calloc(1, sizeof(struct health));
}

/* 0: no node has measured any. */
static uint64_t typical_p99_us(const struct model *m)
{
    uint64_t p99_us[MODEL_NODES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->node_count; i++)
        if (node_sells(&m->nodes[i]) && m->nodes[i].stats.p99_us > 0)
            p99_us[count++] = m->nodes[i].stats.p99_us;
    return median_of(p99_us, count);
}

/* What is slow about the node; "": nothing. */
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
    else if (strcmp(s->redis, "up") == 0 && s->redis_rtt_us > SLOW_REDIS_US / ease)
        snprintf(out, MODEL_LINE_BYTES, "redis takes %s ms", number_ms(a, s->redis_rtt_us));
    else if (n->rtt_us > SLOW_ANSWER_US / ease)
        snprintf(out, MODEL_LINE_BYTES, "/stats takes %s ms", number_ms(a, n->rtt_us));
}

static void check_node(struct model *m, struct model_node *n, uint64_t typical_us,
                       uint64_t now_wall_ms)
{
    char reason[MODEL_LINE_BYTES];
    struct streak *k = &m->health->nodes[node_index(m, n)];
    if (k->state_changes != n->state_changes)
        *k = (struct streak){.state_changes = n->state_changes};
    slow_reason(n, typical_us, reason);
    k->slow = reason[0] != '\0' ? k->slow + 1 : 0;
    k->calm = reason[0] == '\0' ? k->calm + 1 : 0;
    ASSERT(k->slow == 0 || k->calm == 0);
    if (n->state == MODEL_UP && k->slow >= ROUNDS_SLOW)
        node_set_state(m, n, MODEL_SLOW, reason, now_wall_ms);
    else if (n->state == MODEL_SLOW && k->calm >= ROUNDS_CALM)
        node_set_state(m, n, MODEL_UP, "no longer slow", now_wall_ms);
}

void health_check(struct model *m, uint64_t now_wall_ms)
{
    uint64_t typical_us = typical_p99_us(m);
    for (uint32_t i = 0; i < m->node_count; i++)
        if (node_sells(&m->nodes[i]))
            check_node(m, &m->nodes[i], typical_us, now_wall_ms);
}
