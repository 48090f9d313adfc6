/*
 * stock_book: the journal of a node, as far as it concerns a stock, and the stock under test. For
 * the tests of storage/stock: each is a program of its own, so the functions are static.
 *
 * A book holds every record of its journal, so that the next step settles again whatever a stock
 * has forgotten, as the ledger does. Several nodes live in one test: be(2) continues as node 2.
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

#include "conf/base/key_hash.h"
#include "storage/stock/stock.h"
#include "tests/lib/stock_in_redis.h"

#define SLOT 7
#ifndef RECORDS
#define RECORDS 8192 /* of one book */
#endif
#define BOOKS      4 /* nodes 1 to 3 */
#define HASHES_ALL (2 * RECORDS)

static struct conf conf;
static struct arena arena;
static struct stock *stock;
static struct fault f;

/* The journal of a node, and what its last calls returned. */
static struct book {
    uint64_t epoch, last, end, pos;
    uint64_t salt; /* of the times in its records: no two processes write the same */
    struct stock_sale sale;
    uint32_t total, version;
    enum stock_state state;
    uint16_t others[4];
    uint32_t others_count;
    struct stock_figures figures;
    struct stock_origin origin;
    uint32_t origins; /* how many steps returned an origin */
    struct stock_node nodes[NODES_MAX];
    uint32_t node_count, voided;
    uint64_t key_hashes[HASHES_ALL];
    uint32_t hash_count;
    bool hashes_known;
    struct stock_change journal[RECORDS];
} books[BOOKS], *book;

static struct stock_change changes[SETTLE_MAX];
static struct stock_item items[BATCH_MAX];
static uint64_t late_of[BATCH_MAX]; /* the order that a late payment is for */
static uint64_t step_hashes[KEY_HASHES_MAX];
static struct stock_node nodes_told[NODES_MAX];
static uint32_t event; /* in the configuration */
static uint32_t limit, total;
static bool between_beats; /* steps do not ask for the nodes */
static bool heard_before;  /* the last reply about them is not recent */
static uint64_t pay_by;    /* of the orders granted from now on; 0: sold outright */

static inline void use(struct stock *(*plan)(const struct conf *, struct arena *))
{
    thread_set_role(THREAD_MAIN, "main"); /* which owns the arena */
    memset(&arena, 0, sizeof arena);
    stock = plan(&conf, &arena);
    assert_true(arena_map(&arena, &f));
    stock_init(stock, &arena);
    thread_set_role(THREAD_LEDGER, "ledger"); /* which owns the stock */
    stock_set_timeout(stock, 5000);
}

static inline void blank(void)
{
    memset(books, 0, sizeof books);
    book = &books[1];
    conf.node = 1;
    event = 0;
    limit = 0;
    between_beats = heard_before = false;
    pay_by = 0;
    total = 10;
}

static inline int fresh_local(void **state)
{
    (void)state;
    blank();
    use(stock_local_plan);
    return 0;
}

static inline int fresh_redis(void **state)
{
    (void)state;
    blank();
    redis_fixture_do(&redis, "FLUSHALL");
    use(stock_redis_plan);
    return 0;
}

static inline int fresh_redis_with_two_events(void **state)
{
    strcpy(conf.events[1].name, "seat");
    conf.events[1].stock_max = 1000;
    conf.event_count = 2;
    return fresh_redis(state);
}

static inline int leave(void **state)
{
    (void)state;
    stock_disconnect(stock);
    return 0;
}

/* From here on this process is another node, over the same connection: Redis sees no difference. */
static inline void be(uint16_t node)
{
    conf.node = node;
    book = &books[node];
}

/* ---- attach --------------------------------------------------------------------------------- */

/* Journals an act that a call has returned: a record that is no change. */
static inline void learn(const struct stock_figures *g)
{
    if (g->version > book->version) {
        assert_true(book->end < RECORDS);
        if (book->version > 0)
            book->journal[book->end++] = (struct stock_change){.n = 0};
        book->version = g->version;
        book->total = g->total;
        book->state = g->state;
    }
}

