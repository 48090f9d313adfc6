/*
 * The ledger's turn. In this order do effects happen, and what if the process dies right there:
 *
 *   attach   if this node has no place in the sale, or lost it
 *            (attach.c). Before it has had one nothing is
 *            written to the journal: it may be the copy of
 *            another one                                     dies: see there
 *   gather   messages off the rings: buys into a batch per
 *            event; pay, cancel and the like take effect in
 *            the journal (orders.c)                          dies: nobody heard anything
 *   expire   holds that are due end, in the journal          dies: they end at the next start
 *   step     deduct the batch in the stock, a call an event  dies: granted, not in the journal:
 *                                                            void at the next attach
 *   act      what operators do (acts.c)                      dies: see there
 *   deliver  commit: sync the grants and all changes;        dies: sold, the buyer does not know;
 *            then answer: verdicts go back over the rings    a key finds it again
 *   settle   a later step tells the stock what the journal   dies: told again from `pos`
 *            holds
 *
 * While a turn is under way the next batch gathers on the rings, so batches grow with load.
 *
 * With nothing to do the ledger sleeps until it is rung or a beat is due; a beat is a step without
 * orders, so an idle node settles, hears what others have sold, and keeps "sold out" true.
 */
#include "server/ledger/ledger.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/private.h"

#define BEAT_US ((uint64_t)BEAT_MS * 1000)

_Noreturn void ledger_die(const char *what)
{
    log_line(LOG_ERROR, "%s", what);
    _exit(1);
}

/* ---- made by main --------------------------------------------------------------------------- */

struct ledger *ledger_plan(const struct conf *conf, struct arena *a)
{
    static struct ledger ledger;
    struct ledger *l = &ledger;
    memset(l, 0, sizeof *l);
    l->conf = conf;
    l->stock = conf->redis.len > 0 ? stock_redis_plan(conf, a) : stock_local_plan(conf, a);
    l->batch_pool =
        arena_plan(a, "ledger", (size_t)conf->event_count * BATCH_MAX, sizeof(struct message *));
    l->others_pool = arena_plan(a, "ledger", OPS_MAX, sizeof(struct message *));
    l->answers_pool = arena_plan(a, "ledger", (size_t)conf->event_count * BATCH_MAX + OPS_MAX,
                                 sizeof(struct message *));
    l->waiting_pool = arena_plan(a, "ledger", OPS_MAX, sizeof(struct message *));
    l->told_pool = arena_plan(a, "ledger", NODES_MAX, sizeof(struct stock_node));
    l->records_pool = arena_plan(a, "ledger", SETTLE_MAX, sizeof(struct record));
    l->changes_pool = arena_plan(a, "ledger", SETTLE_MAX, sizeof(struct stock_change));
    l->items_pool = arena_plan(a, "ledger", BATCH_MAX, sizeof(struct stock_item));
    l->hashes_pool = arena_plan(a, "ledger", KEY_HASHES_MAX, sizeof(uint64_t));
    for (uint32_t i = 0; i < conf->event_count; i++) {
        /* A node holds all tickets at most; every order may have had a key, and as many again that
         * have ended. */
        hold_queue_plan(&l->events[i].holds, a, conf->events[i].stock_max);
        filter_plan(&l->events[i].filter, a, 2 * conf->events[i].stock_max);
    }
    return l;
}

/* Whose hold begins or ends with this record? */
static bool fold_hold(struct ledger_event *e, const struct record *r)
{
    if (r->kind == RECORD_GRANT && r->state == ORDER_HELD)
        return hold_queue_add(&e->holds, r->number, r->pay_by_wall_ms);
    if (r->kind == RECORD_CHANGE && r->was == ORDER_HELD)
        hold_queue_remove(&e->holds, r->number);
    return true;
}

bool ledger_fold(struct ledger_event *e, const struct record *r)
{
    return node_totals_fold(&e->totals, r) && fold_hold(e, r);
}

static bool fold(void *context, const struct record *r)
{
    return ledger_fold(context, r);
}

static bool init_event(struct ledger *l, uint32_t index, struct message **batch, struct fault *f)
{
    struct ledger_event *e = &l->events[index];
    e->conf = &l->conf->events[index];
    e->board = &l->board->events[index];
    e->index = index;
    e->slot = journal_slot(l->journal, index);
    e->batch = batch;
    e->board->filter = &e->filter;
    if (!journal_walk(l->journal, index, fold, e, f))
        return false;
    if (e->holds.count == e->holds.capacity && e->totals.end != journal_end(l->journal, index))
        return fault(f,
                     "journal %s: event %s has held more than %u orders, the configured stock-max; "
                     "raise stock-max",
                     l->conf->journal, e->conf->name, e->conf->stock_max);
    if (e->totals.end != journal_end(l->journal, index))
        return fault(f, "journal %s: event %s: record %llu does not follow from those before",
                     l->conf->journal, e->conf->name, (unsigned long long)e->totals.end + 1);
    e->own_epoch = e->totals.epoch;
    if (e->totals.unified && l->conf->redis.len == 0)
        return fault(f,
                     "journal %s: event %s was sold from Redis; this configuration has no redis "
                     "line, and a sale cannot go on without the stock it shares",
                     l->conf->journal, e->conf->name);
    return true;
}

