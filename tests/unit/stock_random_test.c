/*
 * Why: the other tests have only the cases that their authors thought of. Here two nodes buy, look
 * keys up, pay, cancel, expire, pay late, crash between deduction and commit, and attach again, in
 * random order, while operators act, and give up a node that is silent or whose journal is taken
 * for lost, and Redis loses keys, fields, everything, or falls back to an old dump. After every
 * call the stock must hold exactly what follows from the journals, read from the start: so nothing
 * is sold twice or stranded, no key has two orders, no buyer more than the limit (P1, P3, P4).
 *
 * The model keeps nothing: it reads the journals each time. `stock_random_test SEED` repeats a run,
 * and with a second argument it prints each step.
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/name_table.c
 * storage/stock/redis.c storage/stock/redis_act.c storage/stock/redis_attach.c
 * storage/stock/redis_pack.c storage/stock/redis_script.c storage/stock/redis_step.c
 * storage/stock/redis_reply.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 * conf/base/check.c conf/base/log.c conf/base/orderid.c conf/base/key_hash.c
 * tests/lib/redis_fixture.c -lhiredis -lsodium */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/stock_trouble.h"

#define CALLS   400 /* of one run */
#define RUNS    12
#define HOUR_MS 3600000

static uint32_t seen_verdicts[STOCK_NO_KEY + 1], repairs;

/* ---- a call --------------------------------------------------------------------------------- */

/* The kind of the last change of an order of this book. */
static enum stock_change_kind state_of(uint64_t number)
{
    enum stock_change_kind kind = STOCK_GRANTED_HELD;
    for (uint64_t i = 0; i < book->end; i++)
        if (book->journal[i].n > 0 && order_number(&book->journal[i]) == number)
            kind = book->journal[i].kind;
    return kind;
}

/* An order of this book; 0: none was found that is (by the last record of it) of this kind. */
static uint64_t some_order(enum stock_change_kind kind)
{
    for (int tries = 0; tries < 20 && book->end > 0; tries++) {
        const struct stock_change *c = &book->journal[below((uint32_t)book->end)];
        if (c->n > 0 && c->number > 0 && c->kind != STOCK_PAID_LATE && state_of(c->number) == kind)
            return c->number;
    }
    return 0;
}

static bool is_asked_late(uint32_t count, uint64_t order)
{
    for (uint32_t i = 0; i < count; i++)
        if (items[i].kind == STOCK_LATE && late_of[i] == order)
            return true;
    return false;
}

static void random_item(uint32_t i)
{
    uint64_t order = chance(15) && away == 0 ? some_order(STOCK_EXPIRED) : 0;
    if (away != 0) {
        want(i, STOCK_BUY, 1 + below(3), "", "");
        return;
    }
    if (order != 0 && !is_asked_late(i, order)) {
        const struct stock_change *grant = grant_of(book, order);
        want(i, STOCK_LATE, grant->n, grant->buyer, "");
        late_of[i] = order;
        return;
    }
    uint32_t key = below(KEYS), buyer = chance(95) ? key % NAMES : below(NAMES);
    uint32_t n = chance(95) ? 1 + key % 3 : 1 + below(3);
    bool keyed = chance(80), probes = keyed && chance(15);
    want(i, probes ? STOCK_LOOKUP : STOCK_BUY, n, chance(85) ? buyer_names[buyer] : "",
         keyed ? key_names[key] : "");
}

/* In repair no node sells, and no node returns a verdict that is not final. */
static void check_in_repair(const struct stock_item *item)
{
    uint32_t key = key_of(item->key, item->key_len);
    switch (item->verdict) {
    case STOCK_BUSY:
    case STOCK_KEY_MISMATCH:
    case STOCK_ENDED:
        return;
    case STOCK_DUPLICATE:
        assert_true(key != NO_NAME && item->order.node >= 1 && item->order.node <= node_count);
        const struct stock_change *c = grant_of(&books[item->order.node], item->order.number);
        assert_true(key_of(c->key, c->key_len) == key && c->n == item->n);
        return;
    default:
        fail_msg("verdict %d in repair", (int)item->verdict);
    }
}

static void check_item(uint32_t i, enum stock_verdict expected, const struct view *v)
{
    const struct stock_item *item = &items[i];
    if (troubled && item->verdict == STOCK_BUSY && expected == STOCK_DUPLICATE)
        return; /* the other node's count of what is settled was lost */
    assert_int_equal(item->verdict, expected);
    seen_verdicts[expected]++;
    if (expected != STOCK_DUPLICATE)
        return;
    const struct view_key *k = &v->keys[key_of(item->key, item->key_len)];
    assert_same(i, k->node, k->number, k->due);
}

static void check_figures(const struct view *v)
{
    const struct stock_figures *g = &book->figures;
    assert_int_equal(g->gone, v->gone);
    assert_int_equal(g->total, now_total);
    assert_int_equal(g->version, version);
    assert_int_equal(g->state, now_state);
    assert_int_equal(g->foreign, 0);
}

