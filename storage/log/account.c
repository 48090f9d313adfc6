/*
 * account: the arithmetic of an audit. Pure: records in, sums and the first contradiction out.
 *
 * It judges anew what the server decided (which change may follow which state, that numbers rise
 * by one) and shares with it only the sums of tally.h.
 */
#include <string.h>

#include "storage/log/inside.h"
#include "storage/stock/stock.h"

static bool wrong(struct account *a, const struct record *r, const char *what)
{
    a->wrong = what;
    a->wrong_seq = r->seq;
    return false;
}

/* A hash of the order's buyer and key. */
static uint64_t who_of(const struct record *r)
{
    char names[1 + 2 * PARAM_MAX];
    uint8_t hash[NAME_HASH];
    uint64_t who;
    if (r->buyer_len == 0 && r->key_len == 0)
        return 0;
    names[0] = (char)r->buyer_len;
    memcpy(names + 1, r->buyer, r->buyer_len);
    memcpy(names + 1 + r->buyer_len, r->key, r->key_len);
    name_hash(hash, names, (size_t)1 + r->buyer_len + r->key_len);
    memcpy(&who, hash, sizeof who);
    return who;
}

static bool check_grant(struct account *a, const struct record *r)
{
    if (r->number != a->tally.last + 1)
        return wrong(a, r, "its order number does not follow the last one");
    if (r->state != ORDER_HELD && r->state != ORDER_SOLD)
        return wrong(a, r, "an order begins neither held nor sold");
    if (r->state == ORDER_HELD && r->pay_by_wall_ms == 0)
        return wrong(a, r, "an order is held without an end");
    if (!a->tally.has_sale)
        return wrong(a, r, "an order was granted before there was a sale");
    ASSERT(r->number <= a->order_max); /* the caller has room for as many as there are records */
    return true;
}

/* The order that the record speaks of, if it is of the same tickets, buyer and key; else NULL. */
static struct account_order *order_of(struct account *a, const struct record *r)
{
    uint64_t number = record_order(r);
    struct account_order *o = number > 0 && number <= a->tally.last ? &a->orders[number - 1] : NULL;
    if (o == NULL || o->state == 0)
        (void)wrong(a, r, "it changes an order that was never granted");
    else if (r->n != o->n)
        (void)wrong(a, r, "the order has another number of tickets");
    else if (who_of(r) != o->who)
        (void)wrong(a, r, "the order has another buyer or key");
    else if (r->kind != RECORD_REFUSAL && r->pay_by_wall_ms != o->pay_by_wall_ms)
        (void)wrong(a, r, "the order has another time to be paid by");
    return a->wrong == NULL ? o : NULL;
}

/* May the order become that? A held one may in every way, but not expire before its time is over;
 * one that was sold outright is cancelled when its buyer left before the answer. */
static bool check_change(struct account *a, const struct record *r)
{
    const struct account_order *o = order_of(a, r);
    if (o == NULL)
        return false;
    if (r->was != o->state)
        return wrong(a, r, "the order was in another state before");
    if (r->was == ORDER_SOLD && r->state == ORDER_CANCELLED)
        return o->outright || wrong(a, r, "an order that was paid cannot be cancelled");
    if (r->was != ORDER_HELD || r->state == ORDER_HELD)
        return wrong(a, r, "an order cannot change in this way");
    if (r->state == ORDER_EXPIRED && r->time_wall_ms <= o->pay_by_wall_ms)
        return wrong(a, r, "the order expired before its time to be paid was over");
    return true;
}

/* A payment after the end: the order is sold again, or it is refused once and for all. */
static bool check_late(struct account *a, const struct record *r)
{
    if (r->kind == RECORD_LATE && r->number != a->tally.last + 1)
        return wrong(a, r, "its number does not follow the last one");
    const struct account_order *o = order_of(a, r);
    if (o == NULL)
        return false;
    if (o->state != ORDER_EXPIRED)
        return wrong(a, r, "the order was paid late, and it had not expired");
    if (o->refused)
        return wrong(a, r, "the late payment of the order was refused before");
    ASSERT(r->number <= a->order_max);
    return true;
}

/* A sale that has orders keeps its id and its secret. */
static bool check_sale(struct account *a, const struct record *r)
{
    const struct node_totals *t = &a->tally;
    if (t->last > 0 && (memcmp(t->sale, r->sale, sizeof t->sale) != 0 ||
                        memcmp(t->secret, r->secret, sizeof t->secret) != 0))
        return wrong(a, r, "it begins another sale, and this one has orders");
    return true;
}