uint64_t ledger_room(struct ledger *l)
{
    uint64_t open = 0, room = journal_free_records(l->journal);
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        open += l->events[i].totals.held;
    for (uint32_t i = 0; i < l->channel_count; i++)
        open +=
            l->yes_sent[i] - atomic_load_explicit(&l->channels[i].yes_done, memory_order_relaxed);
    uint64_t reserved = 2 * open + 2 * BATCH_MAX;
    return room > reserved ? (room - reserved) / 3 : 0; /* each new one needs itself and two */
}

/* A journal that is full was good once and must start, to settle and return; a new one that could
 * never sell is a mistake in the configuration. */
static bool can_ever_sell(struct ledger *l, struct fault *f)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (l->events[i].totals.end > 0)
            return true;
    return ledger_room(l) > 0 ||
           fault(f,
                 "journal %s: size %llu has no room for a single order of %u events; raise `size`",
                 l->conf->journal, (unsigned long long)l->conf->journal_size, l->conf->event_count);
}

bool ledger_init(struct ledger *l, const struct arena *a, struct journal *journal,
                 struct board *board, struct channel *channels, uint32_t channel_count,
                 struct fault *f)
{
    ASSERT(channel_count <= WORKERS_MAX + 1);
    l->journal = journal;
    l->board = board;
    board->stores.commits = &l->commits;
    l->channels = channels;
    l->channel_count = channel_count;
    stock_init(l->stock, a);
    struct message **batches = arena_block(a, l->batch_pool);
    l->others = arena_block(a, l->others_pool);
    l->answers = arena_block(a, l->answers_pool);
    l->waiting = arena_block(a, l->waiting_pool);
    l->told = arena_block(a, l->told_pool);
    l->records = arena_block(a, l->records_pool);
    l->changes = arena_block(a, l->changes_pool);
    l->items = arena_block(a, l->items_pool);
    l->marks = arena_block(a, l->hashes_pool);
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        hold_queue_init(&l->events[i].holds, a);
        filter_init(&l->events[i].filter, a);
    }
    if (!doorbell_open(&l->bell, f))
        return false;
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (!init_event(l, i, batches + (size_t)i * BATCH_MAX, f))
            return false;
    ledger_publish(l);
    return can_ever_sell(l, f);
}

struct doorbell *ledger_bell(struct ledger *l)
{
    return &l->bell;
}

void ledger_stop(struct ledger *l)
{
    atomic_store(&l->stop, true);
    doorbell_ring(&l->bell);
}

/* ---- the turn ------------------------------------------------------------------------------- */

static bool unsettled(const struct ledger *l, const struct ledger_event *e)
{
    return e->settled < journal_committed(l->journal, e->index) || !e->figures.ready;
}

static bool beat_is_due(const struct ledger_event *e, uint64_t now_mono_us)
{
    return now_mono_us >= e->asof_mono_us + BEAT_US;
}

/* An act wants the latest version. */
static bool has_act(const struct ledger *l, const struct ledger_event *e)
{
    for (uint32_t i = 0; i < l->other_count; i++)
        if (act_is(l->others[i]) &&
            (l->others[i]->event == e->index || l->others[i]->kind == MESSAGE_RECLAIM))
            return true;
    return false;
}

static void step_all(struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count && l->attached; i++) {
        struct ledger_event *e = &l->events[i];
        uint64_t now = clock_mono_us();
        if (e->batch_count > 0 || unsettled(l, e) || beat_is_due(e, now) || has_act(l, e))
            ledger_step(l, e);
    }
}

/* What had to wait for the steps. */
static void finish_others(struct ledger *l, uint64_t now_wall_ms)
{
    for (uint32_t i = 0; i < l->other_count; i++) {
        struct message *m = l->others[i];
        if (act_is(m))
            act_do(l, m, now_wall_ms);
        else
            order_pay_again(l, m);
    }
    for (uint32_t i = 0; i < l->other_count; i++) {
        if (act_is(l->others[i]))
            act_describe(l, l->others[i], now_wall_ms);
        ledger_answer_later(l, l->others[i]);
    }
    l->other_count = l->taken = 0;
}

/* The batches have their verdicts. */
static void finish_batches(struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        struct ledger_event *e = &l->events[i];
        for (uint32_t k = 0; k < e->batch_count; k++)
            if (e->batch[k] != NULL) /* was put off */
                ledger_answer_later(l, e->batch[k]);
        e->batch_count = e->batch_tickets = 0;
        e->returned = false;
    }
}

static void push(struct ledger *l, struct message *m)
{
    l->ring[m->worker] = true;
    ring_push(&l->channels[m->worker].verdicts, m);
}

void ledger_answer(struct ledger *l, struct message *m, enum verdict v)
{
    ASSERT(v != VERDICT_YES);
    m->verdict = (uint8_t)v;
    push(l, m);
}

