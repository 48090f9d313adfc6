/*
 * Why: the id of an order in a path is all that a buyer needs to cancel it, and an operator's act
 * stops or closes a whole sale. A request that is accepted on the wrong listener, for the wrong
 * order or with a malformed parameter cannot be undone. Every refusal is a row here.
 */
/* needs: server/http/route.c server/http/request.c conf/base/check.c conf/base/orderid.c
 * conf/base/verdict.c -lsodium */
#include "tests/unit/route_request.h"

/* ---- orders --------------------------------------------------------------------------------- */

#define BUYERS(name, line, header, body) \
    check_side(VERDICT_##name, ROUTE_BUYERS, line, header, body)

#define ORDER     "002a-010000000007-89abcdef01234567"
#define ELSEWHERE "002b-010000000007-89abcdef01234567"

static const char *const no_orders[] = {
    "",
    "002a",
    "002a-010000000007",
    "002a-010000000007-",
    "002a-010000000007-89abcdef0123456",
    "002a-010000000007-89abcdef012345678",
    "002a-010000000007-89abcdef01234567/",
    "/002a-010000000007-89abcdef01234567",
    "002A-010000000007-89abcdef01234567",
    "002a-010000000007-89ABCDEF01234567",
    "002a-010000000007-89abcdef0123456g",
    "002a_010000000007-89abcdef01234567",
    "002a-010000000007+89abcdef01234567",
    "%3002a-010000000007-89abcdef01234567",
    "002a-010000000007-89abcdef0123456%37",
    "-02a-010000000007-89abcdef01234567",
    "0x2a-010000000007-89abcdef01234567",
    "0000-010000000007-89abcdef01234567", /* no node */
    "002a-010000000000-89abcdef01234567", /* no number: a slot alone */
    "002a-000000000000-89abcdef01234567",
};

static void test_orders(void **state)
{
    static const struct {
        const char *line;
        enum route_side side;
        enum route_kind kind;
    } rows[] = {
        {"GET /order/" ORDER, ROUTE_BUYERS, ROUTE_GET_ORDER},
        {"GET /order/" ORDER "?event=x&n=0", ROUTE_BUYERS, ROUTE_GET_ORDER},
        {"POST /order/" ORDER "/cancel", ROUTE_BUYERS, ROUTE_CANCEL},
        {"POST /order/" ORDER "/pay", ROUTE_OPERATORS, ROUTE_PAY},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route route;
        enum verdict v = find_route(&route, rows[i].line, "", NULL, rows[i].side);
        assert_int_equal(v, VERDICT_YES);
        assert_int_equal(route.kind, rows[i].kind);
        assert_true(route_is_for_ledger(&route));
        assert_int_equal(route.event, -1);
        assert_int_equal(route.order.node, 0x2a);
        assert_int_equal(route.order.slot, 1);
        assert_int_equal(route.order.number, 7);
        assert_true(route.order.tag == UINT64_C(0x89abcdef01234567));
    }
}

/* A path without a valid order is 404, with any method, on either side. */
static void test_no_orders(void **state)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "HEAD"};
    char line[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(no_orders); i++)
        for (size_t k = 0; k < ARRAY_LEN(methods); k++) {
            snprintf(line, sizeof line, "%s /order/%s", methods[k], no_orders[i]);
            check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, line, "", NULL);
            snprintf(line, sizeof line, "%s /order/%s/cancel", methods[k], no_orders[i]);
            check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, line, "", NULL);
            snprintf(line, sizeof line, "%s /order/%s/pay", methods[k], no_orders[i]);
            check_side(VERDICT_NOT_FOUND, ROUTE_OPERATORS, line, "", NULL);
        }
}

/* Only operators pay orders; only buyers get and cancel them. */
static void test_orders_on_the_other_side(void **state)
{
    (void)state;
    check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, "POST /order/" ORDER "/pay", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, "GET /order/" ORDER "/pay", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_OPERATORS, "GET /order/" ORDER, "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_OPERATORS, "POST /order/" ORDER, "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_OPERATORS, "POST /order/" ORDER "/cancel", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, "POST /order/" ORDER "/cancel/", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, "POST /order/" ORDER "/cancels", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, "POST /order/" ORDER "/Cancel", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, "POST /order/" ORDER "cancel", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, "POST /order//cancel", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, "POST /order/cancel", "", NULL);
}

