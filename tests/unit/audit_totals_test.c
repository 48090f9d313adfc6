/*
 * Why: the arithmetic of an audit decides anew what the server has decided. If it accepts one wrong
 * record, a broken promise is reported as kept; if it refuses a sound one, its reports are ignored.
 */
/* needs: storage/log/audit_totals.c storage/log/key_index.c storage/log/buyer_index.c
 * storage/log/name_hash.c conf/base/check.c conf/base/fault.c conf/base/log.c conf/base/key_hash.c
 * conf/base/orderid.c storage/journal/journal_dir.c storage/journal/journal.c
 * storage/journal/journal_preallocate.c storage/journal/journal_open.c storage/journal/capacity.c
 * storage/journal/journal_figures.c storage/journal/order_index.c storage/journal/snapshot.c
 * storage/journal/writer.c storage/journal/catalog.c storage/journal/pages.c
 * storage/journal/metas.c storage/journal/leaves.c storage/journal/history.c
 * storage/journal/journal_mend.c storage/journal/record.c storage/journal/node_totals.c
 * storage/journal/verify.c -llmdb -lsodium -ldeflate */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/base/key_hash.h"
#include "storage/log/audit_totals.h"
#include "storage/log/buyer_index.h"
#include "storage/log/key_index.h"
#include "storage/stock/stock.h"

#define ORDERS 16
#define PAY_BY 250 /* a record is of 100 times its seq */
#include "tests/unit/audit_records.h"

struct ledger {
    struct audit_totals a;
};

/* Ends the one that was begun before. */
static void begin(struct ledger *l)
{
    static struct audit_totals previous;
    audit_totals_end(&previous);
    memset(l, 0, sizeof *l);
    assert_true(audit_totals_begin(&l->a, ORDERS));
    previous = l->a;
}

static bool fold(struct ledger *l, struct record r)
{
    r.seq = l->a.node.end + 1;
    r.time_wall_ms = r.seq * 100;
    return audit_totals_fold(&l->a, &r);
}

static void fold_good(struct ledger *l, struct record r)
{
    if (!fold(l, r))
        fail_msg("record %d: %s", (int)l->a.wrong_seq, l->a.wrong);
}

static void fold_bad(struct ledger *l, struct record r, const char *why)
{
    uint64_t seq = l->a.node.end + 1;
    assert_false(fold(l, r));
    assert_string_equal(l->a.wrong, why);
    assert_int_equal(l->a.wrong_seq, seq);
    assert_int_equal(l->a.node.end, seq - 1);
}

static void begin_sale(struct ledger *l)
{
    begin(l);
    fold_good(l, sale(10, 1));
}

/* ---- the changes of an order ---------------------------------------------------------------- */

static void test_sums(void **state)
{
    struct ledger l;
    struct record two = grant(2, ORDER_HELD, 4), three = grant(3, ORDER_HELD, 2);
    (void)state;
    begin_sale(&l);
    fold_good(&l, grant(1, ORDER_SOLD, 1));
    fold_good(&l, two);
    fold_good(&l, three);
    fold_good(&l, grant(4, ORDER_HELD, 1));
    fold_good(&l, change(two, ORDER_HELD, ORDER_SOLD));
    fold_good(&l, change(three, ORDER_HELD, ORDER_EXPIRED));
    assert_int_equal(l.a.node.sold, 5);
    assert_int_equal(l.a.node.held, 1);
    assert_int_equal(l.a.tickets, 8);
    assert_int_equal(l.a.in_state[ORDER_SOLD], 2);
    assert_int_equal(l.a.in_state[ORDER_HELD], 1);
    assert_int_equal(l.a.in_state[ORDER_EXPIRED], 1);
    assert_int_equal(l.a.first_wall_ms, 100);
    assert_int_equal(l.a.last_wall_ms, 700);
}

