/*
 * Questions, paths and outcomes of acts.
 *
 *     ask      the question is drawn                dies: nothing was done
 *     agreed   POST to a node                       dies: it may be done or not; the nodes know,
 *              the answer becomes a line            and an act that is repeated changes nothing
 */
#include "admin-tui/act.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/number.h"
#include "admin-tui/rows.h"

/* What a node calls its event becomes part of a path: only what the server itself would take. */
static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return len > 0 && name[len] == '\0';
}

static bool ask_drain(struct act *a, const struct model *m, uint32_t node, struct prompt *p,
                      struct fault *f)
{
    if (node >= m->node_count)
        return fault(f, "drain: no node is selected");
    const struct model_node *n = &m->nodes[node];
    if (!rows_alive(n))
        return fault(f, "drain: %s does not answer", n->address);
    a->node = node;
    snprintf(a->name, sizeof a->name, "node %" PRIu32 " (%s)", n->number, n->address);
    prompt_open(p, PROMPT_CONFIRM,
                "Drain %s? It finishes what is under way and sells no more, of any event.  y/N",
                a->name);
    return true;
}

static bool ask_pause(struct act *a, const struct model *m, struct prompt *p, struct fault *f)
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

static bool ask_restock(const struct act *a, const struct model *m, struct prompt *p)
{
    char total[NUMBER_BYTES], sold[NUMBER_BYTES];
    number_whole(total, m->totals.total);
    number_whole(sold, m->totals.sold);
    prompt_open(p, PROMPT_NUMBER,
                "Restock %s: its total is %s, of which %s are gone. The new total for all nodes:",
                a->event, total, sold);
    return true;
}

bool act_ask(struct act *a, enum act_kind kind, const struct model *m, uint32_t node,
             struct prompt *p, struct fault *f)
{
    *a = (struct act){.kind = kind};
    if (kind == ACT_DRAIN)
        return ask_drain(a, m, node, p, f);
    if (!is_name(m->event))
        return fault(f, "there is no event to act on");
    snprintf(a->event, sizeof a->event, "%s", m->event);
    if (act_node(a, m, node) == NULL)
        return fault(f, "no node is up that sells %s", a->event);
    if (kind == ACT_RESTOCK)
        return ask_restock(a, m, p);
    if (kind != ACT_CLOSE)
        return ask_pause(a, m, p, f);
    prompt_open(p, PROMPT_NAME,
                "Close the sale of %s on all nodes, for good? It cannot be opened again. "
                "Type %s to close it:",
                a->event, a->event);
    memcpy(p->want, a->event, sizeof p->want);
    return true;
}

bool act_agreed(struct act *a, const struct model *m, struct prompt *p)
{
    char was[NUMBER_BYTES], now[NUMBER_BYTES];
    if (a->kind != ACT_RESTOCK || a->total > 0)
        return true;
    a->total = prompt_number(p);
    number_whole(was, m->totals.total);
    number_whole(now, a->total);
    prompt_open(p, PROMPT_CONFIRM, "Restock %s from %s to %s tickets in all, on all nodes?  y/N",
                a->event, was, now);
    return false;
}

static bool can_act(const struct act *a, const struct model_node *n)
{
    if (!rows_alive(n))
        return false;
    for (uint32_t i = 0; i < n->stats.event_count; i++)
        if (strcmp(n->stats.events[i].name, a->event) == 0)
            return true;
    return false;
}

/* Rather one that is well: a slow one may not answer in time. */
const struct model_node *act_node(const struct act *a, const struct model *m, uint32_t node)
{
    const struct model_node *found = NULL;
    if (a->kind == ACT_DRAIN)
        return &m->nodes[a->node];
    if (node < m->node_count && can_act(a, &m->nodes[node]) && m->nodes[node].state == MODEL_UP)
        return &m->nodes[node];
    for (uint32_t i = 0; i < m->node_count; i++) {
        if (!can_act(a, &m->nodes[i]))
            continue;
        if (m->nodes[i].state == MODEL_UP)
            return &m->nodes[i];
        found = found == NULL ? &m->nodes[i] : found;
    }
    return found;
}

static const char *word(const struct act *a)
{
    static const char *const words[] = {
        [ACT_NONE] = "",       [ACT_PAUSE] = "pause",     [ACT_RESUME] = "resume",
        [ACT_CLOSE] = "close", [ACT_RESTOCK] = "restock", [ACT_DRAIN] = "drain"};
    return words[a->kind];
}

void act_path(const struct act *a, char path[ACT_PATH])
{
    if (a->kind == ACT_DRAIN)
        snprintf(path, ACT_PATH, "/drain");
    else if (a->kind == ACT_RESTOCK)
        snprintf(path, ACT_PATH, "/restock?event=%s&total=%" PRIu64, a->event, a->total);
    else
        snprintf(path, ACT_PATH, "/%s?event=%s", word(a), a->event);
}

bool act_ended(const struct act *a, int code, const char *message, char line[MODEL_LINE_BYTES])
{
    const char *what = a->kind == ACT_DRAIN ? a->name : a->event;
    char total[NUMBER_BYTES];
    if (message == NULL)
        message = "";
    if (code == 0)
        snprintf(line, MODEL_LINE_BYTES, "%s %.40s: no answer: %.50s", word(a), what, message);
    else if (code != 1)
        snprintf(line, MODEL_LINE_BYTES, "%s %.40s: refused: %d %.50s", word(a), what, code,
                 message);
    else if (a->kind == ACT_RESTOCK)
        snprintf(line, MODEL_LINE_BYTES, "restock %.40s: done, %s in all", what,
                 number_whole(total, a->total));
    else
        snprintf(line, MODEL_LINE_BYTES, "%s %.90s: done", word(a), what);
    return code != 1;
}
