/*
 * Why: a node that is named twice, or that came back at another address, has two rows and one sale.
 * Counted twice it sells twice as many tickets as there are, and half of the nodes look dead. Two
 * servers with one number, on the other hand, are a mistake that somebody must hear of.
 */
/* needs: admin-tui/model.c admin-tui/model_same.c admin-tui/model_totals.c admin-tui/model_facts.c
 * admin-tui/number.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include "tests/unit/top_nodes.h"

/* The row `to` is another address of the node of the row `from`. */
static void alias(int to, int from)
{
    said[to] = said[from];
}

/* Both rows hear the same server, which lives on. */
static void rounds_alias(int to, int from, int count)
{
    for (int i = 0; i < count; i++) {
        said[from].time_ms += 1000;
        alias(to, from);
        said[to].uptime_s = said[from].uptime_s;
        rounds(1);
    }
}

static void set_sale(int i)
{
    said[i].time_ms = 5000000 + (uint64_t)i;
    said[i].requests = 1000;
    said[i].answers_5xx = 2;
    said[i].connections = 10;
    said[i].events[0].node_sold = 100;
    said[i].events[0].node_held = 7;
    said[i].events[0].refused = 50;
}

static void a_number_is_counted_once(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    rounds_alias(3, 0, 1);
    assert_int_equal(nodes[0]->state, MODEL_UP);
    assert_int_equal(nodes[3]->state, MODEL_SAME);
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
    said[0].requests += 500;
    said[0].events[0].node_sold += 20;
    rounds_alias(3, 0, 1);
    about(m->totals.req_s, 500);
    about(m->totals.sold_s, 20);
    assert_false(nodes[3]->has_rates);
    assert_null(model_event(m, nodes[3], NULL));
    rounds_alias(3, 0, 9);
    must_be_silent();
}

static void without_redis_it_is_one_sale_too(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        strcpy(said[i].redis, "off");
    rounds_alias(1, 0, 2);
    assert_int_equal(m->totals.total, 30000);
    assert_int_equal(m->totals.left, 27000);
}

/* Who knows more names of it goes on seeing it when one of them is gone. */
static void the_row_that_answers_counts(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    rounds_alias(3, 0, 2);
    failed(0, "connection refused");
    must_tell("node 1 DOWN: connection refused");
    said[3].uptime_s = 0; /* it was started again, with another address */
    said[3].events[0].node_sold = 130;
    round_but(0);
    must_tell("node 1 UP");
    must_be_silent();
    assert_int_equal(nodes[0]->state, MODEL_SAME);
    assert_string_equal(nodes[0]->why, "same as web4:3901");
    assert_int_equal(nodes[3]->state, MODEL_UP);
    assert_string_equal(nodes[3]->why, "");
    assert_int_equal(m->totals.nodes, 3);
    assert_int_equal(m->totals.up, 3);
    assert_int_equal(m->totals.node_sold, 330);
    for (int i = 0; i < 3; i++) { /* nobody is there, and it does not matter */
        failed(0, "connection refused");
        round_but(0);
    }
    must_be_silent();
    assert_int_equal(m->totals.up, 3);
    failed(3, "connection refused");
    failed(0, "connection refused");
    must_tell("node 1 DOWN: connection refused");
    model_round(m, now_us, wall());
    must_be_silent();
    assert_int_equal(m->totals.nodes, 3);
    assert_int_equal(m->totals.up, 2);
    assert_int_equal(m->totals.node_sold, 330);
}

static void a_row_whose_number_changes_is_a_node_again(void **state)
{
    (void)state;
    rounds_alias(3, 0, 1);
    said[0].node = 9;
    said[3].node = 1;
    rounds(2);
    assert_int_equal(nodes[3]->state, MODEL_UP);
    assert_int_equal(m->totals.up, 4);
    said[0].node = 1;
    rounds(1);
    assert_int_equal(nodes[0]->state, MODEL_SAME);
    assert_int_equal(m->totals.nodes, 3);
}

