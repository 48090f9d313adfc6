/*
 * Why: the answer of a node comes from a network. A correct one must be parsed to the last field,
 * and a wrong one must become an error of a few words, never figures: half an answer that is
 * accepted shows a sale that does not exist.
 */
/* needs: admin-tui/model/stats.c admin-tui/client/json.c conf/base/fault.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/stats.h"

static const char full[] =
    "{\"node\":7,\"pid\":4711,\"version\":\"0.1.0\",\"state\":\"up\",\"uptime_s\":12,\"time_ms\":"
    "1764000000123,"
    "\"events\":[{\"name\":\"ticket\",\"state\":\"open\",\"total\":10000,\"sold\":3588,"
    "\"left\":6412,\"node_sold\":1201,\"node_held\":37,\"local_stock\":1500,\"refused\":91200,"
    "\"orders\":{\"granted\":1300,\"paid\":1201,\"cancelled\":40,\"expired\":22,\"late\":3,"
    "\"late_refused\":2},\"granted_tickets\":1500,\"waits_for\":[3,65535]},"
    "{\"name\":\"vip_2-a\",\"state\":\"waiting\",\"total\":5,\"sold\":0,\"left\":5,"
    "\"node_sold\":0,\"node_held\":0,\"local_stock\":null,\"refused\":1}],"
    "\"http\":{\"requests\":99,\"connections\":8,\"connections_max\":100,"
    "\"answers\":{\"2xx\":90,\"4xx\":6,\"5xx\":3}},"
    "\"latency_us\":{\"p50\":310,\"p99\":2400,\"max\":9000,\"buckets\":[[100,5],[200,60],[400,1]]},"
    "\"redis\":{\"state\":\"up\",\"rtt_us\":400,\"reconnects\":2},"
    "\"journal\":{\"records\":2600,\"used_bytes\":4096,\"size_bytes\":65536,"
    "\"commit_p99_us\":700},"
    "\"memory\":{\"arena_bytes\":1000,\"rss_bytes\":2000,"
    "\"pools\":[{\"name\":\"connections\",\"used\":8,\"size\":100}],"
    "\"plan\":[{\"name\":\"connections\",\"bytes\":51200},{\"name\":\"rings\",\"bytes\":64}]},"
    "\"workers\":[{\"name\":\"worker-1\",\"requests\":60,\"connections\":5,\"p50\":300,"
    "\"p99\":2000,\"max\":9000},{\"name\":\"worker-2\",\"requests\":39,\"connections\":3,"
    "\"p50\":320,\"p99\":2500,\"max\":8000}]}";

static struct stats s;
static struct fault f;

/* From memory of exactly that size, so that the sanitizer sees a byte too far. */
static bool parse_bytes(const char *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    f.text[0] = '\0';
    bool good = stats_parse(&s, copy, len, &f);
    free(copy);
    return good;
}

static bool parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void must_parse(const char *text)
{
    if (!parse(text))
        fail_msg("refused: %s\n%s", f.text, text);
}

static void must_refuse(const char *text, const char *why)
{
    if (parse(text))
        fail_msg("taken: %s", text);
    if (strcmp(f.text, why) != 0)
        fail_msg("fault: %s\nnot:   %s\nof %s", f.text, why, text);
}

static void reads_every_field(void **state)
{
    (void)state;
    must_parse(full);
    assert_int_equal(s.node, 7);
    assert_int_equal(s.pid, 4711);
    assert_string_equal(s.version, "0.1.0");
    assert_string_equal(s.state, "up");
    assert_int_equal(s.uptime_s, 12);
    assert_int_equal(s.time_ms, 1764000000123);
    assert_int_equal(s.requests, 99);
    assert_int_equal(s.connections, 8);
    assert_int_equal(s.connections_max, 100);
    assert_int_equal(s.answers_2xx, 90);
    assert_int_equal(s.answers_4xx, 6);
    assert_int_equal(s.answers_5xx, 3);
    assert_string_equal(s.redis, "up");
    assert_int_equal(s.redis_rtt_us, 400);
    assert_int_equal(s.redis_reconnects, 2);
    assert_int_equal(s.journal_records, 2600);
    assert_int_equal(s.journal_used_bytes, 4096);
    assert_int_equal(s.journal_size_bytes, 65536);
    assert_int_equal(s.commit_p99_us, 700);
    assert_int_equal(s.arena_bytes, 1000);
    assert_int_equal(s.rss_bytes, 2000);
}

