/*
 * The nodes and what each has said. An answer makes the rates of its node at once; what needs all
 * nodes (slow or not, totals, histories, the events' lines) waits for the end of the round.
 *
 * Owner: one thread. Nothing is kept: the next console begins with the next answers.
 */
#include "admin-tui/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model_inside.h"

/* Two answers nearer than this say nothing of a rate. */
#define RATE_LEAST_US 20000
#define CLOCK_STEP_US 2000 /* two readings of a clock of milliseconds */

static const struct {
    const char *word; /* in the table of nodes */
    const char *line; /* in the lines */
    bool trouble;
} states[] = {
    [MODEL_ASKED] = {"NEW", "NEW", false},
    [MODEL_SAME] = {"SAME", "SAME", false},
    [MODEL_UP] = {"UP", "UP", false},
    [MODEL_STARTING] = {"START", "STARTING", false},
    [MODEL_REPAIR] = {"REPAR!", "REPAIR", true},
    [MODEL_OTHER] = {"?", "in a state that is not known", true},
    [MODEL_DRAINING] = {"DRAIN", "DRAINING", false},
    [MODEL_SLOW] = {"SLOW!", "SLOW", true},
    [MODEL_REDIS] = {"REDIS!", "REDIS!", true},
    [MODEL_DOWN] = {"DOWN!", "DOWN", true},
};

const char *model_state_word(enum model_state s)
{
    return states[s].word;
}

static void forget(struct model_history *h)
{
    for (int i = 0; i < MODEL_HISTORY; i++)
        h->at[i] = NAN;
}

struct model *model_new(void)
{
    struct model *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->nodes = calloc(MODEL_NODES_MAX, sizeof *m->nodes);
    m->past = calloc(1, sizeof *m->past);
    if (m->nodes == NULL || m->past == NULL) {
        model_free(m);
        return NULL;
    }
    forget(&m->req);
    forget(&m->sold);
    m->totals.gone_in_s = -1;
    return m;
}

void model_free(struct model *m)
{
    if (m == NULL)
        return;
    free(m->past);
    free(m->nodes);
    free(m);
}

struct model_node *model_add(struct model *m, const char *address)
{
    for (uint32_t i = 0; i < m->node_count; i++)
        if (strcmp(m->nodes[i].address, address) == 0)
            return &m->nodes[i];
    if (m->node_count == MODEL_NODES_MAX || strlen(address) >= MODEL_ADDRESS)
        return NULL;
    struct model_node *n = &m->nodes[m->node_count++];
    snprintf(n->address, sizeof n->address, "%s", address);
    forget(&n->req);
    if (m->rounds == 0)
        m->totals.nodes = m->node_count;
    return n;
}

void model_miss(struct model *m, uint16_t number)
{
    char name[MODEL_LINE_BYTES];
    snprintf(name, sizeof name, "node %u", (unsigned)number); /* no address is like that */
    struct model_node *n = model_add(m, name);
    if (n == NULL)
        return;
    n->absent = true;
    n->number = number;
    strcpy(n->address, "-");
    strcpy(n->why, "never heard");
}

void model_find(struct model *m, uint16_t number, const char *address)
{
    ASSERT(strlen(address) < MODEL_ADDRESS);
    for (uint32_t i = 0; i < m->node_count; i++) {
        struct model_node *n = &m->nodes[i];
        if (!n->absent || n->number != number)
            continue;
        n->absent = false;
        n->number = 0; /* until it says so itself */
        n->state = MODEL_ASKED;
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
    for (uint32_t i = 0; i < m->node_count; i++)
        if (strcmp(m->nodes[i].address, address) == 0)
            m->nodes[i].named = number;
}

bool model_is_hidden(const struct model_node *n)
{
    return n->absent && n->state == MODEL_SAME;
}

bool model_asks(const struct model *m, const char *address)
{
    for (uint32_t i = 0; i < m->node_count; i++)
        if (strcmp(m->nodes[i].address, address) == 0)
            return true;
    return false;
}

void model_move(struct model *m, struct model_node *n, const char *address, uint64_t now_wall_ms)
{
    char label[MODEL_LINE_BYTES];
    ASSERT(strlen(address) < MODEL_ADDRESS);
    model_say(m, false, now_wall_ms, "%s moved to %.90s", model_label(n, label), address);
    strcpy(n->address, address);
}

struct past_node *model_past_node(const struct model *m, const struct model_node *n)
{
    ASSERT(n >= m->nodes && n < m->nodes + m->node_count);
    return &m->past->nodes[n - m->nodes];
}

bool model_sells(const struct model_node *n)
{
    return n->state == MODEL_UP || n->state == MODEL_SLOW;
}

bool model_answers(const struct model_node *n)
{
    return n->has_stats && n->state != MODEL_DOWN && n->state != MODEL_ASKED &&
           n->state != MODEL_SAME;
}

bool model_answered(const struct model *m, const struct model_node *n)
{
    return model_answers(n) && n->heard_mono_us > m->past->since_mono_us;
}

uint32_t model_answering(const struct model *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->node_count; i++)
        count += model_answered(m, &m->nodes[i]) ? 1 : 0;
    return count;
}

