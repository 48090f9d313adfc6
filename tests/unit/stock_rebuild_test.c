/*
 * Why: only Redis can forget, and fall back to an older state. Whatever it has lost, the journals
 * put it back, and no ticket is sold twice or stranded, no key gets a second order (P1, P3, P4).
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/name_table.c
 * storage/stock/redis.c storage/stock/redis_act.c storage/stock/redis_attach.c
 * storage/stock/redis_pack.c storage/stock/redis_script.c storage/stock/redis_step.c
 * storage/stock/redis_reply.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 * conf/base/check.c conf/base/log.c conf/base/orderid.c conf/base/key_hash.c
 * tests/lib/redis_fixture.c -lhiredis -lsodium */
#include "tests/lib/stock_book.h"

static void test_flushed_redis_is_rebuilt(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "HINCRBY " H " ticket_sold_nums 2");
    sell(4, 1);
    settle();
    redis_fixture_do(&redis, "FLUSHALL");
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book->figures.repair);
    assert_int_equal(book->pos, 0);
    assert_int_equal(field("ticket_total_nums"), -1);
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(book->figures.gone, 6);
    assert_int_equal(book->figures.foreign, 2);
    assert_int_equal(field("ticket_total_nums"), 10);
    assert_int_equal(sell(9, 1), 4);
    assert_sums();
}

/* An old dump names pending numbers that were voided and given again since, to other orders. */
static void test_an_old_dump_with_other_pending_orders(void **state)
{
    (void)state;
    opened();
    assert_int_equal(step(3, 1), STOCK_OK); /* 1..3 pending, one ticket each; the dump is of now */
    redis_fixture_do(&redis, "COPY " H " dump");
    assert_int_equal(attach(), STOCK_OK); /* they are void */
    settle();
    assert_int_equal(sell(2, 3), 2); /* 1..2 again, three tickets each */
    settle();
    redis_fixture_do(&redis, "COPY dump " H " REPLACE");
    redis_fixture_do(&redis, "HSET " H " run another");
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book->figures.repair);
    settle();
    assert_int_equal(book->figures.gone, 6);
    assert_sums();
}

/* An older hash in which this node's own fields fit by chance: only the revision shows it. */
static void test_an_older_hash_is_found_by_its_turn(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "COPY " H " dump");
    settle();
    redis_fixture_do(&redis, "COPY dump " H " REPLACE");
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book->figures.repair);
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(sell(11, 1), 10);
}

/* The prototype's own set-up, run again in the middle of a sale. */
static void test_sold_lowered_by_hand_sells_nothing_twice(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "HINCRBY " H " ticket_sold_nums 3");
    assert_int_equal(sell(4, 1), 4);
    settle();
    redis_fixture_do(&redis, "HSET " H " ticket_total_nums 10 ticket_sold_nums 0");
    assert_int_equal(step(5, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book->figures.repair);
    settle();
    assert_int_equal(book->figures.gone, 7);
    assert_int_equal(sell(9, 1), 3);
    assert_sums();
}

static void test_lost_pending_is_repaired(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(4, 1), 4);
    redis_fixture_do(&redis, "HDEL " H " 1:pending");
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book->figures.repair);
    settle();
    assert_int_equal(book->figures.gone, 4);
    assert_sums();
}

/* Some of its lines are lost: a step finds too few, and must check that before it writes to the
 * stream. */
static void test_a_part_of_pending_is_lost(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(4, 1), 4);
    redis_fixture_do(&redis, "HSET " H " 1:pending 1\n");
    assert_int_equal(ask_up_to(book->end - 1, 0), STOCK_ATTACH);
    assert_int_equal(count_of("XLEN " ORDERS), 0);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book->figures.repair);
    settle();
    assert_int_equal(book->figures.gone, 4);
    assert_sums();
}

/* Whichever field is lost, the journal restores it, and not one ticket is sold twice or
 * stranded. */
