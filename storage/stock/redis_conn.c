/*
 * A command leaves through a buffer of fixed size, however long the command is: what fits is sent
 * in one piece. The same buffer then takes the reply, piece by piece, to the parser.
 *
 * hiredis' own connections (redisContext) are not used: they copy a command twice, and up to 0.14
 * they crash if there is no memory after a command has been sent. The parser alone (redisReader)
 * reports each allocation that fails. If the process dies here, Redis may have run the command or
 * not.
 */
#include "storage/stock/redis_conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/clock.h"

#define NUMBER_TEXT 20 /* bytes of a signed 64-bit number in decimal */

/* A command being put together: pointers into what the caller owns, and numbers in `text`. */
struct redis_command {
    const char **argv;
    size_t *lens;
    char *text;
    uint32_t count, max;
    uint32_t text_used, text_max; /* bytes */
};

struct redis_conn {
    redisReader *reader;    /* NULL: closed */
    int fd;                 /* while it is open */
    enum thread_role owner; /* while it is open: the thread that opened it */
    const struct conf_addr *addr;
    struct redis_command command;
    char *buffer; /* REDIS_CONN_BUFFER bytes, `used` of them wait to be sent */
    size_t used;
    size_t argv_pool, lens_pool, text_pool, buffer_pool;
};

/* ---- memory --------------------------------------------------------------------------------- */

static struct redis_conn with_limits(const struct conf_addr *addr, uint32_t max_args)
{
    ASSERT(addr->len > 0 && max_args > 0);
    return (struct redis_conn){.addr = addr,
                               .command = {.max = max_args, .text_max = max_args * NUMBER_TEXT}};
}

struct redis_conn *redis_conn_plan(const struct conf_addr *addr, struct arena *a, uint32_t max_args)
{
    static struct redis_conn conn;
    struct redis_conn *c = &conn;
    *c = with_limits(addr, max_args);
    c->argv_pool = arena_plan(a, "redis arguments", max_args, sizeof *c->command.argv);
    c->lens_pool = arena_plan(a, "redis arguments", max_args, sizeof *c->command.lens);
    c->text_pool = arena_plan(a, "redis arguments", max_args, NUMBER_TEXT);
    c->buffer_pool = arena_plan(a, "redis buffer", REDIS_CONN_BUFFER, 1);
    return c;
}

void redis_conn_init(struct redis_conn *c, const struct arena *a)
{
    ASSERT(!redis_conn_is_open(c));
    c->command.argv = arena_block(a, c->argv_pool);
    c->command.lens = arena_block(a, c->lens_pool);
    c->command.text = arena_block(a, c->text_pool);
    c->buffer = arena_block(a, c->buffer_pool);
}

/* One block: the struct, then its arrays, from the largest alignment to the smallest. */
struct redis_conn *redis_conn_create(const struct conf_addr *addr, uint32_t max_args)
{
    size_t argv_bytes = max_args * sizeof(char *), lens_bytes = max_args * sizeof(size_t);
    size_t text_bytes = (size_t)max_args * NUMBER_TEXT;
    struct redis_conn *c =
        calloc(1, sizeof *c + argv_bytes + lens_bytes + text_bytes + REDIS_CONN_BUFFER);
    if (c == NULL)
        return NULL;
    *c = with_limits(addr, max_args);
    c->command.argv = (const char **)(c + 1);
    c->command.lens = (size_t *)(c->command.argv + max_args);
    c->command.text = (char *)(c->command.lens + max_args);
    c->buffer = c->command.text + text_bytes;
    return c;
}

void redis_conn_destroy(struct redis_conn *c)
{
    if (c == NULL)
        return;
    redis_conn_close(c);
    free(c);
}

/* ---- opening and closing -------------------------------------------------------------------- */

bool redis_conn_is_open(const struct redis_conn *c)
{
    return c->reader != NULL;
}