static void reads_every_event(void **state)
{
    (void)state;
    must_parse(full);
    assert_int_equal(s.event_count, 2);
    const struct stats_event *e = &s.events[0];
    assert_string_equal(e->name, "ticket");
    assert_string_equal(e->state, "open");
    assert_int_equal(e->total, 10000);
    assert_int_equal(e->sold, 3588);
    assert_int_equal(e->left, 6412);
    assert_int_equal(e->node_sold, 1201);
    assert_int_equal(e->node_held, 37);
    assert_true(e->has_cap);
    assert_int_equal(e->local_stock, 1500);
    assert_int_equal(e->refused, 91200);
    assert_int_equal(e->granted, 1300);
    assert_int_equal(e->paid, 1201);
    assert_int_equal(e->cancelled, 40);
    assert_int_equal(e->expired, 22);
    assert_int_equal(e->late, 3);
    assert_int_equal(e->late_refused, 2);
    assert_true(e->has_granted_tickets);
    assert_int_equal(e->granted_tickets, 1500);
    assert_int_equal(e->waits, 2);
    assert_int_equal(e->waits_for[0], 3);
    assert_int_equal(e->waits_for[1], 65535);
    assert_false(s.events[1].has_granted_tickets);
    assert_int_equal(s.events[1].waits, 0);
    assert_string_equal(s.events[1].name, "vip_2-a");
    assert_false(s.events[1].has_cap);
    assert_int_equal(s.events[1].refused, 1);
}

static void reads_every_list(void **state)
{
    (void)state;
    must_parse(full);
    assert_int_equal(s.p50_us, 310);
    assert_int_equal(s.p99_us, 2400);
    assert_int_equal(s.max_us, 9000);
    assert_int_equal(s.buckets, 3);
    assert_int_equal(s.bucket_us[1], 200);
    assert_int_equal(s.bucket_count[1], 60);
    assert_int_equal(s.pool_count, 1);
    assert_string_equal(s.pools[0].name, "connections");
    assert_int_equal(s.pools[0].used, 8);
    assert_int_equal(s.pools[0].size, 100);
    assert_int_equal(s.plan_count, 2);
    assert_int_equal(s.plan[0].size, 51200);
    assert_string_equal(s.plan[1].name, "rings");
    assert_int_equal(s.worker_count, 2);
    assert_string_equal(s.workers[1].name, "worker-2");
    assert_int_equal(s.workers[1].requests, 39);
    assert_int_equal(s.workers[1].connections, 3);
    assert_int_equal(s.workers[1].p50_us, 320);
    assert_int_equal(s.workers[1].p99_us, 2500);
    assert_int_equal(s.workers[1].max_us, 8000);
}

static void missing_fields_are_zero(void **state)
{
    (void)state;
    must_parse("{\"node\":1}");
    assert_int_equal(s.event_count, 0);
    assert_int_equal(s.requests, 0);
    assert_string_equal(s.redis, "");
    must_parse(" \t\r\n{ \"events\" : [ { \"name\" : \"a\" } ] , \"node\" : 1 }\n ");
    assert_int_equal(s.event_count, 1);
    assert_false(s.events[0].has_cap);
    must_parse("{\"node\":1,\"events\":[],\"http\":{},\"memory\":{\"pools\":[]}}");
}

