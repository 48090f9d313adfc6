/*
 * Why: the stock is where a ticket is sold twice or lost. The same cases run on the ledger's own
 * memory and on the scripts in a real Redis, because the two must never disagree.
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/name_table.c
 * storage/stock/redis.c storage/stock/redis_act.c storage/stock/redis_attach.c
 * storage/stock/redis_pack.c storage/stock/redis_script.c storage/stock/redis_step.c
 * storage/stock/redis_reply.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 * conf/base/check.c conf/base/log.c conf/base/orderid.c conf/base/key_hash.c
 * tests/lib/redis_fixture.c -lhiredis -lsodium */
#include "tests/lib/stock_book.h"

static void test_sells_the_total_and_no_more(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(7, 1), 7);
    assert_int_equal(book->figures.gone, 7);
    assert_int_equal(sell(7, 1), 3);
    for (int i = 3; i < 7; i++)
        assert_int_equal(items[i].verdict, STOCK_SOLD_OUT);
    assert_int_equal(sell(1, 1), 0);
    assert_int_equal(book->figures.gone, 10);
}

static void test_an_order_is_all_or_nothing(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(3, 4), 2);
    assert_int_equal(items[2].verdict, STOCK_SOLD_OUT);
    assert_int_equal(sell(1, 2), 1);
    assert_int_equal(book->figures.gone, 10);
}

static void test_settling_changes_no_figure(void **state)
{
    (void)state;
    opened();
    sell(5, 1);
    settle();
    assert_int_equal(book->figures.gone, 5);
    settle();
    assert_int_equal(book->figures.gone, 5);
}

static void test_a_return_is_sold_again(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(10, 1), 10);
    note(STOCK_UNDONE, 1);
    assert_int_equal(sell(3, 1), 1);
    assert_int_equal(book->figures.gone, 10);
}

static void test_settles_in_parts(void **state)
{
    (void)state;
    opened();
    sell(6, 1);
    for (uint64_t to = 2; to <= 6; to += 2) {
        assert_int_equal(ask_up_to(to, 0), STOCK_OK);
        assert_int_equal(book->figures.gone, 6);
    }
    assert_int_equal(sell(10, 1), 4);
}

/* The node dies, or the answer is lost, after the deduction and before the commit. */
static void test_what_the_journal_lacks_is_void(void **state)
{
    (void)state;
    opened();
    sell(2, 1);
    assert_int_equal(step(5, 1), STOCK_OK); /* never committed */
    assert_int_equal(attach(), STOCK_OK);
    settle();
    assert_int_equal(book->figures.gone, 2);
    assert_int_equal(sell(10, 1), 8);
}

/* Committed, and the node dies before a step could settle it: the grants stand. */
static void test_what_the_journal_holds_stands(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(4, 1), 4);
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(book->pos, 0);
    settle();
    assert_int_equal(book->figures.gone, 4);
    assert_int_equal(sell(10, 1), 6);
}

static void test_an_old_epoch_does_nothing(void **state)
{
    (void)state;
    opened();
    book->epoch--;
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_CONFLICT); /* the epoch in use, again */
}

static void test_a_wrong_position_or_number_does_nothing(void **state)
{
    (void)state;
    opened();
    sell(3, 1);
    settle();
    book->pos = 2;
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    book->pos = 3;
    book->last = 7;
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    book->last = 3;
    assert_int_equal(sell(1, 1), 1);
    assert_int_equal(book->figures.gone, 4);
}

static void test_no_items_before_ready(void **state)
{
    (void)state;
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(1, 1), STOCK_ATTACH);
}

static void test_a_journal_that_is_behind_is_another(void **state)
{
    (void)state;
    opened();
    sell(5, 1);
    settle();
    book->last = 3;
    book->end = 3;
    assert_int_equal(attach(), STOCK_CONFLICT);
}

/* ---- an operator's acts --------------------------------------------------------------------- */

static void test_an_act_is_compare_and_set(void **state)
{
    struct stock_act a;
    (void)state;
    opened();
    struct stock_figures old = book->figures;
    assert_int_equal(act(STOCK_PAUSED, 12, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_DONE);
    assert_int_equal(book->figures.version, 2);
    assert_int_equal(book->figures.total, 12);
    assert_int_equal(sell(1, 1), 0);
    assert_int_equal(items[0].verdict, STOCK_IS_PAUSED);
    book->figures.version =
        old.version; /* a node that has not learned of it asks for something else */
    assert_int_equal(act(STOCK_CLOSED, 20, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_STALE);
    assert_int_equal(book->figures.state, STOCK_PAUSED); /* but now it has */
    assert_int_equal(book->figures.version, 2);
    assert_int_equal(book->figures.total, 12);
    assert_int_equal(act(STOCK_OPEN, 12, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_DONE);
    assert_int_equal(sell(13, 1), 12);
    again();
    assert_int_equal(book->figures.version, 3);
    assert_int_equal(book->figures.total, 12);
}

static void test_a_restock_goes_down_to_what_is_gone(void **state)
{
    struct stock_act a;
    (void)state;
    opened();
    assert_int_equal(sell(4, 1), 4);
    assert_int_equal(step(1, 2), STOCK_OK); /* pending counts too */
    assert_int_equal(act(STOCK_OPEN, 5, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_TOO_LOW);
    assert_int_equal(book->figures.total, 10);
    assert_int_equal(book->figures.version, 1);
    assert_int_equal(act(STOCK_OPEN, 6, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_DONE);
    commit(1);
    assert_int_equal(sell(1, 1), 0);
    assert_int_equal(items[0].verdict, STOCK_SOLD_OUT);
    note(STOCK_UNDONE, 1);
    assert_int_equal(sell(2, 1), 1);
    assert_int_equal(act(STOCK_OPEN, 8, &a), STOCK_OK);
    assert_int_equal(sell(3, 1), 2); /* sold out no more */
    assert_int_equal(book->figures.gone, 8);
}

/* In repair it is unknown how many tickets are gone, and what the last act was: later. */
static void test_no_act_in_repair(void **state)
{
    struct stock_act a;
    (void)state;
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(act(STOCK_OPEN, 20, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_LATER);
    assert_int_equal(book->figures.version, 1);
    assert_int_equal(act(STOCK_PAUSED, 10, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_LATER);
    assert_int_equal(act(STOCK_OPEN, 10, &a), STOCK_OK); /* also what changes nothing */
    assert_int_equal(a.outcome, STOCK_LATER);
    settle();
    assert_int_equal(book->figures.state, STOCK_OPEN);
    assert_int_equal(book->figures.total, 10);
    assert_int_equal(act(STOCK_OPEN, 20, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_DONE);
    assert_int_equal(sell(21, 1), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_sells_the_total_and_no_more),
        BOTH(test_an_order_is_all_or_nothing),
        BOTH(test_settling_changes_no_figure),
        BOTH(test_a_return_is_sold_again),
        BOTH(test_settles_in_parts),
        BOTH(test_what_the_journal_lacks_is_void),
        BOTH(test_what_the_journal_holds_stands),
        BOTH(test_an_old_epoch_does_nothing),
        BOTH(test_a_wrong_position_or_number_does_nothing),
        BOTH(test_no_items_before_ready),
        BOTH(test_a_journal_that_is_behind_is_another),
        BOTH(test_an_act_is_compare_and_set),
        BOTH(test_a_restock_goes_down_to_what_is_gone),
        BOTH(test_no_act_in_repair),
    };
    return STOCK_RUN(tests);
}
