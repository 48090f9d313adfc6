/*
 * Why: a parser that is looser than the proxy in front of it lets one buyer write another's request
 * (request smuggling), and one whose result depends on how the bytes arrive sells by luck. So: a
 * table of valid and invalid requests; each cut at every byte; in pairs; at the exact limits; and
 * all of it, with every byte corrupted in turn, against http-parser as an oracle.
 */
/* needs: server/http/request.c conf/base/check.c conf/base/verdict.c -lhttp_parser */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/http/request.h"
#include "tests/lib/http_oracle.h"
#include "tests/lib/request_outcome.h"

static const struct request_limits limits = {.max_header = 8192, .max_body = 4096};

struct row {
    const char *name;
    const char *bytes;
    size_t len;
    enum verdict why; /* VERDICT_YES: accepted */
};

static const struct row rows[] = {
#define GOOD(name, bytes)           {name, bytes, sizeof(bytes) - 1, VERDICT_YES},
#define WRONG(verdict, name, bytes) {name, bytes, sizeof(bytes) - 1, VERDICT_##verdict},
#include "tests/lib/requests.def"
#undef GOOD
#undef WRONG
};

#define FOR_ROWS(at) for (const struct row *at = rows; at < rows + ARRAY_LEN(rows); at++)

static struct outcome parse(const char *bytes, size_t len)
{
    return outcome_of(bytes, len, &limits);
}

static void check_prefix(const char *name, const struct outcome *whole, const char *bytes,
                         size_t len, const struct request_limits *l)
{
    struct outcome prefix = outcome_of(bytes, len, l);
    const char *conflict = outcome_conflict(whole, &prefix, len);
    if (conflict != NULL)
        fail_msg("%s: the first %zu bytes: the parser %s (verdicts %d and %d)", name, len, conflict,
                 verdict_code(prefix.why), verdict_code(whole->why));
    outcome_free(&prefix);
}

static void test_every_row(void **state)
{
    (void)state;
    FOR_ROWS(row)
    {
        struct outcome o = parse(row->bytes, row->len);
        if (row->why == VERDICT_YES && (o.progress != REQUEST_DONE || o.r.length != row->len))
            fail_msg("%s: not accepted as a whole: %d, length %u", row->name, (int)o.progress,
                     o.r.length);
        if (row->why != VERDICT_YES && (o.progress != REQUEST_WRONG || o.why != row->why))
            fail_msg("%s: progress %d, code %d instead of %d", row->name, (int)o.progress,
                     verdict_code(o.why), verdict_code(row->why));
        outcome_free(&o);
    }
}

static void test_fields_are_found(void **state)
{
    (void)state;
    static const char text[] =
        "POST /buy/ticket?n=1?2 HTTP/1.1\r\nHost:  sale:80 \t\r\nX-Buyer: ann lee\r\n"
        "idempotency-KEY: k1\r\nOrigin:\r\nAuthorization: Bearer t\r\nContent-Type: a/b\r\n"
        "Content-Length: 3\r\n\r\nx=yGET /";
    struct outcome o = parse(text, sizeof text - 1);
    const struct request *r = &o.r;
    assert_int_equal(o.progress, REQUEST_DONE);
    assert_int_equal(r->length, sizeof text - 1 - strlen("GET /"));
    assert_int_equal(r->method, METHOD_POST);
    assert_int_equal(r->minor, 1);
#define IS(slice, text)                                       \
    do {                                                      \
        assert_int_equal((slice).len, strlen(text));          \
        assert_memory_equal((slice).ptr, text, strlen(text)); \
    } while (0)
    IS(r->path, "/buy/ticket");
    IS(r->query, "n=1?2");
    IS(r->host, "sale:80");
    IS(r->x_buyer, "ann lee");
    IS(r->idempotency_key, "k1");
    IS(r->authorization, "Bearer t");
    IS(r->content_type, "a/b");
    IS(r->body, "x=y");
    assert_non_null(r->origin.ptr);
    assert_int_equal(r->origin.len, 0);
    outcome_free(&o);
}

static void test_absent_is_null(void **state)
{
    (void)state;
    static const char text[] = "HEAD / HTTP/1.0\r\n\r\n";
    struct outcome o = parse(text, sizeof text - 1);
    assert_int_equal(o.progress, REQUEST_DONE);
    assert_int_equal(o.r.method, METHOD_HEAD);
    assert_null(o.r.query.ptr);
    assert_null(o.r.body.ptr);
    assert_null(o.r.host.ptr);
    assert_null(o.r.origin.ptr);
    assert_null(o.r.x_buyer.ptr);
    outcome_free(&o);
}

