/*
 * top_fake_nodes: made-up nodes, for tests of the console's client: they run on the same loop and
 * send what a script says, in the pieces that it says, the reader running in between; a model that
 * only records what it is given; and a feed with its poll for each test.
 */
#ifndef SPIKE_TESTS_TOP_FAKE_NODES_H
#define SPIKE_TESTS_TOP_FAKE_NODES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin-tui/feed.h"

#define TIMEOUT_US  400000u /* nodes of these tests answer in a few milliseconds */
#define PATIENT_US  20000000u
#define CLIENTS_MAX 300
#define MEGABYTES   (10u << 20)

#define OK_HEAD     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define BODY        "{\"node\":7,\"state\":\"up\"}" /* 23 bytes */
#define GOOD        OK_HEAD "Content-Length: 23\r\n\r\n" BODY

/* ---- a model that only records -------------------------------------------------------------- */

static struct model model;
static uint32_t answered, failed, capacity;
static bool patient; /* the first failure does not make a node DOWN */
static char last_why[MODEL_LINE_BYTES];
static struct stats last_stats;

struct model_node *model_add(struct model *m, const char *address)
{
    for (uint32_t i = 0; i < m->node_count; i++)
        if (strcmp(m->nodes[i].address, address) == 0)
            return &m->nodes[i];
    if (m->node_count == capacity)
        return NULL;
    struct model_node *n = &m->nodes[m->node_count++];
    snprintf(n->address, sizeof n->address, "%s", address);
    return n;
}

void model_answered(struct model *m, struct model_node *n, const struct stats *s, uint64_t rtt_us,
                    uint64_t now_mono_us, uint64_t now_wall_ms)
{
    (void)m, (void)now_mono_us, (void)now_wall_ms;
    assert_true(rtt_us < PATIENT_US);
    n->number = (uint32_t)s->node;
    n->state = MODEL_UP;
    last_stats = *s;
    answered++;
}

struct model_node *model_find(const struct model *m, const char *address)
{
    for (uint32_t i = 0; i < m->node_count; i++)
        if (strcmp(m->nodes[i].address, address) == 0)
            return &m->nodes[i];
    return NULL;
}

void model_failed(struct model *m, struct model_node *n, const char *why, uint64_t now_wall_ms)
{
    (void)m, (void)now_wall_ms;
    n->state = patient && n->state == MODEL_UP && failed == 0 ? MODEL_UP : MODEL_DOWN;
    snprintf(n->why, sizeof n->why, "%.*s", MODEL_LINE_BYTES - 1, why);
    snprintf(last_why, sizeof last_why, "%s", n->why);
    failed++;
}

void model_move(struct model *m, struct model_node *n, const char *where, uint64_t now_wall_ms)
{
    (void)m, (void)now_wall_ms;
    snprintf(n->address, sizeof n->address, "%s", where);
}

/* ---- a made-up node ------------------------------------------------------------------------- */

enum then { KEEP, SHUT, RESET, DEAF }; /* after the response; DEAF: never accepts */

static struct script {
    const char *bytes;
    size_t len;
    size_t piece; /* bytes in one iteration of the loop; 0: all */
    double pause; /* seconds between pieces */
    enum then then;
    bool stale; /* a second request on a connection is met by closing it */
} script;

struct client {
    int fd;
    size_t sent;
    uint32_t requests;
    ev_io io;
    ev_timer next;
};

static struct ev_loop *loop;
static int listener;
static ev_io on_listener;
static struct client clients[CLIENTS_MAX];
static uint32_t accepted, requests;
static char last_request[4096], address[64];

static void drop(struct client *c, bool reset)
{
    struct linger now = {.l_onoff = 1};
    ev_io_stop(loop, &c->io);
    ev_timer_stop(loop, &c->next);
    if (reset)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(c->fd);
    c->fd = -1;
}