/* Stands for the CRC of record `seq`: it covers all records up to there. */
static inline uint32_t chain_of(const struct book *b, uint64_t seq)
{
    uint64_t chain = 0;
    for (uint64_t i = 0; i < seq; i++) {
        const struct stock_change *c = &b->journal[i];
        const uint64_t said[] = {chain, c->kind, c->number, c->time_wall_ms, c->n};
        chain = key_hash((const char *)said, sizeof said);
    }
    return (uint32_t)chain;
}

/* As the ledger does it: examine, compare the record that was settled last, and only then attach,
 * under the next epoch. */
static inline enum stock_result examine(struct stock_attach *at)
{
    enum stock_result result = stock_connect(stock, &f);
    if (result == STOCK_OK)
        result = stock_examine(stock, at, &f);
    if (result == STOCK_OK && at->found.proof_chain != chain_of(book, at->found.proof_pos)) {
        fault_set(&f, "record %lu is another one", (unsigned long)at->found.proof_pos);
        result = STOCK_CONFLICT;
    }
    return result;
}

static inline struct stock_attach attach_of_book(void)
{
    struct stock_attach at = {.event = event,
                              .own_epoch = book->epoch,
                              .epoch = book->epoch + 1,
                              .last = book->last,
                              .end = book->end,
                              .sale = book->sale,
                              .total = book->version > 0 ? book->total : total,
                              .version = book->version,
                              .state = book->state,
                              .seen = book->figures,
                              .nodes = book->nodes,
                              .node_count = book->node_count,
                              .nodes_are_current = !heard_before};
    memcpy(at.known, book->others, sizeof book->others);
    at.known_count = book->others_count;
    return at;
}

static inline void keep_attached(const struct stock_attach *at)
{
    uint32_t gone = book->figures.gone, foreign = book->figures.foreign;
    book->epoch = at->epoch;
    book->sale = at->sale;
    book->pos = at->pos;
    book->voided = at->voided;
    book->figures = at->figures;
    book->figures.gone = gone;
    book->figures.foreign = foreign;
    book->origin = at->origin;
    book->hash_count = 0;
    learn(&at->figures);
}

static inline enum stock_result attach(void)
{
    struct stock_attach at = attach_of_book();
    enum stock_result result = examine(&at);
    book->epoch++;
    if (result == STOCK_OK)
        result = stock_attach(stock, &at, &f);
    if (result == STOCK_OK)
        keep_attached(&at);
    return result;
}

/* ---- the journal ---------------------------------------------------------------------------- */

static inline struct stock_change *append(enum stock_change_kind kind, uint64_t order)
{
    struct orderid id = {.node = conf.node, .slot = SLOT, .number = order, .tag = 3 * order + 1};
    assert_true(book->end < RECORDS);
    struct stock_change *c = &book->journal[book->end++];
    *c = (struct stock_change){
        .kind = kind, .seq = book->end, .time_wall_ms = 1000 + book->end + book->salt, .n = 1};
    c->buyer = c->key = "";
    orderid_print(c->order, &id);
    return c;
}

/* The record that granted the order of this number. */
static inline const struct stock_change *grant_of(const struct book *b, uint64_t number)
{
    for (uint64_t i = 0; i < b->end; i++)
        if (b->journal[i].number == number && b->journal[i].kind <= STOCK_GRANTED_SOLD)
            return &b->journal[i];
    fail_msg("no order %lu", (unsigned long)number);
    return NULL;
}

/* Journals a change of an order; the next step settles it. */
static inline void note(enum stock_change_kind kind, uint64_t order)
{
    const struct stock_change *grant = grant_of(book, order);
    struct stock_change *c = append(kind, order);
    c->n = grant->n;
    c->buyer = grant->buyer;
    c->buyer_len = grant->buyer_len;
    c->key = grant->key;
    c->key_len = grant->key_len;
    c->pay_by_wall_ms = grant->pay_by_wall_ms;
    if (kind == STOCK_PAID_LATE)
        c->number = ++book->last;
}

/* Journals an order of n tickets that the stock did not grant. */
static inline void note_grant(uint32_t n)
{
    struct stock_change *c = append(STOCK_GRANTED_SOLD, book->last + 1);
    c->number = ++book->last;
    c->n = n;
}

