/*
 * Settling: what the journal has decided becomes the changes of a step.
 *
 * The changes are read back from committed records, always: the same path in daily work as after a
 * crash. The stock raises `pos` over them with the step, so each is applied once, in the journal's
 * order.
 *
 * Dies here, or before the stock has answered: read again from the stock's `pos` at the next
 * attach.
 */
#include "server/ledger/ledger_private.h"

static enum stock_change_kind change_of(const struct record *r)
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
                         .tag = book_tag(l, e, record_order(r))};
    c->kind = change_of(r);
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

void settle_read(const struct ledger *l, const struct ledger_event *e, struct record *records,
                 struct stock_step *st)
{
    struct fault f;
    int count = journal_read(l->journal, e->index, e->settled + 1, records, SETTLE_MAX, &f);
    if (count < 0)
        ledger_die(f.text);
    st->from = st->to = e->settled;
    for (int i = 0; i < count; i++) {
        const struct record *r = &records[i];
        st->to = r->seq;
        if (record_is_order(r) && r->kind != RECORD_REFUSAL)
            describe_change(l, e, r, &st->changes[st->change_count++]);
    }
    st->end = st->to == journal_committed(l->journal, e->index);
    if (!journal_chain(l->journal, e->index, st->to, &st->chain, &f))
        ledger_die(f.text);
}
