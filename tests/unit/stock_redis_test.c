/*
 * Why: only Redis can forget, fall back to an older state, and be written by others. Whatever it
 * has lost, the journals put it back, and no ticket is sold twice or stranded (P1, P3).
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/redis.c storage/stock/link.c
 *        server/mem/arena.c conf/base/fault.c conf/base/check.c conf/base/log.c
 *        conf/base/orderid.c tests/lib/redis_fixture.c -lhiredis -lsodium */
#include "tests/lib/stock_book.h"

static void test_a_prototype_hash_is_adopted(void **state)
{
    (void)state;
    redis_fixture_do(&redis, "HSET " H " ticket_total_nums 8 ticket_sold_nums 3");
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.total, 8);
    assert_int_equal(book.figures.gone, 3);
    assert_int_equal(book.figures.foreign, 3);
    assert_int_equal(sell(9, 1), 5);
    assert_sums();
}

static void test_foreign_sales_are_counted_and_kept(void **state)
{
    (void)state;
    opened();
    sell(2, 1);
    redis_fixture_do(&redis, "HINCRBY " H " ticket_sold_nums 5");
    assert_int_equal(sell(9, 1), 3);
    assert_int_equal(book.figures.foreign, 5);
    assert_int_equal(book.figures.gone, 10);
    note(0, -1, 1, "cancelled");
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.foreign, 5);
    assert_int_equal(book.figures.gone, 9);
}

static void test_foreign_past_the_total_leaves_nothing(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "HSET " H " ticket_sold_nums 11");
    assert_int_equal(sell(1, 1), 0);
    assert_int_equal(items[0].verdict, STOCK_SOLD_OUT);
    assert_int_equal(field("ticket_sold_nums"), 11);
}

static void test_flushed_redis_is_rebuilt(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "HINCRBY " H " ticket_sold_nums 2");
    sell(4, 1);
    struct stock_change all[4];
    memcpy(all, changes, sizeof all);
    assert_int_equal(step(0, 1), STOCK_OK);
    book.foreign = book.figures.foreign;
    redis_fixture_do(&redis, "FLUSHALL");
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book.figures.repair);
    assert_int_equal(book.pos, 0);
    assert_int_equal(field("ticket_total_nums"), -1);
    memcpy(changes, all, sizeof all);
    change_count = 4;
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_false(book.figures.repair);
    assert_int_equal(book.figures.gone, 6);
    assert_int_equal(book.figures.foreign, 2);
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
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(sell(2, 3), 2); /* 1..2 again, three tickets each */
    struct stock_change all[2];
    memcpy(all, changes, sizeof all);
    assert_int_equal(step(0, 1), STOCK_OK);
    redis_fixture_do(&redis, "COPY dump " H " REPLACE");
    redis_fixture_do(&redis, "HSET " H " run another");
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book.figures.repair);
    memcpy(changes, all, sizeof all);
    change_count = 2;
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.gone, 6);
    assert_sums();
}

static void test_repair_waits_for_every_known_node(void **state)
{
    (void)state;
    struct book first, second = {.others = {1, 2}, .others_count = 2};
    book.others[0] = 2;
    book.others_count = 1;
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_true(book.figures.repair); /* node 2 has not come */
    assert_true(book.figures.ready);
    first = book;
    stock_disconnect(stock);
    conf.node = 2;
    use(stock_redis_plan);
    book = second;
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_false(book.figures.repair);
    assert_string_equal(book.sale.id, first.sale.id);
    assert_int_equal(sell(4, 1), 4);
    assert_int_equal(field("2:gone"), 4);
    assert_int_equal(field("ours"), 4);
}