const char *redis_conn_name(const struct redis_conn *c)
{
    return c->addr->text;
}

/* True once the descriptor is ready for the events; false at the deadline. */
static bool wait_ready(int fd, short events, uint64_t deadline_mono_us)
{
    for (;;) {
        uint64_t now = clock_mono_us();
        if (now >= deadline_mono_us)
            return false;
        uint64_t remaining_us = deadline_mono_us - now;
        struct timespec t = {.tv_sec = (time_t)(remaining_us / 1000000),
                             .tv_nsec = (long)(remaining_us % 1000000) * 1000};
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
    /* A Unix socket whose backlog is full fails with EAGAIN: the next attempt may succeed. */
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

bool redis_conn_open(struct redis_conn *c, uint64_t deadline_mono_us, struct fault *f)
{
    ASSERT(!redis_conn_is_open(c));
    int family = c->addr->to.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault(f, "redis %s: socket: %s", c->addr->text, strerror(errno));
    int one = 1;
    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int error = connect_by(fd, c->addr, deadline_mono_us);
    if (error == 0 && (c->reader = redisReaderCreate()) == NULL)
        error = ENOMEM;
    if (error != 0) {
        close(fd);
        return fault(f, "redis %s: %s", c->addr->text, strerror(error));
    }
    c->fd = fd;
    c->owner = thread_role();
    /* The parser's buffer stays as large as the largest reply: to shrink it hiredis would
     * allocate, and abort the process if there is no memory. */
    c->reader->maxbuf = 0;
    return true;
}

void redis_conn_close(struct redis_conn *c)
{
    if (!redis_conn_is_open(c))
        return;
    close(c->fd);
    redisReaderFree(c->reader);
    c->reader = NULL;
}

void redis_conn_begin(struct redis_conn *c)
{
    c->command.count = 0;
    c->command.text_used = 0;
}

void redis_conn_add(struct redis_conn *c, const char *text, size_t len)
{
    ASSERT(c->command.count < c->command.max && (text != NULL || len == 0));
    c->command.argv[c->command.count] = text;
    c->command.lens[c->command.count++] = len;
}

void redis_conn_add_text(struct redis_conn *c, const char *text)
{
    redis_conn_add(c, text, strlen(text));
}

/* Writes the number in decimal and returns its length, which is at most NUMBER_TEXT. */
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
    ASSERT(from < sizeof digits);
    memcpy(text, digits + from, sizeof digits - from);
    return sizeof digits - from;
}

void redis_conn_add_number(struct redis_conn *c, int64_t number)
{
    char *text = c->command.text + c->command.text_used;
    ASSERT(c->command.text_used + NUMBER_TEXT <= c->command.text_max);
    size_t len = print_number(text, number);
    c->command.text_used += (uint32_t)len;
    redis_conn_add(c, text, len);
}

void redis_conn_replace(struct redis_conn *c, uint32_t argument, const char *text)
{
    ASSERT(argument < c->command.count);
    c->command.argv[argument] = text;
    c->command.lens[argument] = strlen(text);
}

/* Closes the connection and is false. */
static bool in_doubt(struct redis_conn *c, struct fault *f, const char *doing, const char *why)
{
    fault_set(f, "redis %s: %s: %s", c->addr->text, doing, why);
    redis_conn_close(c);
    return false;
}

/* ---- sending a command ---------------------------------------------------------------------- */

static bool flush(struct redis_conn *c, uint64_t deadline_mono_us, struct fault *f)
{
    ASSERT(c->used <= REDIS_CONN_BUFFER);
    for (size_t sent = 0; sent < c->used;) {
        ssize_t n = send(c->fd, c->buffer + sent, c->used - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            return in_doubt(c, f, "write", strerror(errno));
        else if (!wait_ready(c->fd, POLLOUT, deadline_mono_us))
            return in_doubt(c, f, "write", "no progress within redis-timeout");
    }
    c->used = 0;
    return true;
}

static bool put(struct redis_conn *c, const char *bytes, size_t len, uint64_t deadline_mono_us,
                struct fault *f)
{
    while (len > REDIS_CONN_BUFFER - c->used) {
        size_t fits = REDIS_CONN_BUFFER - c->used;
        memcpy(c->buffer + c->used, bytes, fits);
        c->used = REDIS_CONN_BUFFER;
        if (!flush(c, deadline_mono_us, f))
            return false;
        bytes += fits;
        len -= fits;
    }
    memcpy(c->buffer + c->used, bytes, len);
    c->used += len;
    return true;
}

/* "*3\r\n" begins three arguments, "$5\r\n" one of five bytes. */
static bool put_count(struct redis_conn *c, char prefix, size_t count, uint64_t deadline_mono_us,
                      struct fault *f)
{
    char text[1 + NUMBER_TEXT + 2] = {prefix};
    size_t len = 1 + print_number(text + 1, (int64_t)count);
    text[len++] = '\r';
    text[len++] = '\n';
    return put(c, text, len, deadline_mono_us, f);
}

bool redis_conn_send(struct redis_conn *c, uint64_t deadline_mono_us, struct fault *f)
{
    const struct redis_command *a = &c->command;
    ASSERT(redis_conn_is_open(c) && c->owner == thread_role());
    ASSERT(a->count > 0);
    c->used = 0;
    if (!put_count(c, '*', a->count, deadline_mono_us, f))
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!put_count(c, '$', a->lens[i], deadline_mono_us, f) ||
            !put(c, a->argv[i], a->lens[i], deadline_mono_us, f) ||
            !put(c, "\r\n", 2, deadline_mono_us, f))
            return false;
    return flush(c, deadline_mono_us, f);
}

/* ---- receiving a reply ---------------------------------------------------------------------- */

/* True: *reply is the reply, or NULL while it is incomplete. */
static bool read_reply(struct redis_conn *c, uint64_t deadline_mono_us, redisReply **reply,
                       struct fault *f)
{
    void *got = NULL;
    if (redisReaderGetReply(c->reader, &got) != REDIS_OK)
        return in_doubt(c, f, "reply", c->reader->errstr);
    *reply = got;
    /* A reply after the deadline is too late, even if it is here now: a process that was stopped
     * may have been given up meanwhile, and its sales with it. */
    if (got == NULL || clock_mono_us() <= deadline_mono_us)
        return true;
    freeReplyObject(got);
    return in_doubt(c, f, "reply", "none within redis-timeout");
}

static bool read_more(struct redis_conn *c, uint64_t deadline_mono_us, struct fault *f)
{
    if (!wait_ready(c->fd, POLLIN, deadline_mono_us))
        return in_doubt(c, f, "reply", "none within redis-timeout");
    ssize_t n = recv(c->fd, c->buffer, REDIS_CONN_BUFFER, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR || in_doubt(c, f, "read", strerror(errno));
    if (n == 0)
        return in_doubt(c, f, "read", "the server closed the connection");
    return redisReaderFeed(c->reader, c->buffer, (size_t)n) == REDIS_OK ||
           in_doubt(c, f, "reply", c->reader->errstr);
}

redisReply *redis_conn_receive(struct redis_conn *c, uint64_t deadline_mono_us, struct fault *f)
{
    redisReply *reply = NULL;
    ASSERT(redis_conn_is_open(c) && c->owner == thread_role());
    while (reply == NULL)
        if (!read_reply(c, deadline_mono_us, &reply, f) ||
            (reply == NULL && !read_more(c, deadline_mono_us, f)))
            return NULL;
    return reply;
}

redisReply *redis_conn_call(struct redis_conn *c, uint64_t deadline_mono_us, struct fault *f)
{
    return redis_conn_send(c, deadline_mono_us, f) ? redis_conn_receive(c, deadline_mono_us, f)
                                                   : NULL;
}
