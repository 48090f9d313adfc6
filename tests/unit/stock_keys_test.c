/*
 * Why: a buyer retries until an answer arrives, and the answer must be the same order, once (P4),
 * whatever the state of the event is by then; and a buyer must not get more than the limit, even by
 * asking on all nodes at once. Both are decided here, in the step that deducts.
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/name_table.c
 * storage/stock/redis.c storage/stock/redis_act.c storage/stock/redis_attach.c
 * storage/stock/redis_pack.c storage/stock/redis_script.c storage/stock/redis_step.c
 * storage/stock/redis_reply.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 * conf/base/check.c conf/base/log.c conf/base/orderid.c conf/base/key_hash.c
 * tests/lib/redis_fixture.c -lhiredis -lsodium */
#include "tests/lib/stock_book.h"

#define LONGEST "!#$%&'()*+,-./:;<=>?@[]^_`{|}~%s%n:::ticket:requests{0}~01234567"
_Static_assert(sizeof LONGEST == PARAM_MAX + 1, "the longest name");

/* ---- keys ----------------------------------------------------------------------------------- */

static void test_a_key_twice_in_one_batch(void **state)
{
    (void)state;
    opened();
    pay_by = 777;
    want(0, STOCK_BUY, 2, "ann", "k1");
    want(1, STOCK_BUY, 1, "", "");
    want(2, STOCK_BUY, 2, "ann", "k1");
    want(3, STOCK_BUY, 2, "ann", "k2");
    want(4, STOCK_BUY, 2, "ann", "k1");
    assert_int_equal(ask(5), STOCK_OK);
    assert_int_equal(items[0].verdict, STOCK_YES);
    assert_int_equal(items[1].verdict, STOCK_YES);
    assert_same(2, 1, 1, 777);
    assert_int_equal(items[3].verdict, STOCK_YES);
    assert_same(4, 1, 1, 777);
    assert_int_equal(commit(5), 3);
    assert_int_equal(book->figures.gone, 5);
    pay_by = 888; /* a later batch has a later hour, this order has not */
    want(0, STOCK_BUY, 2, "ann", "k2");
    want(1, STOCK_BUY, 2, "ann", "k1");
    assert_int_equal(ask(2), STOCK_OK);
    assert_same(0, 1, 3, 777);
    assert_same(1, 1, 1, 777);
    assert_int_equal(book->figures.gone, 5);
}

static void test_a_key_comes_before_state_limit_and_stock(void **state)
{
    struct stock_act a;
    (void)state;
    limit = 2;
    opened();
    assert_int_equal(buy(2, "ann", "k1"), STOCK_YES);
    assert_int_equal(buy(2, "ann", "k1"), STOCK_DUPLICATE);
    assert_int_equal(buy(1, "ann", "k2"), STOCK_LIMIT);
    assert_int_equal(buy(1, "ann", "k2"), STOCK_LIMIT); /* a refusal is no order */
    assert_int_equal(sell(9, 1), 8);
    assert_int_equal(buy(2, "ann", "k1"), STOCK_DUPLICATE);
    assert_int_equal(buy(1, "bob", "k3"), STOCK_SOLD_OUT);
    assert_int_equal(act(STOCK_PAUSED, 10, &a), STOCK_OK);
    assert_int_equal(buy(2, "ann", "k1"), STOCK_DUPLICATE);
    assert_int_equal(buy(1, "bob", "k3"), STOCK_IS_PAUSED);
    assert_int_equal(act(STOCK_CLOSED, 10, &a), STOCK_OK);
    assert_int_equal(buy(2, "ann", "k1"), STOCK_DUPLICATE);
    assert_same(0, 1, 1, 0);
    assert_int_equal(buy(1, "bob", "k3"), STOCK_IS_CLOSED);
    assert_int_equal(book->figures.gone, 10);
}

