/*
 * Why: when Redis has forgotten a node that does not attach, only the other nodes' memory of it
 * keeps its tickets from being sold again (P1). A process that attaches in its place, blank or with
 * an older copy of its journal, must not be taken for it.
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/name_table.c
 * storage/stock/redis.c storage/stock/redis_act.c storage/stock/redis_attach.c
 * storage/stock/redis_pack.c storage/stock/redis_script.c storage/stock/redis_step.c
 * storage/stock/redis_reply.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 * conf/base/check.c conf/base/log.c conf/base/orderid.c conf/base/key_hash.c
 * tests/lib/redis_fixture.c -lhiredis -lsodium */
#include "tests/lib/stock_evict.h"

/* ---- in repair ------------------------------------------------------------------------------ */

/* Nodes 1 to `count` sell, the last with 4 tickets, and have seen each other. Redis forgets all. */
static void forgets_all(uint16_t count)
{
    opened_by(count);
    be(count);
    assert_int_equal(sell(4, 1), 4);
    settle();
    for (uint16_t node = 1; node < count; node++) {
        be(node);
        settle();
    }
    redis_fixture_do(&redis, "FLUSHALL");
}

static void test_reopen_counts_what_was_seen(void **state)
{
    (void)state;
    forgets_all(2);
    be(1);
    again();
    assert_true(book->figures.repair);
    assert_int_equal(evict(0, false), STOCK_OK);
    assert_evicted(2, 4, 0);
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(sell(9, 1), 6);
    be(2);
    again();
    be(1);
    again();
    all_is_well(10);
}

/* Node 1 has a new journal since and does not know node 2, but node 3 does. */
static void test_what_any_other_has_seen_counts(void **state)
{
    (void)state;
    opened_by(3);
    be(2);
    assert_int_equal(sell(4, 1), 4);
    settle();
    be(3);
    settle();
    redis_fixture_do(&redis, "FLUSHALL");
    be(1);
    memset(&book->figures, 0, sizeof book->figures);
    book->node_count = 0;
    again();
    be(3);
    again();
    be(1);
    settle(); /* the repair began once more */
    assert_int_equal(evict(0, false), STOCK_OK);
    assert_evicted(2, 4, 0);
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(sell(9, 1), 6);
}

/* Node 1 has a new journal, so the repair has no report that node 2 is silent. */
static void repairs_again(const char *run)
{
    redis_fixture_do(&redis, "HSET " H " run %s", run);
    memset(&book->figures, 0, sizeof book->figures);
    heard_before = true;
    again();
    assert_true(book->figures.repair);
}

/* What was seen of a node counts in the repair that asks for it, not outside, and in no later
 * one. */
static void test_what_was_seen_long_ago_does_not_count(void **state)
{
    (void)state;
    test_what_any_other_has_seen_counts(state);
    settle(); /* node 1 holds 6 */
    be(2);
    again();
    for (uint64_t i = 1; i <= 3; i++)
        note(STOCK_UNDONE, i);
    for (uint16_t node = 1; node <= 3; node++) {
        be(node);
        again();
    }
    for (uint16_t node = 1; node <= 3; node++) {
        be(node);
        settle();
        assert_false(book->figures.repair);
    }
    assert_int_equal(field("2:gone"), 1);
    silence(2);
    gives_up(2, false, 1, 0);
    settle();
    repairs_again("another");
    gives_up(2, false, 1, 0);
    book->node_count = 0;
    repairs_again("a-third");
    gives_up(2, false, 1, 0);
}

static void test_nobody_has_seen_it(void **state)
{
    (void)state;
    forgets_all(2);
    be(1);
    book->node_count = 0;
    again();
    gives_up(2, true, 0, 0);
    settle();
    assert_false(book->figures.repair);
    be(2); /* its journal counts, and the record is there */
    again();
    assert_int_equal(field("2:gone"), 4);
}

/* Only a node that is missing is given up, not one that is about to settle. */
static void test_reopen_leaves_those_who_settle(void **state)
{
    (void)state;
    forgets_all(2);
    be(2);
    assert_int_equal(attach(), STOCK_OK);
    be(1);
    again();
    assert_int_equal(evict(0, false), STOCK_OK);
    assert_int_equal(rc.outcome, STOCK_ALIVE);
    assert_int_equal(rc.subject_node, 2);
    assert_int_equal(rc.evicted_count, 0);
    all_is_well(4);
}

/* The node is given up with its journal, but Redis has forgotten which tickets it held: nothing
 * comes back. */
static void test_its_journal_is_lost_and_redis_has_forgotten(void **state)
{
    (void)state;
    forgets_all(2);
    be(1);
    again();
    gives_up(2, true, 4, 0);
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(sell(9, 1), 6);
}

static void test_reopen_of_one_alone(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "FLUSHALL");
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book->figures.repair);
    assert_int_equal(evict(0, false), STOCK_OK);
    assert_int_equal(rc.outcome, STOCK_RECLAIMED);
    assert_int_equal(rc.evicted_count, 0);
}

