/*
 * act: see act.h. One table lists the acts; a new one is a line of it, a question, and a path.
 *
 *     propose    the question is on the screen     dies: nothing was done
 *     confirmed  POST to a node                    dies: it may be done or not; the nodes know, and
 *                no answer: POST to another              an act that is repeated changes nothing
 *                the answer becomes a line
 */
#include "admin-tui/act.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/model/number.h"
#include "admin-tui/model/rows.h"

#define CODE_YES      1
#define CODE_NONE     0 /* no answer */
#define CODE_BUSY     (-6)
#define CODE_CONFLICT (-409)
#define DONE_BYTES    64

/* Opens the question of an act; false: f says why there is nothing to do. */
typedef bool proposal(struct act *a, const struct model *m, struct prompt *p, struct fault *f);
static proposal propose_pause, propose_close, propose_restock, propose_reopen, propose_drain,
    propose_reclaim, propose_lost;

static const struct {
    const char *name;
    const char *done;
    proposal *propose;
    enum { OF_SALE, OF_NODE, BY_NODE } of; /* BY_NODE: of a node, which must do it itself */
} acts[] = {
    [ACT_NONE] = {"", "", NULL, BY_NODE},
    [ACT_PAUSE] = {"pause", "paused", propose_pause, OF_SALE},
    [ACT_RESUME] = {"resume", "resumed", propose_pause, OF_SALE},
    [ACT_CLOSE] = {"close", "closed", propose_close, OF_SALE},
    [ACT_RESTOCK] = {"restock", "restocked", propose_restock, OF_SALE},
    [ACT_REOPEN] = {"reopen", "nobody is waited for any more", propose_reopen, OF_SALE},
    [ACT_DRAIN] = {"drain", "it drains, until it is started again", propose_drain, BY_NODE},
    [ACT_RECLAIM] = {"reclaim", "given up", propose_reclaim, OF_NODE},
    [ACT_LOST] = {"reclaim", "given up with its journal", propose_lost, OF_NODE},
};

/* What a refusal means; ACT_NONE: for every act. */
static const struct {
    int code;
    enum act_kind kind;
    const char *text;
} refusals[] = {
    {CODE_BUSY, ACT_NONE, "is busy (Redis, repair, full journal): not known whether it was done"},
    {-400, ACT_RESTOCK, "refused: its stock-max is less"},
    {-401, ACT_NONE, "refused: it wants another token"},
    {-403, ACT_NONE, "refused: not from this address"},
    {-404, ACT_RECLAIM, "refused: it knows no such node"},
    {-404, ACT_LOST, "refused: it knows no such node"},
    {-404, ACT_NONE, "refused: it knows no such event, or is no admin address"},
    {-409, ACT_RESTOCK, "refused: more are gone already, or the sale is closed"},
    {-409, ACT_RECLAIM, "refused: it has seen it alive within node-timeout"},
    {-409, ACT_LOST, "refused: it has seen it alive within node-timeout"},
    {-409, ACT_NONE, "refused: the sale is closed"},
};

/* The name of an event, which a node has reported, becomes part of a path: only names that the
 * server itself accepts. */
static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return len > 0 && name[len] == '\0';
}

/* ---- questions ---- */

static bool propose_drain(struct act *a, const struct model *m, struct prompt *p, struct fault *f)
{
    if (a->node >= m->node_count)
        return fault(f, "drain: no node is selected");
    const struct model_node *n = &m->nodes[a->node];
    if (!rows_alive(n))
        return fault(f, "drain: %s does not answer", n->absent ? "the node" : n->address);
    prompt_open(p, PROMPT_CONFIRM,
                "Drain node %" PRIu32 " (%s)? It finishes what is under way and sells no more, of "
                "any event; only a restart ends it.  y/N",
                model_number(n), n->address);
    return true;
}

static bool propose_pause(struct act *a, const struct model *m, struct prompt *p, struct fault *f)
{
    const char *state = m->totals.state;
    if (strcmp(state, "closed") == 0)
        return fault(f, "the sale of %s is closed", a->event);
    if (strcmp(state, "paused") == 0)
        a->kind = ACT_RESUME;
    prompt_open(p, PROMPT_CONFIRM, "%s the sale of %s on all nodes?  y/N",
                a->kind == ACT_RESUME ? "Resume" : "Pause", a->event);
    return true;
}

static bool propose_close(struct act *a, const struct model *m, struct prompt *p, struct fault *f)
{
    (void)m, (void)f;
    prompt_open(p, PROMPT_NAME,
                "Close the sale of %s on all nodes, for good? It cannot be opened again. "
                "Type %s to close it:",
                a->event, a->event);
    memcpy(p->want, a->event, sizeof p->want);
    return true;
}