/* The grants of a step are journaled, or the node dies before. */
static void end_batch(uint32_t count)
{
    struct at_stake *s = &stakes[conf.node];
    if (chance(90)) {
        if (commit(count) > 0)
            s->last = book->last;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        if (items[i].verdict == STOCK_YES)
            s->lost[s->lost_count++] = items[i];
    s->attached = false;
}

static void random_step(void)
{
    struct at_stake *s = &stakes[conf.node];
    enum stock_verdict expected[BATCH];
    bool part = !troubled && chance(15);
    uint64_t to = part ? book->pos + below((uint32_t)(book->end - book->pos) + 1) : book->end;
    uint32_t count = to == book->end && book->figures.ready ? below(BATCH + 1) : 0;
    for (uint32_t i = 0; i < count; i++)
        random_item(i);
    struct view v = expected_view(conf.node, to);
    v.gone -= returned;
    uint64_t last = book->last;
    for (uint32_t i = 0; i < count; i++)
        expected[i] = decide(&v, conf.node, &last, &items[i]);
    enum stock_result result = ask_up_to(to, count);
    if (result != STOCK_OK || evicted[conf.node]) {
        if (!evicted[conf.node] && (!troubled || away != 0))
            fail_msg("%s", f.text);
        assert_int_not_equal(result, STOCK_OK);
        assert_int_not_equal(result, STOCK_CONFLICT);
        trace("hears", f.text);
        unsettle();
        s->attached = false;
        return;
    }
    dump_step[conf.node] = true;
    if (to == book->end)
        s->last = book->last;
    if (away == 0 && node_count > 1 && book->figures.repair) {
        for (uint32_t i = 0; i < count; i++)
            check_in_repair(&items[i]);
        repairs++;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        check_item(i, expected[i], &v);
    if (!troubled || away != 0 || count == 0 || since[3 - conf.node].calm)
        check_figures(&v);
    end_batch(count);
    if (away != 0) {
        assert_false(book->figures.repair);
        assert_true(field("ticket_sold_nums") == field("ours"));
        return;
    }
    if (node_count > 1 && to == book->end)
        calmed();
    struct view after = expected_view(conf.node, to);
    if (node_count > 1 && !troubled)
        check_redis(&after);
    check_key_hashes(&after);
}

static void random_attach(void)
{
    struct at_stake *s = &stakes[conf.node];
    uint32_t lost = s->lost_count, marks = book->hash_count;
    comes_back();
    enum stock_result result = attach();
    if (result != STOCK_OK)
        fail_msg("%s", f.text);
    trace("attaches", book->figures.repair ? "to repair" : "");
    if (node_count == 1)
        book->hash_count = marks; /* returned once; the ledger's filter keeps them */
    if (!troubled) {
        assert_int_equal(book->voided, lost);
        assert_int_equal(book->figures.repair, node_count == 1);
    }
    s->attached = since[conf.node].came = true;
    s->lost_count = 0;
    if (node_count > 1) {
        char name[32];
        snprintf(name, sizeof name, "%u:last", (unsigned)conf.node);
        s->last = (uint64_t)field(name);
        if (!troubled)
            assert_int_equal(s->last, book->last);
    }
}

/* A random change of an order is journaled. */
static void random_change(void)
{
    static const enum stock_change_kind ends[] = {STOCK_PAID, STOCK_CANCELLED, STOCK_EXPIRED,
                                                  STOCK_EXPIRED, STOCK_EXPIRED};
    static const enum stock_change_kind sold[] = {STOCK_GRANTED_SOLD, STOCK_PAID, STOCK_PAID_LATE};
    uint64_t order = some_order(STOCK_GRANTED_HELD);
    if (order != 0 && chance(80)) {
        note(ends[below(5)], order);
        return;
    }
    order = some_order(sold[below(3)]);
    if (order != 0)
        note(STOCK_UNDONE, order);
}

static void random_act(void)
{
    static const enum stock_state states[] = {STOCK_OPEN, STOCK_OPEN, STOCK_OPEN, STOCK_PAUSED};
    struct stock_act a;
    struct view v = expected_view(conf.node, book->pos);
    /* A closed event stays closed, and little happens after it, so this is rare. */
    enum stock_state to = now_state == STOCK_CLOSED || chance(5) ? STOCK_CLOSED : states[below(4)];
    uint32_t new_total = chance(50) ? book->figures.total : 10 + below(60);
    uint32_t seen = book->figures.version;
    if (troubled || evicted[conf.node])
        return;
    enum stock_result result = act(to, new_total, &a);
    assert_int_equal(result, STOCK_OK);
    if (seen != version) {
        assert_int_equal(a.outcome, STOCK_STALE);
    } else if (a.figures.repair) {
        assert_int_equal(a.outcome, STOCK_LATER);
    } else if (new_total != now_total && new_total < v.gone) {
        assert_int_equal(a.outcome, STOCK_TOO_LOW);
    } else {
        assert_int_equal(a.outcome, STOCK_DONE);
        version++;
        now_state = to;
        now_total = new_total;
    }
    check_figures(&v);
}

/* The process ends, and a new one starts with its journal alone. Not if Redis has just fallen
 * back while it runs: only a node that remembers the revision can detect that, and a node that
 * has just started and has written nothing since cannot. */
static void restart(void)
{
    struct at_stake *s = &stakes[conf.node];
    if (troubled && under_feet)
        return;
    s->attached = false;
    memset(&book->figures, 0, sizeof book->figures);
    book->node_count = 0;
    dump_seen = knows_other[conf.node] = false;
    if (node_count == 1) {
        use(stock_local_plan);
        book->pos = s->last = book->hash_count = 0;
        s->lost_count = 0;
    }
}

/* ---- runs ----------------------------------------------------------------------------------- */

static void random_call(void)
{
    struct at_stake *s = &stakes[conf.node];
    uint32_t roll = below(100);
    if (troubled && !since[conf.node].came && chance(20))
        s->attached = false; /* some losses are seen by an attach alone */
    if (!s->attached) {
        random_attach();
        if (chance(50) || knows_other[conf.node])
            random_step();
        if (knows_other[conf.node] && s->attached)
            random_evict(); /* at once, or the other comes as well */
    } else if (roll < 55) {
        random_step();
    } else if (roll < 88) {
        random_change();
    } else if (roll < 92) {
        random_act();
    } else if (roll < 94) {
        restart();
    } else if (node_count == 1) {
        return;
    } else if (roll < 96) {
        random_evict();
    } else if (troubled || !no_node_is_silent()) {
        return;
    } else if (roll < 97) {
        take_dump();
        has_dump = dump_seen = true;
        memset(dump_step, 0, sizeof dump_step);
    } else {
        tamper();
    }
}

/* Both nodes settle everything, and Redis holds what the journals say. */
static void come_to_rest(void)
{
    for (int round = 0; round < 12; round++) {
        for (uint16_t node = 1; node <= node_count; node++) {
            if (node_count > 1)
                be(node);
            if (!stakes[node].attached)
                random_attach();
            enum stock_result result = ask(0);
            if (result != STOCK_OK)
                stakes[node].attached = false;
            else
                stakes[node].last = book->last;
        }
    }
    for (uint16_t node = 1; node <= node_count; node++) {
        assert_true(stakes[node].attached);
        assert_false(books[node].figures.repair);
        assert_int_equal(books[node].pos, books[node].end);
    }
    struct view v = expected_view(conf.node, book->end);
    check_figures(&v);
    check_key_hashes(&v);
    if (node_count > 1)
        check_redis(&v);
}

static void begin(uint16_t nodes)
{
    memset(stakes, 0, sizeof stakes);
    memset(since, 0, sizeof since);
    memset(dump_step, 0, sizeof dump_step);
    memset(evicted, 0, sizeof evicted);
    memset(knows_other, 0, sizeof knows_other);
    troubled = has_dump = dump_seen = false;
    away = 0;
    returned = 0;
    node_count = nodes;
    total = now_total = 20 + below(30);
    version = 1;
    now_state = STOCK_OPEN;
    limit = chance(70) ? 4 + below(6) : 0;
    pay_by = 4102444800000 + below(1000);
    conf.node_timeout_ms = HOUR_MS; /* however slow this machine is, no node is silent */
    for (int i = 0; i < KEYS; i++)
        snprintf(key_names[i], sizeof key_names[i], "key:%d", i);
    for (int i = 0; i < NAMES; i++)
        snprintf(buyer_names[i], sizeof buyer_names[i], "buyer%d", i);
    if (nodes > 1)
        opened_by_two();
    else
        opened();
    for (uint16_t node = 1; node <= nodes; node++)
        stakes[node].attached = true;
}

static void test_one_node_alone(void **state)
{
    for (int run = 0; run < RUNS; run++) {
        print_message("seed %" PRIu64 "\n", seed);
        fresh_local(state);
        begin(1);
        for (int i = 0; i < CALLS; i++)
            random_call();
        come_to_rest();
    }
}

static void test_two_nodes_and_a_redis_that_forgets(void **state)
{
    for (int run = 0; run < RUNS; run++) {
        print_message("seed %" PRIu64 "\n", seed);
        fresh_redis(state);
        begin(2);
        for (int i = 0; i < CALLS; i++) {
            be((uint16_t)(1 + below(2)));
            random_call();
        }
        come_to_rest();
        check_stream();
        leave(state);
    }
}

static void test_everything_was_seen(void **state)
{
    (void)state;
    for (int v = STOCK_YES; v <= STOCK_NO_KEY; v++)
        assert_true(seen_verdicts[v] > 0);
    assert_true(losses > 0 && repairs > 0);
    assert_true(reclaims > 0 && lost_journals > 0 && reopens > 0);
}

int main(int argc, char **argv)
{
    traces = argc > 2;
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)getpid() + 1;
    const struct CMUnitTest tests[] = {
        LOCAL(test_one_node_alone),
        REDIS(test_two_nodes_and_a_redis_that_forgets),
        cmocka_unit_test(test_everything_was_seen),
    };
    return STOCK_RUN(tests);
}
