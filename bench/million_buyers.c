/*
 * One process of buyers. It opens its share of the connections, one node after the other, holds
 * them until the word is given, and then asks once on each.
 *
 *     CLOSED -> CONNECTING -> HELD -> ASKED -> DONE
 *        ^___________|_________|       |  ^
 *         again, after a pause         v  |
 *                                    PAUSING   told "busy": a good client waits, and asks again
 *
 * Two windows keep the crowd from falling over its own feet: of connects (the queue of those whom a
 * node has not yet let in is finite) and of asks under way (so is the memory that the kernel lends
 * to all of TCP). Connections are reset at the end, not closed: a million of them in TIME_WAIT
 * would be in the way of whatever runs next.
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

#define CONNECTS_MAX 32 /* under way at a time */
#define EVENTS       256
#define CANNED_MAX   1024
#define ORDER_ID     34
#define TRIES_MAX    8 /* of a connect, and of an ask that is told "busy" */
#define PAUSE_MS     100
#define PAUSE_MAX_MS 8000
#define LOOK_MS      20 /* how often we look whose pause is over */
#define BELL         UINT32_MAX

static const char request[] = "GET /buy/ticket HTTP/1.1\r\nHost: spike\r\n\r\n";

enum state { CLOSED, CONNECTING, HELD, ASKED, PAUSING, DONE };

struct buyer {
    int fd;
    uint16_t got;  /* bytes of half an answer */
    uint8_t state; /* enum state */
    uint8_t tries;
    uint64_t due_ns; /* CLOSED, PAUSING: not before */
    char *half;      /* NULL until an answer comes in pieces */
};

static struct {
    struct common *common;
    struct node_totals *tally;
    struct buyer *buyers;
    uint32_t first, count;  /* of all connections, ours are these */
    uint32_t opened, asked; /* those below have had their first turn */
    uint32_t connecting, asking, pausing;
    uint64_t look_ns;
    bool open;
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
    atomic_fetch_add_explicit(&me.tally->n[what], (uint32_t)by, memory_order_relaxed);
}

/* What the system refuses, and what would help. */
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
    snprintf(me.tally->text, TEXT_MAX, "%s: %s%s", what, strerror(e), help);
    atomic_store(&me.tally->failed, true);
    _exit(1);
}

/* ---------------------------------------------------------------- pauses */

/* Twice as long each time, and never two buyers in step. */
static void pause_for(struct buyer *b, enum state state, uint64_t ms)
{
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

static void held(struct buyer *b)
{
    b->state = HELD;
    b->tries = 0;
    add(COUNT_HELD, 1);
}

/* The connection could not be made, or has ended before it was used. */
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
    uint32_t node = (me.first + (uint32_t)(b - me.buyers)) % me.common->nodes;
    const struct sockaddr_in *to = &me.common->node[node];
    b->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (b->fd < 0 || setsockopt(b->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) != 0)
        fail("socket");
    if (connect(b->fd, (const struct sockaddr *)(const void *)to, sizeof *to) == 0) {
        held(b);
        watch(EPOLL_CTL_ADD, b, EPOLLIN | EPOLLRDHUP);
    } else if (errno == EINPROGRESS) {
        b->state = CONNECTING;
        me.connecting++;
        watch(EPOLL_CTL_ADD, b, EPOLLOUT);
    } else {
        open_later(b);
    }
}

static void connected(struct buyer *b)
{
    int e = 0;
    socklen_t len = sizeof e;
    me.connecting--;
    if (getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0)
        fail("getsockopt");
    errno = e;
    if (e != 0) {
        open_later(b);
        return;
    }
    held(b);
    watch(EPOLL_CTL_MOD, b, EPOLLIN | EPOLLRDHUP);
}

/* Before the word nobody has anything to say to us: the node has hung up. */
static void dropped(struct buyer *b)
{
    add(COUNT_HELD, -1);
    add(COUNT_DROPPED, 1);
    errno = ECONNRESET;
    open_later(b);
}

/* ---------------------------------------------------------------- asking */

static void done(struct buyer *b, enum count how)
{
    add(how, 1);
    b->state = DONE;
    free(b->half);
    b->half = NULL;
}

static void hung_up(struct buyer *b)
{
    add(COUNT_HELD, -1);
    close(b->fd);
}

/* The connection has ended, and with it the hope for an answer. */
static void lost(struct buyer *b)
{
    hung_up(b);
    done(b, COUNT_UNANSWERED);
}

