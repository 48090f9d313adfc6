/*
 * link: see link.h. A command leaves through a buffer of fixed size, however long it is: what fits
 * is sent in one piece. The same buffer then takes the reply, piece by piece, to the parser.
 *
 * hiredis' own connections (redisContext) are not used: they copy a command twice, and up to 0.14
 * they crash if there is no memory after it has been sent. Its parser (redisReader) tells of each
 * allocation that fails. If the process dies here, Redis may have run the command or not.
 */
#include "storage/stock/redis_conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/clock.h"

#define NUMBER_TEXT 20 /* bytes of a signed 64-bit number */

void redis_conn_plan(struct redis_conn *l, const struct conf_addr *addr, struct arena *a,
                     uint32_t max_args)
{
    l->addr = addr;
    l->args.max = max_args;
    l->args.text_max = max_args * NUMBER_TEXT;
    l->argv_pool = arena_plan(a, "redis arguments", max_args, sizeof *l->args.argv);
    l->lens_pool = arena_plan(a, "redis arguments", max_args, sizeof *l->args.lens);
    l->text_pool = arena_plan(a, "redis arguments", max_args, NUMBER_TEXT);
    l->buffer_pool = arena_plan(a, "redis buffer", REDIS_CONN_BUFFER, 1);
}

void redis_conn_init(struct redis_conn *l, const struct arena *a)
{
    l->args.argv = arena_block(a, l->argv_pool);
    l->args.lens = arena_block(a, l->lens_pool);
    l->args.text = arena_block(a, l->text_pool);
    l->buffer = arena_block(a, l->buffer_pool);
}

/* True once the descriptor is ready; false at the deadline. */
static bool wait_ready(int fd, short events, uint64_t deadline_mono_us)
{
    for (;;) {
        uint64_t now = clock_mono_us();
        if (now >= deadline_mono_us)
            return false;
        uint64_t left = deadline_mono_us - now;
        struct timespec t = {.tv_sec = (time_t)(left / 1000000),
                             .tv_nsec = (long)(left % 1000000) * 1000};
        struct pollfd p = {.fd = fd, .events = events};
        if (ppoll(&p, 1, &t, NULL) > 0)
            return true;
    }
}

/* 0, or the errno that the connection attempt ended with. */
static int connect_by(int fd, const struct conf_addr *addr, uint64_t deadline_mono_us)
{
    if (connect(fd, &addr->to.any, addr->len) == 0)
        return 0;
    /* A Unix socket whose backlog is full says EAGAIN: the next attempt may find room. */
    if (errno != EINPROGRESS)
        return errno;
    if (!wait_ready(fd, POLLOUT, deadline_mono_us))
        return ETIMEDOUT;
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return errno;
    return error;
}

bool redis_conn_open(struct redis_conn *l, uint64_t deadline_mono_us, struct fault *f)
{
    ASSERT(!redis_conn_is_open(l));
    int family = l->addr->to.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault(f, "redis %s: socket: %s", l->addr->text, strerror(errno));
    int one = 1;
    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int error = connect_by(fd, l->addr, deadline_mono_us);
    if (error == 0 && (l->reader = redisReaderCreate()) == NULL)
        error = ENOMEM;
    if (error != 0) {
        close(fd);
        return fault(f, "redis %s: %s", l->addr->text, strerror(error));
    }
    l->fd = fd;
    /* Its buffer stays as large as the largest reply: to make it smaller hiredis would allocate,
     * and end the process if there is no memory. */
    l->reader->maxbuf = 0;
    return true;
}

void redis_conn_close(struct redis_conn *l)
{
    if (!redis_conn_is_open(l))
        return;
    close(l->fd);
    redisReaderFree(l->reader);
    l->reader = NULL;
}

void redis_conn_begin(struct redis_conn *l)
{
    l->args.count = 0;
    l->args.text_used = 0;
}

void redis_conn_add(struct redis_conn *l, const char *text, size_t len)
{
    ASSERT(l->args.count < l->args.max);
    l->args.argv[l->args.count] = text;
    l->args.lens[l->args.count++] = len;
}

void redis_conn_add_text(struct redis_conn *l, const char *text)
{
    redis_conn_add(l, text, strlen(text));
}

/* In decimal; answers how many bytes of the NUMBER_TEXT it takes. */
static size_t print_number(char *text, int64_t number)
{
    char digits[NUMBER_TEXT];
    size_t from = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do
        digits[--from] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0)
        digits[--from] = '-';
    memcpy(text, digits + from, sizeof digits - from);
    return sizeof digits - from;
}

void redis_conn_add_number(struct redis_conn *l, int64_t number)
{
    char *text = l->args.text + l->args.text_used;
    ASSERT(l->args.text_used + NUMBER_TEXT <= l->args.text_max);
    size_t len = print_number(text, number);
    l->args.text_used += (uint32_t)len;
    redis_conn_add(l, text, len);
}

