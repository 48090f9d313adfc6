/*
 * Why: the stock is where a ticket is sold twice or lost. The same cases run on the ledger's own
 * memory and on the scripts in a real Redis, because the two must never disagree; those after them
 * are about what only Redis can do: forget, fall back, and be written by others.
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/redis.c storage/stock/link.c
 *        server/mem/arena.c conf/base/fault.c conf/base/check.c conf/base/log.c
 *        conf/base/orderid.c tests/lib/redis_fixture.c -lhiredis -lsodium */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <sodium.h>

#include "storage/stock/stock.h"
#include "tests/lib/redis_fixture.h"

#define H "ticket_hash_key"

static struct redis_fixture redis;
static struct conf conf;
static struct arena arena;
static struct stock *stock;
static bool on_redis;

/* What a node's journal would hold: enough to attach and to settle. */
static struct book {
    uint64_t epoch, last, end, pos;
    struct stock_sale sale;
    struct stock_figures figures;
    uint16_t others[4];
    uint32_t others_count, foreign, version;
    uint64_t turn;
} book;

static struct stock_change changes[SETTLE_MAX];
static struct stock_item items[BATCH_MAX];
static struct stock_node nodes[NODES_MAX];
static uint32_t change_count, node_count;
static struct fault f;

static void use(struct stock *(*plan)(const struct conf *, struct arena *))
{
    memset(&arena, 0, sizeof arena);
    stock = plan(&conf, &arena);
    assert_true(arena_map(&arena, &f));
    stock_init(stock, &arena);
    stock_set_timeout(stock, 5000);
}

static int fresh_local(void **state)
{
    (void)state;
    on_redis = false;
    memset(&book, 0, sizeof book);
    change_count = node_count = 0;
    conf.node = 1;
    use(stock_local_plan);
    return 0;
}

static int fresh_redis(void **state)
{
    (void)state;
    on_redis = true;
    memset(&book, 0, sizeof book);
    change_count = node_count = 0;
    conf.node = 1;
    redis_fixture_do(&redis, "FLUSHALL");
    use(stock_redis_plan);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    stock_disconnect(stock);
    return 0;
}

/* Attaches as the book says, under the next epoch. */
static enum stock_result attach(void)
{
    struct stock_attach at = {.epoch = ++book.epoch,
                              .last = book.last,
                              .end = book.end,
                              .sale = book.sale,
                              .total = 10,
                              .version = book.version,
                              .seen = {.foreign = book.foreign, .turn = book.turn}};
    memcpy(at.known, book.others, sizeof book.others);
    at.known_count = book.others_count;
    at.nodes = nodes;
    at.node_count = node_count;
    enum stock_result result = stock_connect(stock, &f);
    if (result == STOCK_OK)
        result = stock_attach(stock, &at, &f);
    if (result == STOCK_OK) {
        book.sale = at.sale;
        book.pos = at.pos;
        book.figures = at.figures;
        book.version = at.figures.version;
        book.turn = at.figures.turn;
    }
    return result;
}

/* A record the journal now holds, to be settled by the next step. */
static void note(uint64_t number, int32_t sold, uint32_t n, const char *state)
{
    struct stock_change *c = &changes[change_count++];
    *c = (struct stock_change){.seq = ++book.end,
                               .number = number,
                               .time_wall_ms = 1000 + book.end,
                               .sold = sold,
                               .n = n,
                               .state = state,
                               .buyer = ""};
    memset(c->order, 'x', sizeof c->order);
    if (number > book.last)
        book.last = number;
}

/* Settles what was noted and asks for `count` orders of n tickets. Grants are noted. */
static enum stock_result step(uint32_t count, uint32_t n)
{
    struct stock_step st = {.epoch = book.epoch,
                            .from = book.pos,
                            .to = book.end,
                            .end = true,
                            .first = book.last + 1,
                            .changes = changes,
                            .change_count = change_count,
                            .items = items,
                            .item_count = count,
                            .seen = {.turn = book.turn, .foreign = book.foreign},
                            .knows = 1 + book.others_count,
                            .ask_nodes = true,
                            .nodes = nodes};
    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct stock_item){.n = n, .buyer = "", .key = ""};
    enum stock_result result = stock_step(stock, &st, &f);
    if (result == STOCK_OK) {
        book.pos = st.to;
        book.figures = st.figures;
        book.turn = st.figures.turn;
        node_count = st.node_count;
        change_count = 0;
    }
    return result;
}

/* The grants of the last step reach the journal. */
static uint32_t commit(uint32_t count, uint32_t n)
{
    uint32_t yes = 0;
    for (uint32_t i = 0; i < count; i++)
        if (items[i].verdict == STOCK_YES) {
            note(book.last + 1, (int32_t)n, n, "sold");
            yes++;
        }
    return yes;
}

static uint32_t sell(uint32_t count, uint32_t n)
{
    assert_int_equal(step(count, n), STOCK_OK);
    return commit(count, n);
}

static void opened(void)
{
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_true(book.figures.ready);
    assert_false(book.figures.repair);
    assert_int_equal(book.figures.total, 10);
}

/* ---- both kinds ------------------------------------------------------------------------------ */