static void ask(struct buyer *b)
{
    b->state = ASKED;
    if (send(b->fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1)
        me.asking++;
    else
        lost(b);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void yes(struct buyer *b, const char *order)
{
    char line[ORDER_ID + 1];
    memcpy(line, order, ORDER_ID);
    line[ORDER_ID] = '\n';
    if (write(me.common->orders, line, sizeof line) != (ssize_t)sizeof line)
        fail("orders");
    atomic_store(&me.tally->last_yes_ns, million_now_ns());
    done(b, COUNT_YES);
}

static void busy(struct buyer *b, const char *head)
{
    const char *after = strstr(head, "\r\nRetry-After: ");
    if (b->tries == TRIES_MAX) {
        done(b, COUNT_BUSY);
        return;
    }
    add(COUNT_TOLD_BUSY, 1);
    pause_for(b, PAUSING, after == NULL ? 1000 : strtoul(after + 15, NULL, 10) * 1000);
}

static void other(struct buyer *b, const char *answer)
{
    if (me.tally->odd[0] == '\0')
        snprintf(me.tally->odd, TEXT_MAX, "%.*s", TEXT_MAX - 1, answer);
    done(b, COUNT_OTHER);
}

static void judge(struct buyer *b, const char *head, const char *body)
{
    static const char granted[] = "{\"code\":1,\"msg\":\"ok\",\"data\":{\"order\":\"";
    bool ok = begins(head, "HTTP/1.1 200 ");
    atomic_store(&me.tally->last_answer_ns, million_now_ns());
    if (ok && begins(body, granted) &&
        strspn(body + sizeof granted - 1, "0123456789abcdef-") == ORDER_ID)
        yes(b, body + sizeof granted - 1);
    else if (ok && begins(body, "{\"code\":-1,\"msg\":\"sold out\","))
        done(b, COUNT_SOLD_OUT);
    else if (ok && begins(body, "{\"code\":-1,\"msg\":\"sold out here\","))
        done(b, COUNT_SOLD_OUT_HERE);
    else if (begins(head, "HTTP/1.1 503 ") && begins(body, "{\"code\":-6,"))
        busy(b, head);
    else
        other(b, head);
}

/* The body, if all of the answer is there. */
static const char *whole(const char *text, size_t len)
{
    static const char name[] = "\r\nContent-Length: ";
    const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, name);
    if (end == NULL || length == NULL || length > end)
        return NULL;
    size_t bytes = strtoul(length + sizeof name - 1, NULL, 10);
    return len < (size_t)(end + 4 - text) + bytes ? NULL : end + 4;
}

static void keep_half(struct buyer *b, const char *text, size_t len)
{
    if (b->half == NULL && (b->half = malloc(CANNED_MAX)) == NULL)
        fail("malloc");
    memcpy(b->half, text, len);
    b->got = (uint16_t)len;
}

static void read_answer(struct buyer *b)
{
    char text[CANNED_MAX];
    if (b->got > 0)
        memcpy(text, b->half, b->got);
    ssize_t n = recv(b->fd, text + b->got, sizeof text - 1 - b->got, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    size_t len = b->got + (n > 0 ? (size_t)n : 0);
    text[len] = '\0';
    const char *body = whole(text, len);
    if (n <= 0) {
        me.asking--;
        lost(b);
    } else if (body == NULL && len < sizeof text - 1) {
        keep_half(b, text, len);
    } else {
        me.asking--;
        b->got = 0;
        judge(b, text, body == NULL ? "" : body);
    }
}

/* ---------------------------------------------------------------- the loop */

static void open_some(void)
{
    for (int i = 0; i < CONNECTS_MAX && me.opened < me.count && me.connecting < CONNECTS_MAX; i++)
        open_one(&me.buyers[me.opened++]);
}

/* The word was given while it was on its way back. */
static void too_late(struct buyer *b)
{
    if (b->state == CONNECTING) {
        me.connecting--;
        close(b->fd);
    } else {
        me.pausing--;
    }
    done(b, COUNT_UNANSWERED);
}

static void ask_some(void)
{
    for (int i = 0; i < EVENTS && me.asked < me.count && me.asking < me.common->asks_max; i++) {
        struct buyer *b = &me.buyers[me.asked++];
        if (b->state == HELD)
            ask(b);
        else
            too_late(b);
    }
}

static void end_pauses(void)
{
    uint64_t now = million_now_ns();
    if (me.pausing == 0 || now < me.look_ns)
        return;
    me.look_ns = now + LOOK_MS * 1000000;
    for (struct buyer *b = me.buyers; b < me.buyers + me.count; b++) {
        bool pauses = (b->state == CLOSED || b->state == PAUSING) && b->due_ns > 0;
        if (!pauses || b->due_ns > now)
            continue;
        b->due_ns = 0;
        me.pausing--;
        if (b->state == CLOSED)
            open_one(b);
        else
            ask(b);
    }
}

static void happened(struct buyer *b)
{
    if (b->state == CONNECTING) {
        connected(b);
    } else if (b->state == HELD) {
        dropped(b);
    } else if (b->state == ASKED) {
        read_answer(b);
    } else if (b->state == PAUSING) {
        me.pausing--;
        lost(b);
    } else { /* it has its answer */
        hung_up(b);
    }
}

static void wait_some(void)
{
    struct epoll_event events[EVENTS];
    bool more = me.opened < me.count && me.connecting < CONNECTS_MAX;
    bool asks = me.open && me.asked < me.count && me.asking < me.common->asks_max;
    int n = epoll_wait(me.epoll, events, EVENTS, more || asks ? 0 : me.pausing > 0 ? LOOK_MS : -1);
    if (n < 0 && errno != EINTR)
        fail("epoll_wait");
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 != BELL) {
            happened(&me.buyers[events[i].data.u32]);
        } else {
            me.open = true;
            epoll_ctl(me.epoll, EPOLL_CTL_DEL, me.common->bell, NULL);
        }
    }
}

static void begin(struct common *common, uint32_t process)
{
    struct epoll_event bell = {.events = EPOLLIN, .data.u32 = BELL};
    uint64_t total = common->total;
    me.common = common;
    me.tally = &common->tally[process];
    me.first = (uint32_t)(total * process / common->processes);
    me.count = (uint32_t)(total * (process + 1) / common->processes) - me.first;
    me.buyers = calloc(me.count + 1, sizeof *me.buyers);
    me.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (me.buyers == NULL || me.epoll < 0 ||
        epoll_ctl(me.epoll, EPOLL_CTL_ADD, common->bell, &bell) != 0)
        fail("epoll");
    srandom(process + 1);
}

void buyers_live(struct common *common, uint32_t process)
{
    begin(common, process);
    for (;;) {
        open_some();
        if (me.open)
            ask_some();
        end_pauses();
        wait_some();
    }
}
