/*
 * Acts of the operators: pause, resume, close, restock (reclaim.c: reopen and reclaim).
 *
 *     step     has just brought the event's latest version
 *                  dies: nothing was done
 *     act      compare and set in the stock; somebody was faster: look at what he did, decide anew
 *                  dies: done, nobody was told; every node journals it with its next step
 *     journal  an ADMIN record, synced
 *                  dies: done
 *     answer   the event as it stands
 *
 * An act that changes nothing writes nothing, so it can be repeated. With the stock out of reach,
 * or in repair, nothing can be done: the sale stands still, and the operator is told to try again.
 * So he is when the stock's reply was lost, and then it may have been done.
 */
#include <string.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/private.h"

#define ATTEMPTS 8 /* operators are few */

bool act_is(const struct message *m)
{
    return m->kind >= MESSAGE_PAUSE;
}

/* What the event is to be. False: it cannot be that any more. */
static bool decide(const struct message *m, const struct stock_figures *now, struct stock_act *act)
{
    act->seen = *now;
    act->state = now->state;
    act->total = now->total;
    if (now->state == STOCK_CLOSED)
        return m->kind == MESSAGE_CLOSE;
    switch ((enum message_kind)m->kind) {
    case MESSAGE_PAUSE:
        act->state = STOCK_PAUSED;
        return true;
    case MESSAGE_RESUME:
        act->state = STOCK_OPEN;
        return true;
    case MESSAGE_CLOSE:
        act->state = STOCK_CLOSED;
        return true;
    default:
        act->total = m->total;
        return true;
    }
}

static void journal_act(struct ledger *l, struct ledger_event *e, const struct stock_origin *o)
{
    static const char *const words[] = {
        [STOCK_OPEN] = "open", [STOCK_PAUSED] = "paused", [STOCK_CLOSED] = "closed"};
    struct record r = {.kind = RECORD_ADMIN,
                       .state = (uint8_t)e->figures.state,
                       .total = e->figures.total,
                       .version = e->figures.version,
                       .node = o->node,
                       .acted_wall_ms = o->wall_ms,
                       .buyer_len = o->from_len};
    memcpy(r.buyer, o->from, o->from_len);
    ledger_append(l, e, &r);
    if (o->node == 0)
        log_line(LOG_WARN, "event %s: %s, total %u now; who did that is not known", e->conf->name,
                 words[e->figures.state], e->figures.total);
    else
        log_line(LOG_INFO, "event %s: %s, total %u, by an operator of node %u (%.*s)",
                 e->conf->name, words[e->figures.state], e->figures.total, (unsigned)o->node,
                 (int)o->from_len, o->from);
}

void act_learn(struct ledger *l, struct ledger_event *e, const struct stock_origin *origin)
{
    const struct stock_figures *g = &e->figures;
    const struct node_totals *t = &e->totals;
    if (g->version < t->version || (g->version == t->version &&
                                    g->state == (enum stock_state)t->state && g->total == t->total))
        return;
    if (ledger_room(l) == 0)
        return;                /* the next step tells it again */
    journal_act(l, e, origin); /* node 0: by hand, or forgotten */
}

/* True: it is decided; the verdict. False: somebody was faster. */
static bool attempt(struct ledger *l, struct ledger_event *e, const struct message *m,
                    struct stock_act *act, enum verdict *v)
{
    struct fault f;
    *v = VERDICT_BUSY;
    if (!e->figures.ready || e->figures.repair)
        return true; /* which act was the last may stand in a journal that has not been heard */
    *v = VERDICT_CONFLICT;
    if (!decide(m, &e->figures, act))
        return true;
    *v = VERDICT_YES;
    if (act->state == e->figures.state && act->total == e->figures.total)
        return true;
    *v = VERDICT_BUSY;
    if (l->room == 0)
        return true; /* what the journal has left is for returns */
    if (stock_act(l->stock, act, &f) != STOCK_OK) {
        ledger_detach(l, clock_mono_us(), &f);
        return true;
    }
    e->figures = act->figures;
    if (act->outcome == STOCK_TOO_LOW)
        *v = VERDICT_CONFLICT;
    if (act->outcome == STOCK_DONE) {
        *v = VERDICT_YES;
        journal_act(l, e, &act->origin);
    }
    return act->outcome != STOCK_STALE;
}

static void act_on_event(struct ledger *l, struct message *m, uint64_t now_wall_ms)
{
    struct ledger_event *e = &l->events[m->event];
    struct stock_act act = {
        .event = e->index,
        .epoch = e->epoch,
        .origin = {.node = l->conf->node, .wall_ms = now_wall_ms, .from_len = m->buyer_len}};
    enum verdict v = VERDICT_BUSY;
    memcpy(act.origin.from, m->buyer, m->buyer_len);
    for (int i = 0; i < ATTEMPTS && l->attached; i++)
        if (attempt(l, e, m, &act, &v))
            break;
    m->verdict = (uint8_t)v;
}

void act_do(struct ledger *l, struct message *m, uint64_t now_wall_ms)
{
    if (m->kind == MESSAGE_REOPEN)
        reopen_do(l, m);
    else if (m->kind == MESSAGE_RECLAIM)
        reclaim_do(l, m);
    else
        act_on_event(l, m, now_wall_ms);
}

void act_describe(const struct ledger *l, struct message *m, uint64_t now_wall_ms)
{
    const struct ledger_event *e = &l->events[m->event];
    m->total = e->figures.total;
    m->gone = e->figures.gone;
    m->state = sale_state_name(ledger_state(e, now_wall_ms));
}