static void test_any_lost_field_is_repaired(void **state)
{
    static const char *const fields[] = {"1:epoch",
                                         "1:ready",
                                         "1:last",
                                         "1:pos",
                                         "1:done",
                                         "1:pending",
                                         "1:held",
                                         "1:sold",
                                         "1:gone",
                                         "1:beat",
                                         "1:fenced",
                                         "ours",
                                         "ticket_total_nums",
                                         "known",
                                         "run",
                                         "turn",
                                         "state",
                                         "begun",
                                         "secret",
                                         "version",
                                         "ticket_sold_nums",
                                         "sale",
                                         "rebuild",
                                         "1:rebuild",
                                         "1:told",
                                         "streamed",
                                         "aside",
                                         "requests",
                                         "buyers",
                                         "marks",
                                         "act",
                                         "1:knows"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        leave(state);
        fresh_redis(state);
        opened();
        redis_fixture_do(&redis, "HINCRBY " H " ticket_sold_nums 1");
        assert_int_equal(sell(4, 1), 4);
        settle();
        redis_fixture_do(&redis, "HDEL " H " %s", fields[i]);
        (void)step(0, 1);
        assert_int_equal(attach(), STOCK_OK);
        settle();
        print_message("%s lost: %u gone, %u foreign\n", fields[i], book->figures.gone,
                      book->figures.foreign);
        assert_int_equal(book->figures.gone, 5);
        assert_int_equal(book->figures.foreign, 1);
        assert_int_equal(sell(9, 1), 5);
        assert_sums();
    }
}

/* Other programs may write into the prototype's fields. */
static void test_a_count_that_is_none_is_repaired(void **state)
{
    static const char *const counts[] = {"inf", "nan", "-3", "1.5", "99999999999", "many"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        leave(state);
        fresh_redis(state);
        opened();
        redis_fixture_do(&redis, "HSET " H " ticket_sold_nums %s ticket_total_nums %s", counts[i],
                         counts[i]);
        assert_int_equal(step(1, 1), STOCK_ATTACH);
        assert_int_equal(attach(), STOCK_OK);
        settle();
        assert_int_equal(sell(11, 1), 10);
    }
}

/* Two nodes begin a sale, and the second sells three; the process is the first again. */
static void the_second_sells_three(void)
{
    opened_by_two();
    be(2);
    assert_int_equal(sell(3, 1), 3);
    settle();
    be(1);
}

/* Another node's repair must not turn a lost field into a zero that is trusted. */
static void test_a_field_lost_by_one_and_a_repair_by_the_other(void **state)
{
    (void)state;
    the_second_sells_three();
    redis_fixture_do(&redis, "HDEL " H " 2:gone");
    redis_fixture_do(&redis, "HSET " H " run another");
    again();
    assert_true(book->figures.repair);
    be(2);
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(book->pos, 0);
    settle(); /* its own fields are broken: all is settled again, by node 1 as well */
    assert_true(book->figures.repair);
    be(1);
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    again();
    assert_false(book->figures.repair);
    assert_int_equal(book->figures.gone, 3);
    assert_int_equal(field("2:gone"), 3);
    assert_int_equal(field("ours"), 3);
}

/* Node 2 sells three, falls silent, and Redis loses everything: node 1 sells on without it, and
 * its three stay counted. */
static void test_a_silent_node_is_not_waited_for(void **state)
{
    (void)state;
    the_second_sells_three();
    redis_fixture_do(&redis, "HSET " H " 2:beat 1000"); /* long ago */
    settle();
    const struct stock_node *other = &book->nodes[1];
    assert_true(other->id == 2 && other->silent && other->gone == 3);
    redis_fixture_do(&redis, "FLUSHALL");
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book->figures.repair);
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(book->figures.gone, 3);
    assert_int_equal(sell(9, 1), 7);
    be(2); /* it attaches again, with its journal */
    book->node_count = 0;
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(book->pos, 0);
    settle();
    assert_int_equal(field("2:gone"), 3);
    assert_int_equal(field("ticket_sold_nums"), 10);
}

/* Redis is restarted from an old dump, in which node 2 had sold one and now appears silent,
 * because its beat there is old. It has sold three, and is down. Such a dump is no observation
 * of the node: when Redis loses something once more, before the repair is over, the repair still
 * waits for node 2. */
