/*
 * Why: an operator reads figures at a glance. A figure that is a column too wide breaks the table,
 * one that is rounded after the comparison shows 10.00k or 1000k, and a double that is a little
 * below a half shows too little.
 */
/* needs: admin-tui/model/number.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/number.h"

static char out[NUMBER_BYTES];

static void whole_numbers_have_commas(void **state)
{
    (void)state;
    assert_string_equal(number_whole(out, 0), "0");
    assert_string_equal(number_whole(out, 999), "999");
    assert_string_equal(number_whole(out, 1000), "1,000");
    assert_string_equal(number_whole(out, 6412), "6,412");
    assert_string_equal(number_whole(out, 100000), "100,000");
    assert_string_equal(number_whole(out, UINT64_MAX), "18,446,744,073,709,551,615");
}

static void five_columns_keep_four_digits(void **state)
{
    (void)state;
    assert_string_equal(number_five(out, 0), "0");
    assert_string_equal(number_five(out, 0.5), "1");
    assert_string_equal(number_five(out, 999.4), "999");
    assert_string_equal(number_five(out, 999.5), "1,000");
    assert_string_equal(number_five(out, 9999), "9,999");
    assert_string_equal(number_five(out, 9999.5), "10.0k");
    assert_string_equal(number_five(out, 10049), "10.0k");
    assert_string_equal(number_five(out, 10050), "10.1k");
    assert_string_equal(number_five(out, 48200), "48.2k");
}

static void a_trickle_is_not_zero(void **state)
{
    (void)state;
    assert_string_equal(number_rate(out, 0), "0");
    assert_string_equal(number_rate(out, 0.01), "0.1");
    assert_string_equal(number_rate(out, 0.44), "0.4");
    assert_string_equal(number_rate(out, 0.94), "0.9");
    assert_string_equal(number_rate(out, 0.95), "1");
    assert_string_equal(number_rate(out, 48200), "48.2k");
    assert_string_equal(number_rate(out, NAN), "-");
}

static void parts_are_none_or_all_only_if_they_are(void **state)
{
    (void)state;
    assert_string_equal(number_percent(out, 0), "0%");
    assert_string_equal(number_percent(out, NAN), "0%");
    assert_string_equal(number_percent(out, 0.0001), "<1%");
    assert_string_equal(number_percent(out, 0.007), "1%");
    assert_string_equal(number_percent(out, 0.64), "64%");
    assert_string_equal(number_percent(out, 0.9999), "99%");
    assert_string_equal(number_percent(out, 1), "100%");
    assert_string_equal(number_percent(out, 1.5), "100%");
}

static void nothing_measured_is_no_time(void **state)
{
    (void)state;
    assert_string_equal(number_latency(out, 0), "-");
    assert_string_equal(number_latency(out, 1), "0.00");
    assert_string_equal(number_latency(out, 310), "0.31");
}

static void rolled_numbers_keep_three_digits(void **state)
{
    (void)state;
    assert_string_equal(number_rolled(out, 999), "999");
    assert_string_equal(number_rolled(out, 999.5), "1.00k");
    assert_string_equal(number_rolled(out, 1000), "1.00k");
    assert_string_equal(number_rolled(out, 1204), "1.20k");
    assert_string_equal(number_rolled(out, 1205), "1.21k");
}

/* 9.995 as a double is 9.9949999: printf says 9.99, and a test for "below 10" says two decimals. */
static void rounding_comes_before_the_choice_of_form(void **state)
{
    (void)state;
    assert_string_equal(number_rolled(out, 9994), "9.99k");
    assert_string_equal(number_rolled(out, 9995), "10.0k");
    assert_string_equal(number_rolled(out, 99949), "99.9k");
    assert_string_equal(number_rolled(out, 99950), "100k");
    assert_string_equal(number_rolled(out, 999499), "999k");
    assert_string_equal(number_rolled(out, 999500), "1.00M");
    assert_string_equal(number_five(out, 99949), "99.9k");
    assert_string_equal(number_five(out, 99950), "100k");
    assert_string_equal(number_five(out, 999950), "1.00M");
    assert_string_equal(number_five(out, 1254999), "1.25M");
    assert_string_equal(number_five(out, 9995000), "10.0M");
    assert_string_equal(number_five(out, 999499999), "999M");
    assert_string_equal(number_five(out, 999500000), "1.00G");
}

