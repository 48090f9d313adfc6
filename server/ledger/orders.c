/*
 * The life of an order:
 *
 *     granted ──> HELD ──pay──> SOLD            `hold 0`: granted as SOLD
 *                  │ └─cancel─> CANCELLED
 *                  └──pay_by──> EXPIRED ──paid late──> SOLD     a new deduction
 *                                       └─none left──> refused  final: to be refunded
 *
 * Every change goes to the journal first, is answered after the commit, and is settled in the stock
 * from there: so tickets are back for others in the step after the commit. Only the late payment
 * takes the way of a sale, because tickets must be deducted before they can be promised.
 *
 * Until this node has attached once, nothing changes: its journal may be the copy of another one,
 * from before an order was paid. Cancellations and payments hear "try again", holds that are due
 * wait.
 *
 * An order is read from the journal, what this turn has appended included; only the ends of holds
 * are in memory. Dies anywhere: what was committed stands, the rest was never answered.
 */
#include <sodium.h>
#include <string.h>

#include "conf/base/log.h"
#include "server/ledger/ledger_private.h"

struct order {
    struct ledger_event *event;
    struct record grant;
    struct record last;
};

/* What may be done to an order, and what becomes of it: one row for each. */
enum transition {
    TRANSITION_CANCEL,
    TRANSITION_PAY,
    TRANSITION_EXPIRE,
    TRANSITION_ABANDON,
    TRANSITION_COUNT
};

static const struct {
    enum verdict verdict;
    enum order_state becomes; /* 0: stays what it is */
} transitions[TRANSITION_COUNT][ORDER_EXPIRED + 1] = {
    [TRANSITION_CANCEL] = {[ORDER_HELD] = {VERDICT_YES, ORDER_CANCELLED},
                           [ORDER_SOLD] = {VERDICT_CONFLICT, 0},
                           [ORDER_CANCELLED] = {VERDICT_YES, 0},
                           [ORDER_EXPIRED] = {VERDICT_YES, 0}},
    [TRANSITION_PAY] = {[ORDER_HELD] = {VERDICT_YES, ORDER_SOLD},
                        [ORDER_SOLD] = {VERDICT_YES, 0},
                        [ORDER_CANCELLED] = {VERDICT_REFUND, 0},
                        [ORDER_EXPIRED] = {VERDICT_REFUND,
                                           0}}, /* unless tickets are left: pay_late */
    [TRANSITION_EXPIRE] = {[ORDER_HELD] = {VERDICT_YES, ORDER_EXPIRED},
                           [ORDER_SOLD] = {VERDICT_YES, 0},
                           [ORDER_CANCELLED] = {VERDICT_YES, 0},
                           [ORDER_EXPIRED] = {VERDICT_YES, 0}},
    [TRANSITION_ABANDON] = {[ORDER_HELD] = {VERDICT_YES, ORDER_CANCELLED},
                            [ORDER_SOLD] = {VERDICT_YES, ORDER_CANCELLED},
                            [ORDER_CANCELLED] = {VERDICT_YES, 0},
                            [ORDER_EXPIRED] = {VERDICT_YES, 0}},
};

/* ---- find ----------------------------------------------------------------------------------- */

static struct ledger_event *event_at(struct ledger *l, uint8_t slot)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (l->events[i].slot == slot)
            return &l->events[i];
    return NULL;
}

static bool read_order(struct ledger *l, struct ledger_event *e, uint64_t number, struct order *o)
{
    struct fault f;
    o->event = e;
    int found = journal_order(l->journal, e->index, number, &o->grant, &o->last, &f);
    if (found < 0)
        ledger_die(f.text);
    return found == 1;
}

/* The order that a message names; its tag must be the right one. */
static bool find(struct ledger *l, struct message *m, struct order *o)
{
    struct ledger_event *e = event_at(l, m->slot);
    if (e == NULL || !e->totals.has_sale || m->number > e->totals.last)
        return false;
    uint64_t tag = book_tag(l, e, m->number);
    if (sodium_memcmp(&tag, &m->tag, sizeof tag) != 0)
        return false;
    m->event = (uint8_t)e->index;
    return read_order(l, e, m->number, o);
}