static void send_piece(struct ev_loop *l, ev_timer *timer, int events)
{
    struct client *c = timer->data;
    (void)l, (void)events;
    size_t len = script.len - c->sent;
    if (script.piece > 0 && len > script.piece)
        len = script.piece;
    ssize_t put = len > 0 ? send(c->fd, script.bytes + c->sent, len, MSG_NOSIGNAL) : 0;
    if (put < 0 && errno != EAGAIN) {
        drop(c, false);
        return;
    }
    c->sent += put > 0 ? (size_t)put : 0;
    if (c->sent < script.len) {
        ev_timer_set(&c->next, script.pause, 0.);
        ev_timer_start(loop, &c->next);
    } else if (script.then != KEEP) {
        drop(c, script.then == RESET);
    }
}

static void on_client(struct ev_loop *l, ev_io *io, int events)
{
    struct client *c = io->data;
    (void)l, (void)events;
    ssize_t got = recv(c->fd, last_request, sizeof last_request - 1, 0);
    if (got <= 0 || (script.stale && c->requests > 0)) {
        drop(c, false);
        return;
    }
    last_request[got] = '\0';
    assert_non_null(strstr(last_request, "\r\n\r\n")); /* requests are short: one piece */
    requests++;
    c->requests++;
    c->sent = 0;
    ev_timer_set(&c->next, 0., 0.);
    ev_timer_start(loop, &c->next);
}

static void on_accept(struct ev_loop *l, ev_io *io, int events)
{
    (void)l, (void)io, (void)events;
    if (script.then == DEAF)
        return;
    uint32_t i = 0;
    while (i < CLIENTS_MAX && clients[i].fd >= 0)
        i++;
    assert_true(i < CLIENTS_MAX);
    struct client *c = &clients[i];
    *c = (struct client){.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)};
    assert_true(c->fd >= 0);
    int one = 1; /* pieces go out one by one */
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    accepted++;
    ev_io_init(&c->io, on_client, c->fd, EV_READ);
    ev_timer_init(&c->next, send_piece, 0., 0.);
    c->io.data = c->next.data = c;
    ev_io_start(loop, &c->io);
}

static void open_listener(const struct sockaddr *at, socklen_t len)
{
    listener = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, at, len), 0);
    assert_int_equal(listen(listener, CLIENTS_MAX), 0);
    ev_io_init(&on_listener, on_accept, listener, EV_READ);
    ev_io_start(loop, &on_listener);
}

static void open_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    open_listener((const struct sockaddr *)&at, len);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
}

static void shut_port(void)
{
    ev_io_stop(loop, &on_listener);
    close(listener);
    listener = -1;
}

/* ---- a feed for each test ------------------------------------------------------------------ */

static struct feed *feed;
static struct poll *p;
static uint32_t rounds;
static uint64_t again_us; /* of run_round() */

static void begin(const char *token, bool keep_texts)
{
    feed = feed_new(loop, &model, token, keep_texts);
    assert_non_null(feed);
    p = feed_poll(feed);
}

static int set_up(void **state)
{
    (void)state;
    loop = ev_loop_new(EVFLAG_AUTO);
    capacity = MODEL_NODES_MAX;
    model.nodes = calloc(capacity, sizeof *model.nodes);
    model.node_count = 0;
    answered = failed = accepted = requests = rounds = 0;
    last_why[0] = '\0';
    again_us = 0;
    patient = false;
    script = (struct script){.bytes = GOOD, .len = sizeof GOOD - 1};
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i].fd = -1;
    open_port();
    begin(NULL, false);
    return model.nodes == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    feed_free(feed);
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (clients[i].fd >= 0)
            drop(&clients[i], false);
    if (listener >= 0)
        shut_port();
    ev_loop_destroy(loop);
    free(model.nodes);
    return 0;
}

static void add(const char *where)
{
    struct fault f = {""};
    if (!feed_add(feed, where, &f))
        fail_msg("%s", f.text);
}

static void count_round(void *context)
{
    ++*(uint32_t *)context;
    ev_break(loop, EVBREAK_ALL);
}

static void run_round(uint64_t timeout_us)
{
    uint32_t before = rounds;
    poll_round(p, timeout_us, again_us, count_round, &rounds);
    assert_int_equal(rounds, before); /* `done` never comes before poll_round() returns */
    ev_run(loop, 0);
    assert_int_equal(rounds, before + 1);
}

#endif