static bool check(struct account *a, const struct record *r)
{
    switch ((enum record_kind)r->kind) {
    case RECORD_SALE:
        return check_sale(a, r);
    case RECORD_GRANT:
        return check_grant(a, r);
    case RECORD_CHANGE:
        return check_change(a, r);
    case RECORD_LATE:
    case RECORD_REFUSAL:
        return check_late(a, r);
    case RECORD_EPOCH:
        return r->epoch > a->tally.epoch || wrong(a, r, "its epoch does not rise");
    case RECORD_KNOWN:
    case RECORD_ADMIN:
    case RECORD_RECLAIM:
        return true;
    }
    return wrong(a, r, "it is of no known kind");
}

static void keep_order(struct account *a, const struct record *r)
{
    struct account_order *o = &a->orders[record_order(r) - 1];
    if (r->kind == RECORD_GRANT) {
        a->tickets += r->n;
        *o = (struct account_order){.who = who_of(r),
                                    .pay_by_wall_ms = r->pay_by_wall_ms,
                                    .n = r->n,
                                    .outright = r->state == ORDER_SOLD};
    } else
        a->in_state[o->state]--;
    o->state = r->state;
    o->refused = r->kind == RECORD_REFUSAL;
    a->in_state[o->state]++;
    a->late += r->kind == RECORD_LATE;
    a->refused += r->kind == RECORD_REFUSAL;
}

/* What a SALE or an ADMIN record says of the event. Nobody sells at version 1 but openly. */
static void keep_said(struct account *a, const struct record *r)
{
    const struct account_said was = a->said;
    bool acted = r->kind == RECORD_ADMIN;
    a->said = (struct account_said){.version = r->version,
                                    .total = r->total,
                                    .state = acted ? r->state : STOCK_OPEN,
                                    .acted = acted};
    if (acted && was.version == r->version)
        a->said.corrected =
            was.corrected || was.total != r->total || (was.acted && was.state != r->state);
}

static void keep_act(struct account *a, const struct record *r)
{
    if (a->acts++ == 0)
        a->first_act = r->seq;
    if (r->kind == RECORD_RECLAIM)
        a->lost_back += r->back;
    else if (r->state == STOCK_CLOSED && a->closed == 0)
        a->closed = r->seq;
}

/* Closed is closed, whatever was said later: tickets that were given since are noted. */
static void keep_closed(struct account *a, const struct record *r)
{
    if ((r->kind != RECORD_GRANT && r->kind != RECORD_LATE) || a->closed == 0)
        return;
    if (a->after_close++ == 0)
        a->first_after = r->seq;
}

static void remember(struct account *a, const struct record *r)
{
    if (r->seq <= a->pos) {
        a->pos_held = a->tally.held;
        a->pos_sold = a->tally.sold;
        a->pos_last = a->tally.last;
    }
    if (r->seq <= a->mark) {
        a->mark_last = a->tally.last;
        a->mark_version = a->tally.version;
    }
    if (r->seq == 1)
        a->first_wall_ms = r->time_wall_ms;
    a->last_wall_ms = r->time_wall_ms;
}

bool account_fold(struct account *a, const struct record *r)
{
    if (a->wrong != NULL)
        return false;
    if (r->seq != a->tally.end + 1)
        return wrong(a, r, "records are missing before it");
    if (!check(a, r))
        return false;
    bool begins = r->kind == RECORD_SALE && memcmp(a->tally.sale, r->sale, sizeof r->sale) != 0;
    if (!node_totals_fold(&a->tally, r))
        return wrong(a, r, "its sums cannot be");
    if (record_is_order(r))
        keep_order(a, r);
    if (begins)
        a->closed = 0; /* that was another sale, without orders */
    if (r->kind == RECORD_SALE || r->kind == RECORD_ADMIN)
        keep_said(a, r);
    if (r->kind == RECORD_ADMIN || r->kind == RECORD_RECLAIM)
        keep_act(a, r);
    keep_closed(a, r);
    remember(a, r);
    return true;
}

/* ---- the sum over journals ------------------------------------------------------------------ */

void account_add(struct account_sum *sum, const struct node_totals *t)
{
    sum->journals++;
    sum->held += t->held;
    sum->sold += t->sold;
    sum->orders += t->orders.granted;
    /* The highest version counts. Of one version the largest total: a node may have taken its
     * place before somebody raised the total by hand. */
    if (t->has_sale &&
        (t->version > sum->version || (t->version == sum->version && t->total > sum->total))) {
        sum->version = t->version;
        sum->total = t->total;
    }
}

bool account_fits(const struct account_sum *sum)
{
    return sum->held + sum->sold <= sum->total;
}
