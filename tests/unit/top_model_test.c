/*
 * Why: on sale night an operator relies on the console. A wrong rate, a node that is shown as down
 * after a single hiccup, a dead one that is shown as up: each leads to a wrong act.
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

static void nodes_are_found_by_address(void **state)
{
    (void)state;
    char address[MODEL_ADDRESS + 8];
    assert_ptr_equal(model_add(m, "web2:3901"), nodes[1]);
    assert_int_equal(m->node_count, NODES);
    memset(address, 'a', sizeof address);
    address[MODEL_ADDRESS] = '\0';
    assert_null(model_add(m, address));
    for (int i = NODES; i < MODEL_NODES_MAX; i++) {
        snprintf(address, sizeof address, "more%d:1", i);
        assert_non_null(model_add(m, address));
    }
    assert_null(model_add(m, "one:1"));
    assert_ptr_equal(model_add(m, "web1:3901"), nodes[0]);
}

static void names_of_states_fit_their_column(void **state)
{
    (void)state;
    for (int s = MODEL_NEW; s <= MODEL_DOWN; s++)
        assert_in_range(strlen(model_state_name((enum model_state)s)), 1, 6);
    assert_string_equal(model_state_name(MODEL_UP), "UP");
    assert_string_equal(model_state_name(MODEL_SLOW), "SLOW!");
    assert_string_equal(model_state_name(MODEL_NO_REDIS), "REDIS!");
    assert_string_equal(model_state_name(MODEL_DUPLICATE), "SAME");
    assert_string_equal(model_state_name(MODEL_DOWN), "DOWN!");
}

static void rates_need_two_answers(void **state)
{
    (void)state;
    answers[0].requests = 5000;
    rounds(1);
    assert_int_equal(nodes[0]->state, MODEL_UP);
    assert_false(nodes[0]->has_rates);
    assert_false(m->totals.has_rates);
    assert_int_equal(m->totals.requests, 5000);
    answers[0].requests += 18100;
    answers[0].answers_5xx += 3;
    answers[0].events[0].node_sold += 100;
    answers[0].events[0].node_held += 51;
    answers[0].events[0].refused += 900;
    answers[1].requests += 1900;
    rounds(1);
    assert_true(nodes[0]->has_rates);
    about(nodes[0]->req_s, 18100);
    about(nodes[0]->err_s, 3);
    about(nodes[0]->sold_s[0], 151);
    about(nodes[0]->refused_s[0], 900);
    about(m->totals.req_s, 20000);
    about(m->totals.sold_s, 151);
    about(m->totals.refused_s, 900);
    rounds(1);
    about(m->totals.req_s, 0);
    about(m->totals.peak_req_s, 20000);
    must_announce_nothing();
}

/* Tickets that came back make no negative rate. */
static void no_rate_is_below_zero(void **state)
{
    (void)state;
    answers[0].events[0].node_held = 50;
    rounds(1);
    answers[0].events[0].node_held = 20;
    answers[1].events[0].node_sold = 10;
    rounds(1);
    assert_true(nodes[0]->has_rates);
    about(nodes[0]->sold_s[0], 0);
    about(m->totals.sold_s, 10);
}

/* An answer that was long under way was made long before it arrived. */
static void a_late_answer_makes_no_peak(void **state)
{
    (void)state;
    answers[0].time_ms = 7000000;
    model_answered(m, nodes[0], &answers[0], 1000, now_us, wall());
    answers[0].time_ms += 1000;
    answers[0].requests = 1000;
    model_answered(m, nodes[0], &answers[0], 800000, now_us + 1800000, wall());
    about(nodes[0]->req_s, 1000);
    answers[0].time_ms += 1000;
    answers[0].requests = 2000;
    model_answered(m, nodes[0], &answers[0], 1000, now_us + 2001000, wall());
    about(nodes[0]->req_s, 1000);
    answers[0].time_ms += 3600000; /* the node's clock was set, and then a little back */
    answers[0].requests = 3000;
    model_answered(m, nodes[0], &answers[0], 1000, now_us + 3001000, wall());
    about(nodes[0]->req_s, 1000);
    answers[0].time_ms += 100;
    answers[0].requests = 4000;
    model_answered(m, nodes[0], &answers[0], 1000, now_us + 4001000, wall());
    about(nodes[0]->req_s, 1000);
}

