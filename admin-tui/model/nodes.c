/*
 * The rows of the nodes and their states. One table has the name of a state, the word that a line
 * uses for it, and whether it is trouble.
 *
 * Owner: one thread.
 */
#include <stdio.h>
#include <string.h>

#include "admin-tui/model/model_private.h"

#define ATTACH_S 3 /* a node that has not attached by then has no Redis */

static const struct {
    const char *name; /* in the table of nodes */
    const char *line; /* in the lines */
    bool trouble;
} states[] = {
    [MODEL_NEW] = {"NEW", "NEW", false},
    [MODEL_DUPLICATE] = {"SAME", "SAME", false},
    [MODEL_UP] = {"UP", "UP", false},
    [MODEL_STARTING] = {"START", "STARTING", false},
    [MODEL_REPAIR] = {"REPAR!", "REPAIR", true},
    [MODEL_UNKNOWN] = {"?", "in a state that is not known", true},
    [MODEL_DRAINING] = {"DRAIN", "DRAINING", false},
    [MODEL_SLOW] = {"SLOW!", "SLOW", true},
    [MODEL_NO_REDIS] = {"REDIS!", "REDIS!", true},
    [MODEL_DOWN] = {"DOWN!", "DOWN", true},
};

const char *model_state_name(enum model_state s)
{
    ASSERT((size_t)s < ARRAY_LEN(states));
    return states[s].name;
}

/* ---- rows ---- */

uint32_t node_index(const struct model *m, const struct model_node *n)
{
    ASSERT(n >= m->nodes && n < m->nodes + m->node_count);
    return (uint32_t)(n - m->nodes);
}

struct model_node *model_find(const struct model *m, const char *address)
{
    ASSERT(m->node_count <= MODEL_NODES_MAX);
    for (uint32_t i = 0; i < m->node_count; i++)
        if (strcmp(m->nodes[i].address, address) == 0)
            return &m->nodes[i];
    return NULL;
}

struct model_node *model_add(struct model *m, const char *address)
{
    struct model_node *n = model_find(m, address);
    if (n != NULL)
        return n;
    if (m->node_count == MODEL_NODES_MAX || strlen(address) >= MODEL_ADDRESS)
        return NULL;
    n = &m->nodes[m->node_count++];
    snprintf(n->address, sizeof n->address, "%s", address);
    history_clear(&n->req);
    if (m->rounds == 0)
        m->totals.nodes = m->node_count;
    return n;
}

void model_add_absent(struct model *m, uint16_t number)
{
    char name[MODEL_LINE_BYTES];
    ASSERT(number > 0);
    snprintf(name, sizeof name, "node %u", (unsigned)number); /* no address is like that */
    struct model_node *n = model_add(m, name);
    if (n == NULL)
        return;
    n->absent = true;
    n->number = number;
    strcpy(n->address, "-");
    strcpy(n->why, "never heard");
}

void model_locate(struct model *m, uint16_t number, const char *address)
{
    ASSERT(strlen(address) < MODEL_ADDRESS);
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[i];
        if (!n->absent || n->number != number)
            continue;
        n->absent = false;
        n->number = 0; /* until the node reports it */
        n->state = MODEL_NEW;
        n->why[0] = '\0';
        strcpy(n->address, address);
    }
}

uint32_t model_number(const struct model_node *n)
{
    return n->number > 0 ? n->number : n->named;
}

void model_name(struct model *m, const char *address, uint16_t number)
{
    struct model_node *n = model_find(m, address);
    ASSERT(number > 0);
    if (n != NULL)
        n->named = number;
}

bool model_is_hidden(const struct model_node *n)
{
    return n->absent && n->state == MODEL_DUPLICATE;
}

void model_move(struct model *m, struct model_node *n, const char *address, uint64_t now_wall_ms)
{
    char label[MODEL_LINE_BYTES];
    ASSERT(strlen(address) < MODEL_ADDRESS && !n->absent);
    model_announce(m, false, now_wall_ms, "%s moved to %.90s", node_label(n, label), address);
    strcpy(n->address, address);
}

