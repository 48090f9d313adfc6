/*
 * Why: after a crash a node's totals are the sum of its journal. A record that is folded wrongly,
 * or one that cannot follow and is folded all the same, is a ticket too many or too few.
 */
/* needs: storage/journal/node_totals.c storage/journal/record.c conf/base/check.c conf/base/fault.c
 * -ldeflate */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "storage/journal/node_totals.h"

static struct node_totals t;

static int reset(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    return 0;
}

static bool grant(uint64_t number, uint8_t what, uint32_t n)
{
    struct record r = {
        .kind = RECORD_GRANT, .seq = t.end + 1, .state = what, .number = number, .n = n};
    return node_totals_fold(&t, &r);
}

static bool change(uint64_t number, uint8_t was, uint8_t what, uint32_t n)
{
    struct record r = {.kind = RECORD_CHANGE,
                       .seq = t.end + 1,
                       .was = was,
                       .state = what,
                       .number = number,
                       .n = n};
    return node_totals_fold(&t, &r);
}

static void test_grants_add_up(void **state)
{
    (void)state;
    assert_true(grant(1, ORDER_SOLD, 1));
    assert_true(grant(2, ORDER_HELD, 3));
    assert_int_equal(t.sold, 1);
    assert_int_equal(t.held, 3);
    assert_int_equal(t.last, 2);
    assert_int_equal(t.orders.granted, 2);
    assert_int_equal(t.end, 2);
}

static void test_every_change_moves_its_tickets(void **state)
{
    (void)state;
    assert_true(grant(1, ORDER_HELD, 2));
    assert_true(change(1, ORDER_HELD, ORDER_SOLD, 2));
    assert_int_equal(t.held, 0);
    assert_int_equal(t.sold, 2);
    assert_true(change(1, ORDER_SOLD, ORDER_CANCELLED, 2));
    assert_int_equal(t.sold, 0);
    assert_true(grant(2, ORDER_HELD, 5));
    assert_true(change(2, ORDER_HELD, ORDER_EXPIRED, 5));
    assert_int_equal(t.held + t.sold, 0);
}

static bool late(uint64_t number, uint64_t of, uint32_t n)
{
    struct record r = {.kind = RECORD_LATE,
                       .seq = t.end + 1,
                       .was = ORDER_EXPIRED,
                       .state = ORDER_SOLD,
                       .number = number,
                       .of = of,
                       .n = n};
    return node_totals_fold(&t, &r);
}

static bool refusal(uint64_t number, uint32_t n)
{
    struct record r = {
        .kind = RECORD_REFUSAL, .seq = t.end + 1, .state = ORDER_EXPIRED, .number = number, .n = n};
    return node_totals_fold(&t, &r);
}

/* It deducts tickets again, under a number of its own, but is no new order. */
static void test_a_late_payment_is_a_deduction(void **state)
{
    (void)state;
    assert_true(grant(1, ORDER_HELD, 3));
    assert_true(change(1, ORDER_HELD, ORDER_EXPIRED, 3));
    assert_true(late(2, 1, 3));
    assert_int_equal(t.sold, 3);
    assert_int_equal(t.held, 0);
    assert_int_equal(t.last, 2);
    assert_int_equal(t.orders.granted, 1);
    assert_true(grant(3, ORDER_SOLD, 1)); /* the next number after that */
    assert_true(change(1, ORDER_SOLD, ORDER_CANCELLED, 3));
    assert_int_equal(t.sold, 1);
    assert_int_equal(t.orders.granted, 2);
}

static void test_a_refusal_moves_nothing(void **state)
{
    (void)state;
    assert_true(grant(1, ORDER_HELD, 2));
    assert_true(grant(2, ORDER_HELD, 5));
    assert_true(change(1, ORDER_HELD, ORDER_EXPIRED, 2));
    struct node_totals before = t;
    assert_true(refusal(1, 2));
    before.end++;
    before.orders.late_refused++;
    assert_memory_equal(&before, &t, sizeof t);
}

static void test_what_cannot_be_late_is_refused(void **state)
{
    (void)state;
    assert_true(grant(1, ORDER_HELD, 1));
    assert_true(change(1, ORDER_HELD, ORDER_EXPIRED, 1));
    struct node_totals before = t;
    assert_false(late(1, 1, 1)); /* no number of its own */
    assert_false(late(3, 1, 1));
    assert_false(late(2, 2, 1)); /* of what was never granted */
    assert_false(refusal(2, 1));
    assert_memory_equal(&before, &t, sizeof t);
}

