/*
 * node_totals: folds one record at a time; promises in node_totals.h.
 */
#include "storage/journal/node_totals.h"

#include <string.h>

/* How an order in a state counts: {held, sold} per ticket. */
static const struct {
    int8_t held, sold;
} weight[] = {[ORDER_HELD] = {1, 0},
              [ORDER_SOLD] = {0, 1},
              [ORDER_CANCELLED] = {0, 0},
              [ORDER_EXPIRED] = {0, 0}};

void node_totals_delta(const struct record *r, int32_t *held, int32_t *sold)
{
    *held = *sold = 0;
    if (!record_is_order(r) || r->kind == RECORD_REFUSAL)
        return;
    ASSERT(r->state < ARRAY_LEN(weight) && r->was < ARRAY_LEN(weight)); /* as decoded */
    *held = weight[r->state].held * (int32_t)r->n;
    *sold = weight[r->state].sold * (int32_t)r->n;
    if (r->kind != RECORD_GRANT) {
        *held -= weight[r->was].held * (int32_t)r->n;
        *sold -= weight[r->was].sold * (int32_t)r->n;
    }
}

/* A grant and a late payment use the next number; other records refer to an earlier one. */
static bool number_follows(const struct node_totals *t, const struct record *r)
{
    switch ((enum record_kind)r->kind) {
    case RECORD_GRANT:
        return r->number == t->last + 1;
    case RECORD_LATE:
        return r->number == t->last + 1 && r->of <= t->last;
    default:
        return r->number <= t->last;
    }
}

static void count_order(struct order_totals *o, const struct record *r)
{
    ASSERT(record_is_order(r));
    if (r->kind == RECORD_GRANT) {
        o->granted++;
        o->granted_tickets += r->n;
    } else if (r->kind == RECORD_LATE)
        o->late++;
    else if (r->kind == RECORD_REFUSAL)
        o->late_refused++;
    else if (r->state == ORDER_SOLD)
        o->paid++;
    else if (r->state == ORDER_CANCELLED)
        o->cancelled++;
    else
        o->expired++;
}

static bool fold_order(struct node_totals *t, const struct record *r)
{
    int32_t held, sold;
    node_totals_delta(r, &held, &sold);
    if (!number_follows(t, r))
        return false;
    if ((int64_t)t->held + held < 0 || (int64_t)t->sold + sold < 0)
        return false;
    t->held = (uint32_t)((int64_t)t->held + held);
    t->sold = (uint32_t)((int64_t)t->sold + sold);
    if (r->kind == RECORD_GRANT || r->kind == RECORD_LATE)
        t->last = r->number;
    count_order(&t->orders, r);
    return true;
}

static void fold_sale(struct node_totals *t, const struct record *r)
{
    t->has_sale = true;
    t->unified = r->state == SALE_UNIFIED;
    memcpy(t->sale, r->sale, sizeof t->sale);
    memcpy(t->secret, r->secret, sizeof t->secret);
    t->total = r->total;
    t->version = r->version;
}

static bool fold_known(struct node_totals *t, uint16_t node)
{
    ASSERT(t->known_count <= NODES_MAX);
    for (uint32_t i = 0; i < t->known_count; i++)
        if (t->known[i] == node)
            return true;
    if (t->known_count == NODES_MAX)
        return false;
    t->known[t->known_count++] = node;
    return true;
}

static void fold_act(struct node_totals *t, const struct record *r)
{
    ASSERT(r->buyer_len <= sizeof t->act.from);
    t->state = r->state;
    t->total = r->total;
    t->version = r->version;
    t->act.node = r->node;
    t->act.wall_ms = r->acted_wall_ms;
    t->act.from_len = r->buyer_len;
    memcpy(t->act.from, r->buyer, r->buyer_len);
}

static bool fold_body(struct node_totals *t, const struct record *r)
{
    switch ((enum record_kind)r->kind) {
    case RECORD_SALE:
        fold_sale(t, r);
        return true;
    case RECORD_EPOCH:
        if (r->epoch <= t->epoch)
            return false;
        t->epoch = r->epoch;
        return true;
    case RECORD_KNOWN:
        return fold_known(t, r->node);
    case RECORD_GRANT:
    case RECORD_CHANGE:
    case RECORD_LATE:
    case RECORD_REFUSAL:
        return fold_order(t, r);
    case RECORD_ADMIN:
        fold_act(t, r);
        return true;
    case RECORD_RECLAIM:
        return true; /* of another node */
    }
    return false;
}

bool node_totals_fold(struct node_totals *t, const struct record *r)
{
    if (r->seq != t->end + 1 || !fold_body(t, r))
        return false;
    t->end = r->seq;
    return true;
}