/* A newer node may report more, in any shape; but it must be JSON. */
static void unknown_fields_are_ignored(void **state)
{
    (void)state;
    must_parse("{\"node\":1,\"x\":null,\"y\":[1,-2.5e+7,true,false,\"\\u00e4\\n\",{\"z\":[[],{}]}],"
               "\"z\":0.0,\"x\":1E5,\"\":\"\"}");
    must_parse("{\"node\":1,\"redis\":{\"state\":\"up\",\"more\":{\"state\":5}},"
               "\"events\":[{\"name\":\"a\",\"more\":[]}]}");
    must_refuse("{\"node\":1,\"x\":nul}", "not JSON");
    must_refuse("{\"node\":1,\"x\":01}", "not JSON");
    must_refuse("{\"node\":1,\"x\":-}", "not JSON");
    must_refuse("{\"node\":1,\"x\":1.}", "not JSON");
    must_refuse("{\"node\":1,\"x\":1e}", "not JSON");
    must_refuse("{\"node\":1,\"x\":.5}", "not JSON");
    must_refuse("{\"node\":1,\"x\":+5}", "not JSON");
    must_refuse("{\"node\":1,\"x\":True}", "not JSON");
    must_refuse("{\"node\":1,\"x\":[1,]}", "not JSON");
    must_refuse("{\"node\":1,\"x\":[,1]}", "not JSON");
    must_refuse("{\"node\":1,\"x\":[1 2]}", "not JSON");
    must_refuse("{\"node\":1,\"x\":[1:2]}", "not JSON");
    must_refuse("{\"node\":1,\"x\":{1:2}}", "not JSON");
    must_refuse("{\"node\":1,\"x\":{\"a\"}}", "not JSON");
    must_refuse("{\"node\":1,\"x\" \"y\"}", "not JSON");
    must_refuse("{\"node\":1,\"x\",\"y\"}", "not JSON");
    must_refuse("{\"node\":1,\"x\":{\"a\":}}", "not JSON");
    must_refuse("{\"node\":1,\"x\":{\"a\":1,}}", "not JSON");
    must_refuse("{\"node\":1,\"x\":\"\x01\"}", "not JSON");
    must_refuse("{\"node\":1,\"x\":\"\\x\"}", "not JSON");
    must_refuse("{\"node\":1,\"x\":\"\\u12g4\"}", "not JSON");
}

static void text_that_is_not_json_is_refused(void **state)
{
    (void)state;
    must_refuse("", "empty");
    must_refuse(" \n", "empty");
    must_refuse("<html>", "not JSON");
    must_refuse("[]", "not JSON");
    must_refuse("1", "not JSON");
    must_refuse("null", "not JSON");
    must_refuse("}", "not JSON");
    must_refuse("{]", "not JSON");
    must_refuse("{", "half a JSON");
    must_refuse("{\"node\":1", "half a JSON");
    must_refuse("{\"node\":1,\"version\":\"0.", "half a JSON");
    must_refuse("{\"node\" 1}", "not JSON");
    must_refuse("{\"node\"::1}", "not JSON");
    must_refuse("{\"node\":1,}", "not JSON");
    must_refuse("{,\"node\":1}", "not JSON");
    must_refuse("{\"node\":1 \"state\":\"up\"}", "not JSON");
    must_refuse("{node:1}", "not JSON");
    must_refuse("{'node':1}", "not JSON");
    must_refuse("{\"node\":1}{\"node\":1}", "bytes after the JSON");
    must_refuse("{\"node\":1} 5 ", "bytes after the JSON");
    must_refuse("{\"node\":1},", "bytes after the JSON");
    must_refuse("{}", "no node's /stats");
    must_refuse("{\"code\":-404,\"msg\":\"not found\",\"data\":null}", "no node's /stats");
    must_refuse("{\"node\":0}", "no node's /stats");
    must_refuse("{\"node\":65536}", "no node's /stats");
    assert_false(parse_bytes("{\"node\":1}\0", 11));
    assert_false(parse_bytes("{\"node\"\0:1}", 11));
}