/* Started at different times, and both are there. */
static void two_servers_of_one_number_are_told_once(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    said[3].node = 1;
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < NODES; k++)
            said[k].time_ms += 1000;
        if (i == 0)
            said[3].uptime_s = 20;
        rounds(1);
        if (i == 1)
            must_be_silent();
    }
    must_tell("two servers are node 1: web1:3901 and web4:3901");
    assert_true(m->lines[(told - 1) % MODEL_LINES].trouble);
    must_be_silent();
    assert_int_equal(nodes[3]->state, MODEL_SAME);
    assert_string_equal(nodes[3]->why, "another server than web1:3901");
    assert_int_equal(m->totals.nodes, 3);
}

/* Rounds of four nodes, of which the last calls itself 1. */
static void rounds_of_two_servers(int count)
{
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < NODES; k++)
            said[k].time_ms += 1000;
        said[3].node = 1;
        rounds(1);
    }
}

static void must_tell_two_servers(void)
{
    rounds_of_two_servers(2);
    must_be_silent();
    rounds_of_two_servers(3);
    must_tell("two servers are node 1: web1:3901 and web4:3901");
    must_be_silent();
}

/* A script starts them all in the same second. */
static void two_processes_are_two_servers(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        set_sale(i);
        said[i].pid = 100 + (uint64_t)i;
    }
    must_tell_two_servers();
}

static void another_redis_is_another_server(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    strcpy(said[3].redis, "off");
    must_tell_two_servers();
}

/* On two machines even the processes may have the same number. */
static void another_total_is_another_server(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        set_sale(i);
        said[i].pid = 1;
    }
    said[3].events[0].total = 500;
    must_tell_two_servers();
}

/* Not after one hiccup, not while the real node is away: the sale is not the other one's. */
static void another_server_never_gets_the_number(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        set_sale(i);
        said[i].pid = 100 + (uint64_t)i;
    }
    rounds_of_two_servers(5);
    must_tell("two servers are node 1: web1:3901 and web4:3901");
    failed(0, "connection refused");
    must_tell("node 1 DOWN: connection refused");
    round_but(0);
    assert_int_equal(nodes[3]->state, MODEL_SAME);
    assert_string_equal(nodes[3]->why, "another server than web1:3901");
    rounds_of_two_servers(2);
    must_tell("node 1 UP");
    assert_int_equal(nodes[0]->state, MODEL_UP);
    alias(3, 1); /* it was stopped; the address is one more of node 2, whose other one is gone */
    failed(1, "connection refused");
    must_tell("node 2 DOWN: connection refused");
    round_but(1);
    assert_int_equal(nodes[3]->state, MODEL_UP);
    rounds(1);
    said[3].node = 9; /* it was put right */
    rounds(1);
    assert_int_equal(nodes[3]->state, MODEL_UP);
    said[0].node = 10; /* and here the other one was */
    said[3].node = 1;
    rounds(2);
    assert_int_equal(nodes[3]->state, MODEL_UP);
    assert_int_equal(m->totals.up, 4);
}

/* What it sells is a sale of its own, if it was started without `redis` by mistake. */
static void a_stray_server_does_not_speak_for_the_sale(void **state)
{
    (void)state;
    strcpy(said[3].redis, "off");
    said[3].events[0].total = said[3].events[0].left = 500;
    said[3].events[0].sold = 0;
    rounds(2);
    assert_int_equal(m->totals.total, 10000);
    for (int i = 0; i < 3; i++)
        strcpy(said[i].redis, "down");
    rounds(1);
    assert_int_equal(m->totals.total, 10000);
    assert_int_equal(m->totals.left, 9000);
    for (int i = 0; i < 3; i++)
        failed(i, "connection refused");
    now_us += STEP_US;
    heard(3);
    model_round(m, now_us, wall());
    assert_int_equal(m->totals.total, 10000);
}

/* Nor does a row that counts nowhere. */
static void another_server_does_not_speak_for_the_sale(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    said[3].events[0].total = 500;
    rounds_of_two_servers(5);
    for (int i = 0; i < 3; i++)
        failed(i, "connection refused");
    now_us += STEP_US;
    heard(3);
    model_round(m, now_us, wall());
    assert_int_equal(m->totals.total, 10000);
}