static void test_a_key_is_for_one_n_and_one_buyer(void **state)
{
    (void)state;
    opened();
    assert_int_equal(buy(2, "ann", "k1"), STOCK_YES);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_KEY_MISMATCH);
    assert_int_equal(buy(2, "bob", "k1"), STOCK_KEY_MISMATCH);
    assert_int_equal(buy(2, "", "k1"), STOCK_KEY_MISMATCH);
    assert_int_equal(buy(2, "ann:", "k1"), STOCK_KEY_MISMATCH);
    assert_int_equal(probe(1, "ann", "k1"), STOCK_KEY_MISMATCH);
    assert_int_equal(buy(2, "", "k2"), STOCK_YES);
    assert_int_equal(buy(2, "ann", "k2"), STOCK_KEY_MISMATCH);
    note(STOCK_UNDONE, 1);
    settle();
    assert_int_equal(buy(1, "ann", "k1"), STOCK_KEY_MISMATCH); /* ended or not */
    assert_int_equal(buy(2, "ann", "k1"), STOCK_ENDED);
    assert_int_equal(book->figures.gone, 2);
}

static void test_a_key_whose_order_ended(void **state)
{
    (void)state;
    opened();
    pay_by = 777;
    for (int i = 0; i < 3; i++) {
        static const char *const keys[] = {"k1", "k2", "k3"};
        assert_int_equal(buy(1, "ann", keys[i]), STOCK_YES);
    }
    note(STOCK_CANCELLED, 1);
    note(STOCK_EXPIRED, 2);
    note(STOCK_PAID, 3);
    settle();
    assert_int_equal(book->figures.gone, 1);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_ENDED);
    assert_int_equal(buy(1, "ann", "k2"), STOCK_ENDED);
    assert_int_equal(buy(1, "ann", "k3"), STOCK_DUPLICATE);
    again();
    assert_int_equal(buy(1, "ann", "k1"), STOCK_ENDED);
    assert_int_equal(probe(1, "ann", "k2"), STOCK_ENDED);
    assert_int_equal(book->figures.gone, 1);
}

/* Ended in the call that grants to others; and granted and ended in one call. */
static void test_an_end_counts_in_the_same_step(void **state)
{
    (void)state;
    limit = 2;
    opened();
    pay_by = 777;
    assert_int_equal(buy(2, "ann", "k1"), STOCK_YES);
    note(STOCK_EXPIRED, 1);
    want(0, STOCK_BUY, 2, "ann", "k1");
    want(1, STOCK_BUY, 2, "ann", "k2");
    want(2, STOCK_BUY, 1, "ann", "k3");
    assert_int_equal(ask(3), STOCK_OK);
    assert_int_equal(items[0].verdict, STOCK_ENDED);
    assert_int_equal(items[1].verdict, STOCK_YES);
    assert_int_equal(items[2].verdict, STOCK_LIMIT);
    assert_int_equal(book->figures.gone, 2);
}

static void test_a_late_payment_revives_the_key(void **state)
{
    (void)state;
    limit = 2;
    opened();
    pay_by = 777;
    assert_int_equal(buy(2, "ann", "k1"), STOCK_YES);
    note(STOCK_EXPIRED, 1);
    settle();
    assert_int_equal(pay_late(1), STOCK_YES);
    assert_int_equal(book->last, 2);
    assert_int_equal(book->figures.gone, 2);
    assert_int_equal(buy(2, "ann", "k1"), STOCK_DUPLICATE);
    assert_same(0, 1, 1, 777); /* the order's number, not that of its second deduction */
    assert_int_equal(buy(1, "ann", "k2"), STOCK_LIMIT);
    again();
    assert_int_equal(buy(2, "ann", "k1"), STOCK_DUPLICATE);
    assert_int_equal(book->figures.gone, 2);
}

