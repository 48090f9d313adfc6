#include "storage/stock/link.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/clock.h"

#define NUMBER_TEXT 21 /* bytes of a 64-bit number, and a NUL */

void link_plan(struct link *l, const struct conf_addr *addr, struct arena *a, uint32_t max_args)
{
    l->addr = addr;
    l->args.max = max_args;
    l->args.text_max = max_args * NUMBER_TEXT;
    l->argv_pool = arena_plan(a, "redis arguments", max_args, sizeof *l->args.argv);
    l->lens_pool = arena_plan(a, "redis arguments", max_args, sizeof *l->args.lens);
    l->text_pool = arena_plan(a, "redis arguments", max_args, NUMBER_TEXT);
}

void link_init(struct link *l, const struct arena *a)
{
    l->args.argv = arena_block(a, l->argv_pool);
    l->args.lens = arena_block(a, l->lens_pool);
    l->args.text = arena_block(a, l->text_pool);
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

bool link_open(struct link *l, uint64_t deadline_mono_us, struct fault *f)
{
    ASSERT(l->redis == NULL);
    int family = l->addr->to.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault(f, "redis %s: socket: %s", l->addr->text, strerror(errno));
    int one = 1;
    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int error = connect_by(fd, l->addr, deadline_mono_us);
    if (error == 0 && (l->redis = redisConnectFd(fd)) == NULL)
        error = ENOMEM;
    if (error != 0) {
        close(fd);
        return fault(f, "redis %s: %s", l->addr->text, strerror(error));
    }
    return true;
}

void link_close(struct link *l)
{
    if (l->redis != NULL)
        redisFree(l->redis);
    l->redis = NULL;
}

void link_begin(struct link *l)
{
    l->args.count = 0;
    l->args.text_used = 0;
}

void link_add(struct link *l, const char *text, size_t len)
{
    ASSERT(l->args.count < l->args.max);
    l->args.argv[l->args.count] = text;
    l->args.lens[l->args.count++] = len;
}

void link_add_text(struct link *l, const char *text)
{
    link_add(l, text, strlen(text));
}

void link_add_number(struct link *l, int64_t number)
{
    char *text = l->args.text + l->args.text_used;
    ASSERT(l->args.text_used + NUMBER_TEXT <= l->args.text_max);
    int len = snprintf(text, NUMBER_TEXT, "%" PRId64, number);
    l->args.text_used += (uint32_t)len;
    link_add(l, text, (size_t)len);
}

static bool in_doubt(struct link *l, struct fault *f, const char *doing, const char *why)
{
    fault_say(f, "redis %s: %s: %s", l->addr->text, doing, why);
    link_close(l);
    return false;
}

bool link_send(struct link *l, uint64_t deadline_mono_us, struct fault *f)
{
    redisContext *c = l->redis;
    ASSERT(c != NULL);
    if (redisAppendCommandArgv(c, (int)l->args.count, l->args.argv, l->args.lens) != REDIS_OK)
        return in_doubt(l, f, "command", c->errstr);
    for (int done = 0; !done;) {
        if (redisBufferWrite(c, &done) != REDIS_OK)
            return in_doubt(l, f, "write", c->errstr);
        if (!done && !wait_ready(c->fd, POLLOUT, deadline_mono_us))
            return in_doubt(l, f, "write", "no progress within redis-timeout");
    }
    return true;
}

/* True: *reply is there, or NULL if it has not come in whole yet. */
static bool read_reply(struct link *l, uint64_t deadline_mono_us, redisReply **reply,
                       struct fault *f)
{
    void *got = NULL;
    if (redisGetReplyFromReader(l->redis, &got) != REDIS_OK)
        return in_doubt(l, f, "reply", l->redis->errstr);
    *reply = got;
    /* Later than the time-out is too late, even if it is there now: a process that was stopped may
     * meanwhile have been given up, and its sales with it. */
    if (got == NULL || clock_mono_us() <= deadline_mono_us)
        return true;
    freeReplyObject(got);
    return in_doubt(l, f, "reply", "none within redis-timeout");
}

static bool read_more(struct link *l, uint64_t deadline_mono_us, struct fault *f)
{
    if (!wait_ready(l->redis->fd, POLLIN, deadline_mono_us))
        return in_doubt(l, f, "reply", "none within redis-timeout");
    return redisBufferRead(l->redis) == REDIS_OK || in_doubt(l, f, "read", l->redis->errstr);
}

redisReply *link_receive(struct link *l, uint64_t deadline_mono_us, struct fault *f)
{
    redisReply *reply = NULL;
    ASSERT(l->redis != NULL);
    while (reply == NULL)
        if (!read_reply(l, deadline_mono_us, &reply, f) ||
            (reply == NULL && !read_more(l, deadline_mono_us, f)))
            return NULL;
    return reply;
}

redisReply *link_call(struct link *l, uint64_t deadline_mono_us, struct fault *f)
{
    return link_send(l, deadline_mono_us, f) ? link_receive(l, deadline_mono_us, f) : NULL;
}