static bool propose_restock(struct act *a, const struct model *m, struct prompt *p, struct fault *f)
{
    char total[NUMBER_BYTES], sold[NUMBER_BYTES];
    if (strcmp(m->totals.state, "closed") == 0)
        return fault(f, "the sale of %s is closed", a->event);
    if (!m->totals.has_sale)
        return fault(f, "restock: no node knows the sale yet");
    number_whole(total, m->totals.total);
    number_whole(sold, m->totals.sold);
    prompt_open(p, PROMPT_NUMBER,
                "Restock %s: its total is %s, of which %s are gone. The new total for all nodes:",
                a->event, total, sold);
    return true;
}

static bool propose_reopen(struct act *a, const struct model *m, struct prompt *p, struct fault *f)
{
    bool repairs = false; /* one node is enough: the others may not answer any more */
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct stats_event *e = model_event(m, &m->nodes[i], NULL);
        repairs = repairs || (e != NULL && strcmp(e->state, "repair") == 0);
    }
    if (!repairs)
        return fault(f, "reopen: nobody says that %s is in repair", a->event);
    prompt_open(p, PROMPT_CONFIRM,
                "Reopen the sale of %s without the nodes that are missing? What was last seen of "
                "them stays counted; what they sold since may be sold again.  y/N",
                a->event);
    return true;
}

/* The subject, if it may be given up. NULL: f says why not. */
static const struct model_node *gone_node(const struct act *a, const struct model *m,
                                          struct fault *f)
{
    const struct model_node *n = a->node < m->node_count ? &m->nodes[a->node] : NULL;
    if (n == NULL || model_number(n) == 0)
        (void)fault(f, "reclaim: no node is selected whose number is known");
    else if (rows_alive(n))
        (void)fault(f, "reclaim: node %" PRIu32 " answers; stop it, if it is to go",
                    model_number(n));
    else
        return n;
    return NULL;
}

static bool propose_reclaim(struct act *a, const struct model *m, struct prompt *p, struct fault *f)
{
    const struct model_node *n = gone_node(a, m, f);
    if (n == NULL)
        return false;
    prompt_open(p, PROMPT_CONFIRM,
                "Give up node %" PRIu32 "%s%.60s%s? No repair waits for it. What it sold, holds or "
                "has in doubt stays counted until it is started again from its journal.  y/N",
                model_number(n), n->absent ? "" : " (", n->absent ? "" : n->address,
                n->absent ? "" : ")");
    return true;
}

static bool propose_lost(struct act *a, const struct model *m, struct prompt *p, struct fault *f)
{
    const struct model_node *n = gone_node(a, m, f);
    if (n == NULL)
        return false;
    prompt_open(p, PROMPT_NAME,
                "Give up node %" PRIu32 " and its journal, for good? What it held or had in doubt "
                "is sold again, also if a buyer was told that he has it. Type lost:",
                model_number(n));
    ASSERT(n->number == 0 || n->number == a->number);
    snprintf(p->want, sizeof p->want, "lost");
    return true;
}

static uint32_t find_node(struct act *a, const struct model *m);

bool act_propose(struct act *a, enum act_kind kind, const struct model *m, uint32_t node,
                 struct prompt *p, struct fault *f)
{
    ASSERT(kind > ACT_NONE && (size_t)kind < ARRAY_LEN(acts));
    *a = (struct act){.kind = kind, .node = node};
    a->number = node < m->node_count ? model_number(&m->nodes[node]) : 0;
    if (acts[kind].of != BY_NODE) {
        if (!is_name(m->event))
            return fault(f, "there is no event to act on");
        snprintf(a->event, sizeof a->event, "%s", m->event);
        if (find_node(a, m) == m->node_count)
            return fault(f, "no node is up that sells %s", a->event);
    }
    return acts[kind].propose(a, m, p, f);
}

/* The console knows how many are gone: an impossible total is refused at once. stock-max is known
 * only to the nodes. */
static bool can_restock(const struct model *m, uint64_t total, struct prompt *p)
{
    char gone[NUMBER_BYTES];
    number_whole(gone, m->totals.sold);
    if (!m->totals.has_sale)
        prompt_refuse(p, PROMPT_NUMBER, "no node knows the sale any more");
    else if (total < m->totals.sold)
        prompt_refuse(p, PROMPT_NUMBER, "%s are gone already; the least is %s", gone, gone);
    else if (total == m->totals.total)
        prompt_refuse(p, PROMPT_NUMBER, "that is its total already");
    else
        return true;
    return false;
}