static void a_refused_connection_is_down_at_once(void **state)
{
    (void)state;
    answers[3].events[0].node_sold = 379;
    answers[3].events[0].node_held = 4;
    answers[3].connections = 2000;
    rounds(2);
    assert_int_equal(m->totals.up, 4);
    assert_int_equal(m->totals.connections, 2000);
    failed(3, "connection refused");
    assert_int_equal(nodes[3]->state, MODEL_DOWN);
    assert_string_equal(nodes[3]->why, "connection refused");
    must_announce("node 4 DOWN: connection refused");
    for (int i = 0; i < 3; i++) {
        failed(3, i == 0 ? "connection refused" : "timed out");
        round_but(3);
    }
    must_announce_nothing();
    assert_int_equal(m->totals.up, 3);
    assert_int_equal(m->totals.nodes, 4);
    assert_int_equal(m->totals.node_sold, 379);
    assert_int_equal(m->totals.held, 4);
    assert_int_equal(m->totals.connections, 0);
    assert_false(nodes[3]->has_rates);
    answers[3].uptime_s = 1;
    answers[3].requests = 0;
    rounds(1);
    must_announce("node 4 UP: restarted");
    must_announce_nothing();
    assert_false(nodes[3]->has_rates);
    assert_string_equal(nodes[3]->why, "");
    rounds(1);
    assert_true(nodes[3]->has_rates);
}

static void a_hiccup_is_not_down_but_two_are(void **state)
{
    (void)state;
    rounds(1);
    answers[1].requests = 2000;
    failed(1, "timed out");
    round_but(1);
    assert_int_equal(nodes[1]->state, MODEL_UP);
    rounds(1);
    about(nodes[1]->req_s, 1000); /* over both seconds */
    must_announce_nothing();
    failed(1, "closed, no answer");
    failed(1, "timed out");
    must_announce("node 2 DOWN: timed out");
    rounds(1);
    must_announce("node 2 UP");
    failed(1, "not JSON");
    must_announce("node 2 DOWN: not JSON");
}

/* A node that misses one round keeps its state, but not its rates. */
static void a_node_that_misses_a_round_has_no_rates(void **state)
{
    (void)state;
    rounds(1);
    answers[1].requests = 1000;
    answers[1].events[0].node_sold = 10;
    rounds(1);
    assert_int_equal(m->totals.answering, 4);
    about(m->totals.req_s, 1000);
    failed(1, "timed out");
    round_but(1);
    assert_int_equal(nodes[1]->state, MODEL_UP);
    assert_false(nodes[1]->has_rates);
    about(m->totals.req_s, 0);
    about(m->totals.sold_s, 0);
    assert_int_equal(m->totals.answering, 3);
    assert_int_equal(model_answering(m), 3);
    for (int i = 0; i < NODES; i++)
        if (i != 1)
            failed(i, "timed out");
    now_us += STEP_US;
    model_round(m, now_us, wall());
    assert_int_equal(nodes[0]->state, MODEL_UP);
    assert_int_equal(m->totals.answering, 0);
    assert_false(m->totals.has_rates);
    now_us += 10000;
    answer(0);
    assert_int_equal(model_answering(m), 1); /* since then */
}

static void a_node_that_never_answered_is_named_by_its_address(void **state)
{
    (void)state;
    failed(2, "timed out");
    must_announce("web3:3901 DOWN: timed out");
    model_round(m, now_us, wall());
    assert_int_equal(m->totals.up, 0);
    assert_false(m->totals.has_redis);
    assert_null(model_event(m, nodes[2], NULL));
    rounds(1);
    must_announce("node 3 UP");
    must_announce_nothing();
}

static void a_restart_that_was_not_seen_begins_anew(void **state)
{
    (void)state;
    answers[0].requests = 100000;
    answers[0].events[0].node_sold = 50;
    rounds(2);
    answers[0].uptime_s = 0;
    answers[0].requests = 120000; /* more than before all the same */
    rounds(1);
    must_announce("node 1 restarted");
    assert_false(nodes[0]->has_rates);
    about(m->totals.req_s, 0);
    rounds(2);
    must_announce_nothing();
    assert_int_equal(m->totals.node_sold, 50);
}

