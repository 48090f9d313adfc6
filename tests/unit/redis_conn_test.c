/*
 * Why: everything that a node sends to Redis goes through a redis_conn. A byte that is lost between
 * two pieces of a command changes its meaning; and a connection that crashes or hangs when there is
 * no memory, or when the peer fails, takes the node with it.
 */
/* needs: storage/stock/redis_conn.c conf/base/arena.c conf/base/fault.c conf/base/check.c -lhiredis
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "storage/stock/redis_conn.h"

#define ARGS     8
#define LONG_US  5000000u
#define SHORT_US 20000u
#define BIG      (8 * REDIS_CONN_BUFFER) /* fits into a socket that is not read */

static char big[BIG], wire[2 * BIG];
static struct conf_addr addr;
static struct redis_conn *c;
static struct fault f;
static char dir[] = "/tmp/spike-conn-XXXXXX";
static int listener, peer;

/* ---- an allocator that fails on request ----------------------------------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#ifndef SANITIZED /* which has an allocator of its own */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);

static int until_it_fails = -1; /* calls; below 0: never */
static int blocks;              /* allocated and not freed */

static bool fails(void)
{
    return until_it_fails >= 0 && until_it_fails-- == 0;
}

static void *count(void *block)
{
    blocks += block != NULL;
    return block;
}

void *malloc(size_t size)
{
    return fails() ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : count(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
    void *block = fails() ? NULL : __libc_realloc(old, size);
    blocks += old == NULL && block != NULL;
    return block;
}

void free(void *block)
{
    blocks -= block != NULL;
    __libc_free(block);
}
#endif

/* ---- a connection and its peer -------------------------------------------------------------- */

static void open_conn(void)
{
    if (!redis_conn_open(c, clock_mono_us() + LONG_US, &f))
        fail_msg("%s", f.text);
    peer = accept(listener, NULL, NULL);
    assert_true(peer >= 0);
}

static int set_up(void **state)
{
    struct sockaddr_un *at = &addr.to.local;
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    at->sun_family = AF_UNIX;
    snprintf(at->sun_path, sizeof at->sun_path, "%s/sock", dir);
    snprintf(addr.text, sizeof addr.text, "unix:%.80s", at->sun_path);
    addr.len = sizeof *at;
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, &addr.to.any, addr.len), 0);
    assert_int_equal(listen(listener, 8), 0);
    c = redis_conn_create(&addr, ARGS);
    assert_non_null(c);
    assert_string_equal(redis_conn_name(c), addr.text);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7 + i / 251);
    open_conn();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    redis_conn_destroy(c);
    close(peer);
    close(listener);
    unlink(addr.to.local.sun_path);
    rmdir(dir);
    return 0;
}

static void begin(const char *word)
{
    redis_conn_begin(c);
    redis_conn_add_text(c, word);
}

static bool send_by(uint32_t us)
{
    return redis_conn_send(c, clock_mono_us() + us, &f);
}

static redisReply *receive_by(uint32_t us)
{
    return redis_conn_receive(c, clock_mono_us() + us, &f);
}

static void peer_says(const char *bytes, size_t len)
{
    assert_int_equal(write(peer, bytes, len), len);
}