static void test_an_old_beat_is_no_sight_of_a_node(void **state)
{
    (void)state;
    opened_by_two();
    be(2);
    assert_int_equal(sell(1, 1), 1);
    settle();
    be(1);
    settle();
    redis_fixture_do(&redis, "HSET " H " 2:beat 1000"); /* when the dump was taken */
    take_dump();
    be(2);
    assert_int_equal(sell(2, 1), 2);
    settle();
    be(1);
    settle();
    assert_false(book->nodes[1].silent);
    fall_back(true);
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    again();
    assert_true(book->figures.repair);
    redis_fixture_do(&redis, "DEL " REQUESTS);
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    again();
    assert_true(book->figures.repair);
    be(2);
    again();
    be(1);
    if (step(0, 1) == STOCK_ATTACH)
        again();
    assert_false(book->figures.repair);
    assert_int_equal(book->figures.gone, 3);
    assert_int_equal(sell(9, 1), 7);
}

/* An act is in one journal; Redis falls back to before it, and the other node, which has not
 * learned of it, attaches first. By revisions alone the hash would appear new to the node that
 * has acted. */
static void test_an_act_that_an_old_dump_forgot(void **state)
{
    struct stock_act a;
    (void)state;
    opened_by_two();
    take_dump();
    be(2);
    for (int i = 0; i < 5; i++)
        assert_int_equal(step(0, 1), STOCK_OK);
    be(1);
    assert_int_equal(act(STOCK_OPEN, 5, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_DONE);
    fall_back(false);
    be(2);
    again();
    be(1);
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    again();
    assert_int_equal(book->figures.total, 5);
}

/* The dump was taken in a repair, when node 1 was ready and node 2 was not: that proves nothing
 * about what node 1 has sold since. */
static void test_a_dump_of_a_repair_makes_nobody_ready(void **state)
{
    (void)state;
    opened_by_two();
    redis_fixture_do(&redis, "DEL " REQUESTS);
    be(1);
    again();
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_true(book->figures.repair);
    assert_int_equal(field("1:ready"), 1);
    take_dump();
    be(2);
    again();
    be(1);
    assert_int_equal(sell(4, 1), 4);
    settle();
    be(2);
    settle();
    fall_back(false);
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    again();
    assert_true(book->figures.repair);
    be(1);
    again();
    settle();
    assert_int_equal(field("ticket_sold_nums"), 4);
}

/* A list of key hashes from before a rebuild may be as long as the rebuilt one. */
static void test_an_older_list_of_marks_is_not_believed(void **state)
{
    (void)state;
    opened();
    assert_int_equal(buy(1, "", "a key"), STOCK_YES);
    settle();
    take_dump();
    redis_fixture_do(&redis, "DEL " REQUESTS);
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    again();
    settle();
    fall_back_alone(GRANTS);
    assert_int_equal(step(0, 1), STOCK_ATTACH);
}

/* ---- keys and buyers ------------------------------------------------------------------------ */

/* Both nodes have orders of every kind, with keys and without, and are at rest. */
static void two_nodes_have_sold(void)
{
    static const char *const keys[2][6] = {{"a1", "a2", "a3", "a4", "a5", ""},
                                           {"b1", "b2", "b3", "b4", "b5", ""}};
    limit = 20;
    total = 40;
    opened_by_two();
    for (uint16_t node = 1; node <= 2; node++) {
        be(node);
        for (uint32_t i = 0; i < 6; i++) {
            pay_by = i < 4 ? 777 : 0;
            assert_int_equal(buy(1 + i % 2, i < 3 ? "ann" : "bob", keys[node - 1][i]), STOCK_YES);
        }
        note(STOCK_PAID, 1);
        note(STOCK_EXPIRED, 2);
        note(STOCK_CANCELLED, 3);
        note(STOCK_EXPIRED, 4);
        note(STOCK_UNDONE, 5);
        settle();
        assert_int_equal(pay_late(4), STOCK_YES);
        settle();
    }
}

/* No node sells, or answers that a key is new, before both have settled all they have. */
static void both_tell_again(uint16_t first)
{
    be(first);
    assert_int_not_equal(step(1, 1), STOCK_OK);
    assert_int_equal(attach(), STOCK_OK);
    settle();
    assert_true(book->figures.repair);
    assert_int_equal(buy(1, "cis", "c1"), STOCK_BUSY);
    assert_int_equal(probe(2, "ann", "a2"), first == 1 ? STOCK_ENDED : STOCK_BUSY);
    be((uint16_t)(3 - first));
    assert_int_not_equal(step(1, 1), STOCK_OK);
    assert_int_equal(attach(), STOCK_OK);
    settle();
    assert_false(book->figures.repair);
    be(first);
    settle();
}

#define LONG_TEXT 2048

static void test_each_lost_key_is_told_again(void **state)
{
    static const char *const lost[] = {"DEL " REQUESTS, "DEL " BUYERS,
                                       "DEL " GRANTS,   "DEL " ORDERS,
                                       "FLUSHALL",      "DEL " REQUESTS " " BUYERS " " GRANTS};
    for (size_t i = 0; i < 2 * sizeof lost / sizeof *lost; i++) {
        char requests[2][LONG_TEXT], buyers[2][LONG_TEXT];
        leave(state);
        fresh_redis(state);
        two_nodes_have_sold();
        contents(REQUESTS, requests[0], LONG_TEXT);
        contents(BUYERS, buyers[0], LONG_TEXT);
        long long marks = count_of("LLEN " GRANTS), entries = count_of("XLEN " ORDERS);
        uint32_t gone = book->figures.gone;
        be(1); /* a beat of both */
        settle();
        redis_fixture_do(&redis, lost[i / 2]);
        both_tell_again((uint16_t)(1 + i % 2));
        contents(REQUESTS, requests[1], LONG_TEXT);
        contents(BUYERS, buyers[1], LONG_TEXT);
        assert_string_equal(requests[1], requests[0]);
        assert_string_equal(buyers[1], buyers[0]);
        assert_int_equal(count_of("LLEN " GRANTS), marks);
        assert_int_equal(count_of("XLEN " ORDERS), entries);
        assert_int_equal(book->figures.gone, gone);
        assert_int_equal(book->hash_count, marks - 1); /* read from the first again */
        assert_sums();
        assert_int_equal(buy(1, "ann", "a1"), STOCK_DUPLICATE);
    }
}

/* A buyer at the limit must not get more tickets while, or because, the count was lost. */
static void test_a_limit_survives_the_loss_of_buyers(void **state)
{
    (void)state;
    limit = 1;
    opened_by_two();
    assert_int_equal(buy(1, "ann", ""), STOCK_YES);
    settle();
    redis_fixture_do(&redis, "HDEL " BUYERS " %s", ""); /* its key hash alone */
    be(2);
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    again();
    assert_int_equal(buy(1, "ann", ""), STOCK_BUSY);
    be(1);
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    again();
    be(2);
    assert_int_equal(buy(1, "ann", ""), STOCK_LIMIT);
    assert_int_equal(tickets_of("ann"), 1);
}

/* Only the field is lost that records whether this node has taken part in the rebuild: no ticket
 * of a buyer may be counted twice. */
static void test_a_lost_rebuild_counts_no_buyer_twice(void **state)
{
    (void)state;
    limit = 2;
    opened_by_two();
    assert_int_equal(buy(1, "ann", "k1"), STOCK_YES);
    settle();
    redis_fixture_do(&redis, "HDEL " H " 1:rebuild");
    again();
    be(2);
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    again();
    assert_int_equal(tickets_of("ann"), 1);
    assert_int_equal(buy(1, "ann", ""), STOCK_YES);
}

/* A portion at a time: a key that is not rebuilt yet must not appear new. */
static void test_telling_again_in_parts(void **state)
{
    (void)state;
    opened();
    pay_by = 777;
    assert_int_equal(buy(1, "ann", "k1"), STOCK_YES);
    assert_int_equal(buy(1, "bob", "k2"), STOCK_YES);
    note(STOCK_EXPIRED, 1);
    settle();
    redis_fixture_do(&redis, "DEL " REQUESTS);
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    for (uint64_t to = 1; to < book->end; to++) {
        assert_int_equal(ask_up_to(to, 0), STOCK_OK);
        assert_true(book->figures.repair && !book->figures.ready);
        assert_sums();
    }
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_ENDED);
    assert_int_equal(buy(1, "bob", "k2"), STOCK_DUPLICATE);
}

