/*
 * Why: a Redis that comes back (empty, old, or only after some seconds) makes every node appear
 * silent. An operator who reopens the sale at that moment, or reclaims a node, must not give up a
 * node that is alive and about to attach: its tickets would be sold again (P1). So all sequences of
 * losing, being cut off, coming back, dying, waiting, reopening and reclaiming are tried that fit
 * in six steps, with two events and two nodes, of which the operator uses node 2.
 *
 * A sequence goes on from a snapshot of the world and of Redis. Time passes in one step, by
 * `patience` and more, and only when each node that is alive has attached: a node that does not
 * attach in that time is out of reach, which the manual tells the operator to treat as alive.
 */
/* needs: storage/stock/stock.c storage/stock/local.c storage/stock/name_table.c
 * storage/stock/redis.c storage/stock/redis_act.c storage/stock/redis_attach.c
 * storage/stock/redis_pack.c storage/stock/redis_script.c storage/stock/redis_step.c
 * storage/stock/redis_reply.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 * conf/base/check.c conf/base/log.c conf/base/orderid.c conf/base/key_hash.c
 * tests/lib/redis_fixture.c -lhiredis -lsodium */
#define RECORDS 64
#include "tests/lib/stock_evict.h"

#define STEPS  6
#define EVENTS 2
#define SOLD   8 /* of 10, by node 1 */

static struct world {
    struct book books[EVENTS][2];
    bool lives, came[2]; /* node 1; each node has attached since Redis lost something */
    bool evicted;
    bool has_waited; /* node 2, since it attached and saw this repair */
    uint64_t since;
} world;

static uint32_t worlds, early, alive, evicted;
static char story[STEPS + 1];

static void at(uint16_t node, uint32_t e)
{
    be(node);
    event = e;
    book = &world.books[e][node - 1];
}

/* Steps, or attaches again if the step asks for it. */
static void beat(uint16_t node)
{
    for (uint32_t e = 0; e < EVENTS; e++) {
        at(node, e);
        enum stock_result result = ask(0);
        if (result == STOCK_ATTACH) {
            assert_int_equal(attach(), STOCK_OK);
            result = ask(0);
        }
        assert_int_equal(result, STOCK_OK);
    }
    world.came[node - 1] = true;
}

/* A new process remembers nothing of the other nodes. */
static void forget(struct book *b)
{
    memset(&b->figures, 0, sizeof b->figures);
    b->node_count = 0;
    b->epoch += 1024;
}

static bool comes(uint16_t node, bool restarted)
{
    for (uint32_t e = 0; e < EVENTS && (restarted || !world.came[node - 1]); e++) {
        if (restarted)
            forget(&world.books[e][node - 1]);
        at(node, e);
        assert_int_equal(attach(), STOCK_OK);
        world.has_waited &= node != 2;
    }
    beat(node);
    world.lives |= node == 1;
    return true;
}

static bool dies(void)
{
    bool lived = world.lives;
    world.lives = world.came[0] = false;
    return lived;
}

static bool is_lost(bool old)
{
    snapshot(old ? "old" : "nothing", true);
    if (old)
        for (uint32_t e = 0; e < EVENTS; e++)
            redis_fixture_do(&redis, "HSET %s_hash_key run another", conf.events[e].name);
    world.came[0] = world.came[1] = false;
    return true;
}

/* Nothing is lost, but no node could send a beat for a while. */
static bool is_away(void)
{
    all_is_long_ago();
    world.came[0] = world.came[1] = false;
    return true;
}

static bool time_passes(void)
{
    if (!world.came[1] || (world.lives && !world.came[0]))
        return false;
    all_is_long_ago();
    if (world.lives)
        beat(1);
    beat(2);
    world.has_waited = true;
    world.since = world.books[0][1].figures.repair_since_wall_ms;
    return true;
}