/* The peer receives exactly these bytes. */
static void peer_hears(const char *bytes, size_t len)
{
    size_t got = 0;
    assert_true(len <= sizeof wire);
    while (got < len) {
        ssize_t n = read(peer, wire + got, len - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_memory_equal(wire, bytes, len);
    assert_int_equal(recv(peer, wire, 1, MSG_DONTWAIT), -1);
}

static void failed_with(bool is_good, const char *words)
{
    assert_false(is_good);
    assert_false(redis_conn_is_open(c));
    assert_non_null(strstr(f.text, addr.text));
    if (strstr(f.text, words) == NULL)
        fail_msg("%s", f.text);
}

/* ---- commands ------------------------------------------------------------------------------- */

static void test_a_command(void **state)
{
    static const char said[] = "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$6\r\n\0\r\n$1\n\r\n$2\r\n-7\r\n";
    (void)state;
    begin("SET");
    redis_conn_add(c, "", 0);
    redis_conn_add(c, "\0\r\n$1\n", 6);
    redis_conn_add_number(c, -7);
    assert_true(send_by(LONG_US));
    peer_hears(said, sizeof said - 1);
}

static void test_numbers(void **state)
{
    static const int64_t all[] = {0, 9, 10, -1, 1000000007, INT64_MAX, INT64_MIN};
    static char said[512];
    (void)state;
    int at = snprintf(said, sizeof said, "*%zu\r\n", ARRAY_LEN(all));
    redis_conn_begin(c);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        int len = snprintf(NULL, 0, "%" PRId64, all[i]);
        at += snprintf(said + at, sizeof said - (size_t)at, "$%d\r\n%" PRId64 "\r\n", len, all[i]);
        redis_conn_add_number(c, all[i]);
    }
    assert_true(send_by(LONG_US));
    peer_hears(said, (size_t)at);
}

/* Replacing an argument leaves those around it unchanged. */
static void test_an_argument_is_replaced(void **state)
{
    static const char said[] = "*3\r\n$4\r\nEVAL\r\n$6\r\nreturn\r\n$1\r\n0\r\n";
    (void)state;
    begin("EVALSHA");
    redis_conn_add_text(c, "0123456789");
    redis_conn_add_number(c, 0);
    redis_conn_replace(c, 0, "EVAL");
    redis_conn_replace(c, 1, "return");
    assert_true(send_by(LONG_US));
    peer_hears(said, sizeof said - 1);
}

/* Commands whose arguments end before, at and behind the ends of the pieces that are sent. */
static void test_longer_than_a_piece(void **state)
{
    static char said[2 * BIG];
    (void)state;
    for (size_t len = REDIS_CONN_BUFFER - 64; len < BIG;
         len += len < REDIS_CONN_BUFFER + 16 ? 1 : 9973) {
        int head = snprintf(said, sizeof said, "*3\r\n$1\r\nX\r\n$%zu\r\n", len);
        memcpy(said + head, big, len);
        memcpy(said + head + len, "\r\n$1\r\nY\r\n", 9);
        begin("X");
        redis_conn_add(c, big, len);
        redis_conn_add_text(c, "Y");
        assert_true(send_by(LONG_US));
        peer_hears(said, (size_t)head + len + 9);
    }
}

static void test_a_peer_that_does_not_read(void **state)
{
    (void)state;
    begin("X");
    for (int i = 1; i < ARGS; i++)
        redis_conn_add(c, big, sizeof big);
    failed_with(send_by(SHORT_US), "no progress within redis-timeout");
}

static void test_a_peer_that_is_gone(void **state)
{
    (void)state;
    close(peer);
    begin("X");
    failed_with(send_by(LONG_US), "write: ");
    peer = -1;
}

/* ---- replies -------------------------------------------------------------------------------- */

static void test_a_long_reply(void **state)
{
    char head[32];
    (void)state;
    int len = snprintf(head, sizeof head, "*2\r\n:7\r\n$%zu\r\n", sizeof big);
    peer_says(head, (size_t)len);
    peer_says(big, sizeof big);
    peer_says("\r\n+next\r\n", 9);
    redisReply *reply = receive_by(LONG_US);
    assert_non_null(reply);
    assert_int_equal(reply->elements, 2);
    assert_int_equal(reply->element[0]->integer, 7);
    assert_int_equal(reply->element[1]->len, sizeof big);
    assert_memory_equal(reply->element[1]->str, big, sizeof big);
    freeReplyObject(reply);
    reply = receive_by(LONG_US);
    assert_non_null(reply);
    assert_string_equal(reply->str, "next");
    freeReplyObject(reply);
}

static void test_half_a_reply(void **state)
{
    (void)state;
    peer_says("*2\r\n:7\r\n", 8);
    failed_with(receive_by(SHORT_US) != NULL, "none within redis-timeout");
}

static void test_an_end_within_a_reply(void **state)
{
    (void)state;
    peer_says("*2\r\n:7\r\n", 8);
    shutdown(peer, SHUT_WR);
    failed_with(receive_by(LONG_US) != NULL, "closed the connection");
}

static void test_what_is_no_reply(void **state)
{
    (void)state;
    peer_says("HTTP/1.1 400\r\n", 14);
    failed_with(receive_by(LONG_US) != NULL, "Protocol error");
}

/* ---- no memory ------------------------------------------------------------------------------ */

#ifndef SANITIZED
/* So much that the parser's buffer grows meanwhile. */
static void peer_answers(void)
{
    static const char reply[] = "*5\r\n$2\r\nOK\r\n:1\r\n*2\r\n+yes\r\n$-1\r\n-ERR no\r\n";
    char head[32];
    peer_says(reply, sizeof reply - 1);
    int len = snprintf(head, sizeof head, "$%d\r\n", 3 * REDIS_CONN_BUFFER);
    peer_says(head, (size_t)len);
    peer_says(big, 3 * REDIS_CONN_BUFFER);
    peer_says("\r\n", 2);
}

static bool call(void)
{
    peer_answers();
    begin("X");
    redis_conn_add(c, big, 2 * REDIS_CONN_BUFFER);
    redisReply *reply = redis_conn_call(c, clock_mono_us() + LONG_US, &f);
    if (reply != NULL)
        assert_int_equal(reply->elements, 5);
    freeReplyObject(reply);
    return reply != NULL;
}

/* Opens and calls twice, and the Nth call of the allocator fails; true: there are fewer. */
static bool works_without(int n)
{
    until_it_fails = n;
    bool is_open = redis_conn_open(c, clock_mono_us() + LONG_US, &f);
    peer = accept(listener, NULL, NULL);
    bool is_good = is_open && call() && call();
    bool has_failed = until_it_fails < 0;
    until_it_fails = -1;
    if (has_failed)
        failed_with(is_good, "memory");
    else
        assert_true(is_good);
    return !has_failed;
}

static void test_no_memory(void **state)
{
    int n = 0;
    bool is_good;
    (void)state;
    redis_conn_close(c);
    close(peer);
    do {
        int before = blocks;
        is_good = works_without(n++);
        redis_conn_close(c);
        close(peer);
        assert_int_equal(blocks, before);
    } while (!is_good);
    assert_in_range(n, 10, 100);
    open_conn();
}

static void test_sending_takes_no_memory(void **state)
{
    (void)state;
    begin("X");
    redis_conn_add(c, big, sizeof big);
    redis_conn_add_number(c, 1);
    until_it_fails = 0;
    assert_true(send_by(LONG_US));
    assert_int_equal(until_it_fails, 0);
    until_it_fails = -1;
}
#endif

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_command),
        T(test_numbers),
        T(test_an_argument_is_replaced),
        T(test_longer_than_a_piece),
        T(test_a_peer_that_does_not_read),
        T(test_a_peer_that_is_gone),
        T(test_a_long_reply),
        T(test_half_a_reply),
        T(test_an_end_within_a_reply),
        T(test_what_is_no_reply),
#ifndef SANITIZED
        T(test_no_memory),
        T(test_sending_takes_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
