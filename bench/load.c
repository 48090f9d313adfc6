/*
 * load: asks an HTTP server, judges every answer, and tells how many there were, how fast they came
 * and how long they took.
 *
 *     load [option ...] ADDRESS:PORT[,ADDRESS:PORT ...] PATH
 *
 * Three kinds of load. Closed (the default): each connection asks again when it has its answer,
 * DEPTH requests at a time; it measures what a server can do. Open (-r): requests are due at fixed
 * times, whoever is still waiting, and an answer's time counts from when its request was due, not
 * from when it could be sent; so neither a server that stalls nor a generator that is late hides
 * anything. Held (-i): each connection asks once and stays.
 *
 * One thread, one core, one epoll loop. Every answer must have status 200, a Content-Length and a
 * body that begins as expected; the first one that does not ends the run with exit status 1, as
 * does a connection that is closed too early and an answer that does not come. At the end of the
 * time what is under way is waited for, so that `answers` is exactly what the server has done.
 *
 * Owner: one thread, one process. If it dies, the server sees its connections close.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 19000 /* below the 20,000 files that a process may usually open */
#define DEPTH_MAX       64
#define SERVERS_MAX     64
#define HEADERS_MAX     2
#define REQUEST_MAX     1024
#define ANSWERS_MAX     16384 /* bytes of answers that a connection may have unread */
#define OPENING_MAX     100   /* connections that wait for their first answer at a time */
#define EVENTS          256
#define PATIENCE_NS     UINT64_C(5000000000)
#define SECOND_NS       UINT64_C(1000000000)
#define COUNTER_DIGITS  12

/* Latencies in microseconds: exact below 128, then 128 steps for each doubling (within 0.8 %). */
#define STEP_BITS 7
#define BUCKETS   ((64 - STEP_BITS) << STEP_BITS)

static const char usage[] =
    "usage: load [option ...] ADDRESS:PORT[,ADDRESS:PORT ...] PATH\n"
    "  -c N        connections (1)\n"
    "  -d SECONDS  how long (1), or\n"
    "  -n N        how many requests\n"
    "  -p DEPTH    pipelined requests (1)\n"
    "  -x          a connection for each request\n"
    "  -r RATE     open loop: requests a second\n"
    "  -i          ask once on each connection, say so, hold them until standard input ends\n"
    "  -w SECONDS  ask until one answer is as expected, at most as long\n"
    "  -H NAME     a header whose value is different in each request (twice at most)\n"
    "  -s SEED     what the values begin with, 8 characters (made from the time)\n"
    "  -o SEED:N:M every Mth request has one of the first N values of another seed in its first "
    "header\n"
    "  -e BODY     how the body of each answer begins\n"
    "  -E BODY     ... or so; counted apart\n"
    "  -f FILE     write the distribution of latencies: share, microseconds\n";

struct connection {
    int fd;
    uint32_t server;
    uint32_t waiting; /* for so many answers */
    uint32_t next;    /* of them, the place in due_ns that comes first */
    size_t have;      /* bytes in buffer */
    bool answered;    /* -x: now the server has to close */
    uint64_t due_ns[DEPTH_MAX];
    char *buffer;
};

static struct {
    uint32_t connections, depth, seconds, rate, wait, retry_count, retry_every;
    uint64_t requests;
    bool close, hold;
    const char *headers[HEADERS_MAX];
    uint32_t header_count;
    char seed[9], retry_seed[9];
    const char *expect, *also, *file, *path;
    struct sockaddr_in servers[SERVERS_MAX];
    uint32_t server_count;
} ask = {.connections = 1, .depth = 1, .seconds = 1, .expect = ""};

static struct {
    char text[DEPTH_MAX * REQUEST_MAX]; /* depth requests, one after the other */
    size_t len;                         /* of one */
    size_t value[HEADERS_MAX];          /* where in a request the values are */
} request;

/* How the last answer was framed. The next one is nearly always the same. */
static struct {
    size_t head, body;
    size_t length_at, length_len; /* the line Content-Length */
    char length[64];
} frame;

static struct {
    struct connection *all;
    uint32_t open;
    uint32_t *free; /* -r: a ring of connections without a request, the longest idle first */
    uint32_t free_head, free_count;
    int epoll;
    uint64_t sent, answers, others, end_ns;
    bool stopping;
    uint32_t buckets[BUCKETS];
    uint64_t longest_us;
} run;

static _Noreturn void __attribute__((format(printf, 1, 2))) fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* ---- latencies */

