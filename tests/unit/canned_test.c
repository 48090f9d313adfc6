/*
 * Why: ab counts every answer of another length as failed, so all answers to /buy of an event must
 * have the same length; and a wrong canned answer is sent a million times.
 */
/* needs: server/http/canned.c server/http/response.c conf/base/arena.c conf/base/check.c
 * conf/base/fault.c conf/base/orderid.c conf/base/verdict.c -lsodium */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/http/canned.h"

#define THEN UINT64_C(784111777000) /* Sun, 06 Nov 1994 08:49:37 GMT, as in RFC 9110 */

static struct conf conf = {
    .event_count = 2,
    .events = {{.name = "ticket", .max_order = 4}, {.name = "b", .max_order = 1000000}},
};
static struct arena arena;
static struct canned *answers;
static char out[CANNED_MAX + 1];

static int make(void **state)
{
    struct fault f;
    (void)state;
    answers = canned_plan(&arena, &conf);
    if (!arena_map(&arena, &f))
        return -1;
    canned_init(answers, &arena, &conf, THEN);
    return 0;
}

static const char *body(void)
{
    return strstr(out, "\r\n\r\n") + 4;
}

static size_t content_length(void)
{
    return strtoul(strstr(out, "Content-Length:") + 15, NULL, 10);
}

static void put(uint32_t event, enum verdict v, enum keepalive_mode keepalive)
{
    memset(out, 0, sizeof out);
    size_t len = canned_put(answers, out, event, v, keepalive);
    assert_int_equal(len, strlen(out));
}

static void put_yes(uint32_t event, uint32_t n, uint64_t pay_by)
{
    const struct orderid id = {65535, 255, ORDER_NUMBER_MAX, UINT64_MAX};
    memset(out, 0, sizeof out);
    size_t len = canned_put_yes(answers, out, event, KEEPALIVE_HTTP11, &id, n, pay_by);
    assert_int_equal(len, strlen(out));
}

static void a_refusal_is_a_complete_answer(void **state)
{
    (void)state;
    put(0, VERDICT_SOLD_OUT, KEEPALIVE_HTTP11);
    assert_memory_equal(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", 49);
    assert_non_null(strstr(out, "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    assert_memory_equal(body(), "{\"code\":-1,\"msg\":\"sold out\",\"data\":null} ", 41);
    assert_null(strstr(out, "Connection"));
    put(0, VERDICT_PAUSED, KEEPALIVE_HTTP10);
    assert_non_null(strstr(out, "\r\nConnection: keep-alive\r\n"));
    put(0, VERDICT_BUSY, KEEPALIVE_CLOSE);
    assert_memory_equal(out, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(out, "\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"));
}

static void all_bodies_have_the_same_length(void **state)
{
    (void)state;
    for (uint32_t e = 0; e < conf.event_count; e++) {
        for (int v = VERDICT_SOLD_OUT; v < VERDICT_SALE_COUNT; v++)
            for (int f = 0; f < KEEPALIVE_MODES; f++) {
                put(e, (enum verdict)v, (enum keepalive_mode)f);
                assert_int_equal(strlen(body()), canned_body_length(answers, e));
                assert_int_equal(content_length(), canned_body_length(answers, e));
            }
        put_yes(e, conf.events[e].max_order, UINT64_C(9999999999999));
        assert_int_equal(strlen(body()), canned_body_length(answers, e));
        put_yes(e, 1, 0);
        assert_int_equal(strlen(body()), canned_body_length(answers, e));
    }
}

/* Verdicts without a canned answer are printed on demand, and must be as long as the canned ones.
 */
static void the_other_verdicts_have_the_same_length(void **state)
{
    (void)state;
    for (uint32_t e = 0; e < conf.event_count; e++)
        for (int v = VERDICT_SALE_COUNT; v < VERDICT_COUNT; v++) {
            struct response r;
            memset(out, 0, sizeof out);
            response_open(&r, out, CANNED_MAX, canned_date(answers), KEEPALIVE_HTTP11, false);
            response_begin(&r, (enum verdict)v, RESPONSE_JSON);
            response_refusal(&r, (enum verdict)v);
            response_pad(&r, canned_body_length(answers, e));
            assert_true(response_end(&r));
            out[r.len] = '\0';
            assert_int_equal(strlen(body()), canned_body_length(answers, e));
            assert_int_equal(content_length(), canned_body_length(answers, e));
        }
}

static void a_grant_names_the_order(void **state)
{
    static const char longest[] =
        "{\"code\":1,\"msg\":\"ok\",\"data\":{\"order\":\"ffff-ffffffffffff-ffffffffffffffff\","
        "\"n\":4,\"pay_by\":9999999999999}}";
    (void)state;
    put_yes(0, 4, UINT64_C(9999999999999));
    assert_string_equal(body(), longest); /* no padding */
    put_yes(0, 1, 0);
    assert_non_null(strstr(body(), "\",\"n\":1,\"pay_by\":0}} "));
}

/* A shorter grant after a longer one: no byte of the longer one remains. */
static void a_grant_leaves_no_bytes_behind(void **state)
{
    (void)state;
    put_yes(1, 1000000, UINT64_C(9999999999999));
    put_yes(1, 1, 0);
    const char *end = strstr(body(), "}}");
    assert_int_equal(strspn(end + 2, " "), strlen(end + 2));
}

static void the_date_is_written_into_every_answer(void **state)
{
    (void)state;
    canned_set_date(answers, THEN + 3600000);
    put(1, VERDICT_CLOSED, KEEPALIVE_CLOSE);
    assert_non_null(strstr(out, "\r\nDate: Sun, 06 Nov 1994 09:49:37 GMT\r\n"));
    put_yes(0, 1, 0);
    assert_non_null(strstr(out, "\r\nDate: Sun, 06 Nov 1994 09:49:37 GMT\r\n"));
}

static void an_overflow_is_reported_once(void **state)
{
    char small[300];
    struct response r;
    (void)state;
    memset(small, '#', sizeof small);
    response_open(&r, small, 200, canned_date(answers), KEEPALIVE_HTTP11, false);
    response_begin(&r, VERDICT_YES, RESPONSE_JSON);
    for (int i = 0; i < 100; i++)
        response_put(&r, "%s", "0123456789");
    assert_false(response_end(&r));
    for (size_t i = 200; i < sizeof small; i++)
        assert_int_equal(small[i], '#');
}

static void head_has_the_length_and_no_body(void **state)
{
    struct response r;
    (void)state;
    memset(out, 0, sizeof out);
    response_open(&r, out, CANNED_MAX, canned_date(answers), KEEPALIVE_HTTP11, true);
    response_begin(&r, VERDICT_METHOD, RESPONSE_JSON);
    response_header(&r, "Allow", "GET");
    response_refusal(&r, VERDICT_METHOD);
    assert_true(response_end(&r));
    out[r.len] = '\0';
    assert_non_null(strstr(out, "\r\nAllow: GET\r\n\r\n"));
    assert_int_equal(strlen(body()), 0);
    assert_int_equal(content_length(),
                     strlen("{\"code\":-405,\"msg\":\"method not allowed\",\"data\":null}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_is_a_complete_answer),
        cmocka_unit_test(all_bodies_have_the_same_length),
        cmocka_unit_test(the_other_verdicts_have_the_same_length),
        cmocka_unit_test(a_grant_names_the_order),
        cmocka_unit_test(a_grant_leaves_no_bytes_behind),
        cmocka_unit_test(the_date_is_written_into_every_answer),
        cmocka_unit_test(an_overflow_is_reported_once),
        cmocka_unit_test(head_has_the_length_and_no_body),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