static void test_a_blank_node_that_comes_first_gives_way(void **state)
{
    (void)state;
    book.others[0] = 2;
    book.others_count = 1;
    assert_int_equal(attach(), STOCK_OK); /* blank node 1 makes a sale and waits for node 2 */
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_true(book.figures.repair);
    struct book blank = book;
    stock_disconnect(stock);
    conf.node = 2; /* node 2 has a journal with orders of the real sale */
    use(stock_redis_plan);
    book = (struct book){.others = {1}, .others_count = 1};
    strcpy(book.sale.id, "0123456789abcdef0123456789abcdef");
    note(1, 1, 1, "sold");
    note(2, 1, 1, "sold");
    assert_int_equal(attach(), STOCK_OK);
    assert_string_equal(book.sale.id, "0123456789abcdef0123456789abcdef");
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.gone, 2);
    assert_true(book.figures.repair);
    stock_disconnect(stock);
    conf.node = 1;
    use(stock_redis_plan);
    book = blank;
    assert_int_equal(attach(), STOCK_OK);
    assert_string_equal(book.sale.id, "0123456789abcdef0123456789abcdef");
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_false(book.figures.repair);
    assert_int_equal(book.figures.gone, 2);
}

/* An older hash in which this node's own fields happen to fit: only the turn tells. */
static void test_an_older_hash_is_found_by_its_turn(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "COPY " H " dump");
    assert_int_equal(step(0, 1), STOCK_OK);
    redis_fixture_do(&redis, "COPY dump " H " REPLACE");
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book.figures.repair);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_false(book.figures.repair);
    assert_int_equal(sell(11, 1), 10);
}

/* The prototype's own set-up, run again in the middle of a sale. */
static void test_sold_lowered_by_hand_sells_nothing_twice(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "HINCRBY " H " ticket_sold_nums 3");
    assert_int_equal(sell(4, 1), 4);
    assert_int_equal(step(0, 1), STOCK_OK);
    book.foreign = book.figures.foreign;
    redis_fixture_do(&redis, "HSET " H " ticket_total_nums 10 ticket_sold_nums 0");
    assert_int_equal(step(5, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book.figures.repair);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.gone, 7);
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
    assert_true(book.figures.repair);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.gone, 4);
    assert_sums();
}

/* Whichever field goes, the journal puts it back, and not one ticket is sold twice or stranded. */
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
                                         "sale"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct stock_change all[4];
        leave(state);
        fresh_redis(state);
        opened();
        redis_fixture_do(&redis, "HINCRBY " H " ticket_sold_nums 1");
        assert_int_equal(sell(4, 1), 4);
        memcpy(all, changes, sizeof all);
        assert_int_equal(step(0, 1), STOCK_OK);
        book.foreign = book.figures.foreign;
        redis_fixture_do(&redis, "HDEL " H " %s", fields[i]);
        (void)step(0, 1);
        assert_int_equal(attach(), STOCK_OK);
        if (book.pos == 0) {
            memcpy(changes, all, sizeof all);
            change_count = 4;
        }
        assert_int_equal(step(0, 1), STOCK_OK);
        print_message("%s lost: %u gone, %u foreign\n", fields[i], book.figures.gone,
                      book.figures.foreign);
        assert_int_equal(book.figures.gone, 5);
        assert_int_equal(book.figures.foreign, 1);
        assert_int_equal(sell(9, 1), 5);
        assert_sums();
    }
}

/* What others may write into the prototype's fields. */
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
        assert_int_equal(step(0, 1), STOCK_OK);
        assert_int_equal(sell(11, 1), 10);
    }
}

/* Node 257 must not put into the hash what nobody can read. */
static void test_a_sale_has_256_nodes_at_most(void **state)
{
    (void)state;
    opened();
    char known[1600] = "1";
    for (int i = 1000; i < 1255; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), " %d", i);
    redisReply *reply = redisCommand(redis.c, "HSET " H " known %b", known, strlen(known));
    assert_non_null(reply);
    freeReplyObject(reply);
    (void)second_node();
    assert_int_equal(attach(), STOCK_OTHER);
    assert_int_equal(field("2:epoch"), -12345);
}

