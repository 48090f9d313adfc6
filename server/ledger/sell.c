/*
 * Selling: the batch of an event becomes the items of a step, and the stock's verdicts become those
 * of the messages.
 *
 * A grant is appended to the journal under the next number, as the stock counted it, and is synced
 * by this turn's commit; its verdict leaves after that (P2).
 *
 * Dies between the deduction and the commit: granted and not in the journal, so the next attach
 * gives it back.
 */
#include <string.h>

#include "server/ledger/ledger_private.h"

void sell_fill_items(const struct ledger_event *e, struct stock_step *st)
{
    st->first_number = e->totals.last + 1;
    if (!st->end)
        return; /* settle first: what is granted must not pile up unsettled */
    ASSERT(e->batch.count <= BATCH_MAX);
    st->item_count = e->batch.count;
    for (uint32_t i = 0; i < e->batch.count; i++) {
        const struct message *m = e->batch.messages[i];
        st->items[i] =
            (struct stock_item){.kind = m->kind == MESSAGE_PAY               ? STOCK_LATE
                                        : m->fallback_verdict == VERDICT_YES ? STOCK_BUY
                                                                             : STOCK_LOOKUP,
                                .n = m->n,
                                .buyer = m->buyer,
                                .buyer_len = m->buyer_len,
                                .key = m->key,
                                .key_len = m->key_len};
    }
}

/* The YES of an order: of this message, or of an earlier one with the same key. */
static void answer_yes(const struct ledger_event *e, struct message *m, const struct orderid *id,
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
    book_append(l, e, &r);
    const struct orderid id = {.node = l->conf->node, .slot = e->slot, .number = r.number};
    answer_yes(e, m, &id, pay_by_wall_ms);
}

static void decide_buy(struct ledger *l, struct ledger_event *e, struct message *m,
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
        answer_yes(e, m, &item->order, item->order_pay_by_wall_ms);
    else
        m->verdict =
            item->verdict == STOCK_NO_KEY ? m->fallback_verdict : (uint8_t)verdicts[item->verdict];
}

static void decide_payment(struct ledger *l, struct ledger_event *e, uint32_t i,
                           enum stock_verdict verdict)
{
    if (order_pay_late(l, e, e->batch.messages[i], verdict))
        return;
    outbox_defer(l, e->batch.messages[i]);
    e->batch.messages[i] = NULL;
}

void sell_decide(struct ledger *l, struct ledger_event *e, const struct stock_step *st)
{
    ASSERT(st->item_count == 0 || st->item_count == e->batch.count);
    for (uint32_t i = 0; i < st->item_count; i++) {
        struct message *m = e->batch.messages[i];
        if (m->kind == MESSAGE_PAY)
            decide_payment(l, e, i, st->items[i].verdict);
        else
            decide_buy(l, e, m, &st->items[i], st->pay_by_wall_ms);
    }
}