/* ---- change --------------------------------------------------------------------------------- */

/* A record of the order's, with all that it needs to be settled by itself. */
static struct record record_of(const struct order *o, enum record_kind kind)
{
    struct record r = o->grant;
    r.kind = (uint8_t)kind;
    r.state = r.was = 0;
    r.of = 0;
    return r;
}

static void become(struct ledger *l, struct order *o, enum order_state state)
{
    ASSERT(state != (enum order_state)o->last.state);
    struct record r = record_of(o, RECORD_CHANGE);
    r.state = (uint8_t)state;
    r.was = o->last.state;
    book_append(l, o->event, &r);
    o->last = r;
    o->event->returned |= state == ORDER_CANCELLED || state == ORDER_EXPIRED;
}

/* The step of the table; its verdict. */
static enum verdict apply(struct ledger *l, struct order *o, enum transition t)
{
    enum order_state state = (enum order_state)o->last.state;
    ASSERT(t < TRANSITION_COUNT);
    ASSERT(state >= ORDER_HELD && state <= ORDER_EXPIRED);
    if (transitions[t][state].becomes != 0)
        become(l, o, transitions[t][state].becomes);
    return transitions[t][state].verdict;
}

static void answer(struct message *m, const struct order *o, enum verdict v)
{
    m->verdict = (uint8_t)v;
    m->n = o->grant.n;
    m->pay_by_wall_ms = o->grant.pay_by_wall_ms;
    m->state = order_state_name((enum order_state)o->last.state);
}

/* ---- requests ------------------------------------------------------------------------------- */

void order_get(struct ledger *l, struct message *m)
{
    ASSERT(m->kind == MESSAGE_GET_ORDER);
    struct order o;
    m->verdict = VERDICT_NOT_FOUND;
    if (find(l, m, &o))
        answer(m, &o, VERDICT_YES);
}

void order_cancel(struct ledger *l, struct message *m)
{
    ASSERT(m->kind == MESSAGE_CANCEL);
    struct order o;
    m->verdict = session_has_started(l->session) ? VERDICT_NOT_FOUND : VERDICT_BUSY;
    if (session_has_started(l->session) && find(l, m, &o)) {
        enum verdict v = apply(l, &o, TRANSITION_CANCEL);
        answer(m, &o, v);
    }
}

void order_abandoned(struct ledger *l, struct message *m)
{
    struct order o;
    bool found = read_order(l, &l->events[m->event], m->number, &o);
    ASSERT(found && m->key_len == 0); /* it was granted here; one with a key stands */
    (void)apply(l, &o, TRANSITION_ABANDON);
    m->verdict = VERDICT_YES;
}

void order_expire(struct ledger *l, uint64_t now_wall_ms)
{
    ASSERT_LEDGER();
    uint32_t ended = 0;
    struct order o;
    if (!session_has_started(l->session))
        return;
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        struct ledger_event *e = &l->events[i];
        const struct hold *first;
        while (ended < EXPIRE_MAX && (first = hold_queue_first(&e->holds)) != NULL &&
               first->pay_by_wall_ms < now_wall_ms) {
            bool found = read_order(l, e, first->number, &o);
            ASSERT(found && o.last.state == ORDER_HELD); /* which takes it off the list */
            (void)apply(l, &o, TRANSITION_EXPIRE);
            ended++;
        }
    }
}

/* ---- late payment --------------------------------------------------------------------------- */

static bool is_in_batch(const struct ledger_event *e, uint64_t number)
{
    for (uint32_t i = 0; i < e->batch.count; i++)
        if (e->batch.messages[i]->kind == MESSAGE_PAY && e->batch.messages[i]->number == number)
            return true;
    return false;
}

