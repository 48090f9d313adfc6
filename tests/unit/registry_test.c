/*
 * Why: the console finds the nodes by what is registered in Redis, and programs of other versions
 * and operators write there too. A node must be found once, at its latest address, whatever else
 * the hash holds; and a Redis that does not answer must not block the console.
 */
/* needs: storage/stock/registry.c storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c
 *        conf/base/check.c tests/lib/redis_fixture.c -lhiredis */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/clock.h"
#include "storage/stock/registry.h"
#include "tests/lib/redis_fixture.h"

#define TICKET     "{ticket_hash_key}:nodes"
#define SEATS      "{seats_hash_key}:nodes"
#define TIMEOUT_US 2000000u

static struct redis_fixture redis;
static struct conf conf;
static struct registry found;
static struct fault f;

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_un *at = &conf.redis.to.local;
    redis_fixture_start(&redis);
    conf.event_count = 2;
    strcpy(conf.events[0].name, "ticket");
    strcpy(conf.events[1].name, "seats");
    snprintf(conf.redis.text, sizeof conf.redis.text, "unix:%s", redis.socket);
    at->sun_family = AF_UNIX;
    strcpy(at->sun_path, redis.socket);
    conf.redis.len = sizeof *at;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    redis_fixture_stop(&redis);
    return 0;
}

static void read_nodes(void)
{
    if (!registry_read(&conf, TIMEOUT_US, &found, &f))
        fail_msg("%s", f.text);
}

static const char *address_of(uint16_t node)
{
    const char *address = NULL;
    for (uint32_t i = 0; i < found.count; i++) {
        if (found.nodes[i].node != node)
            continue;
        assert_null(address); /* each once */
        address = found.nodes[i].address;
    }
    return address != NULL ? address : "nowhere";
}

static void test_nothing_yet(void **state)
{
    (void)state;
    read_nodes();
    assert_int_equal(found.count, 0);
}

static void test_nodes_of_all_events(void **state)
{
    (void)state;
    redis_fixture_do(&redis, "HSET " TICKET " 1 %s 4 %s", "web1:3901 1 5 0 1000",
                     "unix:/run/s.sock 12 0 3 1000");
    redis_fixture_do(&redis, "HSET " SEATS " 1 %s 3 %s", "web1:3901 1 5 0 1000",
                     "[::1]:3903 1 0 0 1000");
    read_nodes();
    assert_int_equal(found.count, 3);
    assert_string_equal(address_of(1), "web1:3901");
    assert_string_equal(address_of(3), "[::1]:3903");
    assert_string_equal(address_of(4), "unix:/run/s.sock");
}

static void test_the_latest_beat_is_right(void **state)
{
    (void)state;
    redis_fixture_do(&redis, "HSET " TICKET " 1 %s 2 %s 3 %s", "old:1 1 0 0 1000",
                     "new:2 1 0 0 2000", "moved:3 1 0 0 1000");
    redis_fixture_do(&redis, "HSET " SEATS " 1 %s 2 %s 5 %s", "new:1 2 0 0 2000",
                     "old:2 1 0 0 1000", "moved:3 1 0 0 2000");
    read_nodes();
    assert_int_equal(found.count, 3);
    assert_string_equal(address_of(1), "new:1");
    assert_string_equal(address_of(2), "new:2");
    assert_string_equal(address_of(3), "nowhere"); /* its address is node 5's by now */
    assert_string_equal(address_of(5), "moved:3");
}

static void test_what_is_no_entry_is_passed_over(void **state)
{
    static const char *const values[] = {
        "",
        "-",
        "- 1 0 0 5",
        "a:1",
        "a:1 1 0 0",
        "a:1 1 0 0 ",
        "a:1 1 0 0 x",
        "a:1 1 0 0 -5",
        "a:1  1 0 0 5",
        "a:1 1 0 0 5 6",
        " 1 0 0 5",
        "a:1 1 0 0 5\n",
        "a:1 1 0 0 99999999999999999999",
    };
    static const char *const fields[] = {"told", "told:1", "0", "65536", "-1", "1x", ""};
    char long_one[400];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        redis_fixture_do(&redis, "HSET " TICKET " %d %s", 100 + (int)i, values[i]);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        redis_fixture_do(&redis, "HSET " TICKET " %s %s", fields[i], "b:1 1 0 0 5");
    memset(long_one, 'x', sizeof long_one);
    strcpy(long_one + 200, ":1 1 0 0 5");
    redis_fixture_do(&redis, "HSET " TICKET " 7 %s", long_one);
    redis_fixture_do(&redis, "HSET " TICKET " 9 %s", "c:1 1 0 0 5");
    read_nodes();
    assert_int_equal(found.count, 1);
    assert_string_equal(address_of(9), "c:1");
}

static void test_more_than_can_be(void **state)
{
    (void)state;
    for (int i = 1; i <= NODES_MAX + 20; i++) {
        char value[64];
        snprintf(value, sizeof value, "host:%d 1 0 0 5", i);
        redis_fixture_do(&redis, "HSET " TICKET " %d %s", i, value);
    }
    read_nodes();
    assert_int_equal(found.count, NODES_MAX);
}

static void test_another_type_is_said(void **state)
{
    (void)state;
    redis_fixture_do(&redis, "SET " SEATS " x");
    assert_false(registry_read(&conf, TIMEOUT_US, &found, &f));
    assert_non_null(strstr(f.text, "WRONGTYPE"));
}

static void test_redis_that_is_silent_or_gone(void **state)
{
    (void)state;
    kill(redis.pid, SIGSTOP);
    uint64_t before = clock_mono_us();
    bool answered = registry_read(&conf, 200000, &found, &f);
    uint64_t took = clock_mono_us() - before;
    kill(redis.pid, SIGCONT);
    assert_false(answered);
    assert_in_range(took, 190000, 1500000);
    strcat(conf.redis.to.local.sun_path, "x");
    assert_false(registry_read(&conf, TIMEOUT_US, &found, &f));
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_nothing_yet),
        T(test_nodes_of_all_events),
        T(test_the_latest_beat_is_right),
        T(test_what_is_no_entry_is_passed_over),
        T(test_more_than_can_be),
        T(test_another_type_is_said),
        T(test_redis_that_is_silent_or_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
