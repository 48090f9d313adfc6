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
    ASSERT(tally_fold(&e->tally, r));
}

void ledger_commit(struct ledger *l)
{
    struct fault f;
    uint64_t before = clock_mono_us();
    bool anything = false;
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        anything |= journal_end(l->journal, i) != journal_committed(l->journal, i);
    if (!anything)
        return;
    if (!journal_commit(l->journal, &f))
        ledger_die(f.text);
    uint64_t after = clock_mono_us();
    latency_add(&l->commits, after, after - before, 1);
}

static uint64_t tag_of(const struct ledger *l, const struct ledger_event *e, uint64_t number)
{
    return orderid_tag(l->conf->node, e->slot, number, e->tally.secret);
}

static void describe_change(const struct ledger *l, const struct ledger_event *e,
                            const struct record *r, struct stock_change *c)
{
    struct orderid id = {.node = l->conf->node,
                         .slot = e->slot,
                         .number = r->number,
                         .tag = tag_of(l, e, r->number)};
    c->seq = r->seq;
    c->number = r->kind == RECORD_GRANT ? r->number : 0;
    c->time_wall_ms = r->time_wall_ms;
    c->n = r->n;
    c->state = order_state_word((enum order_state)r->state);
    c->buyer = r->buyer;
    c->buyer_len = r->buyer_len;
    tally_delta(r, &c->held, &c->sold);
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
        if (r->kind == RECORD_GRANT || r->kind == RECORD_CHANGE)
            describe_change(l, e, r, &st->changes[st->change_count++]);
    }
    st->end = st->to == journal_committed(l->journal, e->index);
}

static void add_items(const struct ledger *l, const struct ledger_event *e, struct stock_step *st)
{
    st->first = e->tally.last + 1;
    if (!st->end)
        return; /* settle first: what is granted must not pile up unsettled */
    st->item_count = e->batch_count;
    for (uint32_t i = 0; i < e->batch_count; i++) {
        const struct message *m = e->batch[i];
        l->items[i] = (struct stock_item){.n = m->n,
                                          .buyer = m->buyer,
                                          .buyer_len = m->buyer_len,
                                          .key = m->key,
                                          .key_len = m->key_len};
    }
}

static void grant(struct ledger *l, struct ledger_event *e, struct message *m)
{
    struct record r = {
        .kind = RECORD_GRANT, .state = ORDER_SOLD, .number = e->tally.last + 1, .n = m->n};
    ledger_append(l, e, &r);
    m->slot = e->slot;
    m->number = r.number;
    m->tag = tag_of(l, e, r.number);
    m->pay_by_wall_ms = 0;
}

static void judge(struct ledger *l, struct ledger_event *e, uint32_t count)
{
    static const enum verdict verdicts[] = {
        [STOCK_YES] = VERDICT_YES,          [STOCK_SOLD_OUT] = VERDICT_SOLD_OUT,
        [STOCK_IS_PAUSED] = VERDICT_PAUSED, [STOCK_IS_CLOSED] = VERDICT_CLOSED,
        [STOCK_IN_REPAIR] = VERDICT_BUSY,
    };
    for (uint32_t i = 0; i < count; i++) {
        struct message *m = e->batch[i];
        m->verdict = (uint8_t)verdicts[l->items[i].verdict];
        if (m->verdict == VERDICT_YES)
            grant(l, e, m);
    }
}

static void take_figures(struct ledger_event *e, const struct stock_step *st,
                         uint64_t asked_mono_us)
{
    bool was_repair = e->figures.repair || !e->figures.ready;
    e->figures = st->figures;
    e->settled = st->to;
    e->asof_mono_us = asked_mono_us;
    if (was_repair && !e->figures.repair && e->figures.ready)
        log_line(LOG_INFO, "event %s: selling, %u of %u left", e->conf->name, event_left(e),
                 e->figures.total);
}

/* Nodes that have joined are journaled in this turn's commit. */
static void take_nodes(struct ledger *l, struct ledger_event *e, const struct stock_step *st,
                       uint64_t asked_mono_us)
{
    if (st->node_count == 0)
        return;
    e->node_count = st->node_count;
    e->nodes_mono_us = asked_mono_us;
    for (uint32_t i = 0; i < st->node_count; i++)
        ledger_learn_node(l, e, e->nodes[i].id);
}

/* True: go on with this event in this turn, for there was too much to settle in one step. */
static bool step_once(struct ledger *l, struct ledger_event *e)
{
    struct fault f;
    struct stock_step st = {.event = e->index,
                            .epoch = e->epoch,
                            .changes = l->changes,
                            .items = l->items,
                            .seen = e->figures,
                            .knows = e->tally.known_count,
                            .nodes = e->nodes};
    read_changes(l, e, &st);
    add_items(l, e, &st);
    uint64_t asked = clock_mono_us();
    st.ask_nodes = asked >= e->nodes_mono_us + (uint64_t)BEAT_MS * 1000 * 9 / 10;
    enum stock_result result = stock_step(l->stock, &st, &f);
    uint64_t after = clock_mono_us();
    if (result != STOCK_OK) {
        l->in_doubt |= result == STOCK_DOUBT && st.item_count > 0;
        ledger_detach(l, after, &f);
        return false;
    }
    atomic_store_explicit(&l->board->stores.redis_rtt_us, (uint32_t)(after - asked),
                          memory_order_relaxed);
    take_figures(e, &st, asked);
    take_nodes(l, e, &st, asked);
    judge(l, e, st.item_count);
    return st.item_count < e->batch_count;
}

void ledger_step(struct ledger *l, struct ledger_event *e)
{
    ASSERT_LEDGER();
    while (step_once(l, e))
        continue;
}