static inline void commit_item(const struct stock_item *item, uint64_t of)
{
    if (item->kind == STOCK_LATE) {
        note(STOCK_PAID_LATE, of);
        return;
    }
    struct stock_change *c =
        append(pay_by > 0 ? STOCK_GRANTED_HELD : STOCK_GRANTED_SOLD, book->last + 1);
    c->number = ++book->last;
    c->n = item->n;
    c->pay_by_wall_ms = pay_by;
    c->buyer = item->buyer;
    c->buyer_len = item->buyer_len;
    c->key = item->key;
    c->key_len = item->key_len;
}

/* Journals what the last step granted. */
static inline uint32_t commit(uint32_t count)
{
    uint32_t yes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].verdict != STOCK_YES)
            continue;
        commit_item(&items[i], late_of[i]);
        yes++;
    }
    return yes;
}

/* ---- step ----------------------------------------------------------------------------------- */

/* An item of the next batch. The names must outlive the test. */
static inline void want(uint32_t i, enum stock_item_kind kind, uint32_t n, const char *buyer,
                        const char *key)
{
    items[i] = (struct stock_item){.kind = kind,
                                   .n = n,
                                   .buyer = buyer,
                                   .buyer_len = (uint8_t)strlen(buyer),
                                   .key = key,
                                   .key_len = (uint8_t)strlen(key),
                                   .verdict = STOCK_NO_KEY};
}

/* The changes among the records up to `to`. */
static inline uint32_t read_changes(uint64_t to)
{
    uint32_t count = 0;
    for (uint64_t i = book->pos; i < to; i++)
        if (book->journal[i].n > 0)
            changes[count++] = book->journal[i];
    return count;
}

static inline void add_key_hashes(const struct stock_step *st)
{
    for (uint32_t i = 0; i < st->hash_count; i++)
        book->key_hashes[book->hash_count++] = st->key_hashes[i];
    book->hashes_known = book->hash_count == st->hashes_total;
}

/* Settles up to record `to` and asks for the first `count` items. */
static inline enum stock_result ask_up_to(uint64_t to, uint32_t count)
{
    struct stock_step st = {.event = event,
                            .epoch = book->epoch,
                            .from = book->pos,
                            .version = book->version,
                            .to = to,
                            .chain = chain_of(book, to),
                            .end = to == book->end,
                            .first_number = book->last + 1,
                            .changes = changes,
                            .change_count = read_changes(to),
                            .items = items,
                            .item_count = count,
                            .slot = SLOT,
                            .pay_by_wall_ms = pay_by,
                            .limit = limit,
                            .hashes_seen = book->hash_count,
                            .key_hashes = step_hashes,
                            .seen = book->figures,
                            .known_count = 1 + book->others_count,
                            .want_nodes = !between_beats,
                            .nodes = nodes_told};
    enum stock_result result = stock_step(stock, &st, &f);
    if (result == STOCK_OK) {
        book->pos = st.to;
        book->figures = st.figures;
        if (!st.figures.repair) { /* in repair it may have forgotten */
            memcpy(book->nodes, nodes_told, st.node_count * sizeof *nodes_told);
            book->node_count = st.node_count;
        }
        if (st.origin.node != 0) {
            book->origin = st.origin;
            book->origins++;
        }
        learn(&st.figures);
        add_key_hashes(&st);
    }
    return result;
}

/* Settles all that was journaled, in as many steps as that takes, and asks in the last. */
static inline enum stock_result ask(uint32_t count)
{
    while (book->end - book->pos > SETTLE_MAX) {
        enum stock_result result = ask_up_to(book->pos + SETTLE_MAX, 0);
        if (result != STOCK_OK)
            return result;
    }
    return ask_up_to(book->end, count);
}

/* Asks for `count` orders of n tickets without a buyer. */
static inline enum stock_result step(uint32_t count, uint32_t n)
{
    for (uint32_t i = 0; i < count; i++)
        want(i, STOCK_BUY, n, "", "");
    return ask(count);
}

static inline void settle(void)
{
    assert_int_equal(ask(0), STOCK_OK);
}

static inline uint32_t sell(uint32_t count, uint32_t n)
{
    assert_int_equal(step(count, n), STOCK_OK);
    return commit(count);
}

