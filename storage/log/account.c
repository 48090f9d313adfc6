/*
 * account: the arithmetic of an audit. Pure: records in, sums and the first contradiction out.
 *
 * It judges anew what the server decided (which change may follow which state, that numbers rise
 * by one) and shares with it only the sums of tally.h.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log/inside.h"

static bool wrong(struct account *a, const struct record *r, const char *what)
{
    a->wrong = what;
    a->wrong_seq = r->seq;
    return false;
}

/* May an order that is `was` become `state`? A sold one is cancelled when its buyer left before the
 * answer; an expired one is sold when it was paid late and tickets were left. */
static bool may_become(uint8_t was, uint8_t state)
{
    switch ((enum order_state)was) {
    case ORDER_HELD:
        return state == ORDER_SOLD || state == ORDER_CANCELLED || state == ORDER_EXPIRED;
    case ORDER_SOLD:
        return state == ORDER_CANCELLED;
    case ORDER_EXPIRED:
        return state == ORDER_SOLD;
    case ORDER_CANCELLED:
        return false;
    }
    return false;
}

static bool check_grant(struct account *a, const struct record *r)
{
    if (r->number != a->tally.last + 1)
        return wrong(a, r, "its order number does not follow the last one");
    if (r->state != ORDER_HELD && r->state != ORDER_SOLD)
        return wrong(a, r, "an order begins neither held nor sold");
    if (!a->tally.has_sale)
        return wrong(a, r, "an order was granted before there was a sale");
    ASSERT(r->number <= a->order_max); /* the caller has room for as many as there are records */
    return true;
}

static bool check_change(struct account *a, const struct record *r)
{
    if (r->number > a->tally.last)
        return wrong(a, r, "it changes an order that was never granted");
    const struct account_order *o = &a->orders[r->number - 1];
    if (r->was != o->state)
        return wrong(a, r, "the order was in another state before");
    if (r->n != o->n)
        return wrong(a, r, "the order has another number of tickets");
    if (!may_become(r->was, r->state))
        return wrong(a, r, "an order cannot change in this way");
    return true;
}

/* A sale that has orders keeps its id and its secret. */
static bool check_sale(struct account *a, const struct record *r)
{
    const struct tally *t = &a->tally;
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
    case RECORD_EPOCH:
        return r->epoch > a->tally.epoch || wrong(a, r, "its epoch does not rise");
    case RECORD_KNOWN:
    case RECORD_ADMIN:
        return true;
    }
    return wrong(a, r, "it is of no known kind");
}

static void keep(struct account *a, const struct record *r)
{
    struct account_order *o = &a->orders[r->number - 1];
    if (r->kind == RECORD_CHANGE)
        a->in_state[o->state]--;
    else
        a->tickets += r->n;
    *o = (struct account_order){.n = r->n, .state = r->state};
    a->in_state[o->state]++;
}

static void remember(struct account *a, const struct record *r)
{
    if (r->seq <= a->pos) {
        a->pos_held = a->tally.held;
        a->pos_sold = a->tally.sold;
        a->pos_last = a->tally.last;
    }
    if (r->seq <= a->mark)
        a->mark_last = a->tally.last;
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
    if (!tally_fold(&a->tally, r))
        return wrong(a, r, "its sums cannot be");
    if (row_is_order(r))
        keep(a, r);
    remember(a, r);
    return true;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* Keys come from buyers; under a secret of this process none can be made to collide. */
static const unsigned char *hash_secret(void)
{
    static unsigned char secret[crypto_shorthash_siphashx24_KEYBYTES];
    static bool made;
    if (!made)
        randombytes_buf(secret, sizeof secret);
    made = true;
    return secret;
}

void account_key_set(struct account_key *k, const char *key, size_t len)
{
    _Static_assert(sizeof k->hash == crypto_shorthash_siphashx24_BYTES, "128 bits");
    crypto_shorthash_siphashx24(k->hash, (const unsigned char *)key, len, hash_secret());
}

static int compare_keys(const void *a, const void *b)
{
    const struct account_key *left = a, *right = b;
    return memcmp(left->hash, right->hash, sizeof left->hash);
}

uint64_t account_doubles(struct account_key *keys, uint64_t count, const struct account_key **twice)
{
    uint64_t doubles = 0;
    if (count > 1)
        qsort(keys, count, sizeof *keys, compare_keys);
    for (uint64_t i = 1; i < count; i++) {
        if (compare_keys(&keys[i - 1], &keys[i]) != 0)
            continue;
        if (i < 2 || compare_keys(&keys[i - 2], &keys[i]) != 0)
            doubles++;
        *twice = &keys[i];
    }
    return doubles;
}

/* ---- the sum over journals ------------------------------------------------------------------ */

void account_add(struct account_sum *sum, const struct tally *t)
{
    sum->journals++;
    sum->held += t->held;
    sum->sold += t->sold;
    sum->orders += t->orders;
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
