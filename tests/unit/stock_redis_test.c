/*
 * Why: only Redis is shared: with other nodes, with the prototype's programs, and with operators
 * who write into it by hand. None of them may cause a ticket to be sold twice (P1).
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/name_table.c
 * storage/stock/redis.c storage/stock/redis_act.c storage/stock/redis_attach.c
 * storage/stock/redis_pack.c storage/stock/redis_script.c storage/stock/redis_step.c
 * storage/stock/redis_reply.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 * conf/base/check.c conf/base/log.c conf/base/orderid.c conf/base/key_hash.c
 * tests/lib/redis_fixture.c -lhiredis -lsodium */
#include "tests/lib/stock_book.h"

static void test_a_prototype_hash_is_adopted(void **state)
{
    (void)state;
    redis_fixture_do(&redis, "HSET " H " ticket_total_nums 8 ticket_sold_nums 3");
    assert_int_equal(attach(), STOCK_OK);
    settle();
    assert_int_equal(book->figures.total, 8);
    assert_int_equal(book->figures.gone, 3);
    assert_int_equal(book->figures.foreign, 3);
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
    assert_int_equal(book->figures.foreign, 5);
    assert_int_equal(book->figures.gone, 10);
    note(STOCK_UNDONE, 1);
    settle();
    assert_int_equal(book->figures.foreign, 5);
    assert_int_equal(book->figures.gone, 9);
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

static void test_repair_waits_for_every_known_node(void **state)
{
    (void)state;
    book->others[0] = 2;
    book->others_count = 1;
    again();
    assert_true(book->figures.repair); /* node 2 has not attached */
    assert_true(book->figures.ready);
    be(2);
    again();
    assert_false(book->figures.repair);
    assert_string_equal(book->sale.id, books[1].sale.id);
    assert_int_equal(sell(4, 1), 4);
    assert_int_equal(field("2:gone"), 4);
    assert_int_equal(field("ours"), 4);
}

static void test_a_blank_node_that_comes_first_gives_way(void **state)
{
    (void)state;
    book->others[0] = 2;
    book->others_count = 1;
    again(); /* blank node 1 makes a sale and waits for node 2 */
    assert_true(book->figures.repair);
    be(2); /* it has a journal with orders of the real sale */
    book->others[0] = 1;
    book->others_count = 1;
    strcpy(book->sale.id, "0123456789abcdef0123456789abcdef");
    note_grant(1);
    note_grant(1);
    assert_int_equal(attach(), STOCK_OK);
    assert_string_equal(book->sale.id, "0123456789abcdef0123456789abcdef");
    settle();
    assert_int_equal(book->figures.gone, 2);
    assert_true(book->figures.repair);
    be(1);
    assert_int_equal(attach(), STOCK_OK);
    assert_string_equal(book->sale.id, "0123456789abcdef0123456789abcdef");
    settle();
    assert_false(book->figures.repair);
    assert_int_equal(book->figures.gone, 2);
}

/* Whatever another program wrote there: a node that has no sale of its own must not end of it. */
static void test_a_sale_id_that_is_no_hex_is_no_answer(void **state)
{
    (void)state;
    redis_fixture_do(&redis, "HSET " H " sale zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
    be(2);
    assert_int_equal(attach(), STOCK_UNKNOWN);
}

/* Node 257 must not write into the hash what no node can read. */
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
    be(2);
    assert_int_equal(attach(), STOCK_CONFLICT);
    assert_int_equal(field("2:epoch"), -12345);
}

/* Two nodes that sold alone are pointed at one Redis: one of them wins, and for good. */
static void test_two_sales_on_one_hash(void **state)
{
    (void)state;
    strcpy(book->sale.id, "0123456789abcdef0123456789abcdef");
    note_grant(1);
    book->others[0] = 2; /* so that the sale does not begin */
    book->others_count = 1;
    assert_int_equal(attach(), STOCK_OK);
    be(2);
    book->others[0] = 1;
    book->others_count = 1;
    strcpy(book->sale.id, "fedcba9876543210fedcba9876543210");
    note_grant(1);
    assert_int_equal(attach(), STOCK_CONFLICT);
}

/* A node that already sells must have journaled a new node before that sells: otherwise a repair
 * would not wait for it, and its tickets would be sold again. */
static void test_a_newcomer_waits_until_it_is_known(void **state)
{
    (void)state;
    opened();
    be(2);
    book->others[0] = 1;
    book->others_count = 1;
    again();
    assert_false(book->figures.ready);
    be(1);
    settle();
    assert_int_equal(book->node_count, 2); /* the reply has it, and it is journaled */
    book->others[0] = 2;
    book->others_count = 1;
    settle();
    be(2);
    settle();
    assert_true(book->figures.ready);
}

static void test_another_sale_is_refused(void **state)
{
    (void)state;
    opened();
    sell(1, 1);
    settle();
    strcpy(book->sale.id, "0123456789abcdef0123456789abcdef");
    assert_int_equal(attach(), STOCK_CONFLICT);
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
    assert_int_equal(book->figures.gone, 10);
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
    redis_fixture_do(&redis, "DEL " ORDERS);
    redis_fixture_do(&redis, "SET {" H "}:orders x");
    assert_int_equal(step(1, 1), STOCK_UNKNOWN);
    assert_int_equal(field("1:gone"), 2);
    redis_fixture_do(&redis, "DEL " ORDERS);
    assert_int_equal(attach(), STOCK_OK);
    settle();
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
    note(STOCK_UNDONE, 2);
    settle();
    again();
    assert_int_equal(count_of("XLEN " ORDERS), 4);
}

/* The sale id is lost and the stream is not: what the stream has is not added again. */
static void test_a_lost_sale_doubles_no_entry(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(3, 1), 3);
    settle();
    redis_fixture_do(&redis, "HDEL " H " sale");
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    again();
    assert_int_equal(book->figures.gone, 3);
    assert_int_equal(count_of("XLEN " ORDERS), 3);
    assert_int_equal(sell(1, 1), 1);
    settle();
    assert_int_equal(count_of("XLEN " ORDERS), 4);
}

