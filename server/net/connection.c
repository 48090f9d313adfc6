/*
 * One connection: reads, has its requests served, sends, and settles into its next life.
 *
 * A turn is read -> serve -> keep what is left over -> send -> settle. Reading is done by one call
 * into the buffer that all connections share; only a rest that cannot be served yet is copied into
 * a buffer of its own. The read watcher stays on for the whole life of the connection, so a
 * kept-alive request costs no epoll_ctl; only somebody who sends on while a verdict is awaited has
 * it switched off, then and not before. A first request that is there already when its connection
 * is accepted is served in the same turn; if that was all, the connection is never watched.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "server/net/inside.h"

#define LINGER_BYTES (256u << 10)

static void watch(struct worker *w, struct connection *c, int events)
{
    bool on = ev_is_active(&c->io);
    if (on ? c->io.events == events : events == 0)
        return;
    ev_io_stop(w->loop, &c->io);
    if (events == 0)
        return;
    ev_io_modify(&c->io, events);
    ev_io_start(w->loop, &c->io);
}

void connection_close(struct worker *w, struct connection *c)
{
    if (c->message != NULL)
        ask_abandon(w, c);
    if (c->in != NULL)
        pool_put(&w->buffers, c->in);
    if (c->out != NULL)
        pool_put(&w->buffers, c->out);
    w->out_len = 0;
    ev_io_stop(w->loop, &c->io);
    close(c->io.fd);
    deadline_leave(&c->deadline);
    pool_put(&w->connections, c);
    COUNT(w->counters.connections, UINT32_MAX);
    atomic_fetch_sub_explicit(&w->o.door->open, 1, memory_order_relaxed);
}

/* Neither a buffer for the rest of the input nor, perhaps, a place to say so. */
static void no_buffer(struct worker *w, struct connection *c)
{
    c->keepalive = KEEPALIVE_CLOSE; /* of the verdict, if one is awaited */
    if (c->life != LIFE_ORDERED && c->out == NULL && w->out_len + w->answer_room <= w->buffer_bytes)
        serve_refusal(w, c, VERDICT_BUSY);
    c->closing = c->rude = true;
}

static void drop_input(struct worker *w, struct connection *c)
{
    if (c->in != NULL)
        pool_put(&w->buffers, c->in);
    c->in = NULL;
    c->in_len = 0;
}

static void keep_input(struct worker *w, struct connection *c, const char *rest, uint32_t len)
{
    if (LIKELY(len == 0) || c->closing) {
        c->rude = c->rude || len > 0;
        drop_input(w, c);
        return;
    }
    if (c->in == NULL)
        c->in = pool_get(&w->buffers);
    if (c->in == NULL) {
        no_buffer(w, c);
        return;
    }
    memmove(c->in, rest, len);
    c->in_len = len;
}

/* A peer that may still be sending would be answered with a reset, which can overtake our last
 * answer: so say that nothing more will come, and read on for a moment. */
static void goodbye(struct worker *w, struct connection *c)
{
    if (!c->rude || c->ended || shutdown(c->io.fd, SHUT_WR) != 0) {
        connection_close(w, c);
        return;
    }
    c->lingered = 0;
    watch(w, c, EV_READ);
    life_move(w, c, LIFE_LINGER);
}

/* Everything that could be done is done: what is this connection waiting for now? */
static void settle(struct worker *w, struct connection *c, bool progress)
{
    if (c->dead) {
        connection_close(w, c);
    } else if (c->life == LIFE_ORDERED) {
        return; /* for its verdict; ask.c has seen to it */
    } else if (c->out != NULL) {
        watch(w, c, EV_WRITE);
        life_move(w, c, LIFE_DRAINING);
    } else if (c->closing) {
        goodbye(w, c);
    } else if (c->ended) {
        connection_close(w, c);
    } else {
        watch(w, c, EV_READ);
        if (c->in_len == 0)
            life_move(w, c, LIFE_IDLE);
        else if (progress || c->life != LIFE_HEADER) /* one deadline for a whole request */
            life_move(w, c, LIFE_HEADER);
    }
}

static void turn(struct worker *w, struct connection *c, const char *buf, uint32_t len)
{
    uint32_t used = serve_requests(w, c, buf, len);
    keep_input(w, c, buf + used, len - used);
    output_flush(w, c);
    settle(w, c, used > 0);
}

void connection_continue(struct worker *w, struct connection *c)
{
    turn(w, c, c->in != NULL ? c->in : w->in, c->in_len);
}

static bool is_passing(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

void connection_readable(struct worker *w, struct connection *c)
{
    char *buf = c->in != NULL ? c->in : w->in;
    ASSERT(c->in_len < w->buffer_bytes); /* the parser decides before that (request.h) */
    ssize_t n = recv(c->io.fd, buf + c->in_len, w->buffer_bytes - c->in_len, 0);
    if (LIKELY(n > 0))
        turn(w, c, buf, c->in_len + (uint32_t)n);
    else if (!is_passing(n))
        connection_close(w, c); /* the end, between requests or inside one; or a reset */
}

/* Awaiting a verdict: the next request can wait, the end of input must not end the order. */
static void look(struct worker *w, struct connection *c)
{
    char byte;
    ssize_t n = recv(c->io.fd, &byte, 1, MSG_PEEK);
    if (is_passing(n))
        return;
    c->ended = n == 0;
    if (n < 0)
        connection_close(w, c);
    else
        watch(w, c, 0);
}

static void drain(struct worker *w, struct connection *c)
{
    if (output_resume(w, c))
        connection_continue(w, c);
    else if (c->dead)
        connection_close(w, c);
}

static void linger(struct worker *w, struct connection *c)
{
    ssize_t n = recv(c->io.fd, w->in, w->buffer_bytes, 0);
    if (is_passing(n))
        return;
    c->lingered += n > 0 ? (uint32_t)n : 0;
    if (n <= 0 || c->lingered > LINGER_BYTES)
        connection_close(w, c);
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    static void (*const steps[LIFE_COUNT])(struct worker *, struct connection *) = {
        [LIFE_IDLE] = connection_readable,
        [LIFE_HEADER] = connection_readable,
        [LIFE_ORDERED] = look,
        [LIFE_DRAINING] = drain,
        [LIFE_LINGER] = linger,
    };
    struct connection *c = (struct connection *)(void *)io;
    (void)loop;
    (void)revents; /* each life watches for one thing; an error shows in the call */
    ASSERT(c->life < LIFE_COUNT);
    steps[c->life](io->data, c);
}

static void count_in(struct worker *w)
{
    COUNT(w->counters.connections, 1);
    uint32_t open = atomic_load_explicit(&w->counters.connections, memory_order_relaxed);
    if (open > atomic_load_explicit(&w->counters.connections_max, memory_order_relaxed))
        atomic_store_explicit(&w->counters.connections_max, open, memory_order_relaxed);
}

/* Who connects usually asks at once, and has done so by the time of accept: so look. A watcher
 * reaches the kernel only when the loop sleeps next, never if its connection is gone by then. */
void connection_open(struct worker *w, int fd)
{
    struct connection *c = pool_get(&w->connections);
    ASSERT(c != NULL); /* the door's limit is the pool's size */
    memset(c, 0, sizeof *c);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    c->io.data = w;
    ev_io_start(w->loop, &c->io);
    life_begin(w, c);
    count_in(w);
    connection_readable(w, c);
}
