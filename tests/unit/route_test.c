/*
 * Why: the router decides which operation a request is allowed. A parameter that is read twice, in
 * two ways or in part sells the wrong number of tickets, or to the wrong buyer; an operator's page
 * that is served under a foreign host name hands the sale to the owner of that name. Every refusal
 * is a row here.
 */
/* needs: server/http/route.c server/http/request.c conf/base/check.c conf/base/orderid.c
 * conf/base/verdict.c -lsodium */
#include "tests/unit/route_request.h"

static enum verdict verdict_of(const char *line, const char *header, const char *body)
{
    struct route route;
    return find_route(&route, line, header, body, ROUTE_BUYERS);
}

static void check(enum verdict expected, const char *line, const char *header, const char *body)
{
    enum verdict actual = verdict_of(line, header, body);
    if (actual != expected)
        fail_msg("%s, %s: %d instead of %d", line, header, verdict_code(actual),
                 verdict_code(expected));
}

#define EXPECT(name, line, header, body) check(VERDICT_##name, line, header, body)

static void test_paths(void **state)
{
    (void)state;
    EXPECT(YES, "GET /buy/ticket", "", NULL);
    EXPECT(YES, "POST /buy/ticket", "", NULL);
    EXPECT(YES, "GET /stock/ticket", "", NULL);
    EXPECT(YES, "GET /stock/ticket?n=0&%zz", "", NULL);
    EXPECT(YES, "GET /buy/v-i_p-name-of-thirty-two-bytes-0", "", NULL);
    static const char *const unknown[] = {
        "/",
        "/buy",
        "/buy/",
        "/buy/ticket/",
        "/buy/ticke",
        "/buy/tickets",
        "/buy//ticket",
        "//buy/ticket",
        "/buy/Ticket",
        "/BUY/ticket",
        "/buy/%74icket",
        "/buy/ticket%00",
        "/stock",
        "/stock/",
        "/stock/other",
        "/stats",
        "/healthz",
        "/metrics",
        "/drain",
        "/x",
        "/buy/../stock/ticket",
        "/buy/v-i_p-name-of-thirty-two-bytes-0x",
    };
    static const char *const methods[] = {"GET", "POST", "HEAD", "DELETE", "CONNECT"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        for (size_t k = 0; k < ARRAY_LEN(methods); k++) {
            char line[128];
            snprintf(line, sizeof line, "%s %s", methods[k], unknown[i]);
            EXPECT(NOT_FOUND, line, "", NULL);
        }
    EXPECT(NOT_FOUND, "OPTIONS *", "", NULL);
}

static void test_kind_and_event(void **state)
{
    (void)state;
    struct route route;
    assert_int_equal(find_route(&route, "GET /stock/limited", "", NULL, ROUTE_BUYERS), VERDICT_YES);
    assert_int_equal(route.kind, ROUTE_STOCK);
    assert_int_equal(route.event, LIMITED);
    assert_int_equal(find_route(&route, "GET /buy/ticket", "", NULL, ROUTE_BUYERS), VERDICT_YES);
    assert_int_equal(route.kind, ROUTE_BUY);
    assert_int_equal(route.event, TICKET);
    assert_int_equal(route.n, 1);
    assert_int_equal(route.buyer_len, 0);
    assert_int_equal(route.key_len, 0);
    /* A refusal names the event, too: its answer has the body length of the event. */
    assert_int_equal(find_route(&route, "GET /buy/limited?n=9", "", NULL, ROUTE_BUYERS),
                     VERDICT_BAD_REQUEST);
    assert_int_equal(route.event, LIMITED);
    assert_int_equal(find_route(&route, "PUT /buy/limited", "", NULL, ROUTE_BUYERS),
                     VERDICT_METHOD);
    assert_int_equal(route.event, LIMITED);
    assert_int_equal(find_route(&route, "GET /buy/nothing", "", NULL, ROUTE_BUYERS),
                     VERDICT_NOT_FOUND);
    assert_int_equal(route.event, -1);
}

static void test_methods(void **state)
{
    (void)state;
    static const char *const others[] = {"HEAD",  "PUT",   "DELETE", "OPTIONS",
                                         "PATCH", "TRACE", "CONNECT"};
    char line[64];
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        snprintf(line, sizeof line, "%s /buy/ticket", others[i]);
        check_allow(line, ROUTE_BUYERS, "GET, POST");
        snprintf(line, sizeof line, "%s /stock/ticket", others[i]);
        check_allow(line, ROUTE_BUYERS, "GET");
        snprintf(line, sizeof line, "%s /stats", others[i]);
        check_allow(line, ROUTE_OPERATORS, "GET");
    }
    check_allow("POST /stock/ticket", ROUTE_BUYERS, "GET");
    check_allow("POST /healthz", ROUTE_OPERATORS, "GET");
}

