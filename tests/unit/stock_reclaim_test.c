/*
 * Why: a node that is given up has sold tickets that the other nodes know only in part. None of
 * them may be sold again (P1), none be stranded once its journal is back (P3), no key get a second
 * order (P4), whatever Redis has forgotten of it meanwhile and whichever node gives it up.
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/name_table.c
 * storage/stock/redis.c storage/stock/redis_act.c storage/stock/redis_attach.c
 * storage/stock/redis_pack.c storage/stock/redis_script.c storage/stock/redis_step.c
 * storage/stock/redis_reply.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 * conf/base/check.c conf/base/log.c conf/base/orderid.c conf/base/key_hash.c
 * tests/lib/redis_fixture.c -lhiredis -lsodium */
#include "tests/lib/stock_evict.h"

static char before[8192], after[8192];

/* Node 2 has ann's two sold and bob's held one, settled, and three tickets of bob's with the key
 * "doubt" that its journal lacks. Then it is silent, and the others have seen all of it. */
static void node_2_dies(void)
{
    be(2);
    assert_int_equal(buy(2, "ann", "sold"), STOCK_YES);
    settle();
    pay_by = 4102444800000;
    assert_int_equal(buy(1, "bob", "held"), STOCK_YES);
    settle();
    want(0, STOCK_BUY, 3, "bob", "doubt");
    assert_int_equal(ask(1), STOCK_OK);
    assert_int_equal(items[0].verdict, STOCK_YES);
    silence(2);
    be(1);
    settle();
    assert_int_equal(book->figures.gone, 6);
}

static void test_what_it_answers(void **state)
{
    (void)state;
    opened_by_two();
    contents(H, before, sizeof before);
    assert_int_equal(evict(7, false), STOCK_OK);
    assert_int_equal(rc.outcome, STOCK_NO_SUCH_NODE);
    assert_int_equal(evict(2, true), STOCK_OK);
    assert_int_equal(rc.outcome, STOCK_ALIVE);
    assert_int_equal(rc.evicted_count, 0);
    assert_int_equal(evict(1, false), STOCK_OK);
    assert_int_equal(rc.outcome, STOCK_NO_SUCH_NODE);
    contents(H, after, sizeof after);
    assert_string_equal(before, after);
    node_2_dies();
    gives_up(2, false, 6, 0);
    assert_int_equal(book->figures.gone, 6);
    assert_int_equal(field("2:fenced"), 1);
    assert_sums();
}

/* A beat in the future: the clock of Redis' machine was set back. */
static void test_no_clock_keeps_a_dead_node_alive(void **state)
{
    (void)state;
    opened_by_two();
    redis_fixture_do(&redis, "HSET " H " 2:beat 99999999999999");
    gives_up(2, false, 0, 0);
}

static void test_again_changes_nothing(void **state)
{
    (void)state;
    opened_by_two();
    node_2_dies();
    gives_up(2, false, 6, 0);
    redis_fixture_do(&redis, "HSET " H " turn 0");
    contents(H, before, sizeof before);
    book->figures.revision = 0;
    gives_up(2, false, 6, 0);
    redis_fixture_do(&redis, "HSET " H " turn 0");
    contents(H, after, sizeof after);
    assert_string_equal(before, after);
}

/* The node was only stopped: nothing more happens under its old epoch, then it continues from
 * the end of its journal. */
static void test_it_comes_back(void **state)
{
    (void)state;
    opened_by_two();
    node_2_dies();
    gives_up(2, false, 6, 0);
    assert_int_equal(sell(9, 1), 4);
    be(2);
    note(STOCK_PAID, 2); /* it could not settle them */
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_non_null(strstr(f.text, "fenced"));
    assert_int_equal(attach(), STOCK_OK);
    assert_false(book->figures.repair);
    assert_int_equal(book->voided, 1);
    settle();
    assert_int_equal(field("2:sold"), 3);
    assert_int_equal(buy(3, "bob", "doubt"), STOCK_YES);
    all_is_well(10);
}

/* Between its attach and its first step the node counts as present. */
static void test_it_comes_back_just_now(void **state)
{
    (void)state;
    opened_by_two();
    node_2_dies();
    be(2);
    assert_int_equal(attach(), STOCK_OK);
    be(1);
    assert_int_equal(evict(2, true), STOCK_OK);
    assert_int_equal(rc.outcome, STOCK_ALIVE);
    all_is_well(3);
}