void ledger_answer_later(struct ledger *l, struct message *m)
{
    ASSERT(l->answer_count < l->conf->event_count * BATCH_MAX + OPS_MAX);
    if (m->verdict == VERDICT_YES && m->kind == MESSAGE_BUY)
        l->yes_sent[m->worker]++;
    l->answers[l->answer_count++] = m;
}

/* Commits what was appended and answers all that have their verdict; each worker is woken once. */
static void deliver(struct ledger *l)
{
    ledger_commit(l);
    ledger_publish(l);
    for (uint32_t i = 0; i < l->answer_count; i++)
        push(l, l->answers[i]);
    l->answer_count = 0;
    for (uint32_t i = 0; i < l->channel_count; i++) {
        if (l->ring[i])
            doorbell_ring(&l->channels[i].worker);
        l->ring[i] = false;
    }
}

/* What no step has judged, because the stock was lost in this turn or before: not sold. */
static void presume_busy(struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        for (uint32_t k = 0; k < l->events[i].batch_count; k++)
            l->events[i].batch[k]->verdict = VERDICT_BUSY;
}

static bool rings_are_empty(struct ledger *l)
{
    for (uint32_t i = 0; i < l->channel_count; i++)
        if (!ring_is_empty(&l->channels[i].orders))
            return false;
    return true;
}

static bool turn(struct ledger *l)
{
    stock_set_timeout(
        l->stock, atomic_load_explicit(&l->board->tunables.redis_timeout_ms, memory_order_relaxed));
    if (!l->attached)
        ledger_attach(l, clock_mono_us());
    uint64_t now_wall_ms = clock_wall_ms();
    bool busy = ledger_gather(l);
    order_expire(l, now_wall_ms); /* after it: who has paid in time was in time */
    presume_busy(l);
    step_all(l);
    finish_others(l, now_wall_ms);
    finish_batches(l);
    deliver(l);
    return busy;
}

/* ---- sleep and stop ------------------------------------------------------------------------- */

static bool all_settled(const struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (unsettled(l, &l->events[i]))
            return false;
    return true;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t from_wall_ms(uint64_t at_wall_ms, uint64_t now_wall_ms, uint64_t now_mono_us)
{
    return at_wall_ms > now_wall_ms ? now_mono_us + (at_wall_ms - now_wall_ms) * 1000 : now_mono_us;
}

/* When something is due although nobody rings. */
static uint64_t next_due_mono_us(const struct ledger *l, uint64_t now_mono_us)
{
    uint64_t due = l->attached ? UINT64_MAX : l->retry_mono_us, wall_ms = clock_wall_ms();
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        const struct ledger_event *e = &l->events[i];
        const struct hold *first = hold_queue_first(&e->holds);
        if (first != NULL && l->started)
            due = earlier(due, from_wall_ms(first->pay_by_wall_ms + 1, wall_ms, now_mono_us));
        if (!l->attached)
            continue;
        due = earlier(due, e->asof_mono_us + BEAT_US);
        if (e->conf->open_wall_ms > wall_ms)
            due = earlier(due, from_wall_ms(e->conf->open_wall_ms, wall_ms, now_mono_us));
    }
    return due;
}

/* A step in repair that has nothing to tell need not be repeated before the next beat. */
static bool has_work(const struct ledger *l)
{
    if (l->waiting_count > 0)
        return true;
    if (!l->attached)
        return false;
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (l->events[i].settled < journal_committed(l->journal, i) ||
            l->events[i].asof_mono_us == 0 || !l->events[i].hashes_known)
            return true;
    return false;
}

static void sleep_until_due(struct ledger *l)
{
    doorbell_arm(&l->bell);
    uint64_t now = clock_mono_us(), due = next_due_mono_us(l, now);
    if (rings_are_empty(l) && !atomic_load(&l->stop) && due > now)
        doorbell_wait(&l->bell, due - now);
    doorbell_disarm(&l->bell);
}

/* The workers are gone, the rings stay empty. Settle what the journal holds, and if a batch is in
 * doubt attach once more, for that gives it back. Bounded: an absent Redis is told at the next
 * start. */
static void wind_up(struct ledger *l)
{
    uint64_t until =
        clock_mono_us() + 2000 * atomic_load(&l->board->tunables.redis_timeout_ms) + 500000;
    while (clock_mono_us() < until) {
        if (l->attached && all_settled(l))
            break;
        if (!l->attached && !l->in_doubt && l->backoff_us > 0)
            break; /* Redis is away and knows nothing that the journal does not */
        if (!turn(l) && !has_work(l))
            sleep_until_due(l);
        if (!l->attached)
            doorbell_wait(&l->bell, earlier(l->backoff_us, 50000));
    }
    stock_disconnect(l->stock);
}

void *ledger_run(void *ledger)
{
    struct ledger *l = ledger;
    thread_is(THREAD_LEDGER, "ledger");
    while (!atomic_load(&l->stop))
        if (!turn(l) && !has_work(l))
            sleep_until_due(l);
    while (turn(l)) /* whatever the workers have left on the rings */
        continue;
    wind_up(l);
    return NULL;
}
