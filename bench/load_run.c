/*
 * Builds the requests, opens the connections, sends what is due and reads the answers.
 *
 *     closed   a connection with all its answers sends its next requests
 *     open     ... goes to the queue `free`, from which send_due() takes it when a request is due
 *     held     ... stays open; a new connection is opened for the next request
 *     -b       ... that got status 503 goes to the queue `paused` until its retry_ns
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

#include "bench/load_answer.h"
#include "bench/load_base.h"
#include "bench/load_result.h"
#include "bench/load_run.h"

#define REQUEST_MAX    1024
#define OPENING_MAX    100 /* -i: connections that wait for their first answer at a time */
#define EVENTS         256
#define TIMEOUT_NS     (5 * SECOND_NS)  /* without a single answer */
#define PAUSE_NS       (SECOND_NS / 10) /* after status 503 */
#define COUNTER_DIGITS 12
#define BUFFER_BYTES   16384 /* of answers that a connection has not processed */

struct connection {
    int fd;
    uint32_t server;
    uint32_t waiting; /* outstanding answers */
    uint32_t next;    /* index in due_ns of the next answer's request */
    size_t have;      /* bytes in buffer */
    bool answered;    /* all answers are there; with -x the server now closes */
    bool busy;        /* the answer was status 503: the request is to be repeated */
    uint64_t first;   /* number of the first outstanding request */
    uint64_t due_ns[DEPTH_MAX];
    uint64_t retry_ns;
    char *buffer; /* BUFFER_BYTES and a NUL */
};

static const struct load_options *options;

static struct {
    char text[DEPTH_MAX * REQUEST_MAX]; /* depth requests, one after the other */
    size_t len;                         /* of one */
    size_t value[HEADERS_MAX];          /* offsets of the values in a request */
} request;

/* First in, first out; a circular buffer with a slot for every connection. */
struct queue {
    uint32_t *slots, head, count;
};

static struct {
    struct connection *all;
    uint32_t open;
    struct queue free;   /* -r: without a request */
    struct queue paused; /* -b: until retry_ns */
    int epoll;
    uint64_t sent, end_ns;
    uint64_t answers, answered_ns; /* when the last answer came */
    bool stopping;
} run;

/* ---- requests */

static void build_requests(void)
{
    char host[INET_ADDRSTRLEN], *p = request.text;
    inet_ntop(AF_INET, &options->servers[0].sin_addr, host, sizeof host);
    p += sprintf(p, "GET %.400s HTTP/1.1\r\nHost: %s:%u\r\n", options->path, host,
                 ntohs(options->servers[0].sin_port));
    for (uint32_t i = 0; i < options->header_count; i++) {
        p += sprintf(p, "%.64s: ", options->headers[i]);
        request.value[i] = (size_t)(p - request.text);
        p += sprintf(p, "%.8s-%0*d\r\n", options->seed, COUNTER_DIGITS, 0);
    }
    p += sprintf(p, "%s\r\n", options->close_each ? "Connection: close\r\n" : "");
    request.len = (size_t)(p - request.text);
    ASSERT(request.len < REQUEST_MAX);
    for (uint32_t i = 1; i < options->depth; i++)
        memcpy(request.text + i * request.len, request.text, request.len);
}

static void set_value(char *value, const char *seed, uint64_t number)
{
    memcpy(value, seed, SEED_BYTES);
    value += SEED_BYTES;
    for (char *digit = value + COUNTER_DIGITS; digit > value; digit--) {
        *digit = (char)('0' + number % 10);
        number /= 10;
    }
}

/* Writes the values of `count` requests: unique ones, or with -o, in every retry_every-th request,
 * one of the first values of the other seed. */
static void set_values(uint64_t first, uint32_t count)
{
    ASSERT(count <= options->depth);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = first + i;
        char *one = request.text + i * request.len;
        for (uint32_t h = 0; h < options->header_count; h++)
            set_value(one + request.value[h], options->seed, number);
        if (options->retry_every != 0 && number % options->retry_every == 0)
            set_value(one + request.value[0], options->retry_seed,
                      number / options->retry_every % options->retry_count + 1);
    }
}