static void test_buying_with_post_only(void **state)
{
    (void)state;
    conf.buy_with_get = false;
    check_allow("GET /buy/ticket", ROUTE_BUYERS, "POST");
    check_allow("HEAD /buy/ticket", ROUTE_BUYERS, "POST");
    EXPECT(YES, "POST /buy/ticket?n=2", "", NULL);
    EXPECT(YES, "GET /stock/ticket", "", NULL);
    conf.buy_with_get = true;
}

static void test_number(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "n=",
        "n",
        "n=0",
        "n=5",
        "n=-1",
        "n=%2B1",
        "n=+1",
        "n=1+",
        "n=1.5",
        "n=1e0",
        "n=0x1",
        "n=01",
        "n=1,2",
        "n=one",
        "n=1%00",
        "n=%201",
        "n==1",
        "n=1&n=1",
        "n=1&n",
        "n=1&%6e=2",
        "n=4294967297",
        "n=9999999999",
        "n=18446744073709551617",
    };
    static const char *const good[] = {"n=1", "n=4", "n=%34", "%6E=4", "&n=4&", "n=2&&x=n=3"};
    char line[128];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(line, sizeof line, "GET /buy/ticket?%s", bad[i]);
        EXPECT(BAD_REQUEST, line, "", NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(line, sizeof line, "GET /buy/ticket?%s", good[i]);
        EXPECT(YES, line, "", NULL);
    }
    struct route route;
    assert_int_equal(find_route(&route, "GET /buy/ticket?n=4", "", NULL, ROUTE_BUYERS),
                     VERDICT_YES);
    assert_int_equal(route.n, 4);
    static const char most[] = "GET /buy/v-i_p-name-of-thirty-two-bytes-0?n=100000000";
    assert_int_equal(find_route(&route, most, "", NULL, ROUTE_BUYERS), VERDICT_YES);
    assert_int_equal(route.n, 100000000);
    EXPECT(BAD_REQUEST, "GET /buy/v-i_p-name-of-thirty-two-bytes-0?n=100000001", "", NULL);
}

static void test_buyer_and_key(void **state)
{
    (void)state;
    struct route route;
    assert_int_equal(
        find_route(&route, "GET /buy/ticket?buyer=a%2bn%6E~&key=!", "", NULL, ROUTE_BUYERS),
        VERDICT_YES);
    assert_int_equal(route.buyer_len, 5);
    assert_memory_equal(route.buyer, "a+nn~", 5);
    assert_int_equal(route.key_len, 1);
    assert_memory_equal(route.key, "!", 1);
    assert_int_equal(find_route(&route, "POST /buy/ticket",
                                "X-Buyer: ann\r\nIdempotency-Key: \"k+%41\"\r\n", NULL,
                                ROUTE_BUYERS),
                     VERDICT_YES);
    assert_int_equal(route.buyer_len, 3);
    assert_memory_equal(route.buyer, "ann", 3);
    assert_int_equal(route.key_len, 7); /* a header is not decoded */
    assert_memory_equal(route.key, "\"k+%41\"", 7);
}

static void test_buyer_and_key_are_checked(void **state)
{
    (void)state;
    EXPECT(YES, "GET /buy/ticket?buyer=" TEXT_64 "&key=" TEXT_64, "", NULL);
    EXPECT(YES,
           "GET /buy/ticket?key=%30"
           "123456789abcdef0123456789abcdef0123456789abcdef0123456789"
           "abcdef",
           "", NULL);
    EXPECT(YES, "GET /buy/ticket", "X-Buyer: " TEXT_64 "\r\n", NULL);
    EXPECT(BAD_REQUEST, "GET /buy/ticket?buyer=" TEXT_64 "x", "", NULL);
    EXPECT(BAD_REQUEST, "GET /buy/ticket?key=" TEXT_64 "x", "", NULL);
    EXPECT(BAD_REQUEST, "GET /buy/ticket?key=" TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64, "", NULL);
    EXPECT(BAD_REQUEST, "GET /buy/ticket", "X-Buyer: " TEXT_64 "x\r\n", NULL);
    static const char *const bad[] = {
        "buyer=",           "buyer",   "key=",    "key=a+b",    "key=a%20b",   "key=%00",
        "key=%0a",          "key=%7f", "key=%80", "key=%c3%bc", "key=a&key=a", "buyer=a&buyer=b",
        "buyer=a&%62uyer=b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char line[128];
        snprintf(line, sizeof line, "GET /buy/ticket?%s", bad[i]);
        EXPECT(BAD_REQUEST, line, "", NULL);
    }
    EXPECT(BAD_REQUEST, "GET /buy/ticket", "X-Buyer:\r\n", NULL);
    EXPECT(BAD_REQUEST, "GET /buy/ticket", "X-Buyer: a b\r\n", NULL);
    EXPECT(BAD_REQUEST, "GET /buy/ticket", "Idempotency-Key: \xc3\xbc\r\n", NULL);
}