/* Two nodes begin a sale and the second sells three. Answers its journal, and in all[] the records
 * that tell of them; the first is at the wheel again. */
static struct book the_second_sells_three(struct stock_change all[3])
{
    book.others[0] = 2;
    book.others_count = 1;
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    struct book first = second_node();
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(sell(3, 1), 3);
    memcpy(all, changes, 3 * sizeof *all);
    assert_int_equal(step(0, 1), STOCK_OK);
    struct book second = book;
    first_node(first);
    return second;
}

/* Another node's repair must not turn a field that is lost into a zero that is believed. */
static void test_a_field_lost_by_one_and_a_repair_by_the_other(void **state)
{
    (void)state;
    struct stock_change all[3];
    struct book second = the_second_sells_three(all);
    redis_fixture_do(&redis, "HDEL " H " 2:gone");
    redis_fixture_do(&redis, "HSET " H " run another");
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_true(book.figures.repair);
    (void)second_node();
    book = second;
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(book.pos, 0);
    memcpy(changes, all, sizeof all);
    change_count = 3;
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_false(book.figures.repair);
    assert_int_equal(book.figures.gone, 3);
    assert_int_equal(field("2:gone"), 3);
    assert_int_equal(field("ours"), 3);
}

/* Two nodes that sold alone are pointed at one Redis: one of them wins, and for good. */
static void test_two_sales_on_one_hash(void **state)
{
    (void)state;
    strcpy(book.sale.id, "0123456789abcdef0123456789abcdef");
    note(1, 1, 1, "sold");
    book.others[0] = 2; /* so that the sale does not begin */
    book.others_count = 1;
    assert_int_equal(attach(), STOCK_OK);
    stock_disconnect(stock);
    conf.node = 2;
    use(stock_redis_plan);
    book = (struct book){.others = {1}, .others_count = 1};
    change_count = 0;
    strcpy(book.sale.id, "fedcba9876543210fedcba9876543210");
    note(1, 1, 1, "sold");
    assert_int_equal(attach(), STOCK_OTHER);
}

/* Who is already selling must have journaled a newcomer before it sells: else a repair would not
 * wait for it, and its tickets would be sold again. */
static void test_a_newcomer_waits_until_it_is_known(void **state)
{
    (void)state;
    opened();
    struct book first = second_node();
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_false(book.figures.ready);
    struct book newcomer = book;
    first_node(first);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(node_count, 2); /* told of it, and it is journaled */
    book.others[0] = 2;
    book.others_count = 1;
    assert_int_equal(step(0, 1), STOCK_OK);
    (void)second_node();
    book = newcomer;
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_true(book.figures.ready);
}

/* Node 2 sells three, falls silent, and Redis loses everything: node 1 sells on without it, and
 * its three stay counted. */
static void test_a_silent_node_is_not_waited_for(void **state)
{
    (void)state;
    struct stock_change all[3];
    struct book other = the_second_sells_three(all);
    redis_fixture_do(&redis, "HSET " H " 2:beat 1000"); /* long ago */
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_true(nodes[1].id == 2 && nodes[1].silent && nodes[1].gone == 3);
    redis_fixture_do(&redis, "FLUSHALL");
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_true(book.figures.repair);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_false(book.figures.repair);
    assert_int_equal(book.figures.gone, 3);
    assert_int_equal(sell(9, 1), 7);
    (void)second_node(); /* it comes back, with its journal */
    node_count = 0;
    book = other;
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(book.pos, 0);
    memcpy(changes, all, sizeof all);
    change_count = 3;
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(field("2:gone"), 3);
    assert_int_equal(field("ticket_sold_nums"), 10);
}

static void test_another_sale_is_refused(void **state)
{
    (void)state;
    opened();
    sell(1, 1);
    assert_int_equal(step(0, 1), STOCK_OK);
    strcpy(book.sale.id, "0123456789abcdef0123456789abcdef");
    assert_int_equal(attach(), STOCK_OTHER);
}