static void wrong_types_are_named(void **state)
{
    (void)state;
    must_refuse("{\"node\":\"1\"}", "node: not a number");
    must_refuse("{\"node\":null}", "node: not a number");
    must_refuse("{\"node\":true}", "node: not a number");
    must_refuse("{\"node\":[1]}", "node: not a number");
    must_refuse("{\"node\":-1}", "node: not a whole number");
    must_refuse("{\"node\":1.0}", "node: not a whole number");
    must_refuse("{\"node\":1e2}", "node: not a whole number");
    must_refuse("{\"node\":01}", "not JSON");
    must_refuse("{\"node\":1,\"state\":5}", "state: not a string");
    must_refuse("{\"node\":1,\"events\":{}}", "events: not a list");
    must_refuse("{\"node\":1,\"events\":[5]}", "events[0]: not an object");
    must_refuse("{\"node\":1,\"http\":[]}", "http: not an object");
    must_refuse("{\"node\":1,\"http\":{\"answers\":{\"5xx\":\"\"}}}",
                "http.answers.5xx: not a number");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a\"},{\"name\":\"b\",\"total\":\"x\"}]}",
                "events[1].total: not a number");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a\",\"orders\":{\"late\":{}}}]}",
                "events[0].orders.late: not a number");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a\",\"local_stock\":\"\"}]}",
                "events[0].local_stock: not a number");
    must_refuse("{\"node\":1,\"memory\":{\"plan\":[{},{\"bytes\":-5}]}}",
                "memory.plan[1].bytes: not a whole number");
}

static void numbers_end_at_two_to_the_63(void **state)
{
    (void)state;
    must_parse("{\"node\":1,\"uptime_s\":9223372036854775808}");
    assert_true(s.uptime_s == UINT64_C(1) << 63);
    must_refuse("{\"node\":1,\"uptime_s\":9223372036854775809}", "uptime_s: too large");
    must_refuse("{\"node\":1,\"uptime_s\":18446744073709551617}", "uptime_s: too large");
    must_refuse("{\"node\":1,\"uptime_s\":99999999999999999999999999}", "uptime_s: too large");
}

static void strings_fit_and_are_plain(void **state)
{
    (void)state;
    must_parse("{\"node\":1,\"state\":\"fifteen letters\"}");
    must_refuse("{\"node\":1,\"state\":\"sixteen letters!\"}", "state: too long");
    must_refuse("{\"node\":1,\"state\":\"\\u001b[2J\"}", "state: not plain text");
    must_refuse("{\"node\":1,\"state\":\"\xc2\x9b\"}", "state: not plain text");
    must_refuse("{\"node\":1,\"state\":\"a\x7f\"}", "state: not plain text");
    must_refuse("{\"node\":1,\"state\":\"\x1b[2J\"}", "not JSON");
    must_parse("{\"node\":1,\"events\":[{\"name\":\"a23456789b123456789c123456789d12\"}]}");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a23456789b123456789c123456789d123\"}]}",
                "events[0].name: too long");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a&b\"}]}", "events[0].name: no event's name");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"\"}]}", "events[0].name: no event's name");
    must_refuse("{\"node\":1,\"events\":[{}]}", "events[0]: no name");
}

static void no_field_stands_twice(void **state)
{
    (void)state;
    must_refuse("{\"node\":1,\"node\":1}", "node: there twice");
    must_refuse("{\"node\":1,\"http\":{},\"http\":{}}", "http: there twice");
    must_refuse("{\"node\":1,\"redis\":{\"rtt_us\":1,\"rtt_us\":2}}", "redis.rtt_us: there twice");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"a\"}]}",
                "events[2].name: there twice");
}