/* ---- too early ------------------------------------------------------------------------------ */

/* The clock of Redis may jump: the time that a node has to come also passes by the caller's. */
static void test_the_callers_clock_counts_too(void **state)
{
    (void)state;
    forgets_all(2);
    be(1);
    again();
    patience = 3000;
    has_waited = false;
    assert_int_equal(evict(0, false), STOCK_OK);
    assert_int_equal(rc.outcome, STOCK_EARLY);
    assert_true(rc.subject_ms > 0 && rc.subject_ms <= patience);
    all_is_long_ago();
    settle();
    assert_int_equal(evict(0, false), STOCK_OK);
    assert_int_equal(rc.outcome, STOCK_EARLY);
    assert_int_equal(rc.subject_node, 2);
    has_waited = true;
    gives_up(2, false, 4, 0);
    patience = 0;
}

/* Another server in the middle of a repair: all nodes have to attach again, and have the time
 * for it. */
static void test_a_repair_begins_once_more(void **state)
{
    (void)state;
    forgets_all(2);
    be(2);
    assert_int_equal(attach(), STOCK_OK); /* and has not settled yet */
    be(1);
    again();
    patience = 3000;
    all_is_long_ago();
    redis_fixture_do(&redis, "HSET " H " run another");
    again();
    assert_int_equal(evict(0, false), STOCK_OK);
    assert_int_equal(rc.outcome, STOCK_EARLY);
    assert_int_equal(rc.subject_node, 2);
    patience = 0;
    be(2);
    again();
    all_is_well(4);
}

/* ---- Redis forgets, and another journal comes for the node ----------------------------------- */

static void test_a_blank_journal_comes_first(void **state)
{
    (void)state;
    forgets_all(2);
    be(2);
    memset(book, 0, sizeof *book);
    book->others[0] = 1;
    book->others_count = 1;
    again(); /* it makes a sale of its own */
    be(1);
    again();
    assert_true(book->figures.repair);
    for (int start = 0; start < 4; start++) {
        be(2);
        book->epoch += 5000; /* a journal skips epochs at every start */
        assert_int_equal(attach(), STOCK_CONFLICT);
    }
    be(1);
    settle();
    assert_true(book->figures.repair);
    silence(2);
    gives_up(2, false, 4, 0);
}

static void test_a_blank_journal_comes_later(void **state)
{
    (void)state;
    forgets_all(2);
    be(1);
    again();
    be(2);
    memset(book, 0, sizeof *book);
    book->epoch = 5000;
    assert_int_equal(attach(), STOCK_CONFLICT);
}

/* Node 1 has a new journal, so it accepts the old copy; node 3 refuses it before the repair is
 * over. */
static void test_an_older_copy_of_a_journal(void **state)
{
    static struct book copy;
    (void)state;
    opened_by(3);
    be(2);
    copy = books[2];
    again(); /* a higher epoch than the copy will have */
    again();
    assert_int_equal(sell(4, 1), 4);
    settle();
    be(3);
    settle();
    redis_fixture_do(&redis, "FLUSHALL");
    be(1);
    memset(&book->figures, 0, sizeof book->figures);
    book->node_count = 0;
    again();
    be(2);
    books[2] = copy;
    again();
    assert_true(book->figures.ready);
    be(3);
    again();
    assert_true(book->figures.repair);
    be(2);
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_CONFLICT);
    silence(2);
    be(1);
    settle(); /* the repair began once more */
    gives_up(2, false, 4, 0);
    settle();
    assert_int_equal(sell(9, 1), 6);
}

/* Node 1 has seen node 2 in a sale that is over: that proves nothing about node 2 in the next
 * one. */
static void test_what_was_seen_in_another_sale(void **state)
{
    (void)state;
    forgets_all(2);
    memset(&books[2], 0, sizeof books[2]);
    be(2);
    strcpy(book->sale.id, "0123456789abcdef0123456789abcdef");
    note_grant(1);
    again();
    assert_false(book->figures.repair);
    be(1);
    assert_int_equal(attach(), STOCK_OK);
    assert_string_equal(book->sale.id, "0123456789abcdef0123456789abcdef");
    assert_true(book->figures.repair);
    assert_int_equal(field("2:seen"), NO_FIELD);
    assert_int_equal(field("2:fenced"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REDIS(test_reopen_counts_what_was_seen),
        REDIS(test_what_any_other_has_seen_counts),
        REDIS(test_what_was_seen_long_ago_does_not_count),
        REDIS(test_nobody_has_seen_it),
        REDIS(test_reopen_leaves_those_who_settle),
        REDIS(test_its_journal_is_lost_and_redis_has_forgotten),
        REDIS(test_reopen_of_one_alone),
        REDIS(test_the_callers_clock_counts_too),
        REDIS(test_a_repair_begins_once_more),
        REDIS(test_a_blank_journal_comes_first),
        REDIS(test_a_blank_journal_comes_later),
        REDIS(test_an_older_copy_of_a_journal),
        REDIS(test_what_was_seen_in_another_sale),
    };
    return STOCK_RUN(tests);
}