static void test_given_only_once(void **state)
{
    (void)state;
    EXPECT(BAD_REQUEST, "GET /buy/ticket?buyer=a", "X-Buyer: a\r\n", NULL);
    EXPECT(BAD_REQUEST, "GET /buy/ticket?key=b", "Idempotency-Key: a\r\n", NULL);
    EXPECT(BAD_REQUEST, "POST /buy/ticket", FORM_TYPE "X-Buyer: a\r\n", "buyer=a");
    EXPECT(BAD_REQUEST, "POST /buy/ticket?n=2", FORM_TYPE, "n=2");
    EXPECT(BAD_REQUEST, "POST /buy/ticket?key=a", FORM_TYPE, "key=a");
    EXPECT(YES, "POST /buy/ticket?n=2", FORM_TYPE "X-Buyer: a\r\n", "key=k");
}

static void test_unknown_parameters(void **state)
{
    (void)state;
    EXPECT(YES, "GET /buy/ticket?", "", NULL);
    EXPECT(YES, "GET /buy/ticket?debug", "", NULL);
    EXPECT(YES, "GET /buy/ticket?_=1&_=2&N=0&buyers=&keys&=x&=", "", NULL);
    EXPECT(YES, "GET /buy/ticket?a-name-longer-than-any-of-ours=" TEXT_64 TEXT_64, "", NULL);
    EXPECT(YES, "GET /buy/ticket?buyer%00=&n%20=", "", NULL);
    static const char *const bad[] = {"x=%",   "x=%4",   "x=%4&n=1", "x=%4g",
                                      "%zz=1", "x=%%41", "x=%+1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char line[128];
        snprintf(line, sizeof line, "GET /buy/ticket?%s", bad[i]);
        EXPECT(BAD_REQUEST, line, "", NULL);
    }
}

static void test_form(void **state)
{
    (void)state;
    struct route route;
    assert_int_equal(find_route(&route, "POST /buy/ticket?x=1", FORM_TYPE, "n=3&buyer=%61nn&key=k",
                                ROUTE_BUYERS),
                     VERDICT_YES);
    assert_int_equal(route.n, 3);
    assert_int_equal(route.buyer_len, 3);
    assert_int_equal(route.key_len, 1);
    EXPECT(YES, "POST /buy/ticket", "", "n=3");
    EXPECT(YES, "POST /buy/ticket", "Content-Type: " FORM "; charset=UTF-8\r\n", "n=3");
    EXPECT(YES, "POST /buy/ticket", "Content-Type: Application/X-WWW-Form-URLEncoded ;x\r\n",
           "n=3");
    EXPECT(YES, "POST /buy/ticket", "Content-Type: application/json\r\n", NULL);
    EXPECT(YES, "POST /buy/ticket", "Content-Type: application/json\r\n", "");
    EXPECT(YES, "POST /buy/ticket", "", "&n=1&&");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", "Content-Type: application/json\r\n", "{\"n\":1}");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", "Content-Type: " FORM "x\r\n", "n=3");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", "Content-Type: " FORM " x\r\n", "n=3");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", "Content-Type: multipart/form-data; b=x\r\n", "n=3");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", "Content-Type:\r\n", "n=3");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", "", "{\"n\":1}");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", "", "n=3\r\n");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", "", "n=3 ");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", FORM_TYPE, "x=\xc3\xbc");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", FORM_TYPE, "n");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", FORM_TYPE, "x=%4");
    EXPECT(BAD_REQUEST, "POST /buy/ticket", FORM_TYPE, "n=5");
    /* A key in the body of a GET is meant to be used, so the body is parsed. */
    EXPECT(BAD_REQUEST, "GET /buy/ticket", FORM_TYPE, "n=5");
    EXPECT(BAD_REQUEST, "GET /buy/ticket", "", "{\"n\":1}");
    EXPECT(YES, "GET /buy/ticket", "", "n=2&key=k");
    EXPECT(YES, "GET /stock/ticket", "", "{");
}

