/*
 * stock_book: a node's journal as far as a stock can tell, and the stock under test. For the tests
 * of storage/stock: each is a program of its own, so what is here is static.
 */
#ifndef SPIKE_STOCK_BOOK_H
#define SPIKE_STOCK_BOOK_H

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

static inline void use(struct stock *(*plan)(const struct conf *, struct arena *))
{
    memset(&arena, 0, sizeof arena);
    stock = plan(&conf, &arena);
    assert_true(arena_map(&arena, &f));
    stock_init(stock, &arena);
    stock_set_timeout(stock, 5000);
}

static inline int fresh_local(void **state)
{
    (void)state;
    memset(&book, 0, sizeof book);
    change_count = node_count = 0;
    conf.node = 1;
    use(stock_local_plan);
    return 0;
}

static inline int fresh_redis(void **state)
{
    (void)state;
    memset(&book, 0, sizeof book);
    change_count = node_count = 0;
    conf.node = 1;
    redis_fixture_do(&redis, "FLUSHALL");
    use(stock_redis_plan);
    return 0;
}

static inline int leave(void **state)
{
    (void)state;
    stock_disconnect(stock);
    return 0;
}

/* Attaches as the book says, under the next epoch. */
static inline enum stock_result attach(void)
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
    at.just_heard = true;
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
static inline void note(uint64_t number, int32_t sold, uint32_t n, const char *state)
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
static inline enum stock_result step(uint32_t count, uint32_t n)
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
static inline uint32_t commit(uint32_t count, uint32_t n)
{
    uint32_t yes = 0;
    for (uint32_t i = 0; i < count; i++)
        if (items[i].verdict == STOCK_YES) {
            note(book.last + 1, (int32_t)n, n, "sold");
            yes++;
        }
    return yes;
}

static inline uint32_t sell(uint32_t count, uint32_t n)
{
    assert_int_equal(step(count, n), STOCK_OK);
    return commit(count, n);
}

static inline void opened(void)
{
    assert_int_equal(attach(), STOCK_OK);
    assert_int_equal(step(0, 1), STOCK_OK);
    assert_true(book.figures.ready);
    assert_false(book.figures.repair);
    assert_int_equal(book.figures.total, 10);
}

static inline long long field(const char *name)
{
    return redis_fixture_field(&redis, H, name);
}

/* gone = held + sold + pending, sold = ours + foreign. */
static inline void assert_sums(void)
{
    assert_int_equal(field("ours"), field("1:gone"));
    assert_true(field("ticket_sold_nums") >= field("ours"));
}

static inline struct book second_node(void)
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

static inline void first_node(struct book first)
{
    stock_disconnect(stock);
    conf.node = 1;
    use(stock_redis_plan);
    assert_int_equal(stock_connect(stock, &f), STOCK_OK);
    book = first;
    change_count = 0;
}

/* Runs the tests against a Redis of their own. */
#define STOCK_RUN(tests) (stock_begin() ? 1 : stock_end(cmocka_run_group_tests(tests, NULL, NULL)))

static inline int stock_begin(void)
{
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
    return 0;
}

static inline int stock_end(int failed)
{
    redis_fixture_stop(&redis);
    return failed;
}

#endif