/* ---- an operator's acts --------------------------------------------------------------------- */

/* Node 2 closed the sale and sold nothing; Redis forgets, and node 1, which never learned of it,
 * attaches first. */
static void test_the_newest_act_of_all_journals_holds(void **state)
{
    struct stock_act a;
    (void)state;
    opened_by_two();
    assert_int_equal(sell(2, 1), 2);
    settle();
    be(2);
    settle();
    assert_int_equal(act(STOCK_CLOSED, 15, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_DONE);
    redis_fixture_do(&redis, "FLUSHALL");
    be(1);
    assert_int_equal(book->version, 1);
    again();
    assert_true(book->figures.repair);
    be(2);
    again();
    assert_false(book->figures.repair);
    assert_int_equal(book->figures.state, STOCK_CLOSED);
    assert_int_equal(book->figures.version, 2);
    assert_int_equal(book->figures.total, 15);
    be(1);
    assert_int_equal(sell(1, 1), 0);
    assert_int_equal(items[0].verdict, STOCK_IS_CLOSED);
}

/* One field that operators have set is lost; the node that attaches first has not learned of the
 * last act. */
static void test_a_lost_total_or_state_is_that_of_the_newest_act(void **state)
{
    static const char *const fields[] = {"ticket_total_nums", "state", "version"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct stock_act a;
        leave(state);
        fresh_redis(state);
        opened_by_two();
        be(2);
        settle();
        assert_int_equal(act(STOCK_PAUSED, 15, &a), STOCK_OK);
        redis_fixture_do(&redis, "HDEL " H " %s", fields[i]);
        be(1);
        assert_int_equal(step(1, 1), STOCK_ATTACH);
        again();
        assert_true(book->figures.repair);
        be(2);
        assert_int_equal(step(1, 1), STOCK_ATTACH);
        again();
        assert_false(book->figures.repair);
        assert_int_equal(book->figures.state, STOCK_PAUSED);
        assert_int_equal(book->figures.total, 15);
        assert_int_equal(book->figures.version, 2);
    }
}

/* An old dump has an older act than the journals. */
static void test_an_old_dump_does_not_undo_an_act(void **state)
{
    struct stock_act a;
    (void)state;
    opened();
    redis_fixture_do(&redis, "COPY " H " dump");
    assert_int_equal(act(STOCK_PAUSED, 20, &a), STOCK_OK);
    settle();
    redis_fixture_do(&redis, "COPY dump " H " REPLACE");
    assert_int_equal(act(STOCK_OPEN, 10, &a), STOCK_ATTACH);
    again();
    assert_false(book->figures.repair);
    assert_int_equal(book->figures.state, STOCK_PAUSED);
    assert_int_equal(book->figures.total, 20);
    assert_int_equal(book->figures.version, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REDIS(test_flushed_redis_is_rebuilt),
        REDIS(test_an_old_dump_with_other_pending_orders),
        REDIS(test_an_older_hash_is_found_by_its_turn),
        REDIS(test_sold_lowered_by_hand_sells_nothing_twice),
        REDIS(test_lost_pending_is_repaired),
        REDIS(test_a_part_of_pending_is_lost),
        REDIS(test_any_lost_field_is_repaired),
        REDIS(test_a_count_that_is_none_is_repaired),
        REDIS(test_a_field_lost_by_one_and_a_repair_by_the_other),
        REDIS(test_a_silent_node_is_not_waited_for),
        REDIS(test_an_act_that_an_old_dump_forgot),
        REDIS(test_an_older_list_of_marks_is_not_believed),
        REDIS(test_a_dump_of_a_repair_makes_nobody_ready),
        REDIS(test_an_old_beat_is_no_sight_of_a_node),
        REDIS(test_each_lost_key_is_told_again),
        REDIS(test_a_limit_survives_the_loss_of_buyers),
        REDIS(test_a_lost_rebuild_counts_no_buyer_twice),
        REDIS(test_telling_again_in_parts),
        REDIS(test_the_newest_act_of_all_journals_holds),
        REDIS(test_a_lost_total_or_state_is_that_of_the_newest_act),
        REDIS(test_an_old_dump_does_not_undo_an_act),
    };
    return STOCK_RUN(tests);
}