static void test_absolute_form_goes_before_host(void **state)
{
    (void)state;
    static const char text[] = "GET http://evil:80?a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct outcome o = parse(text, sizeof text - 1);
    assert_int_equal(o.progress, REQUEST_DONE);
    IS(o.r.host, "evil:80");
    IS(o.r.path, "/");
    IS(o.r.query, "a");
    outcome_free(&o);
}

static void test_keep_alive(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: te, keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outcome o = parse(cases[i].text, strlen(cases[i].text));
        if (o.progress != REQUEST_DONE || o.r.keep_alive != cases[i].keep)
            fail_msg("%s: progress %d, keep %d", cases[i].text, (int)o.progress, o.r.keep_alive);
        outcome_free(&o);
    }
}

static void test_continue_is_requested_once(void **state)
{
    (void)state;
    static const char text[] = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                               "Content-Length: 2\r\n\r\nab";
    struct outcome header = parse(text, sizeof text - 3);
    struct outcome one = parse(text, sizeof text - 2);
    struct outcome whole = parse(text, sizeof text - 1);
    assert_int_equal(header.progress, REQUEST_CONTINUE);
    assert_true(header.r.expects_continue);
    assert_int_equal(one.progress, REQUEST_MORE);
    assert_false(one.r.expects_continue);
    assert_int_equal(whole.progress, REQUEST_DONE);
    assert_false(whole.r.expects_continue);
    outcome_free(&header);
    outcome_free(&one);
    outcome_free(&whole);
}

static void test_continue_is_not_for_1_0(void **state)
{
    (void)state;
    static const char text[] = "POST / HTTP/1.0\r\nExpect: 100-continue\r\n"
                               "Content-Length: 2\r\n\r\n";
    struct outcome o = parse(text, sizeof text - 1);
    assert_int_equal(o.progress, REQUEST_MORE);
    outcome_free(&o);
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    FOR_ROWS(row)
    {
        struct outcome whole = parse(row->bytes, row->len);
        for (size_t len = 0; len <= row->len; len++)
            check_prefix(row->name, &whole, row->bytes, len, &limits);
        outcome_free(&whole);
    }
}

static void check_pair(const struct row *first, const struct row *second)
{
    char both[2048];
    assert_true(first->len + second->len <= sizeof both);
    memcpy(both, first->bytes, first->len);
    memcpy(both + first->len, second->bytes, second->len);
    struct outcome alone = parse(first->bytes, first->len);
    struct outcome o = parse(both, first->len + second->len);
    if (o.progress != REQUEST_DONE || !outcome_is_same(&o, &alone))
        fail_msg("%s is parsed differently before %s", first->name, second->name);
    struct outcome next = parse(both + o.r.length, first->len + second->len - o.r.length);
    bool good = second->why == VERDICT_YES
                    ? next.progress == REQUEST_DONE && next.r.length == second->len
                    : next.progress == REQUEST_WRONG && next.why == second->why;
    if (!good)
        fail_msg("%s is parsed differently behind %s", second->name, first->name);
    outcome_free(&alone);
    outcome_free(&o);
    outcome_free(&next);
}

static void test_pipelined_pairs(void **state)
{
    (void)state;
    FOR_ROWS(first)
    FOR_ROWS(second)
    if (first->why == VERDICT_YES)
        check_pair(first, second);
}

/* A request line of `line` bytes and a header of `header` bytes in all. */
static size_t make_request(char *out, size_t line, size_t header)
{
    static const char end[] = " HTTP/1.0\r\n";
    memset(out, 'a', header);
    memcpy(out, "GET /", 5);
    memcpy(out + line - strlen(end), end, strlen(end));
    if (header > line + 2)
        memcpy(out + line, "X:", 2);
    memcpy(out + header - 4, "\r\n\r\n", 4);
    return header;
}

static enum verdict verdict_of(const char *bytes, size_t len, const struct request_limits *l)
{
    struct outcome whole = outcome_of(bytes, len, l);
    for (size_t i = 0; i <= len; i++)
        check_prefix("at the limits", &whole, bytes, i, l);
    enum verdict v = whole.progress == REQUEST_DONE ? VERDICT_YES : whole.why;
    assert_true(whole.progress == REQUEST_DONE || whole.progress == REQUEST_WRONG);
    outcome_free(&whole);
    return v;
}

