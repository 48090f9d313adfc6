/*
 * Why: an operator reads the log during a sale. A line that is repeated a thousand times hides the
 * others, and a line that is dropped without a trace is lost: counts must be reported, and a new
 * fact must be written.
 */
/* needs: conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "conf/base/flood.h"

#define MINUTE FLOOD_MINUTE_US

static struct flood flood;
static struct flood_text report;

static int reset(void **state)
{
    (void)state;
    memset(&flood, 0, sizeof flood);
    return 0;
}

static bool admit(const char *text, uint64_t at)
{
    return flood_admit(&flood, 1, text, at, &report);
}

static void the_last_line_again_is_counted(void **state)
{
    (void)state;
    assert_true(admit("down", 0));
    for (int i = 0; i < 1000; i++)
        assert_false(admit("down", 5));
    assert_true(admit("up", 6));
    assert_false(flood_report(&flood, MINUTE - 1, false, &report));
    assert_true(flood_report(&flood, MINUTE, false, &report));
    assert_string_equal(report.text, "down");
    assert_int_equal(report.suppressed, 1000);
    assert_int_equal(report.level, 1);
    assert_false(flood_report(&flood, MINUTE, false, &report));
}

/* Down, up, down, up: each line is new, until it has been written too often. */
static void alternating_lines_are_written_five_times_a_minute(void **state)
{
    (void)state;
    int written = 0;
    for (uint64_t i = 0; i < 100; i++)
        written += admit(i % 2 == 0 ? "down" : "up", i);
    assert_int_equal(written, 2 * FLOOD_PER_MINUTE);
    assert_true(flood_report(&flood, MINUTE + 1, false, &report));
    assert_int_equal(report.suppressed, 50 - FLOOD_PER_MINUTE);
    assert_true(flood_report(&flood, MINUTE + 1, false, &report));
    assert_int_equal(report.suppressed, 50 - FLOOD_PER_MINUTE);
}

static void a_flood_is_reported_once_a_minute(void **state)
{
    (void)state;
    int lines = admit("full", 0);
    uint64_t counted = 0;
    for (uint64_t s = 1; s <= 300; s++) {
        uint64_t at = s * 1000000;
        lines += admit("full", at);
        lines += report.suppressed > 0;
        counted += report.suppressed;
        while (flood_report(&flood, at, false, &report)) {
            counted += report.suppressed;
            lines++;
        }
    }
    assert_int_equal(lines, 1 + 5);
    assert_int_equal(counted, 300);
}

static void after_a_quiet_minute_a_line_is_new(void **state)
{
    (void)state;
    assert_true(admit("down", 0));
    assert_true(admit("down", MINUTE)); /* flood_report() was not called in between */
    assert_false(flood_report(&flood, 2 * MINUTE, false, &report));
    assert_true(admit("down", 2 * MINUTE + 1));
}

static void a_count_that_was_not_reported_in_time(void **state)
{
    (void)state;
    assert_true(admit("down", 0));
    assert_false(admit("down", 1));
    assert_false(admit("down", MINUTE)); /* this line is reported with it */
    assert_int_equal(report.suppressed, 2);
    assert_string_equal(report.text, "down");
}

static void a_displaced_count_is_reported_first(void **state)
{
    char text[16];
    uint64_t counted = 0;
    (void)state;
    for (uint64_t i = 0; i < 3 * FLOOD_TEXTS; i++) {
        snprintf(text, sizeof text, "text %u", (unsigned)i);
        assert_true(admit(text, i));
        counted += report.suppressed;
        assert_false(admit(text, i));
    }
    assert_int_equal(counted, 2 * FLOOD_TEXTS);
    while (flood_report(&flood, 100, true, &report))
        counted += report.suppressed;
    assert_int_equal(counted, 3 * FLOOD_TEXTS);
}

static void texts_differ_by_level_and_to_the_last_byte(void **state)
{
    char a[FLOOD_TEXT + 10], b[FLOOD_TEXT + 10];
    (void)state;
    memset(a, 'x', sizeof a - 1);
    a[sizeof a - 1] = '\0';
    memcpy(b, a, sizeof b);
    b[sizeof b - 2] = 'y';
    assert_true(admit(a, 0));
    assert_true(admit(b, 0));
    assert_true(flood_admit(&flood, 2, b, 0, &report));
    assert_false(flood_admit(&flood, 2, b, 0, &report));
    assert_true(flood_report(&flood, 0, true, &report));
    assert_int_equal(strlen(report.text), FLOOD_TEXT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_last_line_again_is_counted, reset),
        cmocka_unit_test_setup(alternating_lines_are_written_five_times_a_minute, reset),
        cmocka_unit_test_setup(a_flood_is_reported_once_a_minute, reset),
        cmocka_unit_test_setup(after_a_quiet_minute_a_line_is_new, reset),
        cmocka_unit_test_setup(a_count_that_was_not_reported_in_time, reset),
        cmocka_unit_test_setup(a_displaced_count_is_reported_first, reset),
        cmocka_unit_test_setup(texts_differ_by_level_and_to_the_last_byte, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
