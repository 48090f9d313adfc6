#include "storage/log/audit_totals.h"

#include <stdlib.h>
#include <string.h>

#include "conf/base/check.h"
#include "storage/log/name_hash.h"
#include "storage/stock/stock.h"

/* An order, as of its last record. */
struct audit_order {
    uint64_t names; /* its buyer and key, as a hash */
    uint64_t pay_by_wall_ms;
    uint32_t n;
    uint8_t state; /* enum order_state; 0: not granted yet, or the number of a late payment */
    bool outright; /* granted as sold, so it was not paid since */
    bool refused;  /* its late payment was refused */
};

bool audit_totals_begin(struct audit_totals *t, uint64_t record_max)
{
    t->orders = calloc(record_max + 1, sizeof *t->orders);
    t->order_max = record_max;
    return t->orders != NULL;
}

void audit_totals_end(struct audit_totals *t)
{
    free(t->orders);
    t->orders = NULL;
}

/* Remembers the contradiction and is false. */
static bool wrong(struct audit_totals *t, const struct record *r, const char *why)
{
    ASSERT(t->wrong == NULL);
    t->wrong = why;
    t->wrong_seq = r->seq;
    return false;
}

/* The order's buyer and key, as a hash; 0: it has neither. */
static uint64_t hash_names(const struct record *r)
{
    char names[1 + 2 * PARAM_MAX];
    if (r->buyer_len == 0 && r->key_len == 0)
        return 0;
    ASSERT(r->buyer_len <= PARAM_MAX && r->key_len <= PARAM_MAX);
    names[0] = (char)r->buyer_len;
    memcpy(names + 1, r->buyer, r->buyer_len);
    memcpy(names + 1 + r->buyer_len, r->key, r->key_len);
    return name_hash_64(names, (size_t)1 + r->buyer_len + r->key_len);
}

static bool check_grant(struct audit_totals *t, const struct record *r)
{
    if (r->number != t->node.last + 1)
        return wrong(t, r, "its order number does not follow the last one");
    if (r->state != ORDER_HELD && r->state != ORDER_SOLD)
        return wrong(t, r, "an order begins neither held nor sold");
    if (r->state == ORDER_HELD && r->pay_by_wall_ms == 0)
        return wrong(t, r, "an order is held without an end");
    if (!t->node.has_sale)
        return wrong(t, r, "an order was granted before there was a sale");
    ASSERT(r->number <= t->order_max); /* numbers rise by one, so there are no more than records */
    return true;
}

/* The order that the record is about, if it has the same tickets, buyer and key; else NULL. */
static struct audit_order *order_of(struct audit_totals *t, const struct record *r)
{
    uint64_t number = record_order(r);
    struct audit_order *o = number > 0 && number <= t->node.last ? &t->orders[number - 1] : NULL;
    if (o == NULL || o->state == 0)
        (void)wrong(t, r, "it changes an order that was never granted");
    else if (r->n != o->n)
        (void)wrong(t, r, "the order has another number of tickets");
    else if (hash_names(r) != o->names)
        (void)wrong(t, r, "the order has another buyer or key");
    else if (r->kind != RECORD_REFUSAL && r->pay_by_wall_ms != o->pay_by_wall_ms)
        (void)wrong(t, r, "the order has another time to be paid by");
    return t->wrong == NULL ? o : NULL;
}

/* A held order may change to any other state, but not expire before its pay_by has passed. An order
 * that was sold outright is cancelled if its client was gone before the answer. */
static bool check_change(struct audit_totals *t, const struct record *r)
{
    const struct audit_order *o = order_of(t, r);
    if (o == NULL)
        return false;
    if (r->was != o->state)
        return wrong(t, r, "the order was in another state before");
    if (r->was == ORDER_SOLD && r->state == ORDER_CANCELLED)
        return o->outright || wrong(t, r, "an order that was paid cannot be cancelled");
    if (r->was != ORDER_HELD || r->state == ORDER_HELD)
        return wrong(t, r, "an order cannot change in this way");
    if (r->state == ORDER_EXPIRED && r->time_wall_ms <= o->pay_by_wall_ms)
        return wrong(t, r, "the order expired before its time to be paid was over");
    return true;
}

/* A payment after the order has expired: the order is sold again, or the payment is refused, which
 * is final. */
static bool check_late(struct audit_totals *t, const struct record *r)
{
    if (r->kind == RECORD_LATE && r->number != t->node.last + 1)
        return wrong(t, r, "its number does not follow the last one");
    const struct audit_order *o = order_of(t, r);
    if (o == NULL)
        return false;
    if (o->state != ORDER_EXPIRED)
        return wrong(t, r, "the order was paid late, and it had not expired");
    if (o->refused)
        return wrong(t, r, "the late payment of the order was refused before");
    ASSERT(r->number <= t->order_max);
    return true;
}

/* A sale that has orders keeps its id and its secret. */
static bool check_sale(struct audit_totals *t, const struct record *r)
{
    const struct node_totals *n = &t->node;
    if (n->last > 0 && (memcmp(n->sale, r->sale, sizeof n->sale) != 0 ||
                        memcmp(n->secret, r->secret, sizeof n->secret) != 0))
        return wrong(t, r, "it begins another sale, and this one has orders");
    return true;
}