static void test_exact_limits(void **state)
{
    (void)state;
    static const struct request_limits tight = {.max_header = 64, .max_body = 0};
    char text[256];
    assert_int_equal(verdict_of(text, make_request(text, 62, 64), &tight), VERDICT_YES);
    assert_int_equal(verdict_of(text, make_request(text, 40, 64), &tight), VERDICT_YES);
    assert_int_equal(verdict_of(text, make_request(text, 40, 65), &tight),
                     VERDICT_HEADER_TOO_LARGE);
    assert_int_equal(verdict_of(text, make_request(text, 63, 65), &tight),
                     VERDICT_HEADER_TOO_LARGE);
    assert_int_equal(verdict_of(text, make_request(text, 64, 66), &tight),
                     VERDICT_HEADER_TOO_LARGE);
    assert_int_equal(verdict_of(text, make_request(text, 65, 67), &tight), VERDICT_TARGET_TOO_LONG);
    assert_int_equal(verdict_of(text, make_request(text, 200, 250), &tight),
                     VERDICT_TARGET_TOO_LONG);
}

static void test_limit_is_reported_at_the_limit(void **state)
{
    (void)state;
    static const struct request_limits tight = {.max_header = 64, .max_body = 0};
    char text[256];
    make_request(text, 200, 250);
    struct outcome before = outcome_of(text, 63, &tight), at = outcome_of(text, 64, &tight);
    assert_int_equal(before.progress, REQUEST_MORE);
    assert_int_equal(at.progress, REQUEST_WRONG);
    outcome_free(&before);
    outcome_free(&at);
}

static void test_body_limit(void **state)
{
    (void)state;
    static const struct request_limits tight = {.max_header = 64, .max_body = 3};
    static const char fits[] = "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc";
    static const char big[] = "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nabcd";
    assert_int_equal(verdict_of(fits, sizeof fits - 1, &tight), VERDICT_YES);
    assert_int_equal(verdict_of(big, sizeof big - 1, &tight), VERDICT_BODY_TOO_LARGE);
    struct outcome o = outcome_of(big, strlen("POST / HTTP/1.0\r\nContent-Length: 4\r\n"), &tight);
    assert_int_equal(o.progress, REQUEST_WRONG); /* before the header is complete */
    outcome_free(&o);
}

static void check_against_oracle(const char *name, const char *bytes, size_t len)
{
    struct outcome o = parse(bytes, len);
    const char *conflict = oracle_conflict(o.progress, &o.r, o.bytes, len);
    if (conflict != NULL)
        fail_msg("%s: %s: \"%.*s\"", name, conflict, (int)len, bytes);
    outcome_free(&o);
}

static void test_never_looser_than_http_parser(void **state)
{
    (void)state;
    FOR_ROWS(row) check_against_oracle(row->name, row->bytes, row->len);
}

/* Every byte of every request is replaced, doubled and left out. */
static void test_corrupt_bytes_against_http_parser(void **state)
{
    (void)state;
    static const char corrupt[] = "\0\t\n\r \",:;/?#%0+-AZ{\x7f\x80\xff";
    char text[1024];
    FOR_ROWS(row)
    {
        for (size_t i = 0; i < row->len; i++) {
            memcpy(text, row->bytes, row->len);
            for (size_t k = 0; k < sizeof corrupt - 1; k++) {
                text[i] = corrupt[k];
                check_against_oracle(row->name, text, row->len);
            }
            memcpy(text + i, row->bytes + i + 1, row->len - i - 1);
            check_against_oracle(row->name, text, row->len - 1);
            memcpy(text + i + 1, row->bytes + i, row->len - i);
            text[i] = row->bytes[i];
            check_against_oracle(row->name, text, row->len + 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_fields_are_found),
        cmocka_unit_test(test_absent_is_null),
        cmocka_unit_test(test_absolute_form_goes_before_host),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_continue_is_requested_once),
        cmocka_unit_test(test_continue_is_not_for_1_0),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_pipelined_pairs),
        cmocka_unit_test(test_exact_limits),
        cmocka_unit_test(test_limit_is_reported_at_the_limit),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_never_looser_than_http_parser),
        cmocka_unit_test(test_corrupt_bytes_against_http_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
