/*
 * Why: a sale can stand still while every node answers: Redis is down, or the local stocks are
 * spent. A console that shows UP then, or 0 for a figure that is not known, hides the trouble.
 */
/* needs: admin-tui/model/model.c admin-tui/model/duplicates.c admin-tui/model/health.c
 * admin-tui/model/event_news.c admin-tui/model/repair_waits.c admin-tui/model/alerts.c
 * admin-tui/model/totals.c admin-tui/model/history.c admin-tui/model/sale.c
 * admin-tui/model/sale_pace.c admin-tui/model/rates.c admin-tui/model/nodes.c
 * admin-tui/model/lines.c admin-tui/model/median.c admin-tui/model/stats.c admin-tui/client/json.c
 * admin-tui/model/number.c conf/base/check.c conf/base/fault.c -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include "tests/unit/top_nodes.h"

static void redis_has_one_line_for_all_nodes(void **state)
{
    (void)state;
    rounds(1);
    strcpy(answers[2].redis, "down");
    rounds(2);
    must_announce("node 3 REDIS!: Redis does not answer, buyers hear busy");
    assert_true(m->lines[(announced - 1) % MODEL_LINES].trouble);
    assert_true(m->totals.has_redis);
    assert_false(m->totals.redis_ok);
    strcpy(answers[2].redis, "up");
    rounds(2);
    must_announce("node 3 UP: Redis answers again");
    for (int i = 0; i < NODES; i++)
        strcpy(answers[i].redis, "down");
    rounds(3);
    must_announce("4 of 4 nodes REDIS!: Redis does not answer, buyers hear busy");
    assert_true(m->totals.has_redis && !m->totals.redis_ok);
    for (int i = 0; i < NODES; i++)
        strcpy(answers[i].redis, "up");
    rounds(2);
    must_announce("4 of 4 nodes UP: Redis answers again");
    assert_true(m->totals.redis_ok);
    must_announce_nothing();
}

/* A node that has not attached yet has not lost Redis. */
static void a_starting_node_has_a_moment(void **state)
{
    (void)state;
    rounds(1);
    strcpy(answers[0].state, "starting");
    strcpy(answers[0].redis, "down");
    answers[0].uptime_s = 0;
    rounds(1);
    must_announce("node 1 STARTING: restarted");
    must_announce_nothing();
    assert_true(m->totals.redis_ok);
    rounds(4);
    must_announce("node 1 REDIS!: Redis does not answer, buyers hear busy");
    must_announce_nothing();
}

/* A node that can sell nothing is not up, whatever state it reports; and that shows at once. */
static void a_node_without_redis_is_not_up(void **state)
{
    (void)state;
    rounds(1);
    strcpy(answers[2].redis, "down");
    answer(2);
    assert_int_equal(nodes[2]->state, MODEL_NO_REDIS);
    rounds(1);
    assert_string_equal(model_state_name(nodes[2]->state), "REDIS!");
    assert_int_equal(m->totals.up, 3);
    assert_int_equal(m->totals.answering, 4);
    assert_int_equal(m->totals.nodes, 4);
    must_announce("node 3 REDIS!: Redis does not answer, buyers hear busy");
    failed(2, "connection refused");
    must_announce("node 3 DOWN: connection refused");
    round_but(2);
    rounds(2); /* it answers again, still without Redis */
    must_announce("node 3 REDIS!: Redis does not answer, buyers hear busy");
    strcpy(answers[2].state, "draining");
    rounds(1);
    must_announce("node 3 DRAINING");
    strcpy(answers[2].state, "repair");
    rounds(1);
    must_announce("node 3 REPAIR");
    strcpy(answers[2].state, "up");
    strcpy(answers[2].redis, "up");
    rounds(2);
    must_announce("node 3 UP");
    must_announce("node 3 UP: Redis answers again");
    must_announce_nothing();
    assert_int_equal(m->totals.up, 4);
}

/* The local stock of a node is sold. */
static void spend(int i, uint64_t cap)
{
    struct stats_event *e = &answers[i].events[0];
    e->has_cap = true;
    e->local_stock = cap;
    e->node_sold = cap - 1;
    e->node_held = 1;
}

static void a_sale_that_stands_still_is_announced(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        spend(i, 250);
    rounds(3);
    must_announce_nothing(); /* the last one sells */
    spend(3, 250);
    strcpy(answers[0].redis, "down"); /* and this one cannot */
    round_but(-1);
    must_announce("node 1 REDIS!: Redis does not answer, buyers hear busy");
    rounds(3);
    must_announce("ticket: raise local-stock (HUP): 9,000 left, all spent");
    assert_true(m->lines[(announced - 1) % MODEL_LINES].trouble);
    must_announce_nothing();
    assert_true(model_stock_is_spent(&nodes[1]->stats.events[0]));
    answers[1].events[0].local_stock++;
    rounds(3);
    assert_false(model_stock_is_spent(&nodes[1]->stats.events[0]));
    must_announce("ticket: a node has local stock again, 9,000 left");
    must_announce_nothing();
}

/* The local stocks are the whole sale: its end is no trouble. */
static void the_end_is_no_standing_still(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        spend(i, 250);
        answers[i].events[0].sold = 9990; /* a beat before the last ones are reported */
        answers[i].events[0].left = 10;
    }
    rounds(1);
    for (int i = 0; i < NODES; i++) {
        strcpy(answers[i].events[0].state, "soldout");
        answers[i].events[0].sold = 10000;
        answers[i].events[0].left = 0;
    }
    rounds(3);
    must_announce("ticket SOLD OUT: 10,000");
    must_announce_nothing();
}