/* Each row tells who answers there, and nobody has moved. */
static void two_nodes_swap_their_addresses(void **state)
{
    (void)state;
    rounds(2);
    said[0].node = 2;
    said[1].node = 1;
    said[0].uptime_s = said[1].uptime_s = 0;
    rounds(2);
    must_tell("node 1 restarted");
    must_tell("node 2 UP");
    must_be_silent();
    assert_int_equal(nodes[0]->number, 2);
    assert_int_equal(nodes[1]->number, 1);
    assert_int_equal(m->totals.up, NODES);
    assert_true(model_asks(m, "web1:3901"));
    assert_false(model_asks(m, "web9:3901"));
}

/* Between the two answers of one round it was started again. */
static void a_restart_is_no_second_server(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_sale(i);
    for (int i = 0; i < 10; i++) {
        rounds_alias(3, 0, 1);
        said[3].uptime_s = 0;
        said[3].time_ms += 1000;
        said[0].uptime_s++;
        said[0].time_ms += 1000;
        rounds(1); /* the second row has seen the restart first */
        alias(0, 3);
    }
    for (; told < m->line_count; told++)
        assert_null(strstr(m->lines[told % MODEL_LINES].text, "two servers"));
}

static void a_node_that_moves_keeps_its_row(void **state)
{
    (void)state;
    set_sale(1);
    rounds(3);
    model_move(m, nodes[1], "web9:3901", wall());
    must_tell("node 2 moved to web9:3901");
    said[1].uptime_s = 0;
    rounds(1);
    must_tell("node 2 restarted");
    assert_string_equal(nodes[1]->address, "web9:3901");
    assert_int_equal(m->node_count, NODES);
    assert_int_equal(m->totals.nodes, NODES);
    assert_int_equal(m->totals.node_sold, 100);
    assert_ptr_equal(model_add(m, "web9:3901"), nodes[1]);
}

/* A node that nobody knows where to ask is missing all the same, and has a row that says so. */
static void those_that_are_missing_have_rows(void **state)
{
    (void)state;
    model_miss(m, 2); /* it is heard */
    model_miss(m, 6);
    rounds(1);
    assert_int_equal(m->totals.nodes, 5);
    assert_int_equal(m->totals.up, 4);
    assert_true(model_is_hidden(&m->nodes[NODES]));
    const struct model_node *missing = &m->nodes[NODES + 1];
    assert_false(model_is_hidden(missing));
    assert_int_equal(missing->number, 6);
    assert_string_equal(missing->why, "never heard");
    assert_string_equal(model_state_word(missing->state), "NEW");
    said[1].node = 6; /* the row of node 2 is node 6 now: 2 is missing */
    rounds(1);
    assert_false(model_is_hidden(&m->nodes[NODES]));
    assert_true(model_is_hidden(missing));
    assert_int_equal(nodes[1]->state, MODEL_UP);
    assert_int_equal(m->totals.nodes, 5);
    model_find(m, 2, "web9:3901");
    assert_ptr_equal(model_add(m, "web9:3901"), &m->nodes[NODES]);
    assert_int_equal(m->nodes[NODES].number, 0);
    assert_string_equal(m->nodes[NODES].why, "");
    must_tell("node 6 restarted");
    must_be_silent();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_number_is_counted_once),
        TEST(without_redis_it_is_one_sale_too),
        TEST(the_row_that_answers_counts),
        TEST(a_row_whose_number_changes_is_a_node_again),
        TEST(two_servers_of_one_number_are_told_once),
        TEST(two_processes_are_two_servers),
        TEST(another_redis_is_another_server),
        TEST(another_total_is_another_server),
        TEST(another_server_never_gets_the_number),
        TEST(a_stray_server_does_not_speak_for_the_sale),
        TEST(another_server_does_not_speak_for_the_sale),
        TEST(two_nodes_swap_their_addresses),
        TEST(a_restart_is_no_second_server),
        TEST(a_node_that_moves_keeps_its_row),
        TEST(those_that_are_missing_have_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
