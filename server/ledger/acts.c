/*
 * Acts of the operators: pause, resume, close, restock (reclaim.c: reopen and reclaim).
 *
 *     step     has just brought the event's latest version
 *                  dies: nothing was done
 *     act      compare and set in the stock; if another node was faster: take its version, decide
 *              anew
 *                  dies: done and not answered; every node journals it with its next step
 *     journal  an ADMIN record, synced
 *                  dies: done
 *     answer   the event as it stands
 *
 * An act that changes nothing writes nothing, so it can be repeated. With the stock out of reach,
 * or in repair, nothing can be done: the sale stands still, and the operator is answered "try
 * again". The same when the stock's reply was lost, and then it may have been done.
 */
#include <string.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/ledger_private.h"

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

/* True: decided, *v is the verdict. False: another node was faster. */
static bool attempt(struct ledger *l, struct ledger_event *e, const struct message *m,
                    struct stock_act *act, enum verdict *v)
{
    struct fault f;
    *v = VERDICT_BUSY;
    if (!e->figures.ready || e->figures.repair)
        return true; /* the last act may stand in a journal that has not been settled yet */
    *v = VERDICT_CONFLICT;
    if (!decide(m, &e->figures, act))
        return true;
    *v = VERDICT_YES;
    if (act->state == e->figures.state && act->total == e->figures.total)
        return true;
    *v = VERDICT_BUSY;
    if (book_free(l) == 0)
        return true; /* what the journal has left is for returns */
    if (stock_act(l->stock, act, &f) != STOCK_OK) {
        session_detach(l, clock_mono_us(), &f);
        return true;
    }
    e->figures = act->figures;
    if (act->outcome == STOCK_TOO_LOW)
        *v = VERDICT_CONFLICT;
    if (act->outcome == STOCK_DONE) {
        *v = VERDICT_YES;
        learn_own_act(l, e, &act->origin);
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
    ASSERT(m->event < l->conf->event_count && m->buyer_len <= PARAM_MAX);
    memcpy(act.origin.from, m->buyer, m->buyer_len);
    for (int i = 0; i < ATTEMPTS && session_is_attached(l->session); i++)
        if (attempt(l, e, m, &act, &v))
            break;
    m->verdict = (uint8_t)v;
}

void act_run(struct ledger *l, struct message *m, uint64_t now_wall_ms)
{
    ASSERT_LEDGER();
    ASSERT(act_is(m));
    if (m->kind == MESSAGE_REOPEN)
        reclaim_reopen(l, m);
    else if (m->kind == MESSAGE_RECLAIM)
        reclaim_node(l, m);
    else
        act_on_event(l, m, now_wall_ms);
}

void act_describe(const struct ledger *l, struct message *m, uint64_t now_wall_ms)
{
    const struct ledger_event *e = &l->events[m->event];
    m->total = e->figures.total;
    m->gone = e->figures.gone;
    m->state = sale_state_name(publish_state(e, now_wall_ms));
}