static void test_a_late_payment_is_refused(void **state)
{
    struct stock_act a;
    (void)state;
    limit = 2;
    opened();
    pay_by = 777;
    assert_int_equal(buy(2, "ann", "k1"), STOCK_YES);
    assert_int_equal(buy(2, "bob", "k2"), STOCK_YES);
    note(STOCK_EXPIRED, 1);
    note(STOCK_EXPIRED, 2);
    settle();
    assert_int_equal(buy(1, "ann", "k3"), STOCK_YES);
    assert_int_equal(pay_late(1), STOCK_LIMIT);
    assert_int_equal(sell(10, 1), 9);
    assert_int_equal(pay_late(2), STOCK_SOLD_OUT);
    assert_int_equal(act(STOCK_CLOSED, 20, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_DONE);
    assert_int_equal(pay_late(2), STOCK_IS_CLOSED);
    assert_int_equal(book->figures.gone, 10);
    assert_int_equal(buy(2, "bob", "k2"), STOCK_ENDED);
}

/* Its node dies between the deduction and the commit. */
static void test_a_late_payment_in_doubt_is_void(void **state)
{
    (void)state;
    limit = 2;
    opened();
    pay_by = 777;
    assert_int_equal(buy(2, "ann", "k1"), STOCK_YES);
    note(STOCK_EXPIRED, 1);
    settle();
    want(0, STOCK_LATE, 2, "ann", "");
    assert_int_equal(ask(1), STOCK_OK);
    assert_int_equal(items[0].verdict, STOCK_YES);
    assert_int_equal(book->figures.gone, 2);
    again(); /* never committed */
    assert_int_equal(book->voided, 1);
    assert_int_equal(book->figures.gone, 0);
    assert_int_equal(buy(2, "ann", "k1"), STOCK_ENDED);
    assert_int_equal(buy(2, "ann", "k2"), STOCK_YES);
}

static void test_a_probe_buys_nothing(void **state)
{
    (void)state;
    opened();
    pay_by = 777;
    assert_int_equal(probe(1, "ann", "k1"), STOCK_NO_KEY);
    assert_int_equal(book->figures.gone, 0);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_YES);
    assert_int_equal(probe(1, "ann", "k1"), STOCK_DUPLICATE);
    assert_same(0, 1, 1, 777);
    want(0, STOCK_LOOKUP, 1, "ann", "k2"); /* and a grant behind it in the batch is found */
    want(1, STOCK_BUY, 1, "ann", "k2");
    want(2, STOCK_LOOKUP, 1, "ann", "k2");
    assert_int_equal(ask(3), STOCK_OK);
    assert_int_equal(items[0].verdict, STOCK_NO_KEY);
    assert_int_equal(items[1].verdict, STOCK_YES);
    assert_same(2, 1, 2, 777);
    assert_int_equal(book->figures.gone, 2);
}

/* The buyer got -6 and retries with the same key: that gives one ticket, not two. */
static void test_a_void_order_forgets_its_key(void **state)
{
    (void)state;
    limit = 3;
    opened();
    assert_int_equal(buy(1, "ann", "k1"), STOCK_YES);
    want(0, STOCK_BUY, 2, "ann", "k2");
    want(1, STOCK_BUY, 1, "bob", "");
    want(2, STOCK_BUY, 1, "", "k3");
    want(3, STOCK_BUY, 1, "ann", "k1");
    assert_int_equal(ask(4), STOCK_OK);
    assert_int_equal(items[2].verdict, STOCK_YES);
    assert_same(3, 1, 1, 0);
    assert_int_equal(book->figures.gone, 5);
    again();
    assert_int_equal(book->voided, 3);
    assert_int_equal(book->figures.gone, 1);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_DUPLICATE); /* not in doubt, not forgotten */
    assert_int_equal(probe(2, "ann", "k2"), STOCK_NO_KEY);
    assert_int_equal(buy(1, "", "k2"),
                     STOCK_YES); /* even for another buyer: the key has no order */
    assert_int_equal(buy(2, "ann", "k4"), STOCK_YES);
    assert_int_equal(buy(3, "bob", "k5"), STOCK_YES);
    assert_int_equal(book->figures.gone, 7);
}

static void test_part_of_a_batch_is_void(void **state)
{
    (void)state;
    limit = 2;
    opened();
    want(0, STOCK_BUY, 1, "ann", "k1");
    want(1, STOCK_BUY, 1, "ann", "k2");
    want(2, STOCK_BUY, 1, "bob", "k3");
    assert_int_equal(ask(3), STOCK_OK);
    assert_int_equal(commit(1),
                     1); /* a commit is all or nothing, but Redis does not depend on it */
    again();
    assert_int_equal(book->voided, 2);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_DUPLICATE);
    assert_int_equal(buy(2, "ann", "k2"), STOCK_LIMIT);
    assert_int_equal(buy(1, "ann", "k2"), STOCK_YES);
    assert_int_equal(buy(2, "bob", "k3"), STOCK_YES);
    assert_int_equal(book->figures.gone, 4);
}