/* The counts of a node's orders in /stats. */
static void test_what_became_of_orders_is_counted(void **state)
{
    (void)state;
    for (uint64_t number = 1; number <= 5; number++)
        assert_true(grant(number, number == 5 ? ORDER_SOLD : ORDER_HELD, 2));
    assert_true(change(1, ORDER_HELD, ORDER_SOLD, 2));
    assert_true(change(2, ORDER_HELD, ORDER_CANCELLED, 2));
    assert_true(change(5, ORDER_SOLD, ORDER_CANCELLED, 2)); /* the buyer had disconnected */
    assert_true(change(3, ORDER_HELD, ORDER_EXPIRED, 2));
    assert_true(change(4, ORDER_HELD, ORDER_EXPIRED, 2));
    assert_true(late(6, 3, 2));
    assert_true(refusal(4, 2));
    assert_int_equal(t.orders.granted, 5);
    assert_int_equal(t.orders.granted_tickets, 10); /* whatever has become of them */
    assert_int_equal(t.orders.paid, 1);
    assert_int_equal(t.orders.cancelled, 2);
    assert_int_equal(t.orders.expired, 2);
    assert_int_equal(t.orders.late, 1);
    assert_int_equal(t.orders.late_refused, 1);
}

static void test_the_last_act_counts(void **state)
{
    (void)state;
    struct record r = {.kind = RECORD_ADMIN, .state = 3, .total = 50, .version = 7, .node = 2};
    for (r.seq = 1; r.seq <= 2; r.seq++, r.total += 10, r.version++)
        assert_true(node_totals_fold(&t, &r));
    assert_int_equal(t.state, 3);
    assert_int_equal(t.total, 60);
    assert_int_equal(t.version, 8);
}

static void test_what_cannot_follow_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    assert_true(grant(1, ORDER_SOLD, 1));
    struct node_totals before = t;
    struct record late = {.kind = RECORD_EPOCH, .seq = 5, .epoch = 9};
    assert_false(node_totals_fold(&t, &late));               /* a gap in seq */
    assert_false(grant(3, ORDER_SOLD, 1));                   /* a gap in numbers */
    assert_false(grant(1, ORDER_SOLD, 1));                   /* a number twice */
    assert_false(change(2, ORDER_SOLD, ORDER_CANCELLED, 1)); /* never granted */
    assert_false(change(1, ORDER_HELD, ORDER_SOLD, 1));      /* nothing is held */
    assert_memory_equal(&before, &t, sizeof t);
}

static void test_epochs_only_rise(void **state)
{
    (void)state;
    struct record r = {.kind = RECORD_EPOCH, .seq = 1, .epoch = 1024};
    assert_true(node_totals_fold(&t, &r));
    r.seq = 2;
    assert_false(node_totals_fold(&t, &r));
    r.epoch = 2048;
    assert_true(node_totals_fold(&t, &r));
    assert_int_equal(t.epoch, 2048);
}

static void test_sale_and_nodes(void **state)
{
    (void)state;
    struct record sale = {
        .kind = RECORD_SALE, .seq = 1, .state = SALE_UNIFIED, .total = 10, .version = 3};
    struct record known = {.kind = RECORD_KNOWN, .node = 7};
    assert_true(node_totals_fold(&t, &sale));
    assert_true(t.has_sale && t.unified);
    assert_int_equal(t.total, 10);
    for (uint64_t seq = 2; seq < 4; seq++) { /* recorded twice, known once */
        known.seq = seq;
        assert_true(node_totals_fold(&t, &known));
    }
    assert_int_equal(t.known_count, 1);
    assert_int_equal(t.known[0], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_grants_add_up, reset),
        cmocka_unit_test_setup(test_every_change_moves_its_tickets, reset),
        cmocka_unit_test_setup(test_what_cannot_follow_is_refused_and_changes_nothing, reset),
        cmocka_unit_test_setup(test_a_late_payment_is_a_deduction, reset),
        cmocka_unit_test_setup(test_a_refusal_moves_nothing, reset),
        cmocka_unit_test_setup(test_what_cannot_be_late_is_refused, reset),
        cmocka_unit_test_setup(test_what_became_of_orders_is_counted, reset),
        cmocka_unit_test_setup(test_the_last_act_counts, reset),
        cmocka_unit_test_setup(test_epochs_only_rise, reset),
        cmocka_unit_test_setup(test_sale_and_nodes, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
