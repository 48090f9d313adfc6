/*
 * A process of buyers. It opens its share of the connections, one node after the other, holds them
 * until the start signal, and then sends one request on each.
 *
 *     CLOSED -> CONNECTING -> HELD -> WAITING -> DONE
 *        ^___________|_________|       |  ^
 *         again, after a pause         v  |
 *                                    PAUSING   status 503: a good client pauses and repeats
 *
 * Two windows limit the load: outstanding connects (a node's accept queue is finite) and
 * outstanding requests (so is the kernel's memory for TCP). Connections are reset at the end, not
 * closed: a million of them in TIME_WAIT would block the addresses for the next run.
 *
 * Owner: one thread. If the process dies, the nodes see its connections reset, and the leader ends
 * the run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/million.h"
#include "conf/base/check.h"

#define CONNECTS_MAX 32 /* outstanding at a time */
#define EVENTS       256
#define ANSWER_MAX   1024
#define ORDER_ID     34
#define TRIES_MAX    8 /* of a connect, and of a request with status 503 */
#define PAUSE_MS     100
#define PAUSE_MAX_MS 8000
#define POLL_MS      20 /* how often ended pauses are searched for */
#define START_SIGNAL UINT32_MAX

static const char request[] = "GET /buy/ticket HTTP/1.1\r\nHost: spike\r\n\r\n";

enum state { CLOSED, CONNECTING, HELD, WAITING, PAUSING, DONE };

struct buyer {
    int fd;
    uint16_t got;  /* bytes in partial */
    uint8_t state; /* enum state */
    uint8_t tries;
    uint64_t due_ns; /* CLOSED, PAUSING: not before */
    char *partial;   /* an incomplete answer; NULL until one is received */
};

static struct {
    struct million *shared;
    struct process_totals *totals;
    struct buyer *buyers;
    uint32_t first, count;    /* of all connections, those of this process */
    uint32_t opened, started; /* buyers below: opened once, sent their first request */
    uint32_t connecting, waiting, pausing;
    uint64_t next_poll_ns;
    bool is_open; /* the start signal was seen */
    int epoll;
} me;

uint64_t million_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add(enum count what, int by)
{
    atomic_fetch_add_explicit(&me.totals->n[what], (uint32_t)by, memory_order_relaxed);
}

/* Reports the failed call, and how to help, to the leader. */
static _Noreturn void fail(const char *what)
{
    int e = errno;
    const char *help = e == EADDRNOTAVAIL ? ": widen net.ipv4.ip_local_port_range"
                       : e == EMFILE      ? ": raise ulimit -n"
                       : e == ENFILE      ? ": raise fs.file-max"
                       : e == ENOSPC      ? ": raise fs.epoll.max_user_watches"
                       : e == ENOMEM || e == ENOBUFS
                           ? ": not enough memory; ask for fewer nodes or connections"
                           : "";
    snprintf(me.totals->text, TEXT_MAX, "%s: %s%s", what, strerror(e), help);
    atomic_store(&me.totals->failed, true);
    _exit(1);
}

/* ---------------------------------------------------------------- pauses */

/* Doubles with each try; a random part keeps buyers from retrying at the same time. */
static void pause_for(struct buyer *b, enum state state, uint64_t ms)
{
    ASSERT(state == CLOSED || state == PAUSING);
    ASSERT(b->tries < TRIES_MAX);
    ms <<= b->tries++;
    if (ms > PAUSE_MAX_MS)
        ms = PAUSE_MAX_MS;
    ms += (uint64_t)random() % (ms / 2 + 1);
    b->due_ns = million_now_ns() + ms * 1000000;
    b->state = (uint8_t)state;
    me.pausing++;
}

/* ---------------------------------------------------------------- connections */

static void watch(int op, const struct buyer *b, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.u32 = (uint32_t)(b - me.buyers)};
    if (epoll_ctl(me.epoll, op, b->fd, &ev) != 0)
        fail("epoll_ctl");
}

static void set_held(struct buyer *b)
{
    ASSERT(b->state == CLOSED || b->state == CONNECTING);
    b->state = HELD;
    b->tries = 0;
    add(COUNT_HELD, 1);
}

/* The connect failed, or the connection ended before it was used. */
static void open_later(struct buyer *b)
{
    int e = errno;
    close(b->fd);
    errno = e;
    if (b->tries == TRIES_MAX || e == EADDRNOTAVAIL)
        fail("connect");
    add(COUNT_REOPENED, 1);
    pause_for(b, CLOSED, PAUSE_MS);
}

