/*
 * Asks: makes the requests, opens the connections, and sends what is due.
 *
 * Owner: the one thread of load.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/load.h"

#define REQUEST_MAX    1024
#define OPENING_MAX    100 /* connections that wait for their first answer at a time */
#define EVENTS         256
#define PATIENCE_NS    (5 * SECOND_NS)
#define PAUSE_NS       (SECOND_NS / 10) /* of who was told "busy" */
#define COUNTER_DIGITS 12

static struct {
    char text[DEPTH_MAX * REQUEST_MAX]; /* depth requests, one after the other */
    size_t len;                         /* of one */
    size_t value[HEADERS_MAX];          /* where in a request the values are */
} request;

/* A ring with room for all connections: who comes first goes first. */
struct queue {
    uint32_t *places, head, count;
};

static struct {
    struct connection *all;
    uint32_t open;
    struct queue free;   /* -r: without a request */
    struct queue paused; /* -b: until again_ns */
    int epoll;
    uint64_t sent, end_ns;
    uint64_t answers, answered_ns; /* when there were first so many */
    bool stopping;
} run;

/* ---- requests */

static void make_requests(void)
{
    char host[INET_ADDRSTRLEN], *p = request.text;
    inet_ntop(AF_INET, &ask.servers[0].sin_addr, host, sizeof host);
    p += sprintf(p, "GET %.400s HTTP/1.1\r\nHost: %s:%u\r\n", ask.path, host,
                 ntohs(ask.servers[0].sin_port));
    for (uint32_t i = 0; i < ask.header_count; i++) {
        p += sprintf(p, "%.64s: ", ask.headers[i]);
        request.value[i] = (size_t)(p - request.text);
        p += sprintf(p, "%.8s-%0*d\r\n", ask.seed, COUNTER_DIGITS, 0);
    }
    p += sprintf(p, "%s\r\n", ask.close ? "Connection: close\r\n" : "");
    request.len = (size_t)(p - request.text);
    for (uint32_t i = 1; i < ask.depth; i++)
        memcpy(request.text + i * request.len, request.text, request.len);
}

static void set_value(char *value, const char *seed, uint64_t number)
{
    memcpy(value, seed, 8);
    for (char *digit = value + 8 + COUNTER_DIGITS; digit > value + 8; digit--) {
        *digit = (char)('0' + number % 10);
        number /= 10;
    }
}

/* Gives `count` requests values that no other has, or, of every so many, the first one's value is
 * one of another seed's first. */
static void set_values(uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = first + i;
        char *one = request.text + i * request.len;
        for (uint32_t h = 0; h < ask.header_count; h++)
            set_value(one + request.value[h], ask.seed, number);
        if (ask.retry_every != 0 && number % ask.retry_every == 0)
            set_value(one + request.value[0], ask.retry_seed,
                      number / ask.retry_every % ask.retry_count + 1);
    }
}

static void watch(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        fail("epoll_ctl: %s", strerror(errno));
}

/* A blocking connect: on loopback it returns when the kernel has put it into the backlog. */
static void open_connection(struct connection *c)
{
    const int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        fail("socket: %s (connection %u)", strerror(errno), run.open);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&ask.servers[c->server], sizeof ask.servers[0]) != 0)
        fail("connect: %s (connection %u)", strerror(errno), run.open);
    watch(c);
}

