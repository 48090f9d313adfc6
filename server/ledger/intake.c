/*
 * Intake: messages off the rings, for one turn.
 *
 * A buy that may be granted goes into its event's batch and is deducted by the turn's step; so does
 * the payment of an expired order. Everything else takes effect in the journal at once (orders.c),
 * or waits for the step (an operator's act, acts.c), and is answered after the commit.
 *
 * Dies here: no buyer has heard anything, nothing is lost.
 */
#include <string.h>

#include "conf/base/clock.h"
#include "server/ledger/ledger_private.h"

struct intake {
    struct channel *channels; /* the workers' and the admin worker's */
    uint32_t channel_count;
    struct message **ops; /* wait for the steps of this turn */
    uint32_t op_count;
    uint32_t taken; /* messages of this turn that are no buys; OPS_MAX at most */
    bool is_full;   /* a batch is: the turn takes nothing more */
    size_t ops_pool;
};

struct intake *intake_plan(struct arena *a)
{
    static struct intake intake;
    memset(&intake, 0, sizeof intake);
    intake.ops_pool = arena_plan(a, "ledger", OPS_MAX, sizeof(struct message *));
    return &intake;
}

void intake_init(struct ledger *l, const struct arena *a, struct channel *channels,
                 uint32_t channel_count)
{
    ASSERT(channel_count <= WORKERS_MAX + 1);
    l->intake->channels = channels;
    l->intake->channel_count = channel_count;
    l->intake->ops = arena_block(a, l->intake->ops_pool);
}

bool intake_rings_are_empty(const struct ledger *l)
{
    for (uint32_t i = 0; i < l->intake->channel_count; i++)
        if (!ring_is_empty(l->intake->channels[i].orders))
            return false;
    return true;
}

struct message *const *intake_ops(const struct ledger *l, uint32_t *count)
{
    *count = l->intake->op_count;
    return l->intake->ops;
}

void intake_clear(struct ledger *l)
{
    l->intake->op_count = l->intake->taken = 0;
    l->intake->is_full = false;
}

static void add_op(struct intake *in, struct message *m)
{
    ASSERT(in->op_count < OPS_MAX);
    in->ops[in->op_count++] = m;
}

static void add_to_batch(struct intake *in, struct ledger_event *e, struct message *m)
{
    ASSERT(e->batch.count < BATCH_MAX);
    e->batch.messages[e->batch.count++] = m;
    if (m->fallback_verdict == VERDICT_YES)
        e->batch.tickets += m->n;
    in->is_full |= e->batch.count == BATCH_MAX;
}

/* ---- buys ----------------------------------------------------------------------------------- */

/* The stock cannot be asked now, this node is draining, or the answer would come too late. */
static bool is_stale(const struct ledger *l, const struct ledger_event *e, const struct message *m,
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
    if (cap != CONF_NO_CAP && (uint64_t)event_out(e) + e->batch.tickets + m->n > cap)
        return event_left(e) == 0 ? VERDICT_SOLD_OUT : VERDICT_SOLD_OUT_HERE;
    if (e->conf->hold_ms > 0 && e->holds.count + e->batch.count >= e->holds.capacity)
        return VERDICT_BUSY; /* the total was raised above stock-max by hand */
    return book_free(l) > 0 ? VERDICT_YES : VERDICT_BUSY;
}

/* A key that is refused here is looked up all the same, because it may have an order. */
static void take_buy(struct ledger *l, struct message *m, uint64_t now_mono_us)
{
    ASSERT(m->event < l->conf->event_count);
    struct ledger_event *e = &l->events[m->event];
    if (is_stale(l, e, m, now_mono_us)) {
        outbox_answer(l, m, VERDICT_BUSY);
        return;
    }
    enum verdict v = admit(l, e, m);
    if (v != VERDICT_YES && m->key_len == 0) {
        outbox_answer(l, m, v);
        return;
    }
    m->fallback_verdict = (uint8_t)v;
    if (v == VERDICT_YES)
        book_promise(l);
    add_to_batch(l->intake, e, m);
}

/* ---- all else ------------------------------------------------------------------------------- */

static void take_payment(struct ledger *l, struct message *m)
{
    switch (order_pay(l, m)) {
    case PAYMENT_LATE:
        add_to_batch(l->intake, &l->events[m->event], m);
        return;
    case PAYMENT_DEFERRED:
        outbox_defer(l, m);
        return;
    case PAYMENT_WAITS:
        add_op(l->intake, m);
        return;
    case PAYMENT_ANSWERED:
        outbox_add(l, m);
    }
}

/* An act wants the event's latest version, so it asks for a step. */
static void take_act(struct ledger *l, struct message *m)
{
    ASSERT(act_is(m));
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (m->event == i || m->kind == MESSAGE_RECLAIM)
            l->events[i].step_due = true;
    add_op(l->intake, m);
}

static void take_op(struct ledger *l, struct message *m)
{
    l->intake->taken++;
    switch ((enum message_kind)m->kind) {
    case MESSAGE_ABANDONED:
        order_abandoned(l, m);
        book_count_returned_yes(l, m->worker);
        break;
    case MESSAGE_GET_ORDER:
        order_get(l, m);
        break;
    case MESSAGE_CANCEL:
        order_cancel(l, m);
        break;
    case MESSAGE_PAY:
        take_payment(l, m);
        return;
    default:
        take_act(l, m);
        return;
    }
    outbox_add(l, m);
}

/* What the last turn has deferred, before anything that came later. */
static bool take_deferred(struct ledger *l)
{
    uint32_t count;
    struct message *const *deferred = outbox_take_deferred(l, &count);
    l->intake->taken += count;
    for (uint32_t i = 0; i < count; i++)
        take_payment(l, deferred[i]);
    return count > 0;
}

/* ---- the turn's share ----------------------------------------------------------------------- */

static bool take_one(struct ledger *l, uint32_t channel, uint64_t now_mono_us)
{
    struct message *m = ring_pop(l->intake->channels[channel].orders);
    if (m == NULL)
        return false;
    m->worker = (uint8_t)channel;
    if (m->kind == MESSAGE_BUY)
        take_buy(l, m, now_mono_us);
    else
        take_op(l, m);
    return true;
}

/* One message of each worker at a time, so that none starves. */
bool intake_run(struct ledger *l)
{
    ASSERT_LEDGER();
    const struct intake *in = l->intake;
    uint64_t now_mono_us = clock_mono_us();
    book_begin_turn(l);
    bool more = true, any = take_deferred(l);
    while (more) {
        more = false;
        for (uint32_t i = 0; i < in->channel_count && !in->is_full && in->taken < OPS_MAX; i++)
            more |= take_one(l, i, now_mono_us);
        any |= more;
    }
    return any;
}
