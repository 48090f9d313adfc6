/*
 * Why: a node that is named twice, or that came back at another address, has two rows and one sale.
 * Counted twice, it seems to sell twice as many tickets, and half of the nodes seem dead. Two
 * servers with one number, on the other hand, are a mistake that the operator must see.
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

/* The row `to` is another address of the node of the row `from`. */
static void alias(int to, int from)
{
    answers[to] = answers[from];
}

/* Both rows are answered by the same server, which keeps running. */
static void rounds_alias(int to, int from, int count)
{
    for (int i = 0; i < count; i++) {
        answers[from].time_ms += 1000;
        alias(to, from);
        answers[to].uptime_s = answers[from].uptime_s;
        rounds(1);
    }
}

static void set_sale(int i)
{
    answers[i].time_ms = 5000000 + (uint64_t)i;
    answers[i].requests = 1000;
    answers[i].answers_5xx = 2;
    answers[i].connections = 10;
    answers[i].events[0].node_sold = 100;
    answers[i].events[0].node_held = 7;
    answers[i].events[0].refused = 50;
}

static void a_number_is_counted_once(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    rounds_alias(3, 0, 1);
    assert_int_equal(nodes[0]->state, MODEL_UP);
    assert_int_equal(nodes[3]->state, MODEL_DUPLICATE);
    assert_string_equal(nodes[3]->why, "same as web1:3901");
    assert_int_equal(m->totals.nodes, 3);
    assert_int_equal(m->totals.up, 3);
    assert_int_equal(m->totals.answering, 3);
    assert_int_equal(m->totals.node_sold, 300);
    assert_int_equal(m->totals.held, 21);
    assert_int_equal(m->totals.refused, 150);
    assert_int_equal(m->totals.requests, 3000);
    assert_int_equal(m->totals.errors, 6);
    assert_int_equal(m->totals.connections, 30);
    answers[0].requests += 500;
    answers[0].events[0].node_sold += 20;
    rounds_alias(3, 0, 1);
    about(m->totals.req_s, 500);
    about(m->totals.sold_s, 20);
    assert_false(nodes[3]->has_rates);
    assert_null(model_event(m, nodes[3], NULL));
    rounds_alias(3, 0, 9);
    must_announce_nothing();
}

static void without_redis_it_is_one_sale_too(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        strcpy(answers[i].redis, "off");
    rounds_alias(1, 0, 2);
    assert_int_equal(m->totals.total, 30000);
    assert_int_equal(m->totals.left, 27000);
}

/* With two addresses of a node, one may fail. */
static void the_row_that_answers_counts(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    rounds_alias(3, 0, 2);
    failed(0, "connection refused");
    must_announce("node 1 DOWN: connection refused");
    answers[3].uptime_s = 0; /* it was started again, with another address */
    answers[3].events[0].node_sold = 130;
    round_but(0);
    must_announce("node 1 UP");
    must_announce_nothing();
    assert_int_equal(nodes[0]->state, MODEL_DUPLICATE);
    assert_string_equal(nodes[0]->why, "same as web4:3901");
    assert_int_equal(nodes[3]->state, MODEL_UP);
    assert_string_equal(nodes[3]->why, "");
    assert_int_equal(m->totals.nodes, 3);
    assert_int_equal(m->totals.up, 3);
    assert_int_equal(m->totals.node_sold, 330);
    for (int i = 0; i < 3; i++) { /* a duplicate that fails is no news */
        failed(0, "connection refused");
        round_but(0);
    }
    must_announce_nothing();
    assert_int_equal(m->totals.up, 3);
    failed(3, "connection refused");
    failed(0, "connection refused");
    must_announce("node 1 DOWN: connection refused");
    model_round(m, now_us, wall());
    must_announce_nothing();
    assert_int_equal(m->totals.nodes, 3);
    assert_int_equal(m->totals.up, 2);
    assert_int_equal(m->totals.node_sold, 330);
}

static void a_row_whose_number_changes_is_a_node_again(void **state)
{
    (void)state;
    rounds_alias(3, 0, 1);
    answers[0].node = 9;
    answers[3].node = 1;
    rounds(2);
    assert_int_equal(nodes[3]->state, MODEL_UP);
    assert_int_equal(m->totals.up, 4);
    answers[0].node = 1;
    rounds(1);
    assert_int_equal(nodes[0]->state, MODEL_DUPLICATE);
    assert_int_equal(m->totals.nodes, 3);
}

