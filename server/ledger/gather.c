/*
 * Gather: messages off the rings, for one turn.
 *
 * A buy that may be granted goes into its event's batch and is deducted by the turn's step; so does
 * the payment of an expired order. Everything else takes effect in the journal at once (orders.c)
 * or waits for the step (acts.c), and is answered after the commit. Nobody has been told anything
 * yet: dying here loses nothing.
 */
#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/private.h"

/* Nothing can be asked of the stock now, this node is draining, or nobody waits for the answer. */
static bool is_vain(const struct ledger *l, const struct ledger_event *e, const struct message *m,
                    uint64_t now_mono_us)
{
    return m->deadline_mono_us < now_mono_us || !event_sells(l, e) ||
           atomic_load_explicit(&l->board->tunables.draining, memory_order_relaxed) ||
           atomic_load_explicit(&m->abandoned, memory_order_relaxed);
}

/* YES: as far as this node is concerned it may buy. */
static enum verdict admit(const struct ledger *l, const struct ledger_event *e,
                          const struct message *m)
{
    if (e->conf->open_wall_ms > clock_wall_ms())
        return VERDICT_NOT_OPEN;
    uint32_t cap = atomic_load_explicit(&e->board->local_stock, memory_order_relaxed);
    if (cap != CONF_NO_CAP && (uint64_t)event_out(e) + e->batch_tickets + m->n > cap)
        return event_left(e) == 0 ? VERDICT_SOLD_OUT : VERDICT_SOLD_OUT_HERE;
    if (e->conf->hold_ms > 0 && e->holds.count + e->batch_count >= e->holds.capacity)
        return VERDICT_BUSY; /* the total was raised above stock-max by hand */
    return l->room > 0 ? VERDICT_YES : VERDICT_BUSY;
}

static void into_batch(struct ledger_event *e, struct message *m)
{
    e->batch[e->batch_count++] = m;
    if (m->fallback_verdict == VERDICT_YES)
        e->batch_tickets += m->n;
}

void ledger_put_off(struct ledger *l, struct message *m)
{
    ASSERT(l->waiting_count < OPS_MAX); /* the operators have no more messages */
    l->waiting[l->waiting_count++] = m;
}

/* A key is looked up whatever else there is to say, for it may have an order. */
static void gather_buy(struct ledger *l, struct message *m, uint64_t now_mono_us)
{
    struct ledger_event *e = &l->events[m->event];
    if (is_vain(l, e, m, now_mono_us)) {
        ledger_answer(l, m, VERDICT_BUSY);
        return;
    }
    enum verdict v = admit(l, e, m);
    if (v != VERDICT_YES && m->key_len == 0) {
        ledger_answer(l, m, v);
        return;
    }
    m->fallback_verdict = (uint8_t)v;
    if (v == VERDICT_YES)
        l->room--;
    into_batch(e, m);
}

static void gather_payment(struct ledger *l, struct message *m)
{
    switch (order_pay(l, m)) {
    case ORDER_LATE:
        into_batch(&l->events[m->event], m);
        return;
    case ORDER_PUT_OFF:
        ledger_put_off(l, m);
        return;
    case ORDER_WAITS:
        l->others[l->other_count++] = m;
        return;
    case ORDER_ANSWERED:
        ledger_answer_later(l, m);
    }
}

static void gather_other(struct ledger *l, struct message *m)
{
    l->taken++;
    switch ((enum message_kind)m->kind) {
    case MESSAGE_ABANDONED:
        order_left(l, m);
        l->yes_sent[m->worker]--;
        break;
    case MESSAGE_GET_ORDER:
        order_look(l, m);
        break;
    case MESSAGE_CANCEL:
        order_cancel(l, m);
        break;
    case MESSAGE_PAY:
        gather_payment(l, m);
        return;
    default:
        l->others[l->other_count++] = m; /* an act waits for the step */
        return;
    }
    ledger_answer_later(l, m);
}

static bool turn_is_full(const struct ledger *l)
{
    if (l->taken == OPS_MAX)
        return true;
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (l->events[i].batch_count == BATCH_MAX)
            return true;
    return false;
}

static void note_full(struct ledger *l)
{
    if ((l->room == 0) == l->full)
        return;
    l->full = l->room == 0;
    if (l->full)
        log_line(LOG_ERROR,
                 "journal %s is full: sales stop, returns go on; raise `size` and start again",
                 l->conf->journal);
    else
        log_line(LOG_INFO, "journal %s has room again: sales go on", l->conf->journal);
}

/* What the last turn has put off, before anybody who came later. */
static bool gather_waiting(struct ledger *l)
{
    uint32_t count = l->waiting_count;
    l->taken += count;
    l->waiting_count = 0; /* what is put off again goes where something was taken from */
    for (uint32_t i = 0; i < count; i++)
        gather_payment(l, l->waiting[i]);
    return count > 0;
}

/* True if anything was taken. One pass over the workers at a time, so that none starves. */
bool ledger_gather(struct ledger *l)
{
    uint64_t now_mono_us = clock_mono_us();
    l->room = ledger_room(l);
    note_full(l);
    bool more = true, any = gather_waiting(l);
    while (more) {
        more = false;
        for (uint32_t i = 0; i < l->channel_count && !turn_is_full(l); i++) {
            struct message *m = ring_pop(&l->channels[i].orders);
            if (m == NULL)
                continue;
            m->worker = (uint8_t)i;
            if (m->kind == MESSAGE_BUY)
                gather_buy(l, m, now_mono_us);
            else
                gather_other(l, m);
            any = more = true;
        }
    }
    return any;
}