/* "off" is not "down", and a node that reports nothing of Redis, or has not attached yet, is
 * neither.
 */
static void redis_is_off_only_if_a_node_reports_it(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        strcpy(answers[i].state, "starting");
        strcpy(answers[i].redis, "down");
        answers[i].uptime_s = 0;
    }
    rounds(1);
    assert_false(m->totals.has_redis || m->totals.redis_off);
    for (int i = 0; i < NODES; i++)
        strcpy(answers[i].redis, "");
    rounds(1);
    assert_false(m->totals.has_redis || m->totals.redis_off);
    for (int i = 0; i < NODES; i++) {
        strcpy(answers[i].state, "up");
        strcpy(answers[i].redis, "off");
    }
    rounds(1);
    assert_true(m->totals.redis_off);
    assert_false(m->totals.has_redis);
}

static void wait_for_nodes(int i, uint32_t count, uint16_t first)
{
    struct stats_event *e = &answers[i].events[0];
    memset(e->waits_for, 0, sizeof e->waits_for);
    strcpy(e->state, "repair");
    e->waits = count;
    for (uint32_t k = 0; k < count && k < STATS_WAITS_MAX; k++)
        e->waits_for[k] = (uint16_t)(first + k);
}

/* A repair names the nodes that it waits for: the operator must start them, or give them up. */
static void awaited_nodes_are_named(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        wait_for_nodes(i, 1, 3);
    rounds(3);
    must_announce(
        "ticket in repair: waits for node 3"); /* also of a sale that was never seen open */
    assert_true(m->lines[(announced - 1) % MODEL_LINES].trouble);
    must_announce_nothing();
    for (int i = 0; i < NODES; i++)
        wait_for_nodes(i, 2, 3);
    rounds(2);
    must_announce("ticket in repair: waits for nodes 3, 4");
    must_announce_nothing();
    for (int i = 0; i < NODES; i++)
        wait_for_nodes(i, 20, 101);
    rounds(2);
    must_announce(
        "ticket in repair: waits for nodes 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, "
        "111, 112, 113, 114, 115, 116 and perhaps others");
    for (int i = 0; i < NODES; i++) {
        wait_for_nodes(i, 0, 0);
        strcpy(answers[i].events[0].state, "open");
    }
    rounds(2);
    must_announce("ticket open: repair is over");
    must_announce_nothing();
}

/* A node does not name itself; together they name all. */
static void what_one_node_leaves_out_the_others_name(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        wait_for_nodes(i, 3, 1);
        struct stats_event *e = &answers[i].events[0];
        memmove(&e->waits_for[i], &e->waits_for[i + 1], (size_t)(2 - i) * sizeof e->waits_for[0]);
        e->waits = 2;
        e->waits_for[2] = 0;
    }
    wait_for_nodes(3, 3, 1);
    rounds(3);
    must_announce("ticket in repair: waits for nodes 1, 2, 3");
    must_announce_nothing();
}

/* A node that hears of a change a beat later is no news; one that still differs is. */
static void awaited_nodes_are_announced_when_certain(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        wait_for_nodes(i, 2, 3);
    rounds(1);
    must_announce("ticket in repair: waits for nodes 3, 4");
    wait_for_nodes(3, 3, 3);
    now_us += 60000;
    answer(3);
    model_round(m, now_us, wall());
    must_announce_nothing();
    rounds(1);
    must_announce("ticket in repair: waits for nodes 3, 4, 5");
    for (int i = 0; i < NODES; i++)
        wait_for_nodes(i, 1, 3);
    now_us += 60000;
    answer(0);
    model_round(m, now_us, wall());
    must_announce_nothing(); /* the others have not heard of it */
    rounds(1);
    must_announce("ticket in repair: waits for node 3");
    wait_for_nodes(0, 0, 0); /* an older node does not report it */
    rounds(2);
    must_announce_nothing();
}

/* A figure that is not known is not 0. */
static void unknown_is_not_zero(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        failed(i, "connection refused");
    announced = NODES;
    model_round(m, now_us, wall());
    assert_false(m->totals.has_sums || m->totals.has_sale);
    for (int i = 0; i < NODES; i++) {
        strcpy(answers[i].state, "starting");
        answers[i].events[0] = (struct stats_event){.name = "ticket", .state = "repair"};
    }
    rounds(1);
    assert_true(m->totals.has_sums);
    assert_false(m->totals.has_sale);
    answers[0].events[0].total = 10000;
    answers[0].events[0].left = 10000;
    strcpy(answers[0].state, "up");
    rounds(1);
    assert_true(m->totals.has_sale);
    assert_int_equal(m->totals.left, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(redis_has_one_line_for_all_nodes),
        TEST(a_starting_node_has_a_moment),
        TEST(a_node_without_redis_is_not_up),
        TEST(a_sale_that_stands_still_is_announced),
        TEST(the_end_is_no_standing_still),
        TEST(unknown_is_not_zero),
        TEST(redis_is_off_only_if_a_node_reports_it),
        TEST(awaited_nodes_are_named),
        TEST(what_one_node_leaves_out_the_others_name),
        TEST(awaited_nodes_are_announced_when_certain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