/* Older nodes say nothing. */
bool model_has_begun(const struct stats *s)
{
    static const char *const words[] = {"", "up", "repair", "draining"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(s->state, words[i]) == 0)
            return true;
    return false;
}

/* A node that has just started says "down" until it is attached. */
bool model_redis_down(const struct stats *s)
{
    return strcmp(s->redis, "down") == 0 && (model_has_begun(s) || s->uptime_s >= ATTACH_S);
}

const struct stats_event *model_find_event(const struct stats *s, const char *name, uint32_t *index)
{
    for (uint32_t i = 0; i < s->event_count; i++) {
        if (strcmp(s->events[i].name, name) != 0)
            continue;
        if (index != NULL)
            *index = i;
        return &s->events[i];
    }
    return NULL;
}

const struct stats_event *model_event(const struct model *m, const struct model_node *n,
                                      uint32_t *index)
{
    if (!n->has_stats || n->state == MODEL_SAME)
        return NULL;
    return model_find_event(&n->stats, m->event, index);
}

bool model_spent(const struct stats_event *e)
{
    bool none = e->has_cap && e->node_sold + e->node_held >= e->local_stock;
    return none && e->left > 0 && strcmp(e->state, "open") == 0;
}

struct past_event *model_past_event(const struct model *m, const char *event)
{
    for (uint32_t i = 0; i < m->event_count; i++)
        if (strcmp(m->events[i], event) == 0)
            return &m->past->events[i];
    return NULL;
}

void model_choose(struct model *m, const char *event)
{
    snprintf(m->event, sizeof m->event, "%s", event);
    forget(&m->sold);
    model_total(m);
}

void model_choose_next(struct model *m, int step)
{
    uint32_t at = 0, count = m->event_count;
    if (count == 0)
        return;
    while (at < count && strcmp(m->events[at], m->event) != 0)
        at++;
    if (at == count)
        at = 0;
    else
        at = (at + (step < 0 ? count - 1 : 1)) % count;
    model_choose(m, m->events[at]);
}

static void name_events(struct model *m, const struct stats *s)
{
    for (uint32_t i = 0; i < s->event_count && m->event_count < EVENTS_MAX; i++) {
        uint32_t at = 0;
        while (at < m->event_count && strcmp(m->events[at], s->events[i].name) != 0)
            at++;
        if (at == m->event_count)
            memcpy(m->events[m->event_count++], s->events[i].name, sizeof m->events[0]);
    }
    if (m->event[0] == '\0' && m->event_count > 0)
        memcpy(m->event, m->events[0], sizeof m->event);
}

void model_say(struct model *m, bool trouble, uint64_t now_wall_ms, const char *format, ...)
{
    struct model_line *line = &m->lines[m->line_count++ % MODEL_LINES];
    va_list arguments;
    line->wall_ms = now_wall_ms;
    line->trouble = trouble;
    va_start(arguments, format);
    vsnprintf(line->text, sizeof line->text, format, arguments);
    va_end(arguments);
}

const char *model_label(const struct model_node *n, char out[MODEL_LINE_BYTES])
{
    if (model_number(n) > 0)
        snprintf(out, MODEL_LINE_BYTES, "node %u", (unsigned)model_number(n));
    else
        snprintf(out, MODEL_LINE_BYTES, "%.100s", n->address);
    return out;
}

/* What is not worth a line for each of a hundred nodes: what is as it should be; what is no news of
 * the node; and Redis, of which there is one line for all of them. */
static bool is_quiet(enum model_state old, enum model_state state)
{
    if (state == MODEL_UP)
        return old == MODEL_ASKED || old == MODEL_REDIS;
    return state == MODEL_REDIS || state == MODEL_SAME;
}

void model_enter(struct model *m, struct model_node *n, enum model_state state, const char *reason,
                 uint64_t now_wall_ms)
{
    char label[MODEL_LINE_BYTES];
    enum model_state old = n->state;
    if (old == state)
        return;
    n->state = state;
    model_past_node(m, n)->slow = model_past_node(m, n)->calm = 0;
    if (is_quiet(old, state) && reason[0] == '\0')
        return;
    model_say(m, states[state].trouble, now_wall_ms, "%s %s%s%s", model_label(n, label),
              states[state].line, reason[0] != '\0' ? ": " : "", reason);
}

/* Older nodes say nothing; a word that is not known is neither "up" nor any other. */
enum model_state model_state_of(const struct model_node *n, const struct stats *s)
{
    if (strcmp(s->state, "repair") == 0)
        return MODEL_REPAIR;
    if (strcmp(s->state, "draining") == 0)
        return MODEL_DRAINING;
    if (model_redis_down(s))
        return MODEL_REDIS;
    if (strcmp(s->state, "starting") == 0)
        return MODEL_STARTING;
    if (s->state[0] != '\0' && strcmp(s->state, "up") != 0)
        return MODEL_OTHER;
    return n->state == MODEL_SLOW ? MODEL_SLOW : MODEL_UP;
}

static double per_second(uint64_t old, uint64_t new, double seconds)
{
    return new > old ? (double)(new - old) / seconds : 0;
}