const char *node_label(const struct model_node *n, char out[MODEL_LINE_BYTES])
{
    if (model_number(n) > 0)
        snprintf(out, MODEL_LINE_BYTES, "node %u", (unsigned)model_number(n));
    else
        snprintf(out, MODEL_LINE_BYTES, "%.100s", n->address);
    return out;
}

/* ---- events of a node ---- */

const struct stats_event *model_event(const struct model *m, const struct model_node *n,
                                      uint32_t *index)
{
    if (!n->has_stats || n->state == MODEL_DUPLICATE)
        return NULL;
    return stats_find_event(&n->stats, m->event, index);
}

bool model_stock_is_spent(const struct stats_event *e)
{
    bool none = e->has_cap && e->node_sold + e->node_held >= e->local_stock;
    return none && e->left > 0 && strcmp(e->state, "open") == 0;
}

uint32_t event_index(const struct model *m, const char *event)
{
    uint32_t i = 0;
    ASSERT(m->event_count <= EVENTS_MAX);
    while (i < m->event_count && strcmp(m->events[i], event) != 0)
        i++;
    return i;
}

/* ---- states ---- */

bool node_sells(const struct model_node *n)
{
    return n->state == MODEL_UP || n->state == MODEL_SLOW;
}

bool node_answers(const struct model_node *n)
{
    return n->has_stats && n->state != MODEL_DOWN && n->state != MODEL_NEW &&
           n->state != MODEL_DUPLICATE;
}

bool node_is_current(const struct model *m, const struct model_node *n)
{
    return node_answers(n) && n->answer_mono_us > m->previous_mono_us;
}

uint32_t model_answering(const struct model *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->node_count; i++)
        count += node_is_current(m, &m->nodes[i]) ? 1 : 0;
    return count;
}

/* Older nodes report no state. */
bool node_has_attached(const struct stats *s)
{
    static const char *const names[] = {"", "up", "repair", "draining"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(s->state, names[i]) == 0)
            return true;
    return false;
}

/* A node that has just started reports "down" until it has attached. */
bool node_has_lost_redis(const struct stats *s)
{
    return strcmp(s->redis, "down") == 0 && (node_has_attached(s) || s->uptime_s >= ATTACH_S);
}

/* Older nodes report no state; a state that is not known here is not "up". */
enum model_state node_state_of(const struct model_node *n, const struct stats *s)
{
    if (strcmp(s->state, "repair") == 0)
        return MODEL_REPAIR;
    if (strcmp(s->state, "draining") == 0)
        return MODEL_DRAINING;
    if (node_has_lost_redis(s))
        return MODEL_NO_REDIS;
    if (strcmp(s->state, "starting") == 0)
        return MODEL_STARTING;
    if (s->state[0] != '\0' && strcmp(s->state, "up") != 0)
        return MODEL_UNKNOWN;
    return n->state == MODEL_SLOW ? MODEL_SLOW : MODEL_UP;
}

/* Not worth a line for each of a hundred nodes: a state that is as it should be, or is no news of
 * the node; and Redis, which has one line for all of them. */
static bool is_quiet(enum model_state old, enum model_state state)
{
    if (state == MODEL_UP)
        return old == MODEL_NEW || old == MODEL_NO_REDIS;
    return state == MODEL_NO_REDIS || state == MODEL_DUPLICATE;
}

void node_set_state(struct model *m, struct model_node *n, enum model_state state,
                    const char *reason, uint64_t now_wall_ms)
{
    char label[MODEL_LINE_BYTES];
    enum model_state old = n->state;
    ASSERT((size_t)state < ARRAY_LEN(states) && node_index(m, n) < m->node_count);
    ASSERT(state != MODEL_NEW); /* no way leads back */
    if (old == state)
        return;
    n->state = state;
    n->state_changes++;
    if (is_quiet(old, state) && reason[0] == '\0')
        return;
    model_announce(m, states[state].trouble, now_wall_ms, "%s %s%s%s", node_label(n, label),
                   states[state].line, reason[0] != '\0' ? ": " : "", reason);
}