/* By an operator of node 2. */
static bool gives_up_node(uint16_t node, bool lost)
{
    if (!world.came[1])
        return false;
    if (world.lives && world.came[0])
        beat(1);
    beat(2);
    for (uint32_t e = 0; e < EVENTS; e++) {
        at(2, e);
        has_waited = world.has_waited && world.since == book->figures.repair_since_wall_ms;
        enum stock_result result = evict(node, lost);
        if (result == STOCK_ATTACH)
            return true;
        assert_int_equal(result, STOCK_OK);
        early += rc.outcome == STOCK_EARLY;
        alive += rc.outcome == STOCK_ALIVE;
        if (rc.outcome == STOCK_EARLY || rc.outcome == STOCK_ALIVE)
            assert_int_equal(rc.subject_node, 1);
        evicted += rc.evicted_count;
        world.evicted |= rc.evicted_count > 0;
        if (rc.evicted_count > 0 && world.lives)
            fail_msg("%s: event %u: a node that lives was given up", story, e);
    }
    return true;
}

static const char letters[] = "fox12kt" /* then the operator's */ "rcl";

static bool play(char step)
{
    switch (step) {
    case 'f':
    case 'o':
        return is_lost(step == 'o');
    case 'x':
        return is_away();
    case '1':
    case '2':
        return comes((uint16_t)(step - '0'), step == '2' || !world.lives);
    case 'k':
        return dies();
    case 't':
        return time_passes();
    case 'r':
        return gives_up_node(0, false);
    default:
        return gives_up_node(1, step == 'l');
    }
}

/* All nodes attach, and node 2 sells the remaining tickets. */
static void check_end(void)
{
    /* The nodes that were given up were dead: another test checks what stays counted then. Of
     * the other ends, most are alike. */
    if (++worlds % 16 != 0 || world.evicted)
        return;
    comes(2, false);
    comes(1, !world.lives);
    comes(2, false);
    comes(1, false);
    for (uint32_t e = 0; e < EVENTS; e++) {
        at(2, e);
        settle();
        if (sell(3, 1) != 10 - SOLD)
            fail_msg("%s: event %u: not %d were left", story, e, 10 - SOLD);
    }
}

static void explore(unsigned depth)
{
    static struct world saved[STEPS + 1];
    char name[8];
    saved[depth] = world;
    snprintf(name, sizeof name, "%u", depth);
    snapshot(name, false);
    /* The last step is an operator's: the others give up no node. */
    for (const char *step = depth + 1 == STEPS ? letters + 7 : letters; *step != '\0'; step++) {
        story[depth] = *step;
        story[depth + 1] = '\0';
        if ((depth > 0 && story[depth - 1] == *step) || !play(*step))
            continue;
        if (depth + 1 == STEPS)
            check_end();
        else
            explore(depth + 1);
        world = saved[depth];
        snapshot(name, true);
    }
}

static void test_all_orders(void **state)
{
    (void)state;
    patience = 3000;
    for (uint32_t e = 0; e < EVENTS; e++)
        for (uint16_t node = 1; node <= 2; node++) {
            at(node, e);
            book->others[book->others_count++] = (uint16_t)(3 - node);
            assert_int_equal(attach(), STOCK_OK);
            settle();
        }
    beat(1);
    for (uint32_t e = 0; e < EVENTS; e++) {
        at(1, e);
        assert_int_equal(sell(2, 1), 2);
        settle();
    }
    beat(2);
    snapshot("old", false);
    for (uint32_t e = 0; e < EVENTS; e++) {
        at(1, e);
        assert_int_equal(sell(SOLD - 2, 1), SOLD - 2);
        settle();
    }
    beat(2);
    world.lives = true;
    explore(0);
    printf("%u worlds; too early %u times, alive %u, given up %u\n", worlds, early, alive, evicted);
    assert_true(early > 0 && alive > 0 && evicted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_orders, fresh_redis_with_two_events, leave),
    };
    return STOCK_RUN(tests);
}
