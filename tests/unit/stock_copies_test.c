/*
 * Why: an operator who restores an old copy of a journal, or starts a node again and again, must
 * never cause a ticket to be sold twice (P1), and a node with its true journal must never be
 * refused (P3). Each start alone is harmless; only their order oversells. So here all orders are
 * tried: buy, pay, copy, restore, start, kill, a start that dies before it attaches, and Redis
 * away, in every sequence of six steps, for node 1 with two events, while node 2 sells the rest.
 *
 * A world is the disk of node 1, its copy, its process, and what buyers and Redis have been
 * answered. A sequence goes on from a snapshot of the world and of Redis, so that a common
 * beginning runs once. The process does what server/ledger does: it examines every event, journals
 * epochs, attaches, settles.
 *
 * After each start that was accepted, the journal has every record that Redis was ever sent. At the
 * end unpaid orders expire, node 2 buys the rest, and the grants are counted. No rule can find a
 * copy that lacks what Redis was never sent (CAVEATS): such an end is counted separately.
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/name_table.c
 * storage/stock/redis.c storage/stock/redis_act.c storage/stock/redis_attach.c
 * storage/stock/redis_pack.c storage/stock/redis_script.c storage/stock/redis_step.c
 * storage/stock/redis_reply.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 * conf/base/check.c conf/base/log.c conf/base/orderid.c conf/base/key_hash.c
 * tests/lib/redis_fixture.c -lhiredis -lsodium */
#define RECORDS 64
#include "tests/lib/stock_book.h"

#define STEPS  6
#define EVENTS 2
#define TOTAL  4
#define BLOCK  1024 /* epochs that a start takes, as attach.c does */

struct disk {
    struct book books[EVENTS];
    uint64_t epoch[EVENTS]; /* the highest that is journaled */
};

static struct world {
    struct disk disk, copy;
    bool has_copy, is_copied, was_restored; /* is_copied: disk and copy are alike */
    bool runs, proven, has_epoch; /* the process: attached once, its epochs are journaled */
    bool away;                    /* Redis, from node 1 */
    bool excused;                 /* accepted with a journal that lacks what Redis was never sent */
    uint32_t starts;
    uint32_t paid[EVENTS];  /* orders whose payment was confirmed to buyers */
    uint64_t acked[EVENTS]; /* the end of the true journal: all that was confirmed to buyers */
    uint32_t acked_chain[EVENTS];
    uint64_t told[EVENTS]; /* the highest record that Redis was sent, and its chain */
    uint32_t told_chain[EVENTS];
} world;

static uint32_t worlds, accepted_copies, refused_copies, excused_worlds, oversold;
static char story[STEPS + 1];

/* ---- node 1 --------------------------------------------------------------------------------- */

static void at(uint32_t e)
{
    be(1);
    event = e;
    book = &world.disk.books[e];
}

/* An answer to a buyer: the true journal holds it from here on. */
static void note_acked(uint32_t e)
{
    world.is_copied = false;
    world.acked[e] = world.disk.books[e].end;
    world.acked_chain[e] = chain_of(&world.disk.books[e], world.acked[e]);
}

static bool has_record(uint32_t e, uint64_t seq, uint32_t chain)
{
    const struct book *b = &world.disk.books[e];
    return b->end >= seq && chain_of(b, seq) == chain;
}

static void settle_event(uint32_t e)
{
    at(e);
    settle();
    if (book->pos > world.told[e]) {
        world.told[e] = book->pos;
        world.told_chain[e] = chain_of(book, book->pos);
    }
}

static void beat(void)
{
    for (uint32_t e = 0; e < EVENTS && world.runs && world.proven && !world.away; e++)
        settle_event(e);
}

/* All events are examined before anything is written. */
static bool is_accepted(struct stock_attach *attaches)
{
    for (uint32_t e = 0; e < EVENTS; e++) {
        at(e);
        attaches[e] = attach_of_book();
        enum stock_result result = examine(&attaches[e]);
        assert_true(result == STOCK_OK || result == STOCK_CONFLICT);
        if (result == STOCK_CONFLICT)
            return false;
    }
    return true;
}

