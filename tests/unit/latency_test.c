/*
 * Why: operators judge a sale by p50, p99 and max of the last ten seconds. A bucket that is off by
 * one, or a second that is not dropped, would show them figures of another sale.
 */
/* needs: server/shared/latency.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "server/shared/latency.h"

#define SECOND UINT64_C(1000000)

static struct latency one, two;

static struct latency_summary sum_at(uint64_t now_us)
{
    const struct latency *const owners[] = {&one, &two};
    return latency_sum(owners, 2, now_us);
}

static int clear(void **state)
{
    (void)state;
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    return 0;
}

static void without_answers_all_is_zero(void **state)
{
    (void)state;
    struct latency_summary s = sum_at(5 * SECOND);
    assert_int_equal(s.count, 0);
    assert_int_equal(s.p99_us, 0);
}

static void one_value_is_every_percentile(void **state)
{
    (void)state;
    for (uint64_t us = 0; us < 3000; us += 7) {
        clear(NULL);
        latency_add(&one, SECOND, us, 3);
        struct latency_summary s = sum_at(SECOND);
        assert_int_equal(s.count, 3);
        assert_int_equal(s.p50_us, us);
        assert_int_equal(s.max_us, us);
    }
}

static void the_error_is_an_eighth_at_most(void **state)
{
    (void)state;
    for (uint64_t us = 1; us < UINT64_C(1) << 27; us = us * 5 / 4 + 1) {
        clear(NULL);
        latency_add(&one, SECOND, us, 99);
        latency_add(&two, SECOND, UINT64_C(1) << 27, 1);
        struct latency_summary s = sum_at(SECOND);
        assert_true(s.p50_us >= us && s.p50_us <= us + us / 8);
        assert_int_equal(s.max_us, 1 << 27);
    }
}

static void percentiles_are_where_they_belong(void **state)
{
    (void)state;
    latency_add(&one, SECOND, 10, 98);
    latency_add(&two, SECOND, 100, 1);
    latency_add(&two, SECOND, 5000, 1);
    struct latency_summary s = sum_at(SECOND);
    assert_int_equal(s.p50_us, 10);
    assert_in_range(s.p99_us, 100, 112);
    assert_int_equal(s.max_us, 5000);
}

static void ten_seconds_and_no_more(void **state)
{
    (void)state;
    latency_add(&one, 0, 9, 1); /* the very first second counts too */
    assert_int_equal(sum_at(9 * SECOND).count, 1);
    assert_int_equal(sum_at(10 * SECOND).count, 0);
    latency_add(&one, 11 * SECOND, 8, 1); /* the same entry of the circular buffer */
    assert_int_equal(sum_at(11 * SECOND).count, 1);
    assert_int_equal(sum_at(11 * SECOND).max_us, 8);
}

static void longer_than_four_minutes_is_counted(void **state)
{
    (void)state;
    latency_add(&one, SECOND, UINT64_C(1) << 40, 1);
    assert_int_equal(sum_at(SECOND).count, 1);
    assert_true(sum_at(SECOND).p99_us == UINT32_MAX);
}

/* The console draws octaves: each value is in its octave, none is missing. */
static void octaves_hold_every_value(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < LATENCY_OCTAVES; k++) {
        const uint64_t low = k == 0 ? 0 : UINT64_C(1) << k, high = (UINT64_C(2) << k) - 1;
        clear(NULL);
        latency_add(&one, SECOND, low, 2);
        latency_add(&two, SECOND, high, 3);
        struct latency_summary s = sum_at(SECOND);
        assert_int_equal(s.octaves[k], 5);
    }
    clear(NULL);
    latency_add(&one, SECOND, UINT64_C(1) << 40, 1);
    assert_int_equal(sum_at(SECOND).octaves[LATENCY_OCTAVES - 1], 1);
}

/* Edges belong to the bucket below, and no answer is dropped after ten seconds. */
static void since_the_start_every_answer_counts(void **state)
{
    (void)state;
    struct latency_total t = {0};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < LATENCY_EDGES; i++) {
        latency_add(&one, i * 20 * SECOND, latency_edges_us[i], 1);
        latency_add(&two, i * 20 * SECOND, latency_edges_us[i] + 1, 2);
        sum += 3 * (uint64_t)latency_edges_us[i] + 2;
    }
    latency_total_add(&t, &one);
    latency_total_add(&t, &two);
    assert_int_equal(t.counts[0], 1);
    for (uint32_t i = 1; i < LATENCY_EDGES; i++)
        assert_int_equal(t.counts[i], 3);
    assert_int_equal(t.counts[LATENCY_EDGES], 2);
    assert_int_equal(t.sum_us, sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_answers_all_is_zero, clear),
        cmocka_unit_test_setup(one_value_is_every_percentile, clear),
        cmocka_unit_test_setup(the_error_is_an_eighth_at_most, clear),
        cmocka_unit_test_setup(percentiles_are_where_they_belong, clear),
        cmocka_unit_test_setup(ten_seconds_and_no_more, clear),
        cmocka_unit_test_setup(longer_than_four_minutes_is_counted, clear),
        cmocka_unit_test_setup(octaves_hold_every_value, clear),
        cmocka_unit_test_setup(since_the_start_every_answer_counts, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