/* One order, asked for alone and, if it is granted, journaled. */
static inline enum stock_verdict buy(uint32_t n, const char *buyer, const char *key)
{
    want(0, STOCK_BUY, n, buyer, key);
    assert_int_equal(ask(1), STOCK_OK);
    commit(1);
    return items[0].verdict;
}

static inline enum stock_verdict probe(uint32_t n, const char *buyer, const char *key)
{
    want(0, STOCK_LOOKUP, n, buyer, key);
    assert_int_equal(ask(1), STOCK_OK);
    return items[0].verdict;
}

/* Pays an order that has expired. */
static inline enum stock_verdict pay_late(uint64_t order)
{
    const struct stock_change *grant = grant_of(book, order);
    want(0, STOCK_LATE, grant->n, "", "");
    items[0].buyer = grant->buyer;
    items[0].buyer_len = grant->buyer_len;
    late_of[0] = order;
    assert_int_equal(ask(1), STOCK_OK);
    commit(1);
    return items[0].verdict;
}

static inline void opened(void)
{
    assert_int_equal(attach(), STOCK_OK);
    settle();
    assert_true(book->figures.ready);
    assert_false(book->figures.repair);
    assert_int_equal(book->figures.total, total);
}

/* Nodes 1 to `count` have attached, each as a known node of the others, and sell; the process is
 * node 1 again. */
static inline void opened_by(uint16_t count)
{
    for (uint16_t node = 1; node <= count; node++) {
        be(node);
        for (uint16_t other = 1; other <= count; other++)
            if (other != node)
                book->others[book->others_count++] = other;
        assert_int_equal(attach(), STOCK_OK);
        settle();
    }
    for (uint16_t node = count; node >= 1; node--) {
        be(node);
        settle();
        assert_true(book->figures.ready && !book->figures.repair);
    }
}

static inline void opened_by_two(void)
{
    opened_by(2);
}

/* Attaches again and settles. */
static inline void again(void)
{
    assert_int_equal(attach(), STOCK_OK);
    settle();
}

static inline enum stock_result act(enum stock_state to, uint32_t new_total, struct stock_act *a)
{
    *a = (struct stock_act){.epoch = book->epoch,
                            .seen = book->figures,
                            .state = to,
                            .total = new_total,
                            .origin = {.node = conf.node, .wall_ms = 12345, .from_len = 9}};
    memcpy(a->origin.from, "127.0.0.1", 9);
    enum stock_result result = stock_act(stock, a, &f);
    if (result == STOCK_OK) {
        book->figures = a->figures;
        if (a->outcome == STOCK_DONE)
            learn(&a->figures);
    }
    return result;
}

/* The item is a duplicate of this order. */
static inline void assert_same(uint32_t i, uint16_t node, uint64_t number, uint64_t due)
{
    assert_int_equal(items[i].verdict, STOCK_DUPLICATE);
    assert_int_equal(items[i].order.node, node);
    assert_int_equal(items[i].order.slot, SLOT);
    assert_int_equal(items[i].order.number, number);
    assert_int_equal(items[i].order_pay_by_wall_ms, due);
}

static inline uint32_t times_hashed(const char *key)
{
    uint32_t times = 0;
    for (uint32_t i = 0; i < book->hash_count; i++)
        times += book->key_hashes[i] == key_hash(key, strlen(key));
    return times;
}

/* ---- the program ---------------------------------------------------------------------------- */

/* Runs the tests against a Redis of their own. */
#define STOCK_RUN(tests) (stock_begin() ? 1 : stock_end(cmocka_run_group_tests(tests, NULL, NULL)))

#define LOCAL(test)                                      \
    {                                                    \
#test " (local)", test, fresh_local, leave, NULL \
    }
#define REDIS(test)                                      \
    {                                                    \
#test " (redis)", test, fresh_redis, leave, NULL \
    }
#define BOTH(test) LOCAL(test), REDIS(test)

static inline int stock_begin(void)
{
    if (sodium_init() < 0)
        return 1;
    redis_fixture_start(&redis);
    strcpy(conf.events[0].name, "ticket");
    conf.event_count = 1;
    conf.events[0].stock_max = 1000;
    conf.journal_size = 1024 * 1024;
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