static void milliseconds_are_made_of_microseconds(void **state)
{
    (void)state;
    assert_string_equal(number_ms(out, 0), "0.00");
    assert_string_equal(number_ms(out, 4), "0.00");
    assert_string_equal(number_ms(out, 5), "0.01");
    assert_string_equal(number_ms(out, 310), "0.31");
    assert_string_equal(number_ms(out, 2400), "2.40");
    assert_string_equal(number_ms(out, 9994), "9.99");
    assert_string_equal(number_ms(out, 9995), "10.0");
    assert_string_equal(number_ms(out, 41000), "41.0");
    assert_string_equal(number_ms(out, 99949), "99.9");
    assert_string_equal(number_ms(out, 99950), "100");
    assert_string_equal(number_ms(out, 999499), "999");
    assert_string_equal(number_ms(out, 999500), "1,000");
    assert_string_equal(number_ms(out, 1234000), "1,234");
    assert_string_equal(number_ms(out, 9999500), "10.0k");
    assert_string_equal(number_ms(out, 12345678), "12.3k");
}

static void spans_step_up_after_99(void **state)
{
    (void)state;
    assert_string_equal(number_span(out, 0), "~0s");
    assert_string_equal(number_span(out, 15.6), "~16s");
    assert_string_equal(number_span(out, 99.4), "~99s");
    assert_string_equal(number_span(out, 99.5), "~2m");
    assert_string_equal(number_span(out, 240), "~4m");
    assert_string_equal(number_span(out, 7200), "~2h");
    assert_string_equal(number_span(out, 300000), "~83h");
    assert_string_equal(number_span(out, 864000), "~10d");
}

static void nan_and_negative_are_a_dash(void **state)
{
    (void)state;
    assert_string_equal(number_five(out, -1), "-");
    assert_string_equal(number_five(out, NAN), "-");
    assert_string_equal(number_rolled(out, NAN), "-");
    assert_string_equal(number_span(out, -1), "-");
    assert_string_equal(number_span(out, NAN), "-");
    assert_string_equal(number_span(out, INFINITY), "-");
    assert_string_equal(number_span(out, 1e12), "-");
    assert_string_equal(number_five(out, INFINITY), "18.4E");
}

/* The value of the text, to a thousandth of its last digit or better. */
static double read_back(const char *text)
{
    static const char suffixes[] = "kMGTPE";
    char plain[NUMBER_BYTES], *end;
    size_t at = 0;
    for (const char *c = text; *c != '\0'; c++)
        if (*c != ',')
            plain[at++] = *c;
    plain[at] = '\0';
    double n = strtod(plain, &end);
    const char *suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;
    for (ptrdiff_t i = 0; suffix != NULL && i <= suffix - suffixes; i++)
        n *= 1000;
    return n;
}

static void no_number_is_too_wide_or_far_off(void **state)
{
    (void)state;
    double n = 1;
    while (n < 1.8e19) {
        double whole = n < 1e15 ? (double)(uint64_t)(n + 0.5) : n;
        assert_true(strlen(number_five(out, n)) <= 5);
        assert_true(fabs(read_back(out) - whole) <= whole * 0.00501);
        assert_true(strlen(number_rolled(out, n)) <= 5);
        assert_true(fabs(read_back(out) - whole) <= whole * 0.00501);
        assert_true(strlen(number_ms(out, (uint64_t)n)) <= 5);
        assert_true(strlen(number_span(out, n)) <= 5);
        n *= 1.00037;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_have_commas),
        cmocka_unit_test(five_columns_keep_four_digits),
        cmocka_unit_test(a_trickle_is_not_zero),
        cmocka_unit_test(parts_are_none_or_all_only_if_they_are),
        cmocka_unit_test(nothing_measured_is_no_time),
        cmocka_unit_test(rolled_numbers_keep_three_digits),
        cmocka_unit_test(rounding_comes_before_the_choice_of_form),
        cmocka_unit_test(milliseconds_are_made_of_microseconds),
        cmocka_unit_test(spans_step_up_after_99),
        cmocka_unit_test(nan_and_negative_are_a_dash),
        cmocka_unit_test(no_number_is_too_wide_or_far_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