/* Every change of state that there can be: these are legal, and no other. */
static void test_every_change(void **state)
{
    static const bool legal[5][5] = {
        [ORDER_HELD] = {[ORDER_SOLD] = true, [ORDER_CANCELLED] = true, [ORDER_EXPIRED] = true},
        [ORDER_SOLD] = {[ORDER_CANCELLED] = true},
    };
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        uint8_t was = (uint8_t)(ORDER_HELD + i / 4), to = (uint8_t)(ORDER_HELD + i % 4);
        struct record r = grant(1, was == ORDER_SOLD ? ORDER_SOLD : ORDER_HELD, 1);
        struct ledger l;
        begin_sale(&l);
        fold_good(&l, r);
        if (was == ORDER_CANCELLED || was == ORDER_EXPIRED)
            fold_good(&l, change(r, ORDER_HELD, was));
        if (legal[was][to])
            fold_good(&l, change(r, was, to));
        else
            fold_bad(&l, change(r, was, to), "an order cannot change in this way");
    }
}

/* An order that was sold outright can be cancelled if its buyer never heard of it; one that was
 * paid cannot. */
static void test_paid_is_final(void **state)
{
    struct ledger l;
    struct record r = grant(1, ORDER_HELD, 1);
    (void)state;
    begin_sale(&l);
    fold_good(&l, r);
    fold_good(&l, change(r, ORDER_HELD, ORDER_SOLD));
    fold_bad(&l, change(r, ORDER_SOLD, ORDER_CANCELLED),
             "an order that was paid cannot be cancelled");
    begin_sale(&l);
    fold_good(&l, r);
    fold_good(&l, change(r, ORDER_HELD, ORDER_EXPIRED));
    fold_good(&l, late(r, 2));
    fold_bad(&l, change(r, ORDER_SOLD, ORDER_CANCELLED),
             "an order that was paid cannot be cancelled");
}

/* A hold lasts to the end of its last millisecond. */
static void test_not_before_its_time(void **state)
{
    struct ledger l;
    struct record r = grant(1, ORDER_HELD, 1);
    (void)state;
    r.pay_by_wall_ms = 299; /* the change is of 300 */
    begin_sale(&l);
    fold_good(&l, r);
    fold_good(&l, change(r, ORDER_HELD, ORDER_EXPIRED));
    r.pay_by_wall_ms = 300;
    begin_sale(&l);
    fold_good(&l, r);
    fold_bad(&l, change(r, ORDER_HELD, ORDER_EXPIRED),
             "the order expired before its time to be paid was over");
}

static void test_late(void **state)
{
    struct ledger l;
    struct record one = with(grant(1, ORDER_HELD, 2), "ann", "k"), two = grant(2, ORDER_HELD, 1);
    (void)state;
    begin_sale(&l);
    fold_good(&l, one);
    fold_good(&l, two);
    fold_good(&l, change(one, ORDER_HELD, ORDER_EXPIRED));
    fold_good(&l, change(two, ORDER_HELD, ORDER_EXPIRED));
    fold_good(&l, late(one, 3));
    fold_good(&l, refusal(two));
    fold_good(&l, grant(4, ORDER_SOLD, 1)); /* 3 was taken by the late payment */
    assert_int_equal(l.a.node.sold, 3);
    assert_int_equal(l.a.node.orders.granted, 3);
    assert_int_equal(l.a.tickets, 4);
    assert_int_equal(l.a.late, 1);
    assert_int_equal(l.a.refused, 1);
    assert_int_equal(l.a.in_state[ORDER_SOLD], 2);
    assert_int_equal(l.a.in_state[ORDER_EXPIRED], 1);
    fold_bad(&l, change(grant(3, ORDER_HELD, 2), ORDER_HELD, ORDER_SOLD),
             "it changes an order that was never granted");
}

static void begin_expired(struct ledger *l, struct record r)
{
    begin_sale(l);
    fold_good(l, r);
    fold_good(l, change(r, ORDER_HELD, ORDER_EXPIRED));
}

static void test_late_that_cannot_be(void **state)
{
    struct ledger l;
    struct record r = grant(1, ORDER_HELD, 2);
    (void)state;
    begin_sale(&l);
    fold_good(&l, r);
    fold_bad(&l, late(r, 2), "the order was paid late, and it had not expired");
    begin_sale(&l);
    fold_good(&l, r);
    fold_bad(&l, refusal(r), "the order was paid late, and it had not expired");
    begin_expired(&l, r);
    fold_bad(&l, late(r, 3), "its number does not follow the last one");
    begin_expired(&l, r);
    fold_good(&l, late(r, 2));
    fold_bad(&l, late(r, 3), "the order was paid late, and it had not expired");
    begin_expired(&l, r);
    fold_good(&l, refusal(r));
    fold_bad(&l, late(r, 2), "the late payment of the order was refused before");
    begin_expired(&l, r);
    fold_good(&l, refusal(r));
    fold_bad(&l, refusal(r), "the late payment of the order was refused before");
}