static void buckets_are_rising_pairs(void **state)
{
    (void)state;
    must_parse("{\"node\":1,\"latency_us\":{\"buckets\":[]}}");
    assert_int_equal(s.buckets, 0);
    static const char *const none[] = {"5", "[5]", "[]", "[5,6,7]", "{}"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"node\":1,\"latency_us\":{\"buckets\":[%s]}}", none[i]);
        must_refuse(text, "latency_us.buckets: not a list of pairs");
    }
    must_refuse("{\"node\":1,\"latency_us\":{\"buckets\":[[5,1],[5,1]]}}",
                "latency_us.buckets: not rising");
    must_refuse("{\"node\":1,\"latency_us\":{\"buckets\":[[5,\"\"]]}}",
                "latency_us.buckets: not a number");
}

static size_t put_many(char *out, size_t room, const char *head, const char *each, int count,
                       const char *tail)
{
    size_t at = (size_t)snprintf(out, room, "%s", head);
    for (int i = 0; i < count; i++) {
        at += (size_t)snprintf(out + at, room - at, "%s", i > 0 ? "," : "");
        for (const char *c = each; *c != '\0'; c++)
            at += (size_t)(*c == '#' ? snprintf(out + at, room - at, "%d", i + 1)
                                     : snprintf(out + at, room - at, "%c", *c));
    }
    return at + (size_t)snprintf(out + at, room - at, "%s", tail);
}

static void waits_are_numbers_of_nodes(void **state)
{
    (void)state;
    must_parse("{\"node\":1,\"events\":[{\"name\":\"a\",\"waits_for\":[]}]}");
    assert_int_equal(s.events[0].waits, 0);
    must_parse("{\"node\":1,\"events\":[{\"name\":\"a\",\"waits_for\":[1,2,3,4,5,6,7,8,9,10,11,12,"
               "13,14,15,16,17,18],"
               "\"total\":5}]}");
    assert_int_equal(s.events[0].waits, 18);
    assert_int_equal(s.events[0].waits_for[STATS_WAITS_MAX - 1], STATS_WAITS_MAX);
    assert_int_equal(s.events[0].total, 5);
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a\",\"waits_for\":3}]}",
                "events[0].waits_for: not a list");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a\",\"waits_for\":[\"3\"]}]}",
                "events[0].waits_for: not a number");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a\",\"waits_for\":[0]}]}",
                "events[0].waits_for: no node's number");
    must_refuse("{\"node\":1,\"events\":[{\"name\":\"a\",\"waits_for\":[65536]}]}",
                "events[0].waits_for: no node's number");
}

static void lists_are_bounded(void **state)
{
    (void)state;
    static char text[STATS_BYTES_MAX];
    put_many(text, sizeof text, "{\"node\":1,\"events\":[", "{\"name\":\"e#\"}", EVENTS_MAX, "]}");
    must_parse(text);
    assert_int_equal(s.event_count, EVENTS_MAX);
    put_many(text, sizeof text, "{\"node\":1,\"events\":[", "{\"name\":\"e#\"}", EVENTS_MAX + 1,
             "]}");
    must_refuse(text, "events: too many");
    put_many(text, sizeof text, "{\"node\":1,\"workers\":[", "{\"name\":\"w#\"}", WORKERS_MAX + 9,
             "]}");
    must_parse(text);
    assert_int_equal(s.worker_count, WORKERS_MAX);
    assert_string_equal(s.workers[WORKERS_MAX - 1].name, "w64");
    put_many(text, sizeof text, "{\"node\":1,\"memory\":{\"pools\":[", "{\"name\":\"p#\"}",
             STATS_POOLS_MAX + 1, "],\"rss_bytes\":5}}");
    must_parse(text);
    assert_int_equal(s.pool_count, STATS_POOLS_MAX);
    assert_int_equal(s.rss_bytes, 5);
    put_many(text, sizeof text, "{\"node\":1,\"latency_us\":{\"buckets\":[", "[#,1]",
             STATS_BUCKETS_MAX + 1, "]}}");
    must_parse(text);
    assert_int_equal(s.buckets, STATS_BUCKETS_MAX);
}