bool act_confirmed(struct act *a, const struct model *m, struct prompt *p)
{
    char was[NUMBER_BYTES], now[NUMBER_BYTES];
    ASSERT(a->kind != ACT_NONE);
    if (a->kind != ACT_RESTOCK || a->total > 0)
        return true;
    uint64_t total = prompt_number(p);
    ASSERT(total >= 1 && total <= TICKETS_MAX); /* the prompt accepts no other */
    if (!can_restock(m, total, p))
        return false;
    a->total = total;
    number_whole(was, m->totals.total);
    number_whole(now, total);
    prompt_open(p, PROMPT_CONFIRM,
                total < m->totals.total
                    ? "Restock %s: this lowers the total from %s to %s tickets, on all nodes?  y/N"
                    : "Restock %s from %s to %s tickets in all, on all nodes?  y/N",
                a->event, was, now);
    return false;
}

/* ---- the node to post to ---- */

static bool can_act(const struct act *a, const struct model_node *n)
{
    if (!rows_alive(n))
        return false;
    for (uint32_t i = 0; i < n->stats.event_count; i++)
        if (strcmp(n->stats.events[i].name, a->event) == 0)
            return true;
    return false;
}

static bool was_tried(const struct act *a, uint32_t node)
{
    ASSERT(a->tries <= ACT_TRIES);
    for (uint32_t i = 0; i < a->tries; i++)
        if (a->tried[i] == node)
            return true;
    return false;
}

/* 0: not at all. A node that is up is better: a slow one, or one without Redis, may not answer in
 * time. */
static uint32_t fitness(const struct act *a, const struct model *m, uint32_t node)
{
    ASSERT(node < m->node_count);
    const struct model_node *n = &m->nodes[node];
    if (was_tried(a, node) || !can_act(a, n) || (acts[a->kind].of == OF_NODE && node == a->node))
        return 0;
    if (n->state != MODEL_UP)
        return 1;
    return node == a->node ? 3 : 2;
}

/* The fittest node's index in the model; m->node_count: there is none. */
static uint32_t find_node(struct act *a, const struct model *m)
{
    uint32_t found = m->node_count, best = 0;
    for (uint32_t i = 0; i < m->node_count; i++) {
        uint32_t fit = fitness(a, m, i);
        if (fit <= best)
            continue;
        found = i;
        best = fit;
    }
    return found;
}

const struct model_node *act_next_node(struct act *a, const struct model *m)
{
    bool by_node = acts[a->kind].of == BY_NODE;
    uint32_t tries_max = by_node ? 1 : ACT_TRIES;
    uint32_t node = by_node ? a->node : find_node(a, m);
    ASSERT(a->kind != ACT_NONE && a->tries <= ACT_TRIES);
    if (a->tries == tries_max || node >= m->node_count)
        return NULL;
    a->tried[a->tries++] = node;
    return &m->nodes[node];
}

void act_path(const struct act *a, char path[ACT_PATH])
{
    const char *name = acts[a->kind].name;
    ASSERT(a->kind != ACT_NONE);
    if (acts[a->kind].of == BY_NODE)
        snprintf(path, ACT_PATH, "/%s", name);
    else if (acts[a->kind].of == OF_NODE)
        snprintf(path, ACT_PATH, "/%s?node=%" PRIu32 "%s", name, a->number,
                 a->kind == ACT_LOST ? "&journal=lost" : "");
    else if (a->kind == ACT_RESTOCK)
        snprintf(path, ACT_PATH, "/%s?event=%s&total=%" PRIu64, name, a->event, a->total);
    else
        snprintf(path, ACT_PATH, "/%s?event=%s", name, a->event);
}

/* ---- outcomes ---- */

/* The number of the node that was tried last. */
static uint32_t last_tried(const struct act *a, const struct model *m)
{
    ASSERT(a->tries > 0);
    uint32_t node = a->tried[a->tries - 1];
    ASSERT(node < m->node_count); /* rows are never removed */
    return m->nodes[node].number;
}

/* "pause ticket", "drain node 3" */
static const char *title(const struct act *a, const struct model *m, char out[MODEL_LINE_BYTES])
{
    const char *name = acts[a->kind].name;
    ASSERT(acts[a->kind].of == OF_SALE || a->node < m->node_count);
    if (acts[a->kind].of != OF_SALE)
        snprintf(out, MODEL_LINE_BYTES, "%s node %" PRIu32, name, model_number(&m->nodes[a->node]));
    else
        snprintf(out, MODEL_LINE_BYTES, "%s %s", name, a->event);
    return out;
}

static const char *done(const struct act *a, char out[DONE_BYTES])
{
    char total[NUMBER_BYTES];
    ASSERT(a->kind != ACT_NONE);
    if (a->kind != ACT_RESTOCK)
        return acts[a->kind].done;
    snprintf(out, DONE_BYTES, "%.20s, %s in all", acts[a->kind].done,
             number_whole(total, a->total));
    return out;
}

static const char *refusal(const struct act *a, int code)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (refusals[i].code == code &&
            (refusals[i].kind == a->kind || refusals[i].kind == ACT_NONE))
            return refusals[i].text;
    return NULL;
}