static bool check(struct audit_totals *t, const struct record *r)
{
    switch ((enum record_kind)r->kind) {
    case RECORD_SALE:
        return check_sale(t, r);
    case RECORD_GRANT:
        return check_grant(t, r);
    case RECORD_CHANGE:
        return check_change(t, r);
    case RECORD_LATE:
    case RECORD_REFUSAL:
        return check_late(t, r);
    case RECORD_EPOCH:
        return r->epoch > t->node.epoch || wrong(t, r, "its epoch does not rise");
    case RECORD_KNOWN:
    case RECORD_ADMIN:
    case RECORD_RECLAIM:
        return true;
    }
    return wrong(t, r, "it is of no known kind");
}

static void keep_order(struct audit_totals *t, const struct record *r)
{
    ASSERT(record_order(r) >= 1 && record_order(r) <= t->order_max);
    struct audit_order *o = &t->orders[record_order(r) - 1];
    if (r->kind == RECORD_GRANT) {
        t->tickets += r->n;
        *o = (struct audit_order){.names = hash_names(r),
                                  .pay_by_wall_ms = r->pay_by_wall_ms,
                                  .n = r->n,
                                  .outright = r->state == ORDER_SOLD};
    } else {
        ASSERT(t->in_state[o->state] > 0);
        t->in_state[o->state]--;
    }
    o->state = r->state;
    o->refused = r->kind == RECORD_REFUSAL;
    t->in_state[o->state]++;
    t->late += r->kind == RECORD_LATE;
    t->refused += r->kind == RECORD_REFUSAL;
}

/* At version 1, which no act has made, the event is open. */
static void keep_settings(struct audit_totals *t, const struct record *r)
{
    const struct audit_settings before = t->settings;
    bool from_act = r->kind == RECORD_ADMIN;
    t->settings = (struct audit_settings){.version = r->version,
                                          .total = r->total,
                                          .state = from_act ? r->state : STOCK_OPEN,
                                          .from_act = from_act};
    if (from_act && before.version == r->version)
        t->settings.corrected = before.corrected || before.total != r->total ||
                                (before.from_act && before.state != r->state);
}

static void keep_act(struct audit_totals *t, const struct record *r)
{
    ASSERT(r->kind == RECORD_ADMIN || r->kind == RECORD_RECLAIM);
    if (t->acts++ == 0)
        t->first_act = r->seq;
    if (r->kind == RECORD_RECLAIM)
        t->lost_back += r->back;
    else if (r->state == STOCK_CLOSED && t->closed == 0)
        t->closed = r->seq;
}

/* A closed event stays closed, whatever later records say: orders that got tickets are counted. */
static void count_after_close(struct audit_totals *t, const struct record *r)
{
    if ((r->kind != RECORD_GRANT && r->kind != RECORD_LATE) || t->closed == 0)
        return;
    if (t->after_close++ == 0)
        t->first_after = r->seq;
}

/* Keeps the figures as of `pos` and as of `early_end`. */
static void keep_snapshots(struct audit_totals *t, const struct record *r)
{
    if (r->seq <= t->pos) {
        t->pos_held = t->node.held;
        t->pos_sold = t->node.sold;
        t->pos_last = t->node.last;
    }
    if (r->seq <= t->early_end) {
        t->early_last = t->node.last;
        t->early_version = t->node.version;
    }
    if (r->seq == 1)
        t->first_wall_ms = r->time_wall_ms;
    t->last_wall_ms = r->time_wall_ms;
}

bool audit_totals_fold(struct audit_totals *t, const struct record *r)
{
    ASSERT(t->orders != NULL);
    if (t->wrong != NULL)
        return false;
    if (r->seq != t->node.end + 1)
        return wrong(t, r, "records are missing before it");
    if (!check(t, r))
        return false;
    bool begins = r->kind == RECORD_SALE && memcmp(t->node.sale, r->sale, sizeof r->sale) != 0;
    if (!node_totals_fold(&t->node, r))
        return wrong(t, r, "its sums cannot be");
    if (record_is_order(r))
        keep_order(t, r);
    if (begins)
        t->closed = 0; /* of another sale, which has no orders */
    if (r->kind == RECORD_SALE || r->kind == RECORD_ADMIN)
        keep_settings(t, r);
    if (r->kind == RECORD_ADMIN || r->kind == RECORD_RECLAIM)
        keep_act(t, r);
    count_after_close(t, r);
    keep_snapshots(t, r);
    return true;
}

bool audit_totals_is_live(const struct audit_totals *t, uint64_t number)
{
    ASSERT(t->orders != NULL && number >= 1 && number <= t->order_max);
    uint8_t state = t->orders[number - 1].state;
    return state == ORDER_HELD || state == ORDER_SOLD;
}

/* ---- the sum over journals ------------------------------------------------------------------ */

void audit_sum_add(struct audit_sum *sum, const struct node_totals *t)
{
    sum->journals++;
    sum->held += t->held;
    sum->sold += t->sold;
    sum->orders += t->orders.granted;
    /* The highest version counts, and of one version the largest total: a node may have attached
     * before the total was raised by hand. */
    if (t->has_sale &&
        (t->version > sum->version || (t->version == sum->version && t->total > sum->total))) {
        sum->version = t->version;
        sum->total = t->total;
    }
}

bool audit_sum_fits(const struct audit_sum *sum)
{
    return sum->held + sum->sold <= sum->total;
}