/* Started at different times, and both are there. */
static void two_servers_of_one_number_are_announced_once(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    answers[3].node = 1;
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < NODES; k++)
            answers[k].time_ms += 1000;
        if (i == 0)
            answers[3].uptime_s = 20;
        rounds(1);
        if (i == 1)
            must_announce_nothing();
    }
    must_announce("two servers are node 1: web1:3901 and web4:3901");
    assert_true(m->lines[(announced - 1) % MODEL_LINES].trouble);
    must_announce_nothing();
    assert_int_equal(nodes[3]->state, MODEL_DUPLICATE);
    assert_string_equal(nodes[3]->why, "another server than web1:3901");
    assert_int_equal(m->totals.nodes, 3);
}

/* Rounds of four nodes, of which the last has number 1, too. */
static void rounds_of_two_servers(int count)
{
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < NODES; k++)
            answers[k].time_ms += 1000;
        answers[3].node = 1;
        rounds(1);
    }
}

static void must_announce_two_servers(void)
{
    rounds_of_two_servers(2);
    must_announce_nothing();
    rounds_of_two_servers(3);
    must_announce("two servers are node 1: web1:3901 and web4:3901");
    must_announce_nothing();
}

/* A script starts them all in the same second. */
static void two_processes_are_two_servers(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        set_sale(i);
        answers[i].pid = 100 + (uint64_t)i;
    }
    must_announce_two_servers();
}

static void another_redis_is_another_server(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    strcpy(answers[3].redis, "off");
    must_announce_two_servers();
}

/* On two machines the process numbers may be equal. */
static void another_total_is_another_server(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        set_sale(i);
        answers[i].pid = 1;
    }
    answers[3].events[0].total = 500;
    must_announce_two_servers();
}

/* Not after one hiccup, and not while the real node is down: its sale is another one. */
static void another_server_never_gets_the_number(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        set_sale(i);
        answers[i].pid = 100 + (uint64_t)i;
    }
    rounds_of_two_servers(5);
    must_announce("two servers are node 1: web1:3901 and web4:3901");
    failed(0, "connection refused");
    must_announce("node 1 DOWN: connection refused");
    round_but(0);
    assert_int_equal(nodes[3]->state, MODEL_DUPLICATE);
    assert_string_equal(nodes[3]->why, "another server than web1:3901");
    rounds_of_two_servers(2);
    must_announce("node 1 UP");
    assert_int_equal(nodes[0]->state, MODEL_UP);
    alias(3,
          1); /* it was stopped; its address belongs to node 2 now, whose other address is gone */
    failed(1, "connection refused");
    must_announce("node 2 DOWN: connection refused");
    round_but(1);
    assert_int_equal(nodes[3]->state, MODEL_UP);
    rounds(1);
    answers[3].node = 9; /* its number was corrected */
    rounds(1);
    assert_int_equal(nodes[3]->state, MODEL_UP);
    answers[0].node = 10; /* and here that of the other server */
    answers[3].node = 1;
    rounds(2);
    assert_int_equal(nodes[3]->state, MODEL_UP);
    assert_int_equal(m->totals.up, 4);
}

/* A server that was started without `redis` by mistake has a sale of its own. */
static void a_server_without_redis_is_no_witness(void **state)
{
    (void)state;
    strcpy(answers[3].redis, "off");
    answers[3].events[0].total = answers[3].events[0].left = 500;
    answers[3].events[0].sold = 0;
    rounds(2);
    assert_int_equal(m->totals.total, 10000);
    for (int i = 0; i < 3; i++)
        strcpy(answers[i].redis, "down");
    rounds(1);
    assert_int_equal(m->totals.total, 10000);
    assert_int_equal(m->totals.left, 9000);
    for (int i = 0; i < 3; i++)
        failed(i, "connection refused");
    now_us += STEP_US;
    answer(3);
    model_round(m, now_us, wall());
    assert_int_equal(m->totals.total, 10000);
}