static void test_the_beat_moves(void **state)
{
    (void)state;
    struct stock_attach at = attach_of_book();
    assert_int_equal(examine(&at), STOCK_OK);
    assert_int_equal(at.found.beat_wall_ms, 0);
    opened();
    at = attach_of_book();
    assert_int_equal(examine(&at), STOCK_OK);
    assert_true(at.found.beat_wall_ms > 0 && at.found.now_wall_ms >= at.found.beat_wall_ms);
    assert_true(at.found.now_wall_ms - at.found.beat_wall_ms < 5000);
}

/* The registry's entry of a node, without the time of its beat, which must be now. */
static const char *registered(const char *node)
{
    static char text[200];
    redisReply *reply = redisCommand(redis.c, "HGET {" H "}:nodes %s", node);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_NIL) {
        freeReplyObject(reply);
        return NULL;
    }
    snprintf(text, sizeof text, "%s", reply->str);
    freeReplyObject(reply);
    char *blank = strrchr(text, ' ');
    assert_non_null(blank);
    *blank = '\0';
    assert_int_equal(strtoll(blank + 1, NULL, 10), field("1:beat"));
    return text;
}

static void test_a_beat_registers_the_node(void **state)
{
    (void)state;
    conf.advertise = (struct conf_addr){.text = "10.0.0.5:3905", .len = sizeof(struct sockaddr_in)};
    conf.advertise.to.any.sa_family = AF_INET;
    opened();
    assert_string_equal(registered("1"), "10.0.0.5:3905 1 0 0");
    assert_int_equal(sell(3, 2), 3);
    pay_by = 999;
    assert_int_equal(sell(1, 1), 1);
    settle();
    assert_string_equal(registered("1"), "10.0.0.5:3905 1 6 1");
    between_beats = true; /* steps do not write it */
    note(STOCK_EXPIRED, 4);
    settle();
    assert_int_equal(field("1:held"), 0);
    redis_fixture_do(&redis, "HSET " H " 1:beat 5");
    redis_fixture_do(&redis, "HDEL {" H "}:nodes 1");
    settle();
    assert_null(registered("1"));
    between_beats = false;
    conf.advertise.len = 0;
    settle();
    assert_string_equal(registered("1"), "- 1 6 0");
    assert_int_equal(count_of("HEXISTS {" H "}:nodes told"), 1); /* other fields stay */
}