static void drop_rates(struct model_node *n)
{
    n->has_rates = false;
    n->req_s = n->err_s = 0;
    memset(n->sold_s, 0, sizeof n->sold_s);
    memset(n->refused_s, 0, sizeof n->refused_s);
}

/* Between the making of two answers. The node's clock knows best, for an answer may be long under
 * way; but it may be set, and then it does not fit between asking and hearing. */
static uint64_t passed_us(const struct model_node *n, const struct stats *new, uint64_t rtt_us,
                          uint64_t now_mono_us)
{
    uint64_t here = now_mono_us - n->heard_mono_us, there = new->time_ms - n->stats.time_ms;
    uint64_t slack = rtt_us + n->rtt_us + CLOCK_STEP_US;
    if (new->time_ms <= n->stats.time_ms || there > here)
        return here;
    there *= 1000;
    return there <= here + slack && here <= there + slack ? there : here;
}

/* What was granted stays granted. Older nodes tell only what is out: what came back meanwhile hides
 * what was sold, but never makes it less than nothing. */
static double sold_rate(const struct stats_event *a, const struct stats_event *b, double seconds)
{
    if (a->has_granted_tickets && b->has_granted_tickets)
        return per_second(a->granted_tickets, b->granted_tickets, seconds);
    return per_second(a->node_sold + a->node_held, b->node_sold + b->node_held, seconds);
}

/* From the answer before to this one. */
static void make_rates(struct model_node *n, const struct stats *new, uint64_t time_us)
{
    const struct stats *old = &n->stats;
    double seconds = (double)time_us / 1e6;
    if (time_us < RATE_LEAST_US)
        return;
    drop_rates(n);
    n->has_rates = true;
    n->req_s = per_second(old->requests, new->requests, seconds);
    n->err_s = per_second(old->answers_5xx, new->answers_5xx, seconds);
    for (uint32_t i = 0; i < new->event_count; i++) {
        const struct stats_event *b = &new->events[i], *a = model_find_event(old, b->name, NULL);
        if (a == NULL)
            continue;
        n->sold_s[i] = sold_rate(a, b, seconds);
        n->refused_s[i] = per_second(a->refused, b->refused, seconds);
    }
}

static bool is_restarted(const struct stats *old, const struct stats *new)
{
    return new->uptime_s < old->uptime_s || new->requests < old->requests || new->node != old->node;
}

void model_heard(struct model *m, struct model_node *n, const struct stats *s, uint64_t rtt_us,
                 uint64_t now_mono_us, uint64_t now_wall_ms)
{
    char label[MODEL_LINE_BYTES];
    bool restarted = n->has_stats && is_restarted(&n->stats, s);
    const struct model_node *holder = model_holder(m, n, s->node);
    enum model_state old = n->state, state = model_state_of(n, s);
    if (restarted || !model_answers(n))
        drop_rates(n);
    else
        make_rates(n, s, passed_us(n, s, rtt_us, now_mono_us));
    if (n->number != s->node)
        model_past_node(m, n)->twin = 0;
    n->stats = *s;
    n->has_stats = true;
    n->number = (uint32_t)s->node;
    n->rtt_us = rtt_us;
    n->heard_mono_us = now_mono_us;
    n->why[0] = '\0';
    model_past_node(m, n)->failures = 0;
    name_events(m, s);
    if (holder != NULL) {
        model_yield(m, n, holder);
        return;
    }
    if (restarted && state == old)
        model_say(m, true, now_wall_ms, "%s restarted", model_label(n, label));
    model_enter(m, n, state,
                restarted              ? "restarted"
                : state == MODEL_OTHER ? s->state
                                       : "",
                now_wall_ms);
}

/* What a busy node or network can do once. All else (refused, garbage, no such name) is certain. */
static bool is_hiccup(const char *why)
{
    static const char *const words[] = {"timed out", "connection reset", "closed",
                                        "half an answer"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strncmp(why, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

void model_failed(struct model *m, struct model_node *n, const char *why, uint64_t now_mono_us,
                  uint64_t now_wall_ms)
{
    struct past_node *p = model_past_node(m, n);
    (void)now_mono_us;
    drop_rates(n);
    if (++p->failures == 1 && model_answers(n) && is_hiccup(why))
        return;
    if (n->state == MODEL_SAME && model_holder(m, n, n->number) != NULL)
        return;
    snprintf(n->why, sizeof n->why, "%s", why);
    model_enter(m, n, MODEL_DOWN, n->why, now_wall_ms);
}

void model_round(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    struct model_past *past = m->past;
    model_part(m, past->round_mono_us, now_wall_ms);
    past->since_mono_us = past->round_mono_us;
    past->round_mono_us = now_mono_us;
    model_judge(m, now_wall_ms);
    model_pace(m);
    model_total(m);
    model_move_on(m, now_mono_us);
    model_tell_events(m, now_mono_us, now_wall_ms);
    model_tell_waits(m, now_mono_us, now_wall_ms);
    model_tell_stock(m, now_mono_us, now_wall_ms);
    model_tell_redis(m, now_wall_ms);
    m->rounds++;
}
