/*
 * Why: a console that asks every ten seconds must not need twenty of them to notice that a node
 * hangs, and must not show a node as down after a single hiccup.
 */
/* needs: admin-tui/options.c admin-tui/feed.c admin-tui/client/poll.c admin-tui/client/http.c
 * admin-tui/client/http_head.c admin-tui/client/buffers.c admin-tui/client/endpoint.c
 * admin-tui/model/stats.c admin-tui/client/json.c conf/base/fault.c conf/base/check.c -lev */
#include "admin-tui/options.h"
#include "tests/unit/top_fake_nodes.h"

/* A node that was up stops answering. */
static void hang(void)
{
    add(address);
    run_round(PATIENT_US);
    assert_int_equal(model.nodes[0].state, MODEL_UP);
    script = (struct script){.bytes = "", .then = KEEP};
    patient = true;
    again_us = TIMEOUT_US;
}

static void test_a_node_that_hangs_is_asked_once_more(void **state)
{
    (void)state;
    hang();
    run_round(TIMEOUT_US);
    assert_int_equal(failed, 2);
    assert_int_equal(model.nodes[0].state, MODEL_DOWN);
    run_round(TIMEOUT_US); /* known to be down: asked once */
    assert_int_equal(failed, 3);
}

static void test_a_node_that_recovers_is_up(void **state)
{
    (void)state;
    hang();
    again_us = PATIENT_US;
    uint32_t first = 0;
    poll_round(p, TIMEOUT_US, PATIENT_US, count_round, &first);
    for (int i = 0; i < 1000 && failed == 0; i++)
        ev_run(loop, EVRUN_ONCE);
    assert_int_equal(failed, 1);
    assert_int_equal(first, 0);
    script = (struct script){.bytes = GOOD, .len = sizeof GOOD - 1};
    ev_run(loop, 0);
    assert_int_equal(first, 1);
    assert_int_equal(answered, 2);
    assert_int_equal(failed, 1);
    assert_int_equal(model.nodes[0].state, MODEL_UP);
}

static void test_short_rounds_have_no_time_for_it(void **state)
{
    (void)state;
    hang();
    again_us = 0;
    run_round(TIMEOUT_US);
    assert_int_equal(failed, 1);
    assert_int_equal(model.nodes[0].state, MODEL_UP);
}

static void test_a_certain_failure_is_not_retried(void **state)
{
    (void)state;
    hang();
    script = (struct script){.bytes = "hello", .len = 5};
    run_round(TIMEOUT_US);
    assert_int_equal(failed, 1);
}

static void test_both_times_fit_a_round(void **state)
{
    (void)state;
    for (int i = 1; i <= 600; i++) {
        double s = i / 10.0;
        uint64_t first = options_timeout_us(s), again = options_retry_us(s);
        assert_in_range(first, 500000, 2000000);
        assert_true(again == 0 || (again >= 500000 && again <= 2000000));
        assert_true(again == 0 || (double)(first + again) < s * 1e6);
    }
    assert_int_equal(options_retry_us(1), 0);
    assert_int_equal(options_retry_us(5), 2000000);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_node_that_hangs_is_asked_once_more),
        T(test_a_node_that_recovers_is_up),
        T(test_short_rounds_have_no_time_for_it),
        T(test_a_certain_failure_is_not_retried),
        T(test_both_times_fit_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