static void test_odd_names(void **state)
{
    (void)state;
    limit = 1;
    opened();
    static const char *const names[] = {LONGEST, "%",  ":",  "{}",  "-1", "0",
                                        "\\n",   "''", "\"", "~~~", "12", "x:ended"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        want(0, STOCK_BUY, 1, names[i], names[i]);
        assert_int_equal(ask(1), STOCK_OK);
        assert_int_equal(items[0].verdict, i < 10 ? STOCK_YES : STOCK_SOLD_OUT);
        if (i == 0 || i == 5) {
            again(); /* its line of pending is read back */
            assert_int_equal(book->voided, 1);
            assert_int_equal(ask(1), STOCK_OK);
            assert_int_equal(items[0].verdict, STOCK_YES);
        }
        commit(1);
        if (i < 10) {
            assert_int_equal(buy(1, names[i], names[i]), STOCK_DUPLICATE);
            assert_same(0, 1, i + 1, 0);
            assert_int_equal(buy(1, names[i], ""), STOCK_LIMIT);
        }
    }
}

/* ---- limits --------------------------------------------------------------------------------- */

static void test_a_limit_holds_within_a_batch(void **state)
{
    (void)state;
    limit = 2;
    opened();
    for (uint32_t i = 0; i < 4; i++)
        want(i, STOCK_BUY, 1, i == 1 ? "bob" : "ann", "");
    want(4, STOCK_BUY, 1, "", "");
    assert_int_equal(ask(5), STOCK_OK);
    assert_int_equal(commit(5), 4);
    assert_int_equal(items[3].verdict, STOCK_LIMIT);
    assert_int_equal(buy(1, "ann", ""), STOCK_LIMIT);
    assert_int_equal(buy(2, "bob", ""), STOCK_LIMIT); /* all or nothing */
    assert_int_equal(buy(1, "bob", ""), STOCK_YES);
    assert_int_equal(buy(3, "cis", ""), STOCK_LIMIT);
    assert_int_equal(book->figures.gone, 5);
}

static void test_a_limit_eats_no_stock(void **state)
{
    (void)state;
    limit = 1;
    opened();
    assert_int_equal(buy(1, "ann", ""), STOCK_YES);
    for (int i = 0; i < 20; i++)
        assert_int_equal(buy(1, "ann", ""), STOCK_LIMIT);
    assert_int_equal(book->figures.gone, 1);
    limit = 0;
    assert_int_equal(buy(9, "ann", ""), STOCK_YES);
}

static void test_a_limit_is_given_back(void **state)
{
    (void)state;
    limit = 4;
    opened();
    pay_by = 777;
    for (int i = 0; i < 3; i++)
        assert_int_equal(buy(1, "ann", ""), STOCK_YES);
    pay_by = 0;
    assert_int_equal(buy(1, "ann", ""), STOCK_YES);
    note(STOCK_PAID, 1);
    assert_int_equal(buy(1, "ann", ""), STOCK_LIMIT);
    note(STOCK_CANCELLED, 2);
    note(STOCK_EXPIRED, 3);
    note(STOCK_UNDONE, 4);
    assert_int_equal(buy(4, "ann", ""), STOCK_LIMIT);
    assert_int_equal(buy(3, "ann", ""), STOCK_YES);
    assert_int_equal(book->figures.gone, 4);
    note(STOCK_UNDONE, 5);
    note(STOCK_UNDONE, 1);
    settle(); /* and a buyer without tickets is forgotten */
    assert_int_equal(book->figures.gone, 0);
    assert_int_equal(buy(4, "ann", ""), STOCK_YES);
}

/* A buyer without tickets takes no slot: over time there are more buyers than tickets. */
static void test_buyers_come_and_go(void **state)
{
    static char names[3000][12];
    (void)state;
    opened();
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(names[i], sizeof names[i], "buyer %u", i);
        names[i][5] = '_';
        assert_int_equal(buy(1, names[i], ""), STOCK_YES);
        note(STOCK_UNDONE, book->last);
    }
    settle();
    assert_int_equal(book->figures.gone, 0);
}

/* The table of keys of a standalone stock has a fixed size. When it is full, the verdict is
 * busy, and nothing is left half done. */