static void test_each_gives_up_the_other(void **state)
{
    (void)state;
    opened_by_two();
    node_2_dies();
    silence(1);
    be(2);
    assert_int_equal(evict(1, false), STOCK_OK);
    assert_evicted(1, 0, 0);
    be(1);
    assert_int_equal(evict(2, true), STOCK_ATTACH);
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(field("2:gone"), 6);
    assert_int_equal(field("2:fenced"), 0);
}

/* ---- its journal is lost -------------------------------------------------------------------- */

static void test_its_journal_is_lost(void **state)
{
    (void)state;
    limit = 4;
    opened_by_two();
    node_2_dies();
    assert_int_equal(buy(3, "bob", "doubt"), STOCK_BUSY);
    assert_int_equal(buy(1, "bob", "other"), STOCK_LIMIT);
    gives_up(2, true, 2, 4);
    assert_int_equal(book->figures.gone, 2);
    assert_sums();
    assert_int_equal(tickets_of("bob"), 1); /* the buyers of the held ones are unknown */
    assert_int_equal(tickets_of("ann"), 2);
    assert_int_equal(buy(3, "bob", "doubt"), STOCK_YES);
    assert_int_equal(buy(2, "ann", "sold"), STOCK_DUPLICATE);
    settle();
    gives_up(2, true, 2, 0); /* again */
    assert_int_equal(sell(9, 1), 5);
    assert_sums();
}

/* The node had been given up before, with its tickets. */
static void test_then_its_journal_is_lost_too(void **state)
{
    (void)state;
    opened_by_two();
    node_2_dies();
    gives_up(2, false, 6, 0);
    gives_up(2, true, 2, 4);
    assert_sums();
}

/* A key that was voided and bought again elsewhere belongs to that order. */
static void test_a_key_of_another_order_stays(void **state)
{
    static const char *const orders[] = {"l0001-070000000003:3:0:bob",
                                         "l0002-070000000002:3:0:bob"};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        leave(state);
        fresh_redis(state);
        opened_by_two();
        node_2_dies();
        redis_fixture_do(&redis, "HSET " REQUESTS " doubt %s", orders[i]);
        gives_up(2, true, 2, 4);
        redisReply *reply = redisCommand(redis.c, "HGET " REQUESTS " doubt");
        assert_string_equal(reply->str, orders[i]);
        freeReplyObject(reply);
    }
}

static void test_numbers_that_do_not_add_up_return_nothing(void **state)
{
    static const char *const wrong[] = {"2:held 9", "2:sold 0", "2:gone 7", "2:pending none"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        leave(state);
        fresh_redis(state);
        opened_by_two();
        node_2_dies();
        char command[64];
        snprintf(command, sizeof command, "HSET " H " %s", wrong[i]);
        redis_fixture_do(&redis, command);
        long long gone = field("2:gone"), bob = tickets_of("bob");
        gives_up(2, true, (uint32_t)gone, 0);
        assert_int_equal(field("2:gone"), gone);
        assert_int_equal(field("2:fenced"), 1);
        assert_int_equal(tickets_of("bob"), bob);
        assert_int_equal(book->figures.gone, 6);
    }
}

static void test_the_lost_journal_turns_up(void **state)
{
    (void)state;
    limit = 4;
    opened_by_two();
    node_2_dies();
    gives_up(2, true, 2, 4);
    pay_by = 0;
    assert_int_equal(buy(3, "bob", "doubt"), STOCK_YES);
    settle();
    be(2);
    note(STOCK_PAID, 2);
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book->figures.repair);
    assert_int_equal(book->pos, 0);
    settle();
    be(1);
    assert_int_equal(step(1, 1), STOCK_ATTACH); /* it has to settle all again, too */
    again();
    all_is_well(6);
    assert_int_equal(tickets_of("bob"), 4);
    assert_int_equal(field("2:sold"), 3);
    assert_int_equal(buy(3, "bob", "doubt"), STOCK_DUPLICATE);
    assert_int_equal(buy(1, "bob", "more"), STOCK_LIMIT);
    be(2);
    assert_int_equal(buy(1, "bob", "held"), STOCK_DUPLICATE);
}

/* A blank node under the same number would give the same order ids again, even if no order of
 * the first had been settled. */
static void test_no_blank_journal_takes_the_number(void **state)
{
    (void)state;
    opened_by_two();
    be(2);
    assert_int_equal(sell(2, 1), 2); /* the answers have reached the buyers */
    silence(2);
    gives_up(2, true, 0, 2);
    gives_up(2, true, 0, 0);
    memset(&books[2], 0, sizeof books[2]);
    be(2);
    book->epoch = 5000;
    assert_int_equal(attach(), STOCK_CONFLICT);
}

