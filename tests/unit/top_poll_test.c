/*
 * Why: on sale night some node is always in trouble, and the console must show which one and how. A
 * node that answers garbage, half a JSON, ten megabytes or nothing must cost its own row and
 * nothing else: no wait, no crash, no memory, and no other row.
 */
/* needs: admin-tui/feed.c admin-tui/client/poll.c admin-tui/client/http.c
 * admin-tui/client/http_head.c admin-tui/client/buffers.c admin-tui/client/endpoint.c
 * admin-tui/model/stats.c admin-tui/client/json.c conf/base/fault.c conf/base/check.c -lev */
#include "tests/unit/top_fake_nodes.h"

/* A node that answers this, once, and then a correct answer: the first one has left no trace. */
static void expect(const struct script *s, uint64_t timeout_us, const char *why)
{
    script = *s;
    answered = failed = 0;
    if (model.node_count == 0)
        add(address);
    run_round(timeout_us);
    if (why == NULL && failed > 0)
        fail_msg("'%.60s': %s", s->bytes, last_why);
    assert_int_equal(answered, why == NULL);
    assert_int_equal(failed, why != NULL);
    if (why != NULL)
        assert_string_equal(last_why, why);
    script = (struct script){.bytes = GOOD, .len = sizeof GOOD - 1};
    run_round(PATIENT_US);
    assert_int_equal(model.nodes[0].state, MODEL_UP);
    assert_int_equal(model.nodes[0].number, 7);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_asks_as_the_server_wants_it(void **state)
{
    (void)state;
    add(address);
    run_round(PATIENT_US);
    assert_int_equal(answered, 1);
    assert_int_equal(last_stats.node, 7);
    assert_string_equal(last_request, "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

static void test_the_connection_is_kept(void **state)
{
    (void)state;
    add(address);
    for (int i = 0; i < 5; i++)
        run_round(PATIENT_US);
    assert_int_equal(answered, 5);
    assert_int_equal(accepted, 1);
}

static void test_a_connection_that_went_stale_is_no_failure(void **state)
{
    (void)state;
    add(address);
    script.stale = true;
    for (int i = 0; i < 4; i++)
        run_round(PATIENT_US);
    assert_int_equal(answered, 4);
    assert_int_equal(failed, 0);
    assert_int_equal(accepted, 4);
    script.then = SHUT; /* ... or was closed in between */
    for (int i = 0; i < 4; i++)
        run_round(PATIENT_US);
    assert_int_equal(answered, 8);
}

static void test_connection_close_is_obeyed(void **state)
{
    static const char bytes[] = OK_HEAD "Connection: close\r\nContent-Length: 23\r\n\r\n" BODY;
    (void)state;
    add(address);
    script.bytes = bytes;
    script.len = sizeof bytes - 1;
    for (int i = 0; i < 3; i++)
        run_round(PATIENT_US);
    assert_int_equal(answered, 3);
    assert_int_equal(accepted, 3);
}

static void test_any_pieces_are_one_answer(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof GOOD; piece++)
        expect(&(struct script){.bytes = GOOD, .len = sizeof GOOD - 1, .piece = piece}, PATIENT_US,
               NULL);
}

#define SICK(text, after, why)                                             \
    {                                                                      \
        {.bytes = (text), .len = sizeof(text) - 1, .then = (after)}, (why) \
    }

static void test_every_failure_has_its_reason(void **state)
{
    static const struct {
        struct script script;
        const char *why;
    } cases[] = {
        SICK("", SHUT, "closed, no answer"),
        SICK("", RESET, "connection reset"),
        SICK("", KEEP, "timed out"),
        SICK("", DEAF, "timed out"),
        SICK("hello", KEEP, "garbage"),
        SICK("\0\0\0\0", KEEP, "garbage"),
        SICK("HTTP/1.1 200 OK\n\n", KEEP, "garbage"),
        SICK("HTTP/2 200 OK\r\n\r\n", KEEP, "garbage"),
        SICK("HTTP/1.1 20 OK\r\n\r\n", KEEP, "garbage"),
        SICK("HTTP/1.1 2000 OK\r\n\r\n", KEEP, "garbage"),
        SICK("HTTP/1.1 100 Go on\r\n\r\n" GOOD, KEEP, "status 100"),
        SICK("HTTP/1.1 200", SHUT, "half an answer"),
        SICK("HTTP/1.1 200 OK\r\n", KEEP, "timed out"),
        SICK(OK_HEAD "\r\n" BODY, SHUT, "garbage: no length"),
        SICK(OK_HEAD "no colon\r\n\r\n", KEEP, "garbage"),
        SICK(OK_HEAD "a: b\rc\r\n\r\n", KEEP, "garbage"),
        SICK(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello", KEEP, "garbage: chunked"),
        SICK(OK_HEAD "Content-Length: 23\r\ncontent-length: 23\r\n\r\n" BODY, KEEP, "garbage"),
        SICK(OK_HEAD "Content-Length: -1\r\n\r\n", KEEP, "garbage"),
        SICK(OK_HEAD "Content-Length: 0x17\r\n\r\n" BODY, KEEP, "garbage"),
        SICK(OK_HEAD "Content-Length:\r\n\r\n" BODY, KEEP, "garbage"),
        SICK(OK_HEAD "Content-Length: 262145\r\n\r\n", KEEP, "too long"),
        SICK(OK_HEAD "Content-Length: 18446744073709551639\r\n\r\n" BODY, KEEP, "too long"),
        SICK(OK_HEAD "Content-Length: 22\r\n\r\n" BODY, KEEP, "garbage"), /* one byte too many */
        SICK(OK_HEAD "Content-Length: 24\r\n\r\n" BODY, KEEP, "timed out"),
        SICK(OK_HEAD "Content-Length: 24\r\n\r\n" BODY, SHUT, "half an answer"),
        SICK(OK_HEAD "Content-Length: 24\r\n\r\n" BODY, RESET, "connection reset"),
        SICK(OK_HEAD "Content-Length: 12\r\n\r\n{\"node\":7,\"s", KEEP, "half a JSON"),
        SICK(OK_HEAD "Content-Length: 5\r\n\r\nhello", KEEP, "not JSON"),
        SICK(OK_HEAD "Content-Length: 0\r\n\r\n", KEEP, "empty"),
        SICK("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}", KEEP, "401: token needed"),
        SICK("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n", KEEP,
             "404: not an admin address"),
        SICK("HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}", KEEP, "status 503"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect(&cases[i].script, TIMEOUT_US, cases[i].why);
}

/* The deadline is for the whole answer, not for its next byte. */
static void test_dripping_is_timed_out(void **state)
{
    (void)state;
    expect(&(struct script){.bytes = GOOD, .len = sizeof GOOD - 1, .piece = 1, .pause = 0.02},
           TIMEOUT_US, "timed out");
}

static void test_ten_megabytes_are_refused_unread(void **state)
{
    static const char *const heads[] = {
        OK_HEAD "Content-Length: 10485760\r\n\r\n", /* of body */
        OK_HEAD "X: ",                              /* of one line */
        "HTTP/1.1 200 ",
    };
    (void)state;
    char *bytes = malloc(MEGABYTES + 128);
    assert_non_null(bytes);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        memset(bytes, 'x', MEGABYTES + 128);
        memcpy(bytes, heads[i], strlen(heads[i]));
        expect(&(struct script){.bytes = bytes, .len = MEGABYTES + 128}, PATIENT_US, "too long");
    }
    memset(bytes, 0, MEGABYTES);
    expect(&(struct script){.bytes = bytes, .len = MEGABYTES}, PATIENT_US, "garbage");
    free(bytes);
}

static void test_no_server_there(void **state)
{
    (void)state;
    add(address);
    shut_port();
    run_round(PATIENT_US);
    assert_string_equal(last_why, "connection refused");
    add("unix:/nowhere/at/all");
    run_round(PATIENT_US);
    assert_string_equal(model.nodes[0].why, "connection refused");
    assert_string_equal(model.nodes[1].why, "no such socket");
}

static void test_unix_sockets(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/top_poll_XXXXXX", where[sizeof at.sun_path + 8];
    (void)state;
    shut_port();
    assert_non_null(mkdtemp(dir));
    snprintf(at.sun_path, sizeof at.sun_path, "%s/admin", dir);
    open_listener((const struct sockaddr *)&at, sizeof at);
    snprintf(where, sizeof where, "unix:%s", at.sun_path);
    add(where);
    run_round(PATIENT_US);
    unlink(at.sun_path);
    rmdir(dir);
    assert_int_equal(answered, 1);
}

/* localhost may be ::1 first, where no server listens. */
static void test_every_socket_address_of_a_name_is_tried(void **state)
{
    struct endpoint first, second;
    struct fault f = {""};
    (void)state;
    assert_true(endpoint_resolve(&first, "127.0.0.1:1", &f));
    assert_true(endpoint_resolve(&second, address, &f));
    first.to.inet[1] = second.to.inet[0];
    first.len[first.count++] = second.len[0];
    assert_true(feed_add_at(feed, "name:1", &first, &f));
    for (int i = 0; i < 3; i++)
        run_round(PATIENT_US);
    assert_int_equal(answered, 3);
    shut_port();
    assert_true(feed_add_at(feed, "name:2", &first, &f));
    run_round(PATIENT_US);
    assert_string_equal(model.nodes[1].why, "connection refused");
}

/* On the same row, even if a request to the old address is under way. */
static void test_a_node_moves(void **state)
{
    struct endpoint there;
    struct fault f = {""};
    char old[64];
    (void)state;
    script.then = DEAF;
    add(address);
    poll_round(p, PATIENT_US, 0, count_round, &rounds);
    ev_run(loop, EVRUN_NOWAIT);
    memcpy(old, address, sizeof old);
    int old_listener = listener;
    ev_io_stop(loop, &on_listener);
    script.then = KEEP;
    open_port();
    assert_true(endpoint_resolve(&there, address, &f));
    feed_move(feed, old, address, &there);
    close(old_listener); /* resets the request that was under way */
    ev_run(loop, 0);
    assert_int_equal(failed, 1);
    run_round(PATIENT_US);
    assert_int_equal(answered, 1);
    assert_string_equal(model.nodes[0].address, address);
}

static void test_addresses_are_validated(void **state)
{
    static const char *const wrong[] = {
        "",           "web1",        ":3901",       "web1:",   "web1:0",     "web1:65536",
        "web1:39x1",  "::1:3901",    "[::1]",       "[]:3901", "[::1:3901",  "unix:",
        "we b1:3901", "\x1b[2J:390", "[web1]:3901", "a:b:c",   "1.2.3.4:-1", "[::g]:3901",
    };
    char path[200] = "unix:";
    (void)state;
    struct fault f;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        f.text[0] = '\0';
        assert_false(feed_add(feed, wrong[i], &f));
        assert_string_not_equal(f.text, "");
    }
    memset(path + 5, 'x', sizeof path - 6);
    assert_false(feed_add(feed, path, &f));
    assert_int_equal(model.node_count, 0);
    add("[::1]:3901");
    add("127.0.0.1:1");
    add("127.0.0.1:1");
    assert_int_equal(model.node_count, 2);
}

/* Many nodes at one address. */
static void add_many(uint32_t count)
{
    struct endpoint e;
    struct fault f;
    char name[32];
    assert_true(endpoint_resolve(&e, address, &f));
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "node%u", (unsigned)i);
        assert_true(feed_add_at(feed, name, &e, &f));
    }
}

static void test_the_most_nodes_that_are_allowed(void **state)
{
    struct fault f;
    (void)state;
    add_many(MODEL_NODES_MAX);
    assert_false(feed_add(feed, "127.0.0.1:1", &f));
    for (int i = 0; i < 3; i++)
        run_round(PATIENT_US);
    assert_int_equal(answered, 3 * MODEL_NODES_MAX);
    assert_int_equal(accepted, MODEL_NODES_MAX);
}

/* Together far more than the pool holds, a piece from each in turn: connections wait for chunks,
 * and every answer arrives. */
static void test_long_answers_take_turns(void **state)
{
    static char bytes[220 * 1024];
    (void)state;
    size_t body = sizeof bytes - 200;
    int at = snprintf(bytes, sizeof bytes, OK_HEAD "Content-Length: %zu\r\n\r\n", body);
    char *json = bytes + at;
    memset(json, ' ', body);
    memcpy(json, "{\"node\":7", 9);
    json[body - 1] = '}';
    script = (struct script){.bytes = bytes, .len = (size_t)at + body};
    add_many(40);
    for (int i = 0; i < 3; i++)
        run_round(PATIENT_US);
    assert_int_equal(failed, 0);
    assert_int_equal(answered, 3 * 40);
}

static void test_texts_are_kept_as_they_came(void **state)
{
    size_t len = 0;
    (void)state;
    feed_free(feed);
    begin(NULL, true);
    add_many(3);
    assert_null(poll_text(p, &model.nodes[1], &len));
    run_round(PATIENT_US);
    for (uint32_t i = 0; i < 3; i++) {
        assert_string_equal(poll_text(p, &model.nodes[i], &len), BODY);
        assert_int_equal(len, sizeof BODY - 1);
    }
    script = (struct script){.bytes = "hello", .len = 5};
    run_round(PATIENT_US);
    assert_null(poll_text(p, &model.nodes[1], &len)); /* of this round, or none */
}

static void test_rounds_follow_each_other(void **state)
{
    (void)state;
    run_round(PATIENT_US); /* a round without nodes ends, too */
    add(address);
    script = (struct script){.bytes = "", .then = KEEP};
    uint32_t first = 0;
    poll_round(p, TIMEOUT_US, 0, count_round, &first);
    for (int i = 0; i < 50 && requests == 0; i++)
        ev_run(loop, EVRUN_ONCE);
    assert_int_equal(requests, 1);
    assert_int_equal(first, 0);
    uint32_t second = 0;
    poll_round(p, PATIENT_US, 0, count_round, &second); /* the node belongs to the new round */
    assert_int_equal(first, 1);
    ev_run(loop, 0);
    assert_int_equal(second, 1);
    assert_int_equal(first, 1);
    assert_int_equal(requests, 1);
    assert_string_equal(last_why, "timed out");
}

static struct {
    int code;
    uint32_t count;
    char message[64];
} outcome;

static void note_outcome(void *context, const void *node, int code, const char *message)
{
    assert_ptr_equal(node, &model.nodes[0]);
    assert_ptr_equal(context, &outcome);
    outcome.code = code;
    outcome.count++;
    snprintf(outcome.message, sizeof outcome.message, "%s", message);
    ev_break(loop, EVBREAK_ALL);
}

static void expect_act(const char *status, const char *body, int code, const char *message)
{
    char bytes[256];
    uint32_t before = outcome.count;
    int len = snprintf(bytes, sizeof bytes, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
                       strlen(body), body);
    script = (struct script){.bytes = bytes, .len = (size_t)len};
    poll_post(p, &model.nodes[0], "/pause?event=ticket", note_outcome, &outcome);
    assert_int_equal(outcome.count, before);
    ev_run(loop, 0);
    assert_int_equal(outcome.count, before + 1);
    assert_int_equal(outcome.code, code);
    assert_string_equal(outcome.message, message);
}

static void test_actions_and_tokens(void **state)
{
    (void)state;
    feed_free(feed);
    begin("0123456789abcdef", false);
    add(address);
    expect_act("200 OK", "{\"code\":1,\"msg\":\"ok\",\"data\":{}}", 1, "ok");
    assert_non_null(strstr(last_request, "POST /pause?event=ticket HTTP/1.1\r\n"));
    assert_non_null(strstr(last_request, "\r\nAuthorization: Bearer 0123456789abcdef\r\n"));
    expect_act("409 Conflict", "{\"code\":-409,\"msg\":\"conflict\",\"data\":null}", -409,
               "conflict");
    expect_act("200 OK", "{\"code\":1,\"msg\":\"o\x1bk\"}", 0, "garbage");
    expect_act("200 OK", "{\"code\":99999999999999999999,\"msg\":\"ok\"}", 0, "garbage");
    expect_act("200 OK", "{\"code\":1,\"msg\":\"ok", 0, "garbage");
    for (uint32_t i = 0; i < 20; i++) /* no slot is lost */
        expect_act("200 OK", "{\"code\":1,\"msg\":\"ok\"}", 1, "ok");
    shut_port();
    poll_post(p, &model.nodes[0], "/drain", note_outcome, &outcome);
    ev_run(loop, 0);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(outcome.message, "connection refused");
    open_port();
    add(address);
    static const char no[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}";
    script = (struct script){.bytes = no, .len = sizeof no - 1};
    run_round(PATIENT_US);
    assert_string_equal(model.nodes[1].why, "401: wrong token");
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_asks_as_the_server_wants_it),
        T(test_the_connection_is_kept),
        T(test_a_connection_that_went_stale_is_no_failure),
        T(test_connection_close_is_obeyed),
        T(test_any_pieces_are_one_answer),
        T(test_every_failure_has_its_reason),
        T(test_dripping_is_timed_out),
        T(test_ten_megabytes_are_refused_unread),
        T(test_no_server_there),
        T(test_unix_sockets),
        T(test_every_socket_address_of_a_name_is_tried),
        T(test_a_node_moves),
        T(test_addresses_are_validated),
        T(test_the_most_nodes_that_are_allowed),
        T(test_long_answers_take_turns),
        T(test_texts_are_kept_as_they_came),
        T(test_rounds_follow_each_other),
        T(test_actions_and_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