/* The largest node there can be, each number as long as it gets. */
static void the_largest_answer_fits(void **state)
{
    (void)state;
    static char events[STATS_BYTES_MAX], workers[STATS_BYTES_MAX], text[STATS_BYTES_MAX];
#define N "9223372036854775808"
    put_many(events, sizeof events, "\"events\":[",
             "{\"name\":\"a23456789b123456789c1234567890##\",\"state\":\"soldout\",\"total\":" N
             ",\"sold\":" N ",\"left\":" N ",\"node_sold\":" N ",\"node_held\":" N
             ",\"local_stock\":" N ",\"refused\":" N ",\"orders\":{\"granted\":" N ",\"paid\":" N
             ",\"cancelled\":" N ",\"expired\":" N ",\"late\":" N ",\"late_refused\":" N "}}",
             9, "]");
    put_many(workers, sizeof workers, "\"workers\":[",
             "{\"name\":\"worker-#\",\"requests\":" N ",\"connections\":" N ",\"p50\":" N
             ",\"p99\":" N ",\"max\":" N "}",
             WORKERS_MAX, "]");
#undef N
    int len = snprintf(text, sizeof text, "{\"node\":1,%s,%s}", events, workers);
    assert_true(len > 0 && (size_t)len < sizeof text);
    must_parse(text);
    assert_int_equal(s.worker_count, WORKERS_MAX);
    assert_int_equal(s.event_count, 9);
}

static void depth_and_size_are_bounded(void **state)
{
    (void)state;
    static char text[STATS_BYTES_MAX + 16];
    must_parse("{\"node\":1,\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}");
    must_refuse("{\"node\":1,\"x\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", "nested too deep");
    memset(text, '[', sizeof text);
    memcpy(text, "{\"x\":", 5);
    assert_false(parse_bytes(text, STATS_BYTES_MAX));
    assert_string_equal(f.text, "too many fields");
    put_many(text, sizeof text, "{\"node\":1,\"x\":[", "0", 5000, "]}");
    must_refuse(text, "too many fields");
    memset(text, ' ', sizeof text);
    memcpy(text, "{\"node\":1}", 10);
    assert_true(parse_bytes(text, STATS_BYTES_MAX));
    assert_false(parse_bytes(text, STATS_BYTES_MAX + 1));
    assert_string_equal(f.text, "too long");
}

/* Wherever the connection was cut off. */
static void no_part_of_an_answer_is_accepted(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof full - 1; len++) {
        assert_false(parse_bytes(full, len));
        assert_true(f.text[0] != '\0' && strlen(f.text) < 60);
    }
}

/* A flipped byte may make other figures, but never a state that breaks its bounds. */
static void damage_is_refused_or_stays_in_bounds(void **state)
{
    (void)state;
    static char text[sizeof full];
    for (size_t at = 0; at < sizeof full - 1; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(text, full, sizeof full);
            text[at] = (char)(text[at] ^ (1 << bit));
            if (!parse_bytes(text, sizeof full - 1))
                continue;
            assert_true(s.event_count <= EVENTS_MAX && s.worker_count <= WORKERS_MAX);
            assert_non_null(memchr(s.state, '\0', sizeof s.state));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_field),
        cmocka_unit_test(reads_every_event),
        cmocka_unit_test(reads_every_list),
        cmocka_unit_test(missing_fields_are_zero),
        cmocka_unit_test(unknown_fields_are_ignored),
        cmocka_unit_test(text_that_is_not_json_is_refused),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(numbers_end_at_two_to_the_63),
        cmocka_unit_test(strings_fit_and_are_plain),
        cmocka_unit_test(no_field_stands_twice),
        cmocka_unit_test(buckets_are_rising_pairs),
        cmocka_unit_test(waits_are_numbers_of_nodes),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(the_largest_answer_fits),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(no_part_of_an_answer_is_accepted),
        cmocka_unit_test(damage_is_refused_or_stays_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