/* A node that never granted an order may attach, blank or not. */
static void test_one_that_never_came_may_come(void **state)
{
    (void)state;
    book->others[0] = 2;
    book->others_count = 1;
    again();
    assert_true(book->figures.repair);
    gives_up(2, true, 0, 0);
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(sell(3, 1), 3);
    be(2);
    again();
    all_is_well(3);
}

/* Since node 2 died, keys and buyers were lost and rebuilt by node 1 alone: they lack what node
 * 2 has in doubt, and bob's tickets of node 1 are not given back instead. */
static void test_places_that_were_lost_are_not_given_back(void **state)
{
    (void)state;
    limit = 7;
    opened_by_two();
    assert_int_equal(buy(3, "bob", "mine"), STOCK_YES);
    settle();
    be(2);
    want(0, STOCK_BUY, 3, "bob", "doubt");
    assert_int_equal(ask(1), STOCK_OK);
    silence(2);
    be(1);
    settle();
    redis_fixture_do(&redis, "DEL " BUYERS);
    again();
    assert_false(book->figures.repair); /* node 2 was silent before */
    assert_int_equal(tickets_of("bob"), 3);
    gives_up(2, true, 0, 3);
    assert_int_equal(tickets_of("bob"), 3);
    assert_int_equal(book->figures.gone, 3);
    assert_sums();
}

/* In an old dump node 2 is not given up: the repair waits for it, and it is given up again. */
static void test_an_old_dump_after_it(void **state)
{
    (void)state;
    opened_by_two();
    node_2_dies();
    take_dump();
    gives_up(2, true, 2, 4);
    assert_int_equal(sell(8, 1), 8);
    settle();
    fall_back(true);
    heard_before = true;
    again();
    assert_true(book->figures.repair);
    assert_int_equal(field("2:gone"), 6);
    gives_up(2, true, 2, 4);
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(book->figures.gone, 10);
    assert_sums();
}

/* ---- what it finds wrong -------------------------------------------------------------------- */

static void nothing_is_evicted(enum stock_result how)
{
    contents(H, before, sizeof before);
    assert_int_equal(evict(2, true), how);
    contents(H, after, sizeof after);
    assert_string_equal(before, after);
}

static void test_it_looks_before_it_writes(void **state)
{
    static const char *const broken[] = {
        "DEL " REQUESTS,
        "DEL " BUYERS,
        "HDEL " H " sale",
        "HDEL " H " ours",
        "HDEL " H " known",
        "HDEL " H " ticket_sold_nums",
        "HDEL " H " ticket_total_nums",
        "HDEL " H " 1:epoch",
        "HSET " H " 1:epoch 9",
        "HSET " H " 1:fenced 1",
        "HSET " H " turn 1",
        "HDEL " H " requests",
        "HDEL " H " buyers",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        leave(state);
        fresh_redis(state);
        opened_by_two();
        node_2_dies();
        redis_fixture_do(&redis, broken[i]);
        nothing_is_evicted(STOCK_ATTACH);
    }
}

static void test_wrong_types(void **state)
{
    static const char *const keys[] = {REQUESTS, BUYERS};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        leave(state);
        fresh_redis(state);
        opened_by_two();
        node_2_dies();
        redis_fixture_do(&redis, "SET %s text", keys[i]);
        nothing_is_evicted(STOCK_UNKNOWN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REDIS(test_what_it_answers),
        REDIS(test_no_clock_keeps_a_dead_node_alive),
        REDIS(test_again_changes_nothing),
        REDIS(test_it_comes_back),
        REDIS(test_it_comes_back_just_now),
        REDIS(test_each_gives_up_the_other),
        REDIS(test_its_journal_is_lost),
        REDIS(test_then_its_journal_is_lost_too),
        REDIS(test_a_key_of_another_order_stays),
        REDIS(test_numbers_that_do_not_add_up_return_nothing),
        REDIS(test_the_lost_journal_turns_up),
        REDIS(test_no_blank_journal_takes_the_number),
        REDIS(test_one_that_never_came_may_come),
        REDIS(test_places_that_were_lost_are_not_given_back),
        REDIS(test_an_old_dump_after_it),
        REDIS(test_it_looks_before_it_writes),
        REDIS(test_wrong_types),
    };
    return STOCK_RUN(tests);
}