static void open_one(struct buyer *b)
{
    const struct linger reset = {.l_onoff = 1};
    uint32_t node = (me.first + (uint32_t)(b - me.buyers)) % me.shared->nodes;
    const struct sockaddr_in *to = &me.shared->node[node];
    b->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (b->fd < 0 || setsockopt(b->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0)
        fail("socket");
    if (connect(b->fd, (const struct sockaddr *)(const void *)to, sizeof *to) == 0) {
        set_held(b);
        watch(EPOLL_CTL_ADD, b, EPOLLIN | EPOLLRDHUP);
    } else if (errno == EINPROGRESS) {
        b->state = CONNECTING;
        me.connecting++;
        watch(EPOLL_CTL_ADD, b, EPOLLOUT);
    } else {
        open_later(b);
    }
}

static void on_connected(struct buyer *b)
{
    int e = 0;
    socklen_t len = sizeof e;
    ASSERT(me.connecting > 0);
    me.connecting--;
    if (getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0)
        fail("getsockopt");
    errno = e;
    if (e != 0) {
        open_later(b);
        return;
    }
    set_held(b);
    watch(EPOLL_CTL_MOD, b, EPOLLIN | EPOLLRDHUP);
}

/* A node sends nothing before a request: it has closed the connection. */
static void on_dropped(struct buyer *b)
{
    ASSERT(b->state == HELD);
    add(COUNT_HELD, -1);
    add(COUNT_DROPPED, 1);
    errno = ECONNRESET;
    open_later(b);
}

/* ---------------------------------------------------------------- requests */

static void finish(struct buyer *b, enum count outcome)
{
    ASSERT(outcome >= COUNT_YES && outcome <= COUNT_UNANSWERED && b->state != DONE);
    add(outcome, 1);
    b->state = DONE;
    free(b->partial);
    b->partial = NULL;
}

static void close_held(struct buyer *b)
{
    ASSERT(b->state >= HELD && b->fd >= 0);
    add(COUNT_HELD, -1);
    close(b->fd);
}

/* The connection has ended, so no answer can come. */
static void on_lost(struct buyer *b)
{
    close_held(b);
    finish(b, COUNT_UNANSWERED);
}

static void send_request(struct buyer *b)
{
    b->state = WAITING;
    if (send(b->fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1)
        me.waiting++;
    else
        on_lost(b);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void on_yes(struct buyer *b, const char *order)
{
    char line[ORDER_ID + 1];
    memcpy(line, order, ORDER_ID);
    line[ORDER_ID] = '\n';
    if (write(me.shared->orders, line, sizeof line) != (ssize_t)sizeof line)
        fail("orders");
    atomic_store(&me.totals->last_yes_ns, million_now_ns());
    finish(b, COUNT_YES);
}

static void on_busy(struct buyer *b, const char *head)
{
    const char *after = strstr(head, "\r\nRetry-After: ");
    if (b->tries == TRIES_MAX) {
        finish(b, COUNT_BUSY);
        return;
    }
    add(COUNT_RETRIED, 1);
    pause_for(b, PAUSING, after == NULL ? 1000 : strtoul(after + 15, NULL, 10) * 1000);
}

static void on_other(struct buyer *b, const char *answer)
{
    if (me.totals->unexpected[0] == '\0')
        snprintf(me.totals->unexpected, TEXT_MAX, "%.*s", TEXT_MAX - 1, answer);
    finish(b, COUNT_OTHER);
}

static void classify(struct buyer *b, const char *head, const char *body)
{
    static const char granted[] = "{\"code\":1,\"msg\":\"ok\",\"data\":{\"order\":\"";
    bool ok = begins(head, "HTTP/1.1 200 ");
    atomic_store(&me.totals->last_answer_ns, million_now_ns());
    if (ok && begins(body, granted) &&
        strspn(body + sizeof granted - 1, "0123456789abcdef-") == ORDER_ID)
        on_yes(b, body + sizeof granted - 1);
    else if (ok && begins(body, "{\"code\":-1,\"msg\":\"sold out\","))
        finish(b, COUNT_SOLD_OUT);
    else if (ok && begins(body, "{\"code\":-1,\"msg\":\"sold out here\","))
        finish(b, COUNT_SOLD_OUT_HERE);
    else if (begins(head, "HTTP/1.1 503 ") && begins(body, "{\"code\":-6,"))
        on_busy(b, head);
    else
        on_other(b, head);
}

/* The body; NULL: the answer is incomplete. */
static const char *complete_body(const char *text, size_t len)
{
    static const char name[] = "\r\nContent-Length: ";
    const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, name);
    if (end == NULL || length == NULL || length > end)
        return NULL;
    size_t bytes = strtoul(length + sizeof name - 1, NULL, 10);
    return len < (size_t)(end + 4 - text) + bytes ? NULL : end + 4;
}

static void keep_partial(struct buyer *b, const char *text, size_t len)
{
    if (b->partial == NULL && (b->partial = malloc(ANSWER_MAX)) == NULL)
        fail("malloc");
    ASSERT(len < ANSWER_MAX);
    memcpy(b->partial, text, len);
    b->got = (uint16_t)len;
}

static void read_answer(struct buyer *b)
{
    char text[ANSWER_MAX];
    ASSERT(me.waiting > 0 && b->got < sizeof text);
    if (b->got > 0)
        memcpy(text, b->partial, b->got);
    ssize_t n = recv(b->fd, text + b->got, sizeof text - 1 - b->got, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    size_t len = b->got + (n > 0 ? (size_t)n : 0);
    text[len] = '\0';
    const char *body = complete_body(text, len);
    if (n <= 0) {
        me.waiting--;
        on_lost(b);
    } else if (body == NULL && len < sizeof text - 1) {
        keep_partial(b, text, len);
    } else {
        me.waiting--;
        b->got = 0;
        classify(b, text, body == NULL ? "" : body);
    }
}

/* ---------------------------------------------------------------- the loop */

static void open_some(void)
{
    for (int i = 0; i < CONNECTS_MAX && me.opened < me.count && me.connecting < CONNECTS_MAX; i++)
        open_one(&me.buyers[me.opened++]);
}

/* The sale began while the connection was being opened again. */
static void miss_start(struct buyer *b)
{
    ASSERT(b->state == CONNECTING || (b->state == CLOSED && me.pausing > 0));
    if (b->state == CONNECTING) {
        me.connecting--;
        close(b->fd);
    } else {
        me.pausing--;
    }
    finish(b, COUNT_UNANSWERED);
}

static void send_some(void)
{
    for (int i = 0; i < EVENTS && me.started < me.count && me.waiting < me.shared->requests_max;
         i++) {
        struct buyer *b = &me.buyers[me.started++];
        if (b->state == HELD)
            send_request(b);
        else
            miss_start(b);
    }
}

static void end_pauses(void)
{
    uint64_t now = million_now_ns();
    if (me.pausing == 0 || now < me.next_poll_ns)
        return;
    me.next_poll_ns = now + POLL_MS * 1000000;
    for (struct buyer *b = me.buyers; b < me.buyers + me.count; b++) {
        bool pauses = (b->state == CLOSED || b->state == PAUSING) && b->due_ns > 0;
        if (!pauses || b->due_ns > now)
            continue;
        ASSERT(me.pausing > 0);
        b->due_ns = 0;
        me.pausing--;
        if (b->state == CLOSED)
            open_one(b);
        else
            send_request(b);
    }
}

static void on_event(struct buyer *b)
{
    if (b->state == CONNECTING) {
        on_connected(b);
    } else if (b->state == HELD) {
        on_dropped(b);
    } else if (b->state == WAITING) {
        read_answer(b);
    } else if (b->state == PAUSING) {
        me.pausing--;
        on_lost(b);
    } else { /* it has its answer */
        close_held(b);
    }
}

static void wait_some(void)
{
    struct epoll_event events[EVENTS];
    bool more = me.opened < me.count && me.connecting < CONNECTS_MAX;
    bool sends = me.is_open && me.started < me.count && me.waiting < me.shared->requests_max;
    int n = epoll_wait(me.epoll, events, EVENTS, more || sends ? 0 : me.pausing > 0 ? POLL_MS : -1);
    if (n < 0 && errno != EINTR)
        fail("epoll_wait");
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 != START_SIGNAL) {
            on_event(&me.buyers[events[i].data.u32]);
        } else {
            me.is_open = true;
            epoll_ctl(me.epoll, EPOLL_CTL_DEL, me.shared->start_signal, NULL);
        }
    }
}

static void init(struct million *shared, uint32_t process)
{
    struct epoll_event start = {.events = EPOLLIN, .data.u32 = START_SIGNAL};
    uint64_t total = shared->total;
    ASSERT(process < shared->processes);
    me.shared = shared;
    me.totals = &shared->totals[process];
    me.first = (uint32_t)(total * process / shared->processes);
    me.count = (uint32_t)(total * (process + 1) / shared->processes) - me.first;
    me.buyers = calloc(me.count + 1, sizeof *me.buyers);
    me.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (me.buyers == NULL || me.epoll < 0 ||
        epoll_ctl(me.epoll, EPOLL_CTL_ADD, shared->start_signal, &start) != 0)
        fail("epoll");
    srandom(process + 1);
}

void buyers_run(struct million *shared, uint32_t process)
{
    init(shared, process);
    for (;;) {
        open_some();
        if (me.is_open)
            send_some();
        end_pauses();
        wait_some();
    }
}
