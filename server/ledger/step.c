/*
 * One step of an event, and the commit of a turn.
 *
 * The stock hears the changes from the journal's committed records, read back from there: the same
 * path after a crash as in daily work. Then it deducts the batch. A grant is appended to the
 * journal with the next number, as the stock counted it; the verdict leaves after the commit.
 */
#include <string.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/private.h"

void ledger_append(struct ledger *l, struct ledger_event *e, struct record *r)
{
    ASSERT_LEDGER();
    journal_append(l->journal, e->index, r, clock_wall_ms());
    bool follows = ledger_fold(e, r);
    ASSERT(follows);
}

static bool has_appended(const struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (journal_end(l->journal, i) != journal_committed(l->journal, i))
            return true;
    return false;
}

void ledger_commit(struct ledger *l)
{
    struct fault f;
    uint64_t before = clock_mono_us();
    if (!has_appended(l))
        return;
    if (!journal_commit(l->journal, &f))
        ledger_die(f.text);
    uint64_t after = clock_mono_us();
    latency_add(&l->commits, after, after - before, 1);
}

static enum stock_what what_of(const struct record *r)
{
    if (r->kind == RECORD_GRANT)
        return r->state == ORDER_HELD ? STOCK_GRANTED_HELD : STOCK_GRANTED_SOLD;
    if (r->kind == RECORD_LATE)
        return STOCK_PAID_LATE;
    switch ((enum order_state)r->state) {
    case ORDER_SOLD:
        return STOCK_PAID;
    case ORDER_EXPIRED:
        return STOCK_EXPIRED;
    default:
        return r->was == ORDER_SOLD ? STOCK_UNDONE : STOCK_CANCELLED;
    }
}

static void describe_change(const struct ledger *l, const struct ledger_event *e,
                            const struct record *r, struct stock_change *c)
{
    struct orderid id = {.node = l->conf->node,
                         .slot = e->slot,
                         .number = record_order(r),
                         .tag = ledger_tag(l, e, record_order(r))};
    c->what = what_of(r);
    c->seq = r->seq;
    c->number = r->kind == RECORD_CHANGE ? 0 : r->number;
    c->time_wall_ms = r->time_wall_ms;
    c->pay_by_wall_ms = r->pay_by_wall_ms;
    c->n = r->n;
    c->buyer = r->buyer;
    c->buyer_len = r->buyer_len;
    c->key = r->key;
    c->key_len = r->key_len;
    orderid_print(c->order, &id);
}

/* Fills the changes from the journal: what is committed and the stock has not heard of. */
static void read_changes(struct ledger *l, struct ledger_event *e, struct stock_step *st)
{
    struct fault f;
    int count = journal_read(l->journal, e->index, e->settled + 1, l->records, SETTLE_MAX, &f);
    if (count < 0)
        ledger_die(f.text);
    st->from = st->to = e->settled;
    for (int i = 0; i < count; i++) {
        const struct record *r = &l->records[i];
        st->to = r->seq;
        if (record_is_order(r) && r->kind != RECORD_REFUSAL)
            describe_change(l, e, r, &st->changes[st->change_count++]);
    }
    st->end = st->to == journal_committed(l->journal, e->index);
    if (!journal_chain(l->journal, e->index, st->to, &st->chain, &f))
        ledger_die(f.text);
}

static void add_items(const struct ledger *l, const struct ledger_event *e, struct stock_step *st)
{
    st->first = e->totals.last + 1;
    if (!st->end)
        return; /* settle first: what is granted must not pile up unsettled */
    st->item_count = e->batch_count;
    for (uint32_t i = 0; i < e->batch_count; i++) {
        const struct message *m = e->batch[i];
        l->items[i] =
            (struct stock_item){.how = m->kind == MESSAGE_PAY               ? STOCK_LATE
                                       : m->fallback_verdict == VERDICT_YES ? STOCK_BUY
                                                                            : STOCK_LOOKUP,
                                .n = m->n,
                                .buyer = m->buyer,
                                .buyer_len = m->buyer_len,
                                .key = m->key,
                                .key_len = m->key_len};
    }
}

/* The yes of an order: that of this message, or one that its key has had before. */
static void say_yes(const struct ledger_event *e, struct message *m, const struct orderid *id,
                    uint64_t pay_by_wall_ms)
{
    m->verdict = VERDICT_YES;
    m->node = id->node;
    m->slot = id->slot;
    m->number = id->number;
    m->tag = orderid_tag(id->node, id->slot, id->number, e->totals.secret);
    m->pay_by_wall_ms = pay_by_wall_ms;
}

static void grant(struct ledger *l, struct ledger_event *e, struct message *m,
                  uint64_t pay_by_wall_ms)
{
    struct record r = {.kind = RECORD_GRANT,
                       .state = pay_by_wall_ms > 0 ? ORDER_HELD : ORDER_SOLD,
                       .number = e->totals.last + 1,
                       .pay_by_wall_ms = pay_by_wall_ms,
                       .n = m->n,
                       .buyer_len = m->buyer_len,
                       .key_len = m->key_len};
    memcpy(r.buyer, m->buyer, m->buyer_len);
    memcpy(r.key, m->key, m->key_len);
    ledger_append(l, e, &r);
    const struct orderid id = {.node = l->conf->node, .slot = e->slot, .number = r.number};
    say_yes(e, m, &id, pay_by_wall_ms);
}

