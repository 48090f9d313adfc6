/*
 * Why: a value that is misread is worse than one that is refused: "10k5" must not sell ten tickets,
 * a 29th of February must not open the sale a day late, and 2^64 + 1 must not become 1.
 */
/* needs: conf/base/conf_addr.c conf/base/conf_value.c conf/base/fault.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include <string.h>

#include "conf/base/conf_value.h"

static struct fault why;

static uint64_t number(const char *text)
{
    uint64_t value = 0;
    if (!value_number(text, "0", "17179869183g", &value, &why))
        fail_msg("%s", why.text);
    return value;
}

static uint64_t duration(const char *text)
{
    uint64_t value = 0;
    if (!value_time(text, "0", "43200m", &value, &why))
        fail_msg("%s", why.text);
    return value;
}

static void numbers(void **state)
{
    (void)state;
    assert_int_equal(number("0"), 0);
    assert_int_equal(number("10000"), 10000);
    assert_int_equal(number("007"), 7);
    assert_int_equal(number("3k"), 3 << 10);
    assert_int_equal(number("3m"), 3 << 20);
    assert_int_equal(number("17179869183g"), UINT64_C(17179869183) << 30); /* the largest number */
}

static void what_is_no_number(void **state)
{
    (void)state;
    static const char *const junk[] = {"10k5", "-1",  "+1",  "1e3", "0x10", "k",
                                       "1K",   "1.5", "ten", "1kk", "1 ",   "\xd9\xa1"};
    static const char *const far[] = {"18446744073709551617", "99999999999999999999999g",
                                      "17179869185g", "101", "9"};
    uint64_t value;
    for (size_t i = 0; i < ARRAY_LEN(junk); i++) {
        assert_false(value_number(junk[i], "0", "1g", &value, &why));
        assert_non_null(strstr(why.text, "is not a number"));
    }
    for (size_t i = 0; i < ARRAY_LEN(far); i++) {
        assert_false(value_number(far[i], "10", "100", &value, &why));
        assert_non_null(strstr(why.text, "is out of range: 10 to 100"));
    }
}

static void times(void **state)
{
    (void)state;
    assert_int_equal(duration("0"), 0);
    assert_int_equal(duration("200ms"), 200);
    assert_int_equal(duration("5s"), 5000);
    assert_int_equal(duration("2m"), 120000);
    static const char *const junk[] = {"5", "5h", "s", "1m30s", "", "1.5s", "-1s", "5S", "00"};
    uint64_t value;
    for (size_t i = 0; i < ARRAY_LEN(junk); i++)
        if (value_time(junk[i], "0", "1m", &value, &why))
            fail_msg("accepted: %s", junk[i]);
    assert_false(value_time("307445734561825861m", "0", "1m", &value, &why)); /* wraps to 44 s */
}

static void moments(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t wall_ms;
    } right[] = {
        {"2026-12-01T10:00:00+08:00", 1796090400000},
        {"2026-12-01T02:00:00Z", 1796090400000},
        {"2026-11-30T21:00:00.5-05:00", 1796090400500},
        {"2024-02-29t00:00:00z", 1709164800000},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"1970-01-01T00:00:00.001Z", 1},
        {"2100-03-01T00:00:00Z", 4107542400000},
        {"9999-12-31T23:59:59.9999Z", 253402300799999},
    };
    static const char *const wrong[] = {
        "2026-12-01T10:00:00",       "2026-12-01",
        "2023-02-29T00:00:00Z",      "2100-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",      "2026-00-01T00:00:00Z",
        "2026-04-31T00:00:00Z",      "2026-04-00T00:00:00Z",
        "2026-04-01T24:00:00Z",      "2026-04-01T00:60:00Z",
        "2026-04-01T00:00:60Z",      "2026-04-01T00:00:00+24:00",
        "2026-04-01T00:00:00+01:60", "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01", "2026-04-01T00:00:00.Z",
        "2026-04-01T00:00:00ZZ",     "2026-4-1T00:00:00Z",
        "2026-04-01T00:00:00+0100",  "now",
        "2026-04-01T00:00:00 Z",
    };
    uint64_t wall_ms;
    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        if (!value_moment(right[i].text, &wall_ms, &why))
            fail_msg("%s", why.text);
        assert_int_equal(wall_ms, right[i].wall_ms);
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (value_moment(wrong[i], &wall_ms, &why))
            fail_msg("accepted: %s", wrong[i]);
}