static void journal_epochs(void)
{
    for (uint32_t e = 0; e < EVENTS && !world.has_epoch; e++) {
        bool is_true = has_record(e, world.acked[e], world.acked_chain[e]) &&
                       world.acked[e] == world.disk.books[e].end;
        at(e);
        append(STOCK_PAID, 1)->n = 0; /* no change of an order */
        world.is_copied = false;
        world.disk.epoch[e] += BLOCK;
        if (is_true)
            note_acked(e);
    }
    world.has_epoch = true;
}

/* Has the journal all that Redis was sent and all that was confirmed to buyers? */
static void check_accepted(void)
{
    for (uint32_t e = 0; e < EVENTS; e++) {
        if (!has_record(e, world.told[e], world.told_chain[e]))
            fail_msg("%s: event %u: a journal without record %lu was accepted", story, e,
                     (unsigned long)world.told[e]);
        if (!has_record(e, world.acked[e], world.acked_chain[e]))
            world.excused = true;
    }
    accepted_copies += world.was_restored;
}

static bool is_the_true_journal(void)
{
    bool is_true = !world.was_restored;
    for (uint32_t e = 0; e < EVENTS; e++)
        is_true &= has_record(e, world.acked[e], world.acked_chain[e]);
    return is_true;
}

/* Attaches in both events; `dies`: before it attaches. */
static void join(bool dies)
{
    struct stock_attach attaches[EVENTS];
    if (!is_accepted(attaches)) {
        if (is_the_true_journal())
            fail_msg("%s: the true journal was refused: %s", story, f.text);
        refused_copies++;
        world.runs = false;
        return;
    }
    journal_epochs();
    if (dies) {
        world.runs = false;
        return;
    }
    check_accepted();
    for (uint32_t e = 0; e < EVENTS; e++) {
        at(e);
        struct stock_attach a = attach_of_book();
        a.found = attaches[e].found;
        a.first_of_process = !world.proven;
        assert_int_equal(stock_attach(stock, &a, &f), STOCK_OK);
        keep_attached(&a);
    }
    world.proven = true;
    beat();
}

/* A new process has what its journal holds, and no more. */
static void begin_process(void)
{
    world.starts++;
    world.runs = true;
    world.proven = world.has_epoch = false;
    for (uint32_t e = 0; e < EVENTS; e++) {
        struct book *b = &world.disk.books[e];
        memset(&b->figures, 0, sizeof b->figures);
        b->node_count = 0;
        b->pos = 0;
        b->epoch = world.disk.epoch[e];
        b->salt = world.starts * 100000;
    }
}

static uint64_t unpaid_order(const struct book *b)
{
    for (uint64_t i = 0; i < b->end; i++) {
        bool is_over = b->journal[i].kind != STOCK_GRANTED_HELD || b->journal[i].n == 0;
        for (uint64_t k = i + 1; k < b->end && !is_over; k++)
            is_over = b->journal[k].n > 0 &&
                      memcmp(b->journal[k].order, b->journal[i].order, ORDERID_TEXT) == 0;
        if (!is_over)
            return b->journal[i].number;
    }
    return 0;
}

/* ---- the steps ------------------------------------------------------------------------------ */

/* Each returns whether the step was possible and changed something. */

static bool buy_one(uint32_t e)
{
    if (!world.runs || !world.proven || world.away || books[2].figures.gone >= TOTAL)
        return false;
    beat();
    at(e);
    pay_by = 1;
    if (sell(1, 1) != 1)
        return false;
    note_acked(e);
    return true;
}

static bool pay_one(uint32_t e)
{
    if (!world.runs || !world.proven || unpaid_order(&world.disk.books[e]) == 0)
        return false;
    beat();
    at(e);
    note(STOCK_PAID, unpaid_order(book));
    world.paid[e]++;
    note_acked(e);
    return true;
}

static bool copy(void)
{
    if (world.is_copied)
        return false;
    world.copy = world.disk;
    world.has_copy = world.is_copied = true;
    return true;
}

static bool restore(void)
{
    if (world.runs || !world.has_copy || world.is_copied)
        return false;
    world.disk = world.copy;
    world.was_restored = world.is_copied = true;
    return true;
}