/* A record of an order must agree with the grant. */
static void test_another_order(void **state)
{
    struct ledger l;
    struct record r = with(grant(1, ORDER_HELD, 2), "ann", "k"), other = r;
    (void)state;
    begin_sale(&l);
    fold_good(&l, r);
    other.n = 1;
    fold_bad(&l, change(other, ORDER_HELD, ORDER_SOLD), "the order has another number of tickets");
    begin_sale(&l);
    fold_good(&l, r);
    fold_bad(&l, change(with(r, "annk", ""), ORDER_HELD, ORDER_SOLD),
             "the order has another buyer or key");
    begin_sale(&l);
    fold_good(&l, r);
    other = r;
    other.pay_by_wall_ms++;
    fold_bad(&l, change(other, ORDER_HELD, ORDER_SOLD), "the order has another time to be paid by");
}

static void test_what_cannot_follow(void **state)
{
    struct ledger l;
    struct record gap = grant(1, ORDER_SOLD, 1), endless = grant(1, ORDER_HELD, 1);
    (void)state;
    begin(&l);
    fold_bad(&l, gap, "an order was granted before there was a sale");
    begin_sale(&l);
    fold_bad(&l, grant(2, ORDER_SOLD, 1), "its order number does not follow the last one");
    begin_sale(&l);
    fold_bad(&l, grant(1, ORDER_CANCELLED, 1), "an order begins neither held nor sold");
    begin_sale(&l);
    endless.pay_by_wall_ms = 0;
    fold_bad(&l, endless, "an order is held without an end");
    begin_sale(&l);
    fold_bad(&l, change(grant(1, ORDER_HELD, 1), ORDER_HELD, ORDER_SOLD),
             "it changes an order that was never granted");
    begin_sale(&l);
    fold_good(&l, grant(1, ORDER_SOLD, 2));
    fold_bad(&l, change(grant(1, ORDER_SOLD, 2), ORDER_HELD, ORDER_SOLD),
             "the order was in another state before");
    begin_sale(&l);
    fold_good(&l, grant(1, ORDER_SOLD, 2));
    fold_bad(&l, sale(10, 2), "it begins another sale, and this one has orders");
    begin_sale(&l);
    gap.seq = 3;
    assert_false(audit_totals_fold(&l.a, &gap));
    assert_string_equal(l.a.wrong, "records are missing before it");
}

/* After the first contradiction nothing counts any more. */
static void test_stops_at_the_first(void **state)
{
    struct ledger l;
    (void)state;
    begin_sale(&l);
    fold_bad(&l, grant(2, ORDER_SOLD, 1), "its order number does not follow the last one");
    assert_false(fold(&l, grant(1, ORDER_SOLD, 1)));
    assert_int_equal(l.a.node.sold, 0);
}

/* Redis is compared with the journal as of `pos`, not with later records. */
static void test_as_of_pos(void **state)
{
    struct ledger l;
    struct record one = grant(1, ORDER_HELD, 2);
    (void)state;
    begin_sale(&l);
    l.a.pos = 3;
    l.a.early_end = 4;
    fold_good(&l, one);
    fold_good(&l, grant(2, ORDER_SOLD, 1));
    fold_good(&l, grant(3, ORDER_SOLD, 1));
    fold_good(&l, change(one, ORDER_HELD, ORDER_SOLD));
    assert_int_equal(l.a.pos_held, 2);
    assert_int_equal(l.a.pos_sold, 1);
    assert_int_equal(l.a.pos_last, 2);
    assert_int_equal(l.a.early_last, 3);
    assert_int_equal(l.a.node.sold, 4);
}

static void test_p1_over_journals(void **state)
{
    struct audit_sum sum = {0};
    struct node_totals a = {.has_sale = true, .total = 10, .version = 1, .sold = 6};
    struct node_totals b = {.has_sale = true, .total = 12, .version = 2, .sold = 5, .held = 1};
    (void)state;
    audit_sum_add(&sum, &a);
    audit_sum_add(&sum, &b);
    assert_int_equal(sum.total, 12);
    assert_true(audit_sum_fits(&sum)); /* 12 of 12 */
    audit_sum_add(&sum,
                  &(struct node_totals){.has_sale = true, .total = 99, .version = 1, .held = 1});
    assert_int_equal(sum.total, 12);
    assert_false(audit_sum_fits(&sum)); /* 13 of 12 */
}