/* The key of the registry holds something else: nothing is sold, and nothing is written. */
static void test_a_wrong_registry_changes_nothing(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(2, 1), 2);
    redis_fixture_do(&redis, "DEL {" H "}:nodes");
    redis_fixture_do(&redis, "SET {" H "}:nodes x");
    assert_int_equal(step(1, 1), STOCK_UNKNOWN);
    assert_int_equal(field("1:gone"), 2);
    assert_int_equal(field("1:pos"), 0);
    redis_fixture_do(&redis, "DEL {" H "}:nodes");
    again();
    assert_int_equal(sell(9, 1), 8);
    assert_sums();
}

/* ---- two nodes ------------------------------------------------------------------------------ */

/* Granted by node 1 and not settled: it may still be void. Then it is the same order everywhere. */
static void test_a_key_of_another_node(void **state)
{
    (void)state;
    opened_by_two();
    pay_by = 777;
    assert_int_equal(buy(2, "ann", "k1"), STOCK_YES);
    be(2);
    pay_by = 888;
    assert_int_equal(buy(2, "ann", "k1"), STOCK_BUSY);
    assert_int_equal(probe(2, "ann", "k1"), STOCK_BUSY);
    be(1);
    settle();
    be(2);
    assert_int_equal(buy(2, "ann", "k1"), STOCK_DUPLICATE);
    assert_same(0, 1, 1, 777);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_KEY_MISMATCH);
    be(1);
    note(STOCK_EXPIRED, 1);
    settle();
    be(2);
    assert_int_equal(buy(2, "ann", "k1"), STOCK_ENDED);
    be(1);
    assert_int_equal(pay_late(1), STOCK_YES);
    settle();
    be(2);
    assert_int_equal(probe(2, "ann", "k1"), STOCK_DUPLICATE);
    assert_same(0, 1, 1, 777);
    assert_int_equal(book->figures.gone, 2);
    assert_sums();
}

/* The buyer got -6 from node 1, which died, and went to node 2: what is void there is a grant
 * here. */
static void test_a_void_key_goes_to_another_node(void **state)
{
    (void)state;
    opened_by_two();
    want(0, STOCK_BUY, 1, "ann", "k1");
    assert_int_equal(ask(1), STOCK_OK); /* never committed */
    be(2);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_BUSY);
    be(1);
    again();
    assert_int_equal(book->voided, 1);
    be(2);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_YES);
    settle();
    be(1);
    assert_int_equal(buy(1, "ann", "k1"), STOCK_DUPLICATE);
    assert_same(0, 2, 1, 0);
    assert_int_equal(book->figures.gone, 1);
}

/* Written by hand, or by a node that was void too late: a key that names another order stays. */
static void test_a_void_order_leaves_the_key_of_another(void **state)
{
    (void)state;
    opened();
    want(0, STOCK_BUY, 1, "ann", "k1");
    want(1, STOCK_BUY, 1, "ann", "k2");
    assert_int_equal(ask(2), STOCK_OK);
    redis_fixture_do(&redis, "HSET " REQUESTS " k1 %s", "l0002-070000000001:1:0:ann");
    redis_fixture_do(&redis, "HSET " REQUESTS " k2 %s", "l0001-070000000009:1:0:ann");
    again();
    assert_int_equal(book->voided, 2);
    assert_int_equal(count_of("HEXISTS " REQUESTS " k1"), 1);
    assert_int_equal(count_of("HEXISTS " REQUESTS " k2"), 1);
    assert_int_equal(tickets_of("ann"), NO_FIELD);
    assert_int_equal(book->figures.gone, 0);
}

static void test_two_nodes_share_a_limit(void **state)
{
    (void)state;
    limit = 3;
    opened_by_two();
    assert_int_equal(buy(2, "ann", ""), STOCK_YES);
    be(2);
    assert_int_equal(buy(2, "ann", ""), STOCK_LIMIT);
    assert_int_equal(buy(1, "ann", ""), STOCK_YES);
    be(1);
    assert_int_equal(buy(1, "ann", ""), STOCK_LIMIT);
    note(STOCK_UNDONE, 1);
    settle();
    be(2);
    assert_int_equal(buy(2, "ann", ""), STOCK_YES);
    assert_int_equal(tickets_of("ann"), 3);
}

