/*
 * Why: clients branch on `code`, caches and proxies on the HTTP status. A row of verdict.def whose
 * code and status disagree makes them act differently.
 */
/* needs: conf/base/verdict.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include <string.h>

#include "conf/base/verdict.h"

/* The codes that clients of the published prototype and of spike use. */
static void the_codes_of_a_sale(void **state)
{
    (void)state;
    static const int codes[VERDICT_SALE_COUNT] = {1, -1, -1, -2, -3, -4, -5, -6, -7, -8};
    for (enum verdict v = 0; v < VERDICT_SALE_COUNT; v++) {
        assert_int_equal(verdict_code(v), codes[v]);
        assert_int_equal(verdict_status(v), v == VERDICT_BUSY ? 503 : 200);
    }
    assert_string_equal(verdict_message(VERDICT_YES), "ok");
    assert_string_equal(verdict_message(VERDICT_SOLD_OUT), "sold out");
    assert_string_equal(verdict_message(VERDICT_SOLD_OUT_HERE), "sold out here");
}

static void the_other_codes_are_the_status_negated(void **state)
{
    (void)state;
    for (enum verdict v = VERDICT_SALE_COUNT; v < VERDICT_COUNT; v++)
        assert_int_equal(verdict_code(v), -verdict_status(v));
}

/* A program that counts by names must distinguish any two verdicts; the codes do not. */
static void words_are_names(void **state)
{
    (void)state;
    char names[VERDICT_COUNT][VERDICT_NAME_BYTES];
    for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
        verdict_name(v, names[v]);
        assert_int_equal(strspn(names[v], "abcdefghijklmnopqrstuvwxyz_"), strlen(names[v]));
        for (enum verdict k = 0; k < v; k++)
            assert_string_not_equal(names[k], names[v]);
    }
    assert_string_equal(names[VERDICT_SOLD_OUT_HERE], "sold_out_here");
}

/* They are written into JSON unescaped. */
static void messages_need_no_escape(void **state)
{
    (void)state;
    for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
        assert_null(strpbrk(verdict_message(v), "\"\\\r\n"));
        assert_true(strlen(verdict_reason(v)) > 0);
    }
    assert_string_equal(verdict_reason(VERDICT_YES), "OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_codes_of_a_sale),
        cmocka_unit_test(the_other_codes_are_the_status_negated),
        cmocka_unit_test(words_are_names),
        cmocka_unit_test(messages_need_no_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