static struct record act(uint8_t state, uint32_t total, uint32_t version)
{
    return (struct record){
        .kind = RECORD_ADMIN, .state = state, .node = 1, .total = total, .version = version};
}

static void test_acts(void **state)
{
    struct ledger l;
    (void)state;
    begin_sale(&l);
    fold_good(&l, grant(1, ORDER_SOLD, 1));
    fold_good(&l, act(STOCK_OPEN, 20, 2));
    fold_good(&l, act(STOCK_OPEN, 20, 2));
    assert_int_equal(l.a.acts, 2);
    assert_int_equal(l.a.first_act, 3);
    assert_int_equal(l.a.node.total, 20);
}

/* A closed event stays closed, whatever later records say, unless another sale begins. */
static void test_closed_is_final(void **state)
{
    struct ledger l;
    struct record r = grant(1, ORDER_HELD, 1);
    (void)state;
    begin_sale(&l);
    fold_good(&l, act(STOCK_CLOSED, 10, 2));
    fold_good(&l, sale(10, 2));
    fold_good(&l, r);
    assert_int_equal(l.a.after_close, 0);
    fold_good(&l, act(STOCK_CLOSED, 10, 2));
    fold_good(&l, act(STOCK_OPEN, 10, 3));
    fold_good(&l, change(r, ORDER_HELD, ORDER_EXPIRED)); /* takes no tickets */
    assert_int_equal(l.a.closed, 5);
    assert_int_equal(l.a.after_close, 0);
    fold_good(&l, late(r, 2));
    fold_good(&l, grant(3, ORDER_SOLD, 1));
    assert_int_equal(l.a.after_close, 2);
    assert_int_equal(l.a.first_after, 8);
}

/* The last settings of the event in a journal, and whether an earlier record of the same version
 * differs. */
static void test_what_is_said(void **state)
{
    struct ledger l;
    (void)state;
    begin_sale(&l);
    l.a.early_end = 2;
    assert_int_equal(l.a.settings.version, 1);
    assert_false(l.a.settings.from_act);
    fold_good(&l, act(STOCK_PAUSED, 10, 2));
    fold_good(&l, act(STOCK_PAUSED, 10, 2));
    assert_true(l.a.settings.from_act);
    assert_false(l.a.settings.corrected);
    assert_int_equal(l.a.settings.state, STOCK_PAUSED);
    fold_good(&l, act(STOCK_OPEN, 10, 2));
    assert_true(l.a.settings.corrected);
    fold_good(&l, act(STOCK_OPEN, 12, 3));
    assert_false(l.a.settings.corrected);
    fold_good(&l, act(STOCK_OPEN, 13, 3));
    assert_true(l.a.settings.corrected);
    assert_int_equal(l.a.settings.total, 13);
    assert_int_equal(l.a.early_version, 2);
}

/* ---- keys and buyers ------------------------------------------------------------------------ */

static void test_keys(void **state)
{
    static const char *const names[] = {"a", "b", "a", "c", "b", "a", "ab"};
    struct key_index *keys = key_index_create();
    const struct key *duplicate = NULL;
    uint64_t count;
    (void)state;
    for (uint64_t i = 0; i < ARRAY_LEN(names); i++) {
        struct record r = with(grant(i + 1, ORDER_SOLD, 1), "", names[i]);
        assert_non_null(key_index_add(keys, &r, 1, 0));
    }
    assert_int_equal(key_index_sort(keys, &duplicate), 2);
    assert_non_null(duplicate);
    struct key *a = key_index_find(keys, "a", 1, &count);
    assert_int_equal(count, 3);
    uint64_t numbers = 0;
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(a[i].key_hash, key_hash("a", 1));
        numbers |= UINT64_C(1) << a[i].number;
    }
    assert_int_equal(numbers, 1u << 1 | 1u << 3 | 1u << 6);
    assert_int_equal(key_index_find(keys, "ab", 2, &count)->number, 7);
    assert_int_equal(count, 1);
    assert_null(key_index_find(keys, "b2", 2, &count));
    key_index_destroy(keys);
    keys = key_index_create();
    assert_null(key_index_find(keys, "a", 1, &count));
    key_index_destroy(keys);
}