static void test_orders_of_another_node(void **state)
{
    struct route route;
    (void)state;
    assert_int_equal(find_route(&route, "GET /order/" ELSEWHERE, "", NULL, ROUTE_BUYERS),
                     VERDICT_ELSEWHERE);
    assert_int_equal(route.order.node, 0x2b);
    BUYERS(ELSEWHERE, "POST /order/" ELSEWHERE "/cancel", "", NULL);
    BUYERS(ELSEWHERE, "POST /order/" ELSEWHERE "/cancel?%zz", "", "{");
    check_side(VERDICT_ELSEWHERE, ROUTE_OPERATORS, "POST /order/" ELSEWHERE "/pay", "", NULL);
    BUYERS(METHOD, "POST /order/" ELSEWHERE, "", NULL);
    BUYERS(METHOD, "GET /order/" ELSEWHERE "/cancel", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, "POST /order/" ELSEWHERE "/pay", "", NULL);
}

static void test_methods_of_orders(void **state)
{
    static const char *const others[] = {"HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"};
    char line[128];
    (void)state;
    check_allow("POST /order/" ORDER, ROUTE_BUYERS, "GET");
    check_allow("GET /order/" ORDER "/cancel", ROUTE_BUYERS, "POST");
    check_allow("GET /order/" ORDER "/pay", ROUTE_OPERATORS, "POST");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        snprintf(line, sizeof line, "%s /order/" ORDER, others[i]);
        check_allow(line, ROUTE_BUYERS, "GET");
        snprintf(line, sizeof line, "%s /order/" ORDER "/cancel", others[i]);
        check_allow(line, ROUTE_BUYERS, "POST");
        snprintf(line, sizeof line, "%s /restock", others[i]);
        check_allow(line, ROUTE_OPERATORS, "POST");
    }
}

/* A body that is no form is an error with every POST; the fields of a form are ignored. */
static void test_forms_of_orders(void **state)
{
    static const struct {
        const char *line;
        enum route_side side;
    } rows[] = {{"POST /order/" ORDER "/cancel", ROUTE_BUYERS},
                {"POST /order/" ORDER "/pay", ROUTE_OPERATORS}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *line = rows[i].line;
        enum route_side side = rows[i].side;
        check_side(VERDICT_YES, side, line, FORM_TYPE, "n=0&n=0&buyer=&event=&total=x");
        check_side(VERDICT_YES, side, line, FORM_TYPE "X-Buyer:\r\nIdempotency-Key: a b\r\n", "");
        check_side(VERDICT_YES, side, line, "Content-Type: text/plain\r\n", NULL);
        check_side(VERDICT_BAD_REQUEST, side, line, "Content-Type: text/plain\r\n", "n=1");
        check_side(VERDICT_BAD_REQUEST, side, line, "", "{\"paid\":true}");
        check_side(VERDICT_BAD_REQUEST, side, line, FORM_TYPE, "word");
        check_side(VERDICT_BAD_REQUEST, side, line, FORM_TYPE, "a=%4");
    }
    BUYERS(BAD_REQUEST, "POST /order/" ORDER "/cancel?a=%zz", "", NULL);
    BUYERS(YES, "GET /order/" ORDER "?a=%zz", "", NULL); /* has no parameters, like /stock */
}

/* ---- acts ----------------------------------------------------------------------------------- */

static void test_acts(void **state)
{
    static const struct {
        const char *line;
        enum route_kind kind;
    } rows[] = {
        {"POST /pause?event=limited", ROUTE_PAUSE},
        {"POST /resume?event=limited", ROUTE_RESUME},
        {"POST /close?event=limited", ROUTE_CLOSE},
        {"POST /close?x=1&event=%6cimited&total=x&total=x", ROUTE_CLOSE},
        {"POST /restock?event=limited&total=1", ROUTE_RESTOCK},
    };
    (void)state;
    conf.events[LIMITED].stock_max = 1;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct route route;
        enum verdict v = find_route(&route, rows[i].line, "", NULL, ROUTE_OPERATORS);
        if (v != VERDICT_YES || route.kind != rows[i].kind || route.event != LIMITED ||
            !route_is_for_ledger(&route))
            fail_msg("%s: %d", rows[i].line, verdict_code(v));
        check_side(VERDICT_NOT_FOUND, ROUTE_BUYERS, rows[i].line, "", NULL);
    }
}