static void test_no_place_for_a_key(void **state)
{
    uint64_t size = conf.journal_size;
    (void)state;
    conf.journal_size = 192 * 3; /* a record with a key has 192 bytes */
    use(stock_local_plan);
    conf.journal_size = size;
    limit = 2;
    opened();
    assert_int_equal(buy(1, "ann", "k1"), STOCK_YES);
    assert_int_equal(buy(1, "ann", "k2"), STOCK_YES);
    assert_int_equal(buy(1, "bob", "k3"), STOCK_YES);
    assert_int_equal(buy(1, "bob", "k4"), STOCK_BUSY);
    assert_int_equal(buy(1, "cis", "k4"), STOCK_BUSY);
    assert_int_equal(book->figures.gone, 3);
    assert_int_equal(buy(1, "bob", "k3"), STOCK_DUPLICATE);
    assert_int_equal(buy(1, "bob", ""),
                     STOCK_YES); /* the refusal did not count against the limit */
    assert_int_equal(buy(2, "cis", ""), STOCK_YES);
    assert_int_equal(book->figures.gone, 6);
}

/* ---- key hashes ---------------------------------------------------------------------------- */

static void test_each_key_is_marked_once(void **state)
{
    (void)state;
    opened();
    buy(1, "ann", "k1");
    buy(1, "ann", "k1");
    buy(1, "ann", "");
    buy(1, "ann", "k2");
    probe(1, "ann", "k3");
    settle();
    assert_true(book->hashes_known);
    assert_int_equal(book->hash_count, 2);
    assert_int_equal(times_hashed("k1"), 1);
    assert_int_equal(times_hashed("k2"), 1);
}

/* ---- held and sold -------------------------------------------------------------------------- */

/* Each kind of change, alone: how many tickets are gone then, and in which state. */
static void test_what_a_change_does_to_the_stock(void **state)
{
    static const struct {
        bool held;
        enum stock_change_kind kind;
        uint32_t gone;
    } cases[] = {{true, STOCK_PAID, 3},
                 {true, STOCK_CANCELLED, 0},
                 {true, STOCK_EXPIRED, 0},
                 {false, STOCK_UNDONE, 0}};
    (void)state;
    opened();
    uint32_t kept = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pay_by = cases[i].held ? 777 : 0;
        assert_int_equal(buy(3, "ann", ""), STOCK_YES);
        settle();
        assert_int_equal(book->figures.gone, kept + 3);
        note(cases[i].kind, book->last);
        settle();
        kept += cases[i].gone;
        assert_int_equal(book->figures.gone, kept);
    }
    pay_by = 777; /* granted, expired, paid late and undone, all settled in one step */
    assert_int_equal(buy(7, "ann", "k1"), STOCK_YES);
    note(STOCK_EXPIRED, book->last);
    settle();
    assert_int_equal(pay_late(book->last), STOCK_YES);
    note(STOCK_UNDONE, 5);
    settle();
    assert_int_equal(book->figures.gone, 3);
    assert_int_equal(buy(7, "ann", "k1"), STOCK_ENDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_a_key_twice_in_one_batch),
        BOTH(test_a_key_comes_before_state_limit_and_stock),
        BOTH(test_a_key_is_for_one_n_and_one_buyer),
        BOTH(test_a_key_whose_order_ended),
        BOTH(test_an_end_counts_in_the_same_step),
        BOTH(test_a_late_payment_revives_the_key),
        BOTH(test_a_late_payment_is_refused),
        BOTH(test_a_late_payment_in_doubt_is_void),
        BOTH(test_a_probe_buys_nothing),
        BOTH(test_a_void_order_forgets_its_key),
        BOTH(test_part_of_a_batch_is_void),
        BOTH(test_odd_names),
        BOTH(test_a_limit_holds_within_a_batch),
        BOTH(test_a_limit_eats_no_stock),
        BOTH(test_a_limit_is_given_back),
        BOTH(test_buyers_come_and_go),
        LOCAL(test_no_place_for_a_key),
        BOTH(test_each_key_is_marked_once),
        BOTH(test_what_a_change_does_to_the_stock),
    };
    return STOCK_RUN(tests);
}