static void judge_buy(struct ledger *l, struct ledger_event *e, struct message *m,
                      const struct stock_item *item, uint64_t pay_by_wall_ms)
{
    static const enum verdict verdicts[] = {
        [STOCK_YES] = VERDICT_YES,
        [STOCK_SOLD_OUT] = VERDICT_SOLD_OUT,
        [STOCK_IS_PAUSED] = VERDICT_PAUSED,
        [STOCK_IS_CLOSED] = VERDICT_CLOSED,
        [STOCK_BUSY] = VERDICT_BUSY,
        [STOCK_LIMIT] = VERDICT_LIMIT,
        [STOCK_DUPLICATE] = VERDICT_YES,
        [STOCK_ENDED] = VERDICT_ENDED,
        [STOCK_KEY_MISMATCH] = VERDICT_BAD_REQUEST,
    };
    if (item->verdict == STOCK_YES)
        grant(l, e, m, pay_by_wall_ms);
    else if (item->verdict == STOCK_DUPLICATE)
        say_yes(e, m, &item->order, item->order_pay_by_wall_ms);
    else
        m->verdict =
            item->verdict == STOCK_NO_KEY ? m->fallback_verdict : (uint8_t)verdicts[item->verdict];
}

static void judge_payment(struct ledger *l, struct ledger_event *e, uint32_t i,
                          enum stock_verdict said)
{
    if (order_paid_late(l, e, e->batch[i], said))
        return;
    ledger_put_off(l, e->batch[i]);
    e->batch[i] = NULL;
}

static void judge(struct ledger *l, struct ledger_event *e, const struct stock_step *st)
{
    for (uint32_t i = 0; i < st->item_count; i++) {
        struct message *m = e->batch[i];
        if (m->kind == MESSAGE_PAY)
            judge_payment(l, e, i, st->items[i].verdict);
        else
            judge_buy(l, e, m, &st->items[i], st->pay_by_wall_ms);
    }
}

/* Keys that were granted anywhere. An attach reads them all again, so most are there already. */
static void add_key_hashes(struct ledger_event *e, const struct stock_step *st)
{
    for (uint32_t i = 0; i < st->hash_count; i++)
        if (!filter_may_have(&e->filter, st->marks[i]))
            filter_add(&e->filter, st->marks[i]);
    bool again = st->hashes_total < e->hashes_seen; /* there were more once: they are told anew */
    e->hashes_seen = (again ? 0 : e->hashes_seen) + st->hash_count;
    e->hashes_known = e->hashes_seen == st->hashes_total;
}

/* The event has its place (again): "selling", if that is what it does. */
static void tell_ready(const struct ledger_event *e)
{
    enum sale_state state = ledger_state(e, clock_wall_ms());
    log_line(LOG_INFO, "event %s: %s, %u of %u left", e->conf->name,
             state == SALE_OPEN ? "selling" : sale_state_name(state), event_left(e),
             e->figures.total);
}

static void take_figures(struct ledger_event *e, const struct stock_step *st,
                         uint64_t asked_mono_us)
{
    bool was_repair = e->figures.repair || !e->figures.ready;
    e->figures = st->figures;
    e->settled = st->to;
    e->asof_mono_us = asked_mono_us;
    reclaim_note_since(e);
    e->is_known = true;
    if (was_repair && !e->figures.repair && e->figures.ready)
        tell_ready(e);
}

/* Nodes that have joined are journaled in this turn's commit. */
static void take_nodes(struct ledger *l, struct ledger_event *e, const struct stock_step *st,
                       uint64_t asked_mono_us)
{
    reclaim_note_waits(l, e, l->told, st->figures.repair ? st->node_count : 0);
    if (st->node_count == 0)
        return;
    e->asked_mono_us = asked_mono_us;
    for (uint32_t i = 0; i < st->node_count; i++)
        ledger_learn_node(l, e, l->told[i].id);
    if (st->figures.repair) {
        reclaim_say_waits(l, e, l->told, st->node_count);
        return;
    }
    reclaim_watch(e, l->told, st->node_count);
    memcpy(e->nodes, l->told, st->node_count * sizeof *l->told);
    e->node_count = st->node_count;
    e->nodes_mono_us = asked_mono_us;
}

/* True: go on with this event in this turn, for there was too much to settle in one step. */
static bool step_once(struct ledger *l, struct ledger_event *e)
{
    struct fault f;
    uint64_t hold_ms = e->conf->hold_ms;
    struct stock_step st = {.event = e->index,
                            .epoch = e->epoch,
                            .slot = e->slot,
                            .pay_by_wall_ms = hold_ms > 0 ? clock_wall_ms() + hold_ms : 0,
                            .limit = e->conf->limit,
                            .hashes_seen = e->hashes_seen,
                            .marks = l->marks,
                            .changes = l->changes,
                            .items = l->items,
                            .seen = e->figures,
                            .knows = e->totals.known_count,
                            .version = e->totals.version,
                            .nodes = l->told};
    read_changes(l, e, &st);
    add_items(l, e, &st);
    uint64_t asked = clock_mono_us();
    st.want_nodes = asked >= e->asked_mono_us + (uint64_t)BEAT_MS * 1000 * 9 / 10;
    enum stock_result result = stock_step(l->stock, &st, &f);
    uint64_t after = clock_mono_us();
    if (result == STOCK_CONFLICT)
        ledger_die(f.text);
    if (result != STOCK_OK) {
        l->in_doubt |= result == STOCK_UNKNOWN && st.item_count > 0;
        ledger_detach(l, after, &f);
        return false;
    }
    atomic_store_explicit(&l->board->stores.redis_rtt_us, (uint32_t)(after - asked),
                          memory_order_relaxed);
    take_figures(e, &st, asked);
    take_nodes(l, e, &st, asked);
    add_key_hashes(e, &st);
    act_learn(l, e, &st.origin);
    judge(l, e, &st);
    return st.item_count < e->batch_count;
}

void ledger_step(struct ledger *l, struct ledger_event *e)
{
    ASSERT_LEDGER();
    while (step_once(l, e))
        continue;
}