static void test_marks_reach_the_other_node(void **state)
{
    (void)state;
    opened_by_two();
    buy(1, "ann", "k1");
    be(2);
    buy(1, "bob", "k2");
    buy(1, "ann", "k1");
    settle();
    assert_true(book->hashes_known);
    assert_int_equal(book->hash_count, 2);
    assert_true(times_hashed("k1") == 1 && times_hashed("k2") == 1);
    be(1);
    settle();
    assert_int_equal(book->hash_count, 2);
    again(); /* from the first, after an attach */
    assert_int_equal(book->hash_count, 2);
    settle();
    assert_int_equal(book->hash_count, 2);
}

static void test_marks_come_in_portions(void **state)
{
    static char names[10][BATCH_MAX][12];
    (void)state;
    total = 10 * BATCH_MAX;
    opened_by_two();
    for (uint32_t k = 0; k < 10; k++) {
        for (uint32_t i = 0; i < BATCH_MAX; i++) {
            snprintf(names[k][i], sizeof names[k][i], "k%u", k * BATCH_MAX + i);
            want(i, STOCK_BUY, 1, "", names[k][i]);
        }
        assert_int_equal(ask(BATCH_MAX), STOCK_OK);
        assert_int_equal(commit(BATCH_MAX), BATCH_MAX);
    }
    be(2);
    settle();
    assert_int_equal(book->hash_count, KEY_HASHES_MAX);
    assert_false(book->hashes_known);
    settle();
    assert_int_equal(book->hash_count, 10 * BATCH_MAX);
    assert_true(book->hashes_known);
    for (uint32_t k = 0; k < 10; k++)
        assert_int_equal(times_hashed(names[k][17]), 1);
}

static void test_an_act_reaches_the_other_node_once(void **state)
{
    struct stock_act a;
    (void)state;
    opened_by_two();
    assert_int_equal(act(STOCK_PAUSED, 15, &a), STOCK_OK);
    assert_int_equal(a.outcome, STOCK_DONE);
    be(2);
    assert_int_equal(act(STOCK_OPEN, 10, &a), STOCK_OK); /* has not learned of it */
    assert_int_equal(a.outcome, STOCK_STALE);
    book->figures.version = 1;
    uint32_t told = book->origins;
    assert_int_equal(sell(1, 1), 0);
    assert_int_equal(items[0].verdict, STOCK_IS_PAUSED);
    assert_int_equal(book->figures.version, 2);
    assert_int_equal(book->figures.total, 15);
    assert_int_equal(book->origins, told + 1);
    assert_int_equal(book->origin.node, 1);
    assert_int_equal(book->origin.wall_ms, 12345);
    assert_int_equal(book->origin.from_len, 9);
    assert_memory_equal(book->origin.from, "127.0.0.1", 9);
    settle();
    assert_int_equal(book->origins, told + 1);
    memset(&book->origin, 0, sizeof book->origin);
    again(); /* a node that was away learns of it by the attach */
    assert_int_equal(book->origin.node, 1);
    assert_int_equal(book->figures.state, STOCK_PAUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REDIS(test_a_prototype_hash_is_adopted),
        REDIS(test_foreign_sales_are_counted_and_kept),
        REDIS(test_foreign_past_the_total_leaves_nothing),
        REDIS(test_repair_waits_for_every_known_node),
        REDIS(test_a_blank_node_that_comes_first_gives_way),
        REDIS(test_a_sale_id_that_is_no_hex_is_no_answer),
        REDIS(test_a_sale_has_256_nodes_at_most),
        REDIS(test_two_sales_on_one_hash),
        REDIS(test_a_newcomer_waits_until_it_is_known),
        REDIS(test_another_sale_is_refused),
        REDIS(test_a_fenced_node_attaches_again),
        REDIS(test_forgotten_scripts_are_sent_again),
        REDIS(test_a_wrong_type_changes_nothing),
        REDIS(test_paused_and_closed),
        REDIS(test_every_change_is_in_the_stream_once),
        REDIS(test_a_lost_sale_doubles_no_entry),
        REDIS(test_the_beat_moves),
        REDIS(test_a_beat_registers_the_node),
        REDIS(test_a_wrong_registry_changes_nothing),
        REDIS(test_a_key_of_another_node),
        REDIS(test_a_void_key_goes_to_another_node),
        REDIS(test_a_void_order_leaves_the_key_of_another),
        REDIS(test_two_nodes_share_a_limit),
        REDIS(test_marks_reach_the_other_node),
        REDIS(test_marks_come_in_portions),
        REDIS(test_an_act_reaches_the_other_node_once),
    };
    return STOCK_RUN(tests);
}