/* Nor is a duplicate row. */
static void another_server_is_no_witness(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    answers[3].events[0].total = 500;
    rounds_of_two_servers(5);
    for (int i = 0; i < 3; i++)
        failed(i, "connection refused");
    now_us += STEP_US;
    answer(3);
    model_round(m, now_us, wall());
    assert_int_equal(m->totals.total, 10000);
}

/* Each row shows the node that answers there; no move is announced. */
static void two_nodes_swap_their_addresses(void **state)
{
    (void)state;
    rounds(2);
    answers[0].node = 2;
    answers[1].node = 1;
    answers[0].uptime_s = answers[1].uptime_s = 0;
    rounds(2);
    must_announce("node 1 restarted");
    must_announce("node 2 UP");
    must_announce_nothing();
    assert_int_equal(nodes[0]->number, 2);
    assert_int_equal(nodes[1]->number, 1);
    assert_int_equal(m->totals.up, NODES);
    assert_non_null(model_find(m, "web1:3901"));
    assert_null(model_find(m, "web9:3901"));
}

/* The server was started again between the two answers of one round. */
static void a_restart_is_no_second_server(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    for (int i = 0; i < 10; i++) {
        rounds_alias(3, 0, 1);
        answers[3].uptime_s = 0;
        answers[3].time_ms += 1000;
        answers[0].uptime_s++;
        answers[0].time_ms += 1000;
        rounds(1); /* the second row has seen the restart first */
        alias(0, 3);
    }
    for (; announced < m->line_count; announced++)
        assert_null(strstr(m->lines[announced % MODEL_LINES].text, "two servers"));
}

static void a_node_that_moves_keeps_its_row(void **state)
{
    (void)state;
    set_sale(1);
    rounds(3);
    model_move(m, nodes[1], "web9:3901", wall());
    must_announce("node 2 moved to web9:3901");
    answers[1].uptime_s = 0;
    rounds(1);
    must_announce("node 2 restarted");
    assert_string_equal(nodes[1]->address, "web9:3901");
    assert_int_equal(m->node_count, NODES);
    assert_int_equal(m->totals.nodes, NODES);
    assert_int_equal(m->totals.node_sold, 100);
    assert_ptr_equal(model_add(m, "web9:3901"), nodes[1]);
}

/* A node without a known address is missing from the sale: it has a row. */
static void absent_nodes_have_rows(void **state)
{
    (void)state;
    model_add_absent(m, 2); /* it answers */
    model_add_absent(m, 6);
    rounds(1);
    assert_int_equal(m->totals.nodes, 5);
    assert_int_equal(m->totals.up, 4);
    assert_true(model_is_hidden(&m->nodes[NODES]));
    const struct model_node *missing = &m->nodes[NODES + 1];
    assert_false(model_is_hidden(missing));
    assert_int_equal(missing->number, 6);
    assert_string_equal(missing->why, "never heard");
    assert_string_equal(model_state_name(missing->state), "NEW");
    answers[1].node = 6; /* the row of node 2 is node 6 now: 2 is absent */
    rounds(1);
    assert_false(model_is_hidden(&m->nodes[NODES]));
    assert_true(model_is_hidden(missing));
    assert_int_equal(nodes[1]->state, MODEL_UP);
    assert_int_equal(m->totals.nodes, 5);
    model_locate(m, 2, "web9:3901");
    assert_ptr_equal(model_add(m, "web9:3901"), &m->nodes[NODES]);
    assert_int_equal(m->nodes[NODES].number, 0);
    assert_string_equal(m->nodes[NODES].why, "");
    must_announce("node 6 restarted");
    must_announce_nothing();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_number_is_counted_once),
        TEST(without_redis_it_is_one_sale_too),
        TEST(the_row_that_answers_counts),
        TEST(a_row_whose_number_changes_is_a_node_again),
        TEST(two_servers_of_one_number_are_announced_once),
        TEST(two_processes_are_two_servers),
        TEST(another_redis_is_another_server),
        TEST(another_total_is_another_server),
        TEST(another_server_never_gets_the_number),
        TEST(a_server_without_redis_is_no_witness),
        TEST(another_server_is_no_witness),
        TEST(two_nodes_swap_their_addresses),
        TEST(a_restart_is_no_second_server),
        TEST(a_node_that_moves_keeps_its_row),
        TEST(absent_nodes_have_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