/* A key's value in Redis is compared byte for byte, but for its first letter. */
static void test_key_value(void **state)
{
    static const char text[] = "0102-0300000000a7:2:1764554400000:alice";
    static const char other[] = "0102-0300000000a8:2:1764554400000:alice";
    struct record r = with(grant(0xa7, ORDER_HELD, 2), "alice", "k");
    struct key_index *keys = key_index_create();
    (void)state;
    r.pay_by_wall_ms = UINT64_C(1764554400000);
    const struct key *k = key_index_add(keys, &r, 0x0102, 3);
    assert_non_null(k);
    assert_true(k->value == key_index_value(text, strlen(text)));
    assert_false(k->value == key_index_value(other, strlen(other)));
    assert_false(k->value == key_index_value(text, strlen(text) - 1));
    key_index_destroy(keys);
}

static void fold_buyers(struct buyer_index *b, struct record r)
{
    r.seq = r.number * 10;
    assert_true(buyer_index_fold(b, &r));
}

static void test_limit(void **state)
{
    struct buyer_index *b = buyer_index_create();
    uint64_t most;
    struct record one = with(grant(1, ORDER_HELD, 2), "ann", "");
    (void)state;
    buyer_index_begin(b, 2);
    fold_buyers(b, one);
    fold_buyers(b, grant(2, ORDER_SOLD, 9)); /* without a buyer */
    fold_buyers(b, change(one, ORDER_HELD, ORDER_EXPIRED));
    fold_buyers(b, with(grant(3, ORDER_SOLD, 2), "ann", ""));
    assert_int_equal(buyer_index_excess(b).times, 0);
    fold_buyers(b, refusal(one));
    assert_int_equal(buyer_index_excess(b).times, 0);
    fold_buyers(b, late(one, 4));
    fold_buyers(b, refusal(one)); /* gives no buyer more */
    assert_int_equal(buyer_index_excess(b).times, 1);
    assert_int_equal(buyer_index_excess(b).n, 4);
    assert_int_equal(buyer_index_excess(b).seq, 40);
    assert_true(buyer_index_confirm(b, "ann", 3, 4));
    assert_false(buyer_index_confirm(b, "ann", 3, 5));
    assert_false(buyer_index_confirm(b, "bob", 3, 0));
    buyer_index_begin(b, 2); /* another journal: its own count, and the sum */
    fold_buyers(b, with(grant(1, ORDER_SOLD, 1), "ann", ""));
    assert_int_equal(buyer_index_excess(b).times, 0);
    assert_int_equal(buyer_index_above(b, 4, &most), 1);
    assert_int_equal(most, 5);
    assert_int_equal(buyer_index_above(b, 5, &most), 0);
    buyer_index_destroy(b);
}

/* The table grows, and every buyer is found again. */
static void test_many_buyers(void **state)
{
    struct buyer_index *b = buyer_index_create();
    char name[16];
    uint64_t unconfirmed;
    (void)state;
    buyer_index_begin(b, 0);
    for (uint64_t round = 0; round < 2; round++)
        for (uint64_t i = 0; i < 20000; i++) {
            snprintf(name, sizeof name, "b%u", (unsigned)i);
            fold_buyers(b, with(grant(i + 1, ORDER_SOLD, 3), name, ""));
        }
    assert_int_equal(buyer_index_count(b), 20000);
    for (uint64_t i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "b%u", (unsigned)i);
        assert_true(buyer_index_confirm(b, name, strlen(name), 6));
        if (i == 9999) {
            assert_int_equal(buyer_index_live(b, &unconfirmed), 20000);
            assert_int_equal(unconfirmed, 10000);
        }
    }
    buyer_index_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_every_change),
        cmocka_unit_test(test_paid_is_final),
        cmocka_unit_test(test_not_before_its_time),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_late_that_cannot_be),
        cmocka_unit_test(test_another_order),
        cmocka_unit_test(test_what_cannot_follow),
        cmocka_unit_test(test_stops_at_the_first),
        cmocka_unit_test(test_as_of_pos),
        cmocka_unit_test(test_p1_over_journals),
        cmocka_unit_test(test_acts),
        cmocka_unit_test(test_closed_is_final),
        cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_key_value),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_many_buyers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