static void test_sells_the_total_and_no_more(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(7, 1), 7);
    assert_int_equal(book.figures.gone, 7);
    assert_int_equal(sell(7, 1), 3);
    for (int i = 3; i < 7; i++)
        assert_int_equal(items[i].verdict, STOCK_SOLD_OUT);
    assert_int_equal(sell(1, 1), 0);
    assert_int_equal(book.figures.gone, 10);
}

static void test_an_order_is_all_or_nothing(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(3, 4), 2);
    assert_int_equal(items[2].verdict, STOCK_SOLD_OUT);
    assert_int_equal(sell(1, 2), 1);
    assert_int_equal(book.figures.gone, 10);
}

static void test_settling_changes_no_figure(void **state)
{
    (void)state;
    opened();
    sell(5, 1);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.gone, 5);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.gone, 5);
}

static void test_a_return_is_sold_again(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(10, 1), 10);
    note(0, -1, 1, "cancelled");
    assert_int_equal(sell(3, 1), 1);
    assert_int_equal(book.figures.gone, 10);
}

static void test_settles_in_parts(void **state)
{
    (void)state;
    opened();
    sell(6, 1);
    struct stock_change all[6];
    memcpy(all, changes, sizeof all);
    uint64_t end = book.end;
    for (int i = 0; i < 6; i += 2) {
        book.end = all[i + 1].seq;
        memcpy(changes, all + i, 2 * sizeof *all);
        change_count = 2;
        assert_int_equal(step(0, 1), STOCK_OK);
        assert_int_equal(book.figures.gone, 6);
    }
    assert_int_equal(book.end, end);
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
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.gone, 2);
    assert_int_equal(sell(10, 1), 8);
}

/* Committed, and the node dies before a step could tell: the grants stand. */
static void test_what_the_journal_holds_stands(void **state)
{
    (void)state;
    opened();
    assert_int_equal(sell(4, 1), 4);
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(book.pos, 0);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(book.figures.gone, 4);
    assert_int_equal(sell(10, 1), 6);
}

static void test_an_old_epoch_does_nothing(void **state)
{
    (void)state;
    opened();
    book.epoch--;
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    assert_int_equal(attach(), STOCK_OTHER); /* the epoch in use, again */
}

static void test_a_wrong_position_or_number_does_nothing(void **state)
{
    (void)state;
    opened();
    sell(3, 1);
    assert_int_equal(step(0, 1), STOCK_OK);
    book.pos = 2;
    assert_int_equal(step(0, 1), STOCK_ATTACH);
    book.pos = 3;
    book.last = 7;
    assert_int_equal(step(1, 1), STOCK_ATTACH);
    book.last = 3;
    assert_int_equal(sell(1, 1), 1);
    assert_int_equal(book.figures.gone, 4);
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
    assert_int_equal(step(0, 1), STOCK_OK);
    book.last = 3;
    book.end = 3;
    assert_int_equal(attach(), STOCK_OTHER);
}

/* ---- Redis alone ----------------------------------------------------------------------------- */

static long long field(const char *name)
{
    return redis_fixture_field(&redis, H, name);
}

/* gone = held + sold + pending, sold = ours + foreign. */
static void assert_sums(void)
{
    assert_int_equal(field("ours"), field("1:gone"));
    assert_true(field("ticket_sold_nums") >= field("ours"));
}

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
                                         "version"};
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

static struct book second_node(void)
{
    stock_disconnect(stock);
    conf.node = 2;
    use(stock_redis_plan);
    assert_int_equal(stock_connect(stock, &f), STOCK_OK);
    struct book first = book;
    book = (struct book){.others = {1}, .others_count = 1};
    change_count = 0;
    return first;
}

static void first_node(struct book first)
{
    stock_disconnect(stock);
    conf.node = 1;
    use(stock_redis_plan);
    assert_int_equal(stock_connect(stock, &f), STOCK_OK);
    book = first;
    change_count = 0;
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
    book.others[0] = 2;
    book.others_count = 1;
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    struct book first = second_node();
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_int_equal(sell(3, 1), 3);
    struct stock_change all[3];
    memcpy(all, changes, sizeof all);
    assert_int_equal(step(0, 1), STOCK_OK);
    struct book other = book;
    first_node(first);
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

#define BOTH(test)                                       \
    {#test " (local)", test, fresh_local, leave, NULL},  \
    {                                                    \
#test " (redis)", test, fresh_redis, leave, NULL \
    }
#define REDIS(test) cmocka_unit_test_setup_teardown(test, fresh_redis, leave)

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
    if (sodium_init() < 0)
        return 1;
    redis_fixture_start(&redis);
    strcpy(conf.events[0].name, "ticket");
    conf.event_count = 1;
    conf.redis_timeout_ms = 5000;
    conf.node_timeout_ms = 3000;
    strcpy(conf.redis.text, "the test's redis");
    conf.redis.to.local.sun_family = AF_UNIX;
    strcpy(conf.redis.to.local.sun_path, redis.socket);
    conf.redis.len = sizeof conf.redis.to.local;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    redis_fixture_stop(&redis);
    return failed;
}