static void addresses(void **state)
{
    (void)state;
    struct conf_addr a;
    assert_true(value_addr("127.0.0.1:3005", "x/y.conf", &a, &why));
    assert_int_equal(a.len, sizeof a.to.v4);
    assert_int_equal(a.to.v4.sin_addr.s_addr, htonl(0x7f000001));
    assert_int_equal(addr_port(&a), 3005);
    assert_string_equal(a.text, "127.0.0.1:3005");
    assert_true(value_addr("[::1]:65535", "x/y.conf", &a, &why));
    assert_int_equal(a.len, sizeof a.to.v6);
    assert_int_equal(addr_port(&a), 65535);
    assert_true(value_addr("unix:s", "x/y.conf", &a, &why));
    assert_string_equal(a.to.local.sun_path, "x/s");
    assert_true(value_addr("unix:s", "y.conf", &a, &why));
    assert_string_equal(a.to.local.sun_path, "s");
    assert_true(value_addr("unix:/s", "/x/y.conf", &a, &why));
    assert_string_equal(a.to.local.sun_path, "/s");
}

static void what_is_no_address(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "3005",
        "localhost:3005",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.1:80",
        "::1:3005",
        "[::1]",
        "[::1]:",
        "[::1:80",
        "[::1]x:80",
        "[]:80",
        ":80",
        "1.2.3.4:80x",
        "1.2.3.4:-1",
        "256.0.0.1:80",
        "[127.0.0.1]:80",
        "unix:",
        "[:1",
        "",
        "127.0.0.1:000080",
    };
    struct conf_addr a;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (value_addr(wrong[i], "y.conf", &a, &why))
            fail_msg("accepted: %s", wrong[i]);
        assert_non_null(strstr(why.text, "is not an address"));
    }
    char path[300] = "unix:/";
    memset(path + 6, 'x', 106); /* a socket's name has at most 107 bytes and a NUL */
    assert_true(value_addr(path, "y.conf", &a, &why));
    path[6 + 106] = 'x';
    assert_false(value_addr(path, "y.conf", &a, &why));
    memset(path + 6, 'x', 290);
    assert_false(value_addr(path, "y.conf", &a, &why));
}

static void addresses_that_outside_hosts_reach(void **state)
{
    (void)state;
    static const char *const local[] = {"127.0.0.1:1", "127.255.0.1:1", "[::1]:1",
                                        "[::ffff:127.0.0.1]:1", "unix:x"};
    static const char *const open[] = {
        "0.0.0.0:1", "[::]:1", "128.0.0.1:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1", "[fe80::1]:1"};
    struct conf_addr a;
    for (size_t i = 0; i < ARRAY_LEN(local); i++)
        assert_true(value_addr(local[i], "", &a, &why) && addr_is_local(&a));
    for (size_t i = 0; i < ARRAY_LEN(open); i++)
        assert_true(value_addr(open[i], "", &a, &why) && !addr_is_local(&a));
}

static void paths(void **state)
{
    (void)state;
    char out[8];
    assert_true(value_path("a", "/b/c", out, sizeof out, &why));
    assert_string_equal(out, "/b/a");
    assert_true(value_path("a", "/c", out, sizeof out, &why));
    assert_string_equal(out, "/a");
    assert_true(value_path("/234567", "b/c", out, sizeof out, &why));
    assert_false(value_path("/2345678", "b/c", out, sizeof out, &why));
    assert_false(value_path("234567", "b/c", out, sizeof out, &why));
}

static void printing(void **state)
{
    (void)state;
    char out[VALUE_TEXT];
    value_print_number(out, 0);
    assert_string_equal(out, "0");
    value_print_number(out, 1000);
    assert_string_equal(out, "1000");
    value_print_number(out, 256u << 20);
    assert_string_equal(out, "256m");
    value_print_time(out, 0);
    assert_string_equal(out, "0");
    value_print_time(out, 1500);
    assert_string_equal(out, "1500ms");
    value_print_time(out, 120000);
    assert_string_equal(out, "2m");
    value_print_moment(out, 1796090400500);
    assert_string_equal(out, "2026-12-01T02:00:00.500Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(what_is_no_number),
        cmocka_unit_test(times),
        cmocka_unit_test(moments),
        cmocka_unit_test(addresses),
        cmocka_unit_test(what_is_no_address),
        cmocka_unit_test(addresses_that_outside_hosts_reach),
        cmocka_unit_test(paths),
        cmocka_unit_test(printing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
