/*
 * One turn of the ledger. In this order do effects happen, and what if the process dies right
 * there:
 *
 *   attach   if this node has no place in the sale, or lost it
 *            (attach.c). Before it has had one nothing is
 *            written to the journal: it may be the copy of
 *            another one                                     dies: see there
 *   intake   messages off the rings: buys into a batch per
 *            event; pay, cancel and the like take effect in
 *            the journal (orders.c)                          dies: no buyer heard anything
 *   expire   holds that are due end, in the journal          dies: they end at the next start
 *   step     deduct the batch in the stock, a call an event  dies: granted, not in the journal:
 *                                                            void at the next attach
 *   act      what operators ask for (acts.c, reclaim.c);
 *            then the steps that this asks for               dies: see there
 *   commit   sync the grants and all changes                 dies: sold, the buyer does not know;
 *   deliver  verdicts go back over the rings                 a key finds the order again
 *   settle   a later step settles what the journal holds     dies: settled again from `pos`
 *
 * While a turn is under way the next batch gathers on the rings, so batches grow with load.
 *
 * A beat is a step without orders, so an idle node settles, hears what others have sold, and keeps
 * "sold out" true.
 */
#include "conf/base/clock.h"
#include "server/ledger/ledger_private.h"

#define BEAT_US ((uint64_t)BEAT_MS * 1000)

/* ---- steps ---------------------------------------------------------------------------------- */

static bool is_unsettled(const struct ledger *l, const struct ledger_event *e)
{
    return e->settled < journal_committed(l->journal, e->index) || !e->figures.ready;
}

static bool needs_step(const struct ledger *l, const struct ledger_event *e, uint64_t now_mono_us)
{
    return e->batch.count > 0 || e->step_due || is_unsettled(l, e) ||
           now_mono_us >= e->asof_mono_us + BEAT_US;
}

static void step_events(struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count && session_is_attached(l->session); i++)
        if (needs_step(l, &l->events[i], clock_mono_us()))
            step_run(l, &l->events[i]);
}

/* The steps that acts have requested. False: the stock was lost before one of them was done. */
static bool run_requested_steps(struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        if (!l->events[i].step_due)
            continue;
        if (!session_is_attached(l->session))
            return false;
        step_run(l, &l->events[i]);
    }
    return true;
}

/* ---- batches and ops ------------------------------------------------------------------------ */

/* What no step decides, because the stock was lost in this turn or before, is not sold. */
static void presume_busy(struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        for (uint32_t k = 0; k < l->events[i].batch.count; k++)
            l->events[i].batch.messages[k]->verdict = VERDICT_BUSY;
}

/* The batches have their verdicts. */
static void finish_batches(struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        struct ledger_event *e = &l->events[i];
        for (uint32_t k = 0; k < e->batch.count; k++)
            if (e->batch.messages[k] != NULL)
                outbox_add(l, e->batch.messages[k]);
        e->batch.count = e->batch.tickets = 0;
        e->returned = false;
    }
}

/* An act may request a step; without it the operator has to try again. */
static void run_act(struct ledger *l, struct message *m, uint64_t now_wall_ms)
{
    act_run(l, m, now_wall_ms);
    bool done =
        run_requested_steps(l) && (m->kind < MESSAGE_REOPEN || session_is_attached(l->session));
    if (!done && m->verdict == VERDICT_YES)
        m->verdict = VERDICT_BUSY;
}

/* The messages that wait for the steps. */
static void finish_ops(struct ledger *l, uint64_t now_wall_ms)
{
    uint32_t count;
    struct message *const *ops = intake_ops(l, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (act_is(ops[i]))
            run_act(l, ops[i], now_wall_ms);
        else
            order_pay_again(l, ops[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (act_is(ops[i]))
            act_describe(l, ops[i], now_wall_ms);
        outbox_add(l, ops[i]);
    }
    intake_clear(l);
}

bool turn_run(struct ledger *l)
{
    ASSERT_LEDGER();
    stock_set_timeout(
        l->stock, atomic_load_explicit(&l->board->tunables.redis_timeout_ms, memory_order_relaxed));
    if (!session_is_attached(l->session))
        attach_run(l, clock_mono_us());
    uint64_t now_wall_ms = clock_wall_ms();
    bool busy = intake_run(l);
    order_expire(l, now_wall_ms); /* after it: a payment that came in time is in time */
    presume_busy(l);
    step_events(l);
    finish_batches(l);
    finish_ops(l, now_wall_ms);
    book_commit(l);
    publish_run(l);
    outbox_deliver(l);
    return busy;
}

/* ---- when the next one is due --------------------------------------------------------------- */

bool turn_all_settled(const struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (is_unsettled(l, &l->events[i]))
            return false;
    return true;
}

/* A step in repair that settles nothing need not be repeated before the next beat. */
bool turn_has_work(const struct ledger *l)
{
    if (outbox_has_deferred(l))
        return true;
    if (!session_is_attached(l->session))
        return false;
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (l->events[i].settled < journal_committed(l->journal, i) ||
            l->events[i].asof_mono_us == 0 || !l->events[i].hashes_known)
            return true;
    return false;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t from_wall_ms(uint64_t at_wall_ms, uint64_t now_wall_ms, uint64_t now_mono_us)
{
    return at_wall_ms > now_wall_ms ? now_mono_us + (at_wall_ms - now_wall_ms) * 1000 : now_mono_us;
}

uint64_t turn_due_mono_us(const struct ledger *l, uint64_t now_mono_us)
{
    const struct session *s = l->session;
    bool attached = session_is_attached(s);
    uint64_t due = attached ? UINT64_MAX : session_retry_mono_us(s), wall_ms = clock_wall_ms();
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        const struct ledger_event *e = &l->events[i];
        const struct hold *first = hold_queue_first(&e->holds);
        if (first != NULL && session_has_started(s))
            due = earlier(due, from_wall_ms(first->pay_by_wall_ms + 1, wall_ms, now_mono_us));
        if (!attached)
            continue;
        due = earlier(due, e->asof_mono_us + BEAT_US);
        if (e->conf->open_wall_ms > wall_ms)
            due = earlier(due, from_wall_ms(e->conf->open_wall_ms, wall_ms, now_mono_us));
    }
    return due;
}