static bool in_doubt(struct redis_conn *l, struct fault *f, const char *doing, const char *why)
{
    fault_set(f, "redis %s: %s: %s", l->addr->text, doing, why);
    redis_conn_close(l);
    return false;
}

/* ---- a command goes out --------------------------------------------------------------------- */

static bool flush(struct redis_conn *l, uint64_t deadline_mono_us, struct fault *f)
{
    for (size_t sent = 0; sent < l->used;) {
        ssize_t n = send(l->fd, l->buffer + sent, l->used - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            return in_doubt(l, f, "write", strerror(errno));
        else if (!wait_ready(l->fd, POLLOUT, deadline_mono_us))
            return in_doubt(l, f, "write", "no progress within redis-timeout");
    }
    l->used = 0;
    return true;
}

static bool put(struct redis_conn *l, const char *bytes, size_t len, uint64_t deadline_mono_us,
                struct fault *f)
{
    while (len > REDIS_CONN_BUFFER - l->used) {
        size_t fits = REDIS_CONN_BUFFER - l->used;
        memcpy(l->buffer + l->used, bytes, fits);
        l->used = REDIS_CONN_BUFFER;
        if (!flush(l, deadline_mono_us, f))
            return false;
        bytes += fits;
        len -= fits;
    }
    memcpy(l->buffer + l->used, bytes, len);
    l->used += len;
    return true;
}

/* "*3\r\n": three arguments; "$5\r\n": one of five bytes. */
static bool put_count(struct redis_conn *l, char what, size_t count, uint64_t deadline_mono_us,
                      struct fault *f)
{
    char text[1 + NUMBER_TEXT + 2] = {what};
    size_t len = 1 + print_number(text + 1, (int64_t)count);
    text[len++] = '\r';
    text[len++] = '\n';
    return put(l, text, len, deadline_mono_us, f);
}

bool redis_conn_send(struct redis_conn *l, uint64_t deadline_mono_us, struct fault *f)
{
    const struct redis_conn_args *a = &l->args;
    ASSERT(redis_conn_is_open(l));
    l->used = 0;
    if (!put_count(l, '*', a->count, deadline_mono_us, f))
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!put_count(l, '$', a->lens[i], deadline_mono_us, f) ||
            !put(l, a->argv[i], a->lens[i], deadline_mono_us, f) ||
            !put(l, "\r\n", 2, deadline_mono_us, f))
            return false;
    return flush(l, deadline_mono_us, f);
}

/* ---- a reply comes in ----------------------------------------------------------------------- */

/* True: *reply is there, or NULL if it has not come in whole yet. */
static bool read_reply(struct redis_conn *l, uint64_t deadline_mono_us, redisReply **reply,
                       struct fault *f)
{
    void *got = NULL;
    if (redisReaderGetReply(l->reader, &got) != REDIS_OK)
        return in_doubt(l, f, "reply", l->reader->errstr);
    *reply = got;
    /* Later than the time-out is too late, even if it is there now: a process that was stopped may
     * meanwhile have been given up, and its sales with it. */
    if (got == NULL || clock_mono_us() <= deadline_mono_us)
        return true;
    freeReplyObject(got);
    return in_doubt(l, f, "reply", "none within redis-timeout");
}

static bool read_more(struct redis_conn *l, uint64_t deadline_mono_us, struct fault *f)
{
    if (!wait_ready(l->fd, POLLIN, deadline_mono_us))
        return in_doubt(l, f, "reply", "none within redis-timeout");
    ssize_t n = recv(l->fd, l->buffer, REDIS_CONN_BUFFER, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR || in_doubt(l, f, "read", strerror(errno));
    if (n == 0)
        return in_doubt(l, f, "read", "the server closed the connection");
    return redisReaderFeed(l->reader, l->buffer, (size_t)n) == REDIS_OK ||
           in_doubt(l, f, "reply", l->reader->errstr);
}

redisReply *redis_conn_receive(struct redis_conn *l, uint64_t deadline_mono_us, struct fault *f)
{
    redisReply *reply = NULL;
    ASSERT(redis_conn_is_open(l));
    while (reply == NULL)
        if (!read_reply(l, deadline_mono_us, &reply, f) ||
            (reply == NULL && !read_more(l, deadline_mono_us, f)))
            return NULL;
    return reply;
}

redisReply *redis_conn_call(struct redis_conn *l, uint64_t deadline_mono_us, struct fault *f)
{
    return redis_conn_send(l, deadline_mono_us, f) ? redis_conn_receive(l, deadline_mono_us, f)
                                                   : NULL;
}