static void states_are_announced_once(void **state)
{
    (void)state;
    rounds(1);
    strcpy(answers[0].state, "draining");
    strcpy(answers[1].state, "repair");
    strcpy(answers[2].state, "starting");
    rounds(3);
    must_announce("node 1 DRAINING");
    must_announce("node 2 REPAIR");
    must_announce("node 3 STARTING");
    must_announce_nothing();
    assert_int_equal(m->totals.up, 1);
    for (int i = 0; i < 3; i++)
        strcpy(answers[i].state, "up");
    rounds(2);
    must_announce("node 1 UP");
    must_announce("node 2 UP");
    must_announce("node 3 UP");
    must_announce_nothing();
}

static void slow_is_slow_against_the_others(void **state)
{
    (void)state;
    rounds(1);
    answers[2].p99_us = 20001;
    rounds(1);
    assert_int_equal(nodes[2]->state, MODEL_UP); /* one round is not enough */
    rounds(1);
    assert_int_equal(nodes[2]->state, MODEL_SLOW);
    must_announce("node 3 SLOW: p99 20.0 ms, of all nodes 2.00 ms");
    assert_int_equal(m->totals.up, 4);
    assert_int_equal(m->totals.p99_us, 20001);
    answers[2].p99_us = 11000; /* better, and still bad */
    rounds(5);
    assert_int_equal(nodes[2]->state, MODEL_SLOW);
    answers[2].p99_us = 9000;
    rounds(2);
    assert_int_equal(nodes[2]->state, MODEL_SLOW);
    rounds(1);
    must_announce("node 3 UP: no longer slow");
    answers[2].p99_us = 19000; /* ten times a small p99 is still fast */
    rounds(3);
    for (int i = 0; i < NODES; i++)
        answers[i].p99_us = 90000; /* all the same: the machine, not a node */
    rounds(3);
    must_announce_nothing();
}

static void slow_is_also_redis_and_the_answer(void **state)
{
    (void)state;
    answers[0].redis_rtt_us = 100001;
    rounds(2);
    must_announce("node 1 SLOW: redis takes 100 ms");
    answers[0].redis_rtt_us = 500;
    rounds(3);
    must_announce("node 1 UP: no longer slow");
    for (int i = 0; i < 4; i++) {
        model_answered(m, nodes[1], &answers[1], i % 2 == 0 ? 500001 : 500, now_us, wall());
        model_round(m, now_us, wall());
    }
    must_announce_nothing(); /* slow, fast, slow, fast: never twice in a row */
    for (int i = 0; i < 2; i++) {
        model_answered(m, nodes[1], &answers[1], 500001, now_us, wall());
        model_round(m, now_us, wall());
    }
    must_announce("node 2 SLOW: /stats takes 500 ms");
}

static void of_two_nodes_one_can_be_slow(void **state)
{
    (void)state;
    failed(2, "connection refused");
    failed(3, "connection refused");
    announced = 2;
    answers[0].p99_us = 50000;
    for (int i = 0; i < 2; i++) {
        answer(0);
        answer(1);
        now_us += STEP_US;
        model_round(m, now_us, wall());
    }
    must_announce("node 1 SLOW: p99 50.0 ms, of all nodes 2.00 ms");
}

static void the_newest_lines_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * MODEL_LINES; i++)
        model_announce(m, false, wall(), "line %d", i);
    assert_int_equal(m->line_count, 3 * MODEL_LINES);
    assert_string_equal(m->lines[(m->line_count - 1) % MODEL_LINES].text, "line 191");
    model_announce(m, true, wall(), "%0300d", 5);
    assert_int_equal(strlen(m->lines[(m->line_count - 1) % MODEL_LINES].text),
                     MODEL_LINE_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_are_found_by_address),
        TEST(names_of_states_fit_their_column),
        TEST(rates_need_two_answers),
        TEST(no_rate_is_below_zero),
        TEST(a_late_answer_makes_no_peak),
        TEST(a_refused_connection_is_down_at_once),
        TEST(a_hiccup_is_not_down_but_two_are),
        TEST(a_node_that_misses_a_round_has_no_rates),
        TEST(a_node_that_never_answered_is_named_by_its_address),
        TEST(a_restart_that_was_not_seen_begins_anew),
        TEST(states_are_announced_once),
        TEST(slow_is_slow_against_the_others),
        TEST(slow_is_also_redis_and_the_answer),
        TEST(of_two_nodes_one_can_be_slow),
        TEST(the_newest_lines_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