static void test_parameters_of_acts(void **state)
{
    static const char *const acts[] = {"/pause", "/resume", "/close", "/restock"};
    static const struct {
        enum verdict expected;
        const char *query, *body;
    } rows[] = {
        {VERDICT_YES, "event=ticket&total=5", NULL},
        {VERDICT_YES, "", "event=ticket&total=5"},
        {VERDICT_YES, "event=ticket", "total=5"},
        {VERDICT_YES, "total=5&n=0&key=&key=&Event=x&events=y", "event=ticket"},
        {VERDICT_BAD_REQUEST, "total=5", NULL},
        {VERDICT_BAD_REQUEST, "event&total=5", NULL},
        {VERDICT_BAD_REQUEST, "event=&total=5", NULL},
        {VERDICT_BAD_REQUEST, "event=ticket&event=ticket&total=5", NULL},
        {VERDICT_BAD_REQUEST, "event=nothing&event=ticket&total=5", NULL},
        {VERDICT_BAD_REQUEST, "event=ticket&total=5", "event=ticket"},
        {VERDICT_BAD_REQUEST, "event=ticket&total=5", "{}"},
        {VERDICT_BAD_REQUEST, "event=ticket&total=5&a=%", NULL},
        {VERDICT_NOT_FOUND, "event=nothing&total=5", NULL},
        {VERDICT_NOT_FOUND, "event=Ticket&total=5", NULL},
        {VERDICT_NOT_FOUND, "event=ticket%00&total=5", NULL},
        {VERDICT_NOT_FOUND, "event=ticket/&total=5", NULL},
        {VERDICT_NOT_FOUND, "event=" TEXT_64 TEXT_64 "&total=5", NULL},
    };
    char line[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
            snprintf(line, sizeof line, "POST %s?%s", acts[i], rows[k].query);
            check_side(rows[k].expected, ROUTE_OPERATORS, line, "", rows[k].body);
        }
        snprintf(line, sizeof line, "POST %s", acts[i]);
        check_side(VERDICT_BAD_REQUEST, ROUTE_OPERATORS, line, "", NULL);
        snprintf(line, sizeof line, "POST %s/", acts[i]);
        check_side(VERDICT_NOT_FOUND, ROUTE_OPERATORS, line, "", NULL);
        snprintf(line, sizeof line, "GET %s?event=ticket&total=5", acts[i]);
        check_allow(line, ROUTE_OPERATORS, "POST");
        snprintf(line, sizeof line, "POST %s?event=ticket&total=5", acts[i]);
        check_side(VERDICT_FORBIDDEN, ROUTE_OPERATORS, line, "Origin: null\r\n", NULL);
        check_side(VERDICT_FORBIDDEN, ROUTE_OPERATORS, line, "Host: evil.example\r\n", NULL);
    }
}

static void test_total(void **state)
{
    static const char *const bad[] = {
        "",
        "total",
        "total=",
        "total=0",
        "total=-1",
        "total=+1",
        "total=1.5",
        "total=01",
        "total=1e3",
        "total=all",
        "total=5&total=5",
        "total=20001",
        "total=100000001",
        "total=4294967297",
        "total=9999999999",
    };
    char line[128];
    struct route route;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(line, sizeof line, "POST /restock?event=ticket&%s", bad[i]);
        check_side(VERDICT_BAD_REQUEST, ROUTE_OPERATORS, line, "", NULL);
    }
    assert_int_equal(
        find_route(&route, "POST /restock?total=20000", "", "event=ticket", ROUTE_OPERATORS),
        VERDICT_YES);
    assert_int_equal(route.total, 20000);
    assert_int_equal(route.event, TICKET);
    check_side(VERDICT_YES, ROUTE_OPERATORS, "POST /restock?total=1&event=ticket", "", NULL);
    /* 400 for a malformed total comes before 404, and 404 before the range check against the stock.
     */
    check_side(VERDICT_BAD_REQUEST, ROUTE_OPERATORS, "POST /restock?event=none&total=x", "", NULL);
    check_side(VERDICT_NOT_FOUND, ROUTE_OPERATORS, "POST /restock?event=none&total=99999", "",
               NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_no_orders),
        cmocka_unit_test(test_orders_on_the_other_side),
        cmocka_unit_test(test_orders_of_another_node),
        cmocka_unit_test(test_methods_of_orders),
        cmocka_unit_test(test_forms_of_orders),
        cmocka_unit_test(test_acts),
        cmocka_unit_test(test_parameters_of_acts),
        cmocka_unit_test(test_total),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