static void put_on_wire(struct connection *c, uint32_t count)
{
    if (ask.close)
        open_connection(c);
    if (ask.header_count != 0)
        set_values(c->first, count);
    ssize_t len = (ssize_t)(count * request.len);
    if (send(c->fd, request.text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
        fail("a request could not be sent whole: %s", strerror(errno));
    c->next = 0;
    c->waiting = count;
}

static void send_requests(struct connection *c, uint64_t due_ns)
{
    uint32_t count = ask.depth;
    if (ask.requests != 0 && ask.requests - run.sent < count)
        count = (uint32_t)(ask.requests - run.sent);
    c->first = run.sent + 1;
    for (uint32_t i = 0; i < count; i++)
        c->due_ns[i] = due_ns;
    run.sent += count;
    put_on_wire(c, count);
}

static bool is_over(uint64_t now)
{
    if (!run.stopping && (ask.requests ? run.sent >= ask.requests : now >= run.end_ns)) {
        run.stopping = true;
        run.end_ns = now;
    }
    return run.stopping;
}

/* ---- the loop */

static struct connection *new_connection(void)
{
    struct connection *c = &run.all[run.open];
    c->server = run.open % ask.server_count;
    c->buffer = malloc(ANSWERS_MAX + 1);
    if (!c->buffer)
        fail("no memory");
    if (!ask.close)
        open_connection(c);
    run.open++;
    return c;
}

static void put(struct queue *q, const struct connection *c)
{
    q->places[(q->head + q->count++) % ask.connections] = (uint32_t)(c - run.all);
}

static struct connection *head_of(const struct queue *q)
{
    return &run.all[q->places[q->head]];
}

static struct connection *take(struct queue *q)
{
    struct connection *c = head_of(q);
    q->head = (q->head + 1) % ask.connections;
    q->count--;
    return c;
}

/* What a connection does that has all its answers. */
static void go_on(struct connection *c)
{
    uint64_t now = now_ns();
    c->answered = false;
    if (c->busy) {
        c->again_ns = now + PAUSE_NS;
        put(&run.paused, c);
    } else if (ask.rate != 0) {
        put(&run.free, c);
    } else if (ask.hold) {
        if (run.open < ask.connections)
            send_requests(new_connection(), now_ns());
    } else if (!is_over(now)) {
        send_requests(c, now);
    }
}

static void handle(struct connection *c)
{
    bool open = answers_read(c);
    if (!open)
        close(c->fd);
    if (ask.close ? !open : c->answered)
        go_on(c);
}

static uint64_t due_ns(uint64_t start, uint64_t number)
{
    return start + (uint64_t)((double)number * (double)SECOND_NS / ask.rate);
}

/* -r: sends what is due as long as there is a connection for it; answers how long to sleep. */
static uint64_t send_due(uint64_t start)
{
    uint64_t now = now_ns();
    while (run.sent < ask.requests && run.free.count > 0) {
        uint64_t due = due_ns(start, run.sent);
        if (due > now)
            return due - now;
        send_requests(take(&run.free), due);
    }
    run.stopping = run.sent >= ask.requests;
    return PATIENCE_NS;
}

/* -b: the same requests once more; answers how long to sleep, at most sleep_ns. */
static uint64_t send_again(uint64_t sleep_ns)
{
    uint64_t now = now_ns();
    while (run.paused.count > 0) {
        uint64_t again = head_of(&run.paused)->again_ns;
        if (again > now)
            return again - now < sleep_ns ? again - now : sleep_ns;
        put_on_wire(take(&run.paused), 1);
    }
    return sleep_ns;
}

/* A server that only says "busy" is as bad as one that says nothing. */
static void check_patience(void)
{
    uint64_t now = now_ns();
    if (answers_count() != run.answers || run.answers == run.sent) {
        run.answers = answers_count();
        run.answered_ns = now;
    } else if (now - run.answered_ns >= PATIENCE_NS) {
        fail("no answer for 5 seconds, after %llu good ones", (unsigned long long)run.answers);
    }
}

static void turn(uint64_t sleep_ns)
{
    struct epoll_event events[EVENTS];
    struct timespec t = {.tv_sec = (time_t)(sleep_ns / SECOND_NS),
                         .tv_nsec = (long)(sleep_ns % SECOND_NS)};
    int count = epoll_pwait2(run.epoll, events, EVENTS, &t, NULL);
    if (count < 0 && errno != EINTR)
        fail("epoll_pwait2: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        handle(events[i].data.ptr);
    check_patience();
}

static void start_connections(void)
{
    uint32_t first = ask.hold && ask.connections > OPENING_MAX ? OPENING_MAX : ask.connections;
    for (uint32_t i = 0; i < first; i++) {
        struct connection *c = new_connection();
        if (ask.rate != 0)
            put(&run.free, c);
        else if (!is_over(now_ns()))
            send_requests(c, now_ns());
    }
}

void run_load(void)
{
    run.all = calloc(ask.connections, sizeof *run.all);
    run.free.places = calloc(ask.connections, sizeof *run.free.places);
    run.paused.places = calloc(ask.connections, sizeof *run.paused.places);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!run.all || !run.free.places || !run.paused.places || run.epoll < 0)
        fail("no memory");
    make_requests();
    prctl(PR_SET_TIMERSLACK, 1UL); /* or a request is sent up to 50 us after it was due */
    uint64_t start = now_ns();
    run.end_ns = start + ask.seconds * SECOND_NS;
    run.answered_ns = start;
    start_connections();
    if (ask.rate != 0)
        start = now_ns();
    while (!run.stopping || answers_count() < run.sent) {
        turn(send_again(ask.rate != 0 ? send_due(start) : PATIENCE_NS));
        is_over(now_ns());
    }
    answers_report(now_ns() - start);
    if (ask.hold) {
        fflush(stdout);
        while (getchar() != EOF)
            continue;
    }
}