static void test_a_fenced_node_attaches_again(void **state)
{
    (void)state;
    opened();
    sell(1, 1);
    redis_fixture_do(&redis, "HSET " H " 1:fenced 1");
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(sell(0, 1), 0);
    assert_int_equal(sell(9, 1), 9);
    assert_int_equal(book.figures.gone, 10);
}

static void test_forgotten_scripts_are_sent_again(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "SCRIPT FLUSH");
    assert_int_equal(sell(2, 1), 2);
}

static void test_a_wrong_type_changes_nothing(void **state)
{
    (void)state;
    opened();
    sell(2, 1);
    redis_fixture_do(&redis, "DEL {" H "}:orders");
    redis_fixture_do(&redis, "SET {" H "}:orders x");
    assert_int_equal(step(1, 1), STOCK_DOUBT);
    assert_int_equal(field("1:gone"), 2);
    redis_fixture_do(&redis, "DEL {" H "}:orders");
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(sell(9, 1), 8);
}

static void test_paused_and_closed(void **state)
{
    (void)state;
    opened();
    redis_fixture_do(&redis, "HSET " H " state paused");
    assert_int_equal(sell(1, 1), 0);
    assert_int_equal(items[0].verdict, STOCK_IS_PAUSED);
    redis_fixture_do(&redis, "HSET " H " state closed");
    assert_int_equal(sell(1, 1), 0);
    assert_int_equal(items[0].verdict, STOCK_IS_CLOSED);
}

static void test_every_change_is_in_the_stream_once(void **state)
{
    (void)state;
    opened();
    sell(3, 1);
    note(0, -1, 1, "cancelled");
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    redisReply *reply = redisCommand(redis.c, "XLEN {" H "}:orders");
    assert_int_equal(reply->integer, 4);
    freeReplyObject(reply);
}

static void test_the_beat_moves(void **state)
{
    (void)state;
    uint64_t beat, now;
    assert_int_equal(stock_connect(stock, &f), STOCK_OK);
    assert_int_equal(stock_last_beat(stock, 0, &beat, &now, &f), STOCK_OK);
    assert_int_equal(beat, 0);
    opened();
    assert_int_equal(stock_last_beat(stock, 0, &beat, &now, &f), STOCK_OK);
    assert_true(beat > 0 && now >= beat && now - beat < 5000);
}

#define REDIS(test) cmocka_unit_test_setup_teardown(test, fresh_redis, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REDIS(test_a_prototype_hash_is_adopted),
        REDIS(test_foreign_sales_are_counted_and_kept),
        REDIS(test_foreign_past_the_total_leaves_nothing),
        REDIS(test_flushed_redis_is_rebuilt),
        REDIS(test_an_old_dump_with_other_pending_orders),
        REDIS(test_repair_waits_for_every_known_node),
        REDIS(test_a_blank_node_that_comes_first_gives_way),
        REDIS(test_an_older_hash_is_found_by_its_turn),
        REDIS(test_sold_lowered_by_hand_sells_nothing_twice),
        REDIS(test_lost_pending_is_repaired),
        REDIS(test_any_lost_field_is_repaired),
        REDIS(test_a_count_that_is_none_is_repaired),
        REDIS(test_a_sale_has_256_nodes_at_most),
        REDIS(test_a_field_lost_by_one_and_a_repair_by_the_other),
        REDIS(test_two_sales_on_one_hash),
        REDIS(test_a_newcomer_waits_until_it_is_known),
        REDIS(test_a_silent_node_is_not_waited_for),
        REDIS(test_another_sale_is_refused),
        REDIS(test_a_fenced_node_attaches_again),
        REDIS(test_forgotten_scripts_are_sent_again),
        REDIS(test_a_wrong_type_changes_nothing),
        REDIS(test_paused_and_closed),
        REDIS(test_every_change_is_in_the_stream_once),
        REDIS(test_the_beat_moves),
    };
    return STOCK_RUN(tests);
}