static bool start(bool dies)
{
    if (world.runs || (dies && world.away))
        return false;
    begin_process();
    if (!world.away)
        join(dies);
    return true;
}

static bool end_process(void)
{
    bool ran = world.runs;
    world.runs = false;
    return ran;
}

static bool redis_comes_or_goes(void)
{
    world.away = !world.away;
    if (!world.away && world.runs)
        join(false);
    return true;
}

static const char letters[] = "aAbBcrshkw";

static bool play(char step)
{
    switch (step) {
    case 'a':
    case 'b':
        return buy_one(step == 'b');
    case 'A':
    case 'B':
        return pay_one(step == 'B');
    case 'c':
        return copy();
    case 'r':
        return restore();
    case 's':
    case 'h':
        return start(step == 'h');
    case 'k':
        return end_process();
    default:
        return redis_comes_or_goes();
    }
}

/* ---- the end of a world --------------------------------------------------------------------- */

static void expire_all(uint32_t e)
{
    for (uint64_t order; (order = unpaid_order(&world.disk.books[e])) != 0;) {
        at(e);
        note(STOCK_EXPIRED, order);
    }
    settle_event(e);
}

static uint32_t node_2_buys_the_rest(uint32_t e)
{
    be(2);
    event = e;
    book = &books[2 + e];
    pay_by = 0;
    return sell(TOTAL + 1, 1);
}

static void check_end(void)
{
    world.away = false;
    if (!world.runs)
        begin_process();
    join(false);
    excused_worlds += world.excused;
    for (uint32_t e = 0; e < EVENTS; e++) {
        bool runs = world.runs;
        if (runs)
            expire_all(e);
        uint32_t yeses = world.paid[e] + node_2_buys_the_rest(e);
        if (yeses > TOTAL)
            oversold++;
        if (yeses > TOTAL && !world.excused)
            fail_msg("%s: event %u: %u yeses of %d tickets", story, e, yeses, TOTAL);
        if (!world.was_restored && yeses != TOTAL)
            fail_msg("%s: event %u: %u of %d were sold", story, e, yeses, TOTAL);
    }
}

/* ---- all worlds ----------------------------------------------------------------------------- */

static void explore(unsigned depth)
{
    static struct world saved[STEPS + 1];
    char name[8];
    static struct book saved_books[STEPS + 1][EVENTS];
    if (depth == STEPS) {
        worlds++;
        if (world.was_restored || worlds % 8 == 0) /* the others sell in peace, most of them */
            check_end();
        return;
    }
    saved[depth] = world;
    memcpy(saved_books[depth], &books[2], sizeof saved_books[depth]);
    snprintf(name, sizeof name, "%u", depth);
    snapshot(name, false);
    for (const char *step = letters; *step != '\0'; step++) {
        story[depth] = *step;
        story[depth + 1] = '\0';
        if ((*step == 'w' && depth > 0 && story[depth - 1] == 'w') || !play(*step))
            continue;
        explore(depth + 1);
        world = saved[depth];
        memcpy(&books[2], saved_books[depth], sizeof saved_books[depth]);
        snapshot(name, true);
    }
}

static void test_all_orders(void **state)
{
    (void)state;
    total = TOTAL;
    for (uint32_t e = 0; e < EVENTS; e++) { /* node 2 attaches first, with node 1 as a known node */
        be(2);
        event = e;
        book = &books[2 + e];
        book->others[book->others_count++] = 1;
        assert_int_equal(attach(), STOCK_OK);
        settle();
    }
    begin_process();
    join(false);
    for (uint32_t e = 0; e < EVENTS; e++) {
        be(2);
        event = e;
        book = &books[2 + e];
        settle();
        assert_false(book->figures.repair);
        settle_event(e);
        assert_true(buy_one(e));
        settle_event(e);
    }
    explore(0);
    printf("%u worlds, %u copies accepted, %u refused, %u ends excused, of which %u oversell\n",
           worlds, accepted_copies, refused_copies, excused_worlds, oversold);
    assert_true(accepted_copies > 0 && refused_copies > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_orders, fresh_redis_with_two_events, leave),
    };
    return STOCK_RUN(tests);
}