/* The act has not reached any node; after every other failure it may be done, now or later. */
static bool was_not_reached(const char *message)
{
    return strcmp(message, "connection refused") == 0 || strcmp(message, "no such socket") == 0;
}

/* "node 4 may still come back: ...", "node 4 was heard ...": nothing was done, and every other node
 * would answer the same. */
static bool names_a_node(int code, const char *message)
{
    return (code == CODE_BUSY || code == CODE_CONFLICT) && strncmp(message, "node ", 5) == 0;
}

/* What came of posting to that node: "asked node 2: paused". */
static void describe(const struct act *a, uint32_t node, int code, const char *message,
                     char out[MODEL_LINE_BYTES])
{
    char text[DONE_BYTES];
    const char *meaning = refusal(a, code);
    if (code == CODE_YES)
        snprintf(out, MODEL_LINE_BYTES, "asked node %" PRIu32 ": %s", node, done(a, text));
    else if (code == CODE_NONE && was_not_reached(message))
        snprintf(out, MODEL_LINE_BYTES, "node %" PRIu32 " was not reached: %s", node, message);
    else if (code == CODE_NONE)
        snprintf(out, MODEL_LINE_BYTES,
                 "node %" PRIu32 " did not answer: not known whether it was done, it may still "
                 "happen",
                 node);
    else if (names_a_node(code, message))
        snprintf(out, MODEL_LINE_BYTES, "node %" PRIu32 " refused: %.60s", node, message);
    else if (meaning != NULL)
        snprintf(out, MODEL_LINE_BYTES, "node %" PRIu32 " %s", node, meaning);
    else
        snprintf(out, MODEL_LINE_BYTES, "node %" PRIu32 " refused: %d %.40s", node, code, message);
}

/* `added` behind the report so far, or behind the title. */
static void extend(const struct act *a, const struct model *m, char text[ACT_REPORT],
                   const char *added)
{
    char head[MODEL_LINE_BYTES];
    size_t len = strlen(a->report);
    ASSERT(len < ACT_REPORT);
    memcpy(text, a->report, len);
    snprintf(text + len, ACT_REPORT - len, "%s%s%s", len > 0 ? "; " : title(a, m, head),
             len > 0 ? "" : ": ", added);
}

void act_progress(const struct act *a, const struct model *m, char text[ACT_REPORT])
{
    char added[MODEL_LINE_BYTES];
    snprintf(added, sizeof added, "asked node %" PRIu32 " ...", last_tried(a, m));
    extend(a, m, text, added);
}

bool act_outcome(struct act *a, const struct model *m, int code, const char *message,
                 char line[MODEL_LINE_BYTES])
{
    char outcome[MODEL_LINE_BYTES], head[MODEL_LINE_BYTES], report[ACT_REPORT];
    message = message != NULL ? message : "";
    describe(a, last_tried(a, m), code, message, outcome);
    snprintf(line, MODEL_LINE_BYTES, "%.40s: %.150s", title(a, m, head), outcome);
    extend(a, m, report, outcome);
    snprintf(a->report, sizeof a->report, "%s", report);
    a->trouble = a->trouble || code != CODE_YES;
    return (code != CODE_NONE && code != CODE_BUSY) || names_a_node(code, message);
}

/* ---- what was done ---- */

/* A sale in that state, with that total, is what the act makes of the sale. */
static bool fits(const struct act *a, const char *state, uint64_t total)
{
    switch (a->kind) {
    case ACT_PAUSE:
        return strcmp(state, "paused") == 0;
    case ACT_RESUME:
        return strcmp(state, "paused") != 0;
    case ACT_CLOSE:
        return strcmp(state, "closed") == 0;
    case ACT_RESTOCK:
        return total == a->total;
    case ACT_REOPEN:
        return strcmp(state, "repair") != 0;
    default:
        return false;
    }
}

static void keep_sale(struct act_record *record, const struct model *m)
{
    const char *state = model_announced_state(m, &record->total);
    snprintf(record->state, sizeof record->state, "%s", state);
}

void act_finish(struct act_record *record, const struct act *a, const struct model *m)
{
    ASSERT(a->kind != ACT_NONE);
    record->act = *a;
    keep_sale(record, m);
}

bool act_is_superseded(struct act_record *record, const struct model *m)
{
    uint64_t total;
    const char *state = model_announced_state(m, &total);
    if (record->act.kind == ACT_NONE ||
        (acts[record->act.kind].of == OF_SALE && strcmp(record->act.event, m->event) != 0))
        return false;
    if (record->state[0] == '\0' || (strcmp(state, record->state) == 0 && total == record->total) ||
        fits(&record->act, state, total)) {
        keep_sale(record, m);
        return false;
    }
    return true;
}