static void watch(struct connection *c)
{
    ASSERT(c->fd >= 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        fail("epoll_ctl: %s", strerror(errno));
}

/* A blocking connect: on loopback it returns once the kernel has queued the connection. */
static void open_connection(struct connection *c)
{
    const int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        fail("socket: %s (connection %u)", strerror(errno), run.open);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (const struct sockaddr *)&options->servers[c->server],
                sizeof options->servers[0]) != 0)
        fail("connect: %s (connection %u)", strerror(errno), run.open);
    watch(c);
}

static void send_now(struct connection *c, uint32_t count)
{
    ASSERT(c->waiting == 0 && count >= 1);
    if (options->close_each)
        open_connection(c);
    if (options->header_count != 0)
        set_values(c->first, count);
    ssize_t len = (ssize_t)(count * request.len);
    if (send(c->fd, request.text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
        fail("a request could not be sent whole: %s", strerror(errno));
    c->next = 0;
    c->waiting = count;
}

static void send_requests(struct connection *c, uint64_t due_ns)
{
    uint32_t count = options->depth;
    if (options->requests != 0 && options->requests - run.sent < count)
        count = (uint32_t)(options->requests - run.sent);
    c->first = run.sent + 1;
    for (uint32_t i = 0; i < count; i++)
        c->due_ns[i] = due_ns;
    run.sent += count;
    send_now(c, count);
}

static bool is_over(uint64_t now)
{
    if (!run.stopping && (options->requests ? run.sent >= options->requests : now >= run.end_ns)) {
        run.stopping = true;
        run.end_ns = now;
    }
    return run.stopping;
}

/* ---- connections */

static struct connection *new_connection(void)
{
    ASSERT(run.open < options->connections);
    struct connection *c = &run.all[run.open];
    c->server = run.open % options->server_count;
    c->buffer = malloc(BUFFER_BYTES + 1);
    if (!c->buffer)
        fail("no memory");
    if (!options->close_each)
        open_connection(c);
    run.open++;
    return c;
}

static void enqueue(struct queue *q, const struct connection *c)
{
    ASSERT(q->count < options->connections);
    q->slots[(q->head + q->count++) % options->connections] = (uint32_t)(c - run.all);
}

static struct connection *head_of(const struct queue *q)
{
    ASSERT(q->count > 0);
    return &run.all[q->slots[q->head]];
}

static struct connection *dequeue(struct queue *q)
{
    struct connection *c = head_of(q);
    q->head = (q->head + 1) % options->connections;
    q->count--;
    return c;
}

/* The connection has all its answers. */
static void continue_connection(struct connection *c)
{
    uint64_t now = now_ns();
    c->answered = false;
    if (c->busy) {
        c->retry_ns = now + PAUSE_NS;
        enqueue(&run.paused, c);
    } else if (options->rate != 0) {
        enqueue(&run.free, c);
    } else if (options->hold) {
        if (run.open < options->connections)
            send_requests(new_connection(), now_ns());
    } else if (!is_over(now)) {
        send_requests(c, now);
    }
}

static void count_answer(struct connection *c, enum answer_kind kind, uint64_t now)
{
    ASSERT(c->waiting > 0 && c->next < options->depth);
    c->waiting--;
    c->busy = kind == ANSWER_BUSY;
    if (c->busy)
        result_add_busy();
    else
        result_add((now - c->due_ns[c->next++]) / 1000, kind == ANSWER_OTHER);
}

static void parse_answers(struct connection *c)
{
    uint64_t now = now_ns();
    const char *p = c->buffer, *end = c->buffer + c->have;
    enum answer_kind kind;
    for (size_t len; p < end && (len = answer_parse(options, p, (size_t)(end - p), &kind)) > 0;) {
        if (c->waiting == 0)
            answer_fail("an answer without a request", p, (size_t)(end - p));
        count_answer(c, kind, now);
        p += len;
    }
    c->have = (size_t)(end - p);
    if (c->have == BUFFER_BYTES)
        answer_fail("an answer that is too long", p, c->have);
    memmove(c->buffer, p, c->have);
    c->buffer[c->have] = '\0';
    c->answered = c->waiting == 0;
}

/* False: the server has closed the connection, which it may after the answer with -x alone. */
static bool receive(struct connection *c)
{
    ASSERT(c->have < BUFFER_BYTES);
    ssize_t got = recv(c->fd, c->buffer + c->have, BUFFER_BYTES - c->have, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0 && !(got == 0 && options->close_each && c->answered))
        fail("a connection was closed by the server after %llu answers: %s",
             (unsigned long long)result_count(), got < 0 ? strerror(errno) : "end of stream");
    if (got == 0)
        return false;
    c->have += (size_t)got;
    c->buffer[c->have] = '\0';
    parse_answers(c);
    return true;
}

static void on_readable(struct connection *c)
{
    bool open = receive(c);
    if (!open)
        close(c->fd);
    if (options->close_each ? !open : c->answered)
        continue_connection(c);
}

/* ---- the loop */

static uint64_t due_ns(uint64_t start, uint64_t number)
{
    return start + (uint64_t)((double)number * (double)SECOND_NS / options->rate);
}

/* -r: sends what is due while a connection is free; returns how long to sleep. */
static uint64_t send_due(uint64_t start)
{
    uint64_t now = now_ns();
    while (run.sent < options->requests && run.free.count > 0) {
        uint64_t due = due_ns(start, run.sent);
        if (due > now)
            return due - now;
        send_requests(dequeue(&run.free), due);
    }
    run.stopping = run.sent >= options->requests;
    return TIMEOUT_NS;
}

/* -b: repeats requests; returns how long to sleep, at most sleep_ns. */
static uint64_t send_retries(uint64_t sleep_ns)
{
    uint64_t now = now_ns();
    while (run.paused.count > 0) {
        uint64_t retry = head_of(&run.paused)->retry_ns;
        if (retry > now)
            return retry - now < sleep_ns ? retry - now : sleep_ns;
        send_now(dequeue(&run.paused), 1);
    }
    return sleep_ns;
}

/* A server that answers every request with 503 fails, like one that does not answer. */
static void check_progress(void)
{
    uint64_t now = now_ns();
    if (result_count() != run.answers || run.answers == run.sent) {
        run.answers = result_count();
        run.answered_ns = now;
    } else if (now - run.answered_ns >= TIMEOUT_NS) {
        fail("no answer for 5 seconds, after %llu good ones", (unsigned long long)run.answers);
    }
}

static void poll_connections(uint64_t sleep_ns)
{
    struct epoll_event events[EVENTS];
    struct timespec t = {.tv_sec = (time_t)(sleep_ns / SECOND_NS),
                         .tv_nsec = (long)(sleep_ns % SECOND_NS)};
    int count = epoll_pwait2(run.epoll, events, EVENTS, &t, NULL);
    if (count < 0 && errno != EINTR)
        fail("epoll_pwait2: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        on_readable(events[i].data.ptr);
    check_progress();
}

static void start_connections(void)
{
    uint32_t first =
        options->hold && options->connections > OPENING_MAX ? OPENING_MAX : options->connections;
    for (uint32_t i = 0; i < first; i++) {
        struct connection *c = new_connection();
        if (options->rate != 0)
            enqueue(&run.free, c);
        else if (!is_over(now_ns()))
            send_requests(c, now_ns());
    }
}

void load_run(const struct load_options *o)
{
    options = o;
    run.all = calloc(options->connections, sizeof *run.all);
    run.free.slots = calloc(options->connections, sizeof *run.free.slots);
    run.paused.slots = calloc(options->connections, sizeof *run.paused.slots);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!run.all || !run.free.slots || !run.paused.slots || run.epoll < 0)
        fail("no memory");
    build_requests();
    prctl(PR_SET_TIMERSLACK, 1UL); /* else a request is sent up to 50 us late */
    uint64_t start = now_ns();
    run.end_ns = start + options->seconds * SECOND_NS;
    run.answered_ns = start;
    start_connections();
    if (options->rate != 0)
        start = now_ns();
    while (!run.stopping || result_count() < run.sent) {
        poll_connections(send_retries(options->rate != 0 ? send_due(start) : TIMEOUT_NS));
        is_over(now_ns());
    }
    result_report(now_ns() - start, options->file);
    if (options->hold) {
        fflush(stdout);
        while (getchar() != EOF)
            continue;
    }
}