/* Writes into the message what the item of the deduction needs. */
static void fill_late_payment(struct message *m, const struct order *o)
{
    const struct record *g = &o->grant;
    m->fallback_verdict = VERDICT_YES;
    m->n = g->n;
    m->buyer_len = g->buyer_len;
    m->key_len = 0; /* its key stays where it is and lives again when this is settled */
    memcpy(m->buyer, g->buyer, g->buyer_len);
}

enum payment order_pay(struct ledger *l, struct message *m)
{
    ASSERT(m->kind == MESSAGE_PAY);
    struct order o;
    m->verdict = session_has_started(l->session) ? VERDICT_NOT_FOUND : VERDICT_BUSY;
    m->fallback_verdict = VERDICT_YES;
    if (!session_has_started(l->session) || !find(l, m, &o))
        return PAYMENT_ANSWERED;
    if (o.last.state == ORDER_HELD && o.grant.pay_by_wall_ms < m->received_wall_ms)
        (void)apply(l, &o, TRANSITION_EXPIRE); /* it is due, and was not reached yet */
    if (o.last.state != ORDER_EXPIRED || o.last.kind == RECORD_REFUSAL) {
        enum verdict v = apply(l, &o, TRANSITION_PAY);
        answer(m, &o, v);
        return PAYMENT_ANSWERED;
    }
    answer(m, &o, VERDICT_BUSY);
    if (is_in_batch(o.event, m->number))
        return PAYMENT_WAITS;
    if (!event_sells(l, o.event) || book_free(l) == 0)
        return PAYMENT_ANSWERED;
    if (o.last.seq > journal_committed(l->journal, o.event->index))
        return PAYMENT_DEFERRED; /* its own tickets are still counted */
    book_promise(l);
    fill_late_payment(m, &o);
    return PAYMENT_LATE;
}

void order_pay_again(struct ledger *l, struct message *m)
{
    ASSERT(m->kind == MESSAGE_PAY);
    struct order o;
    if (!find(l, m, &o))
        return;
    bool decided = o.last.state != ORDER_EXPIRED || o.last.kind == RECORD_REFUSAL;
    answer(m, &o, decided ? apply(l, &o, TRANSITION_PAY) : VERDICT_BUSY);
}

static void sell_again(struct ledger *l, struct order *o)
{
    struct record r = record_of(o, RECORD_LATE);
    r.state = ORDER_SOLD;
    r.was = ORDER_EXPIRED;
    r.of = o->grant.number;
    r.number = o->event->totals.last + 1;
    book_append(l, o->event, &r);
    o->last = r;
}

static void refuse_for_good(struct ledger *l, struct order *o)
{
    struct record r = record_of(o, RECORD_REFUSAL);
    r.state = ORDER_EXPIRED;
    book_append(l, o->event, &r);
    o->last = r;
}

bool order_pay_late(struct ledger *l, struct ledger_event *e, struct message *m,
                    enum stock_verdict verdict)
{
    struct order o;
    bool found = read_order(l, e, m->number, &o);
    ASSERT(found && o.last.state == ORDER_EXPIRED && o.last.kind != RECORD_REFUSAL);
    switch (verdict) {
    case STOCK_YES:
        sell_again(l, &o);
        answer(m, &o, VERDICT_YES);
        return true;
    case STOCK_SOLD_OUT:
    case STOCK_LIMIT:
        if (e->returned)
            return false; /* what has ended in this turn may suffice, and a refusal is final */
        refuse_for_good(l, &o);
        answer(m, &o, VERDICT_REFUND);
        return true;
    case STOCK_IS_CLOSED:
        refuse_for_good(l, &o);
        answer(m, &o, VERDICT_REFUND);
        return true;
    case STOCK_IS_PAUSED:
        answer(m, &o, VERDICT_PAUSED);
        return true;
    default:
        answer(m, &o, VERDICT_BUSY);
        return true;
    }
}