static uint32_t bucket_of(uint64_t us)
{
    if (us < 1 << STEP_BITS)
        return (uint32_t)us;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(us) - STEP_BITS;
    return ((shift + 1) << STEP_BITS) + (uint32_t)(us >> shift) - (1 << STEP_BITS);
}

/* The highest latency that falls into the bucket. */
static uint64_t bucket_us(uint32_t bucket)
{
    if (bucket < 1 << STEP_BITS)
        return bucket;
    uint32_t shift = (bucket >> STEP_BITS) - 1;
    uint64_t step = (bucket & ((1 << STEP_BITS) - 1)) + (1 << STEP_BITS);
    return ((step + 1) << shift) - 1;
}

static uint64_t percentile(double share)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        seen += run.buckets[i];
        if ((double)seen >= share * (double)run.answers)
            return bucket_us(i) < run.longest_us ? bucket_us(i) : run.longest_us;
    }
    return run.longest_us;
}

static void write_distribution(void)
{
    FILE *out = fopen(ask.file, "w");
    if (!out)
        fail("%s: %s", ask.file, strerror(errno));
    uint64_t seen = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        seen += run.buckets[i];
        if (run.buckets[i] != 0)
            fprintf(out, "%.7f %llu\n", (double)seen / (double)run.answers,
                    (unsigned long long)bucket_us(i));
    }
    if (fclose(out) != 0)
        fail("%s: %s", ask.file, strerror(errno));
}

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
static void set_values(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = run.sent + i + 1;
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

static void send_requests(struct connection *c, uint64_t due_ns)
{
    uint32_t count = ask.depth;
    if (ask.requests != 0 && ask.requests - run.sent < count)
        count = (uint32_t)(ask.requests - run.sent);
    if (ask.close)
        open_connection(c);
    if (ask.header_count != 0)
        set_values(count);
    ssize_t len = (ssize_t)(count * request.len);
    if (send(c->fd, request.text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
        fail("a request could not be sent whole: %s", strerror(errno));
    for (uint32_t i = 0; i < count; i++)
        c->due_ns[i] = due_ns;
    c->next = 0;
    c->waiting = count;
    run.sent += count;
}

static bool is_over(uint64_t now)
{
    if (!run.stopping && (ask.requests ? run.sent >= ask.requests : now >= run.end_ns)) {
        run.stopping = true;
        run.end_ns = now;
    }
    return run.stopping;
}

/* ---- answers */

static _Noreturn void fail_answer(const char *why, const struct connection *c)
{
    fail("%s, after %llu good ones:\n%.*s", why, (unsigned long long)run.answers,
         (int)(c->have < 600 ? c->have : 600), c->buffer);
}

/* How the answer at p is framed; false: there is not all of its head yet. */
static bool read_frame(const struct connection *c, const char *p, size_t have)
{
    const char *end = memmem(p, have, "\r\n\r\n", 4);
    if (!end)
        return false;
    if (have < 12 || memcmp(p, "HTTP/1.", 7) != 0 || memcmp(p + 8, " 200", 4) != 0)
        fail_answer("not a status of 200", c);
    for (const char *line = memchr(p, '\n', have); line && line < end;
         line = memchr(line, '\n', (size_t)(end + 4 - line))) {
        line++;
        if (strncasecmp(line, "Content-Length:", 15) != 0)
            continue;
        frame.body = (size_t)strtoul(line + 15, NULL, 10);
        frame.head = (size_t)(end + 4 - p);
        frame.length_at = (size_t)(line - p);
        frame.length_len = (size_t)(strchr(line, '\r') + 2 - line);
        if (frame.length_len > sizeof frame.length)
            fail_answer("an odd Content-Length", c);
        memcpy(frame.length, line, frame.length_len);
        return true;
    }
    fail_answer("no Content-Length", c);
}

static bool same_frame(const char *p, size_t have)
{
    return frame.head != 0 && have >= frame.head && memcmp(p + 8, " 200", 4) == 0 &&
           memcmp(p + frame.length_at, frame.length, frame.length_len) == 0 &&
           memcmp(p + frame.head - 4, "\r\n\r\n", 4) == 0;
}

static bool begins(const char *body, const char *with)
{
    size_t len = strlen(with);
    return frame.body >= len && memcmp(body, with, len) == 0;
}

static void count_answer(struct connection *c, const char *body, uint64_t now)
{
    if (!begins(body, ask.expect)) {
        if (!ask.also || !begins(body, ask.also))
            fail_answer("not the expected body", c);
        run.others++;
    }
    if (c->waiting == 0)
        fail_answer("an answer that was not asked for", c);
    uint64_t us = (now - c->due_ns[c->next++]) / 1000;
    run.buckets[bucket_of(us)]++;
    if (us > run.longest_us)
        run.longest_us = us;
    c->waiting--;
    run.answers++;
}

/* Reads what is there and judges the answers that are complete. False: the server has closed. */
static bool read_answers(struct connection *c)
{
    ssize_t got = recv(c->fd, c->buffer + c->have, ANSWERS_MAX - c->have, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0 && !(got == 0 && ask.close && c->answered))
        fail("a connection was closed by the server after %llu answers: %s",
             (unsigned long long)run.answers, got < 0 ? strerror(errno) : "end of stream");
    if (got == 0)
        return false;
    c->have += (size_t)got;
    uint64_t now = now_ns();
    const char *p = c->buffer, *end = c->buffer + c->have;
    while (p < end) {
        size_t have = (size_t)(end - p);
        if (!same_frame(p, have) && !read_frame(c, p, have))
            break;
        if (have < frame.head + frame.body)
            break;
        count_answer(c, p + frame.head, now);
        p += frame.head + frame.body;
    }
    c->have = (size_t)(end - p);
    if (c->have == ANSWERS_MAX)
        fail_answer("an answer that is too long", c);
    memmove(c->buffer, p, c->have);
    c->buffer[c->have] = '\0';
    c->answered = c->waiting == 0;
    return true;
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

static void put_free(struct connection *c)
{
    run.free[(run.free_head + run.free_count++) % ask.connections] = (uint32_t)(c - run.all);
}

/* What a connection does that has all its answers. */
static void go_on(struct connection *c)
{
    uint64_t now = now_ns();
    c->answered = false;
    if (ask.rate != 0) {
        put_free(c);
    } else if (ask.hold) {
        if (run.open < ask.connections)
            send_requests(new_connection(), now_ns());
    } else if (!is_over(now)) {
        send_requests(c, now);
    }
}

static void handle(struct connection *c)
{
    bool open = read_answers(c);
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
    while (run.sent < ask.requests && run.free_count > 0) {
        uint64_t due = due_ns(start, run.sent);
        if (due > now)
            return due - now;
        struct connection *c = &run.all[run.free[run.free_head]];
        run.free_head = (run.free_head + 1) % ask.connections;
        run.free_count--;
        send_requests(c, due);
    }
    run.stopping = run.sent >= ask.requests;
    return PATIENCE_NS;
}

static void turn(uint64_t sleep_ns)
{
    struct epoll_event events[EVENTS];
    struct timespec t = {.tv_sec = (time_t)(sleep_ns / SECOND_NS),
                         .tv_nsec = (long)(sleep_ns % SECOND_NS)};
    int count = epoll_pwait2(run.epoll, events, EVENTS, &t, NULL);
    if (count < 0 && errno != EINTR)
        fail("epoll_pwait2: %s", strerror(errno));
    if (count == 0 && sleep_ns == PATIENCE_NS)
        fail("no answer for 5 seconds, after %llu good ones", (unsigned long long)run.answers);
    for (int i = 0; i < count; i++)
        handle(events[i].data.ptr);
}

static void start_connections(void)
{
    uint32_t first = ask.hold && ask.connections > OPENING_MAX ? OPENING_MAX : ask.connections;
    for (uint32_t i = 0; i < first; i++) {
        struct connection *c = new_connection();
        if (ask.rate != 0)
            put_free(c);
        else if (!is_over(now_ns()))
            send_requests(c, now_ns());
    }
}

static void report(uint64_t start)
{
    double seconds = (double)(now_ns() - start) / SECOND_NS;
    printf("answers %llu others %llu seconds %.3f rate %.0f p50 %llu p99 %llu p999 %llu max %llu\n",
           (unsigned long long)run.answers, (unsigned long long)run.others, seconds,
           (double)run.answers / seconds, (unsigned long long)percentile(.5),
           (unsigned long long)percentile(.99), (unsigned long long)percentile(.999),
           (unsigned long long)run.longest_us);
    if (ask.file)
        write_distribution();
}

static void run_load(void)
{
    run.all = calloc(ask.connections, sizeof *run.all);
    run.free = calloc(ask.connections, sizeof *run.free);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!run.all || !run.free || run.epoll < 0)
        fail("no memory");
    prctl(PR_SET_TIMERSLACK, 1UL); /* or a request is sent up to 50 us after it was due */
    if (ask.rate != 0)
        ask.requests = (uint64_t)ask.rate * ask.seconds;
    if (ask.hold)
        ask.requests = ask.connections;
    uint64_t start = now_ns();
    run.end_ns = start + ask.seconds * SECOND_NS;
    start_connections();
    if (ask.rate != 0)
        start = now_ns();
    while (!run.stopping || run.answers < run.sent) {
        turn(ask.rate != 0 ? send_due(start) : PATIENCE_NS);
        is_over(now_ns());
    }
    report(start);
    if (ask.hold) {
        fflush(stdout);
        while (getchar() != EOF)
            continue;
    }
}

/* -w: each try is a child, since whatever is wrong ends it. */
static void wait_for_answer(void)
{
    uint64_t end = now_ns() + ask.wait * SECOND_NS;
    for (int status = 1; status != 0;) {
        pid_t child = fork();
        if (child == 0) {
            ask.requests = 1;
            if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
                exit(1);
            run_load();
            exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
            fail("fork: %s", strerror(errno));
        if (status != 0 && now_ns() > end)
            fail("not the expected answer in %u seconds", ask.wait);
        nanosleep(&(struct timespec){.tv_nsec = status ? 1000000 : 0}, NULL);
    }
}

/* ---- the command line */

static _Noreturn void fail_usage(void)
{
    fputs(usage, stderr);
    exit(2);
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n == 0 || n > max)
        fail("%s: not a number from 1 to %llu", text, (unsigned long long)max);
    return n;
}

static void read_servers(char *list)
{
    for (char *one = strtok(list, ","); one; one = strtok(NULL, ",")) {
        char *colon = strrchr(one, ':');
        if (!colon || ask.server_count == SERVERS_MAX)
            fail_usage();
        *colon = '\0';
        struct sockaddr_in *to = &ask.servers[ask.server_count++];
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)number(colon + 1, 65535));
        if (inet_pton(AF_INET, one, &to->sin_addr) != 1)
            fail("%s: not an IPv4 address", one);
    }
}

static void read_retried(char *text)
{
    char *count = strchr(text, ':'), *every = count ? strchr(count + 1, ':') : NULL;
    if (!every || count - text != 8)
        fail_usage();
    memcpy(ask.retry_seed, text, 8);
    *every = '\0';
    ask.retry_count = (uint32_t)number(count + 1, UINT32_MAX);
    ask.retry_every = (uint32_t)number(every + 1, UINT32_MAX);
}

static void read_option(int option)
{
    switch (option) {
    case 'c':
        ask.connections = (uint32_t)number(optarg, CONNECTIONS_MAX);
        return;
    case 'd':
        ask.seconds = (uint32_t)number(optarg, 3600);
        return;
    case 'n':
        ask.requests = number(optarg, UINT64_MAX);
        return;
    case 'p':
        ask.depth = (uint32_t)number(optarg, DEPTH_MAX);
        return;
    case 'x':
        ask.close = true;
        return;
    case 'r':
        ask.rate = (uint32_t)number(optarg, 10000000);
        return;
    case 'i':
        ask.hold = true;
        return;
    case 'w':
        ask.wait = (uint32_t)number(optarg, 3600);
        return;
    case 's':
        if (strlen(optarg) != 8)
            fail_usage();
        memcpy(ask.seed, optarg, 8);
        return;
    case 'H':
        if (ask.header_count == HEADERS_MAX)
            fail_usage();
        ask.headers[ask.header_count++] = optarg;
        return;
    case 'o':
        read_retried(optarg);
        return;
    case 'e':
        ask.expect = optarg;
        return;
    case 'E':
        ask.also = optarg;
        return;
    case 'f':
        ask.file = optarg;
        return;
    default:
        fail_usage();
    }
}

int main(int argc, char **argv)
{
    snprintf(ask.seed, sizeof ask.seed, "%08x", (unsigned)(now_ns() / 1000));
    for (int option; (option = getopt(argc, argv, "c:d:n:p:xr:iw:H:s:o:e:E:f:")) != -1;)
        read_option(option);
    if (argc - optind != 2 || (ask.depth > 1 && (ask.close || ask.rate != 0 || ask.hold)))
        fail_usage();
    read_servers(argv[optind]);
    ask.path = argv[optind + 1];
    if (ask.server_count == 0 || strlen(ask.path) > 400)
        fail_usage();
    make_requests();
    if (ask.wait != 0)
        wait_for_answer();
    else
        run_load();
    return 0;
}
