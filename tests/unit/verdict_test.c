/*
 * Why: clients branch on `code`, caches and proxies on the status. A row of verdict.def that says
 * one thing in the code and another in the status tells the two of them different stories.
 */
/* needs: conf/base/verdict.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include <string.h>

#include "conf/base/verdict.h"

/* The codes that clients of the published prototype and of spike know. */
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

/* A program that counts by them must be able to tell any two apart, as the codes do not. */
static void words_are_names(void **state)
{
    (void)state;
    char words[VERDICT_COUNT][VERDICT_NAME_BYTES];
    for (enum verdict v = 0; v < VERDICT_COUNT; v++) {
        verdict_name(v, words[v]);
        assert_int_equal(strspn(words[v], "abcdefghijklmnopqrstuvwxyz_"), strlen(words[v]));
        for (enum verdict k = 0; k < v; k++)
            assert_string_not_equal(words[k], words[v]);
    }
    assert_string_equal(words[VERDICT_SOLD_OUT_HERE], "sold_out_here");
}

/* They are put into JSON as they are. */
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