static void test_limit_needs_a_buyer(void **state)
{
    (void)state;
    EXPECT(BAD_REQUEST, "GET /buy/limited", "", NULL);
    EXPECT(BAD_REQUEST, "GET /buy/limited?key=k", "", NULL);
    EXPECT(YES, "GET /buy/limited?buyer=ann", "", NULL);
    EXPECT(YES, "GET /buy/limited", "X-Buyer: ann\r\n", NULL);
    EXPECT(YES, "POST /buy/limited", FORM_TYPE, "buyer=ann");
    EXPECT(YES, "GET /stock/limited", "", NULL);
}

static void check_operator(const char *line, const char *header, enum verdict expected)
{
    struct route route;
    enum verdict v = find_route(&route, line, header, NULL, ROUTE_OPERATORS);
    if (v != expected)
        fail_msg("%s, %s: %d instead of %d", line, header, verdict_code(v), verdict_code(expected));
}

static void test_operators(void **state)
{
    (void)state;
    struct route route;
    assert_int_equal(find_route(&route, "GET /stats?x", "", NULL, ROUTE_OPERATORS), VERDICT_YES);
    assert_int_equal(route.kind, ROUTE_STATS);
    assert_int_equal(route.event, -1);
    assert_int_equal(find_route(&route, "GET /healthz", "", NULL, ROUTE_OPERATORS), VERDICT_YES);
    assert_int_equal(route.kind, ROUTE_HEALTHZ);
    assert_int_equal(find_route(&route, "GET /metrics", "", NULL, ROUTE_OPERATORS), VERDICT_YES);
    assert_int_equal(route.kind, ROUTE_METRICS);
    assert_int_equal(find_route(&route, "POST /drain", "", NULL, ROUTE_OPERATORS), VERDICT_YES);
    assert_int_equal(route.kind, ROUTE_DRAIN);
    assert_false(route_is_for_ledger(&route));
    check_operator("GET /drain", "", VERDICT_METHOD);
    check_operator("POST /metrics", "", VERDICT_METHOD);
    check_operator("GET /buy/ticket", "", VERDICT_NOT_FOUND);
    check_operator("GET /stock/ticket", "", VERDICT_NOT_FOUND);
    check_operator("GET /stats/", "", VERDICT_NOT_FOUND);
    check_operator("GET /stat", "", VERDICT_NOT_FOUND);
}

static void test_operators_under_a_foreign_host(void **state)
{
    (void)state;
    static const char *const ours[] = {
        "",      "127.0.0.1",  "127.0.0.1:3905", "10.1.2.3:80", "localhost", "LocalHost:3905",
        "[::1]", "[::1]:3905", "[fe80::1]",      "127.0.0.1:",
    };
    static const char *const foreign[] = {
        "evil.example",
        "evil.example:3905",
        "localhost.evil.example",
        "notlocalhost",
        "localhost.",
        "127.0.0.1.nip.io",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "[::1::]",
        "[1.2.3.4]",
        "127.0.0.1.",
        "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24",
    };
    char header[128];
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        snprintf(header, sizeof header, "Host: %s\r\n", ours[i]);
        check_operator("GET /stats", header, VERDICT_YES);
    }
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        snprintf(header, sizeof header, "Host: %s\r\n", foreign[i]);
        check_operator("GET /stats", header, VERDICT_FORBIDDEN);
        check_operator("GET /unknown", header, VERDICT_FORBIDDEN);
        assert_int_equal(verdict_of("GET /stock/ticket", header, NULL), VERDICT_YES);
    }
    check_operator("GET http://evil.example/stats", "Host: localhost\r\n", VERDICT_FORBIDDEN);
    check_operator("GET http://127.0.0.1/stats", "Host: evil.example\r\n", VERDICT_YES);
    check_operator("GET /stats", "Origin: http://127.0.0.1:3905\r\n", VERDICT_FORBIDDEN);
    check_operator("GET /stats", "Origin:\r\n", VERDICT_FORBIDDEN);
    EXPECT(YES, "GET /buy/ticket", "Origin: https://sale.example\r\n", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_kind_and_event),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_buying_with_post_only),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_buyer_and_key),
        cmocka_unit_test(test_buyer_and_key_are_checked),
        cmocka_unit_test(test_given_only_once),
        cmocka_unit_test(test_unknown_parameters),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_limit_needs_a_buyer),
        cmocka_unit_test(test_operators),
        cmocka_unit_test(test_operators_under_a_foreign_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
