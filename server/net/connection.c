/*
 * One connection: reads, has its requests served, sends, and moves to its next state.
 *
 * Reading is done by one call into the buffer that all connections share; only a rest that cannot
 * be served yet is copied into a buffer of its own. The read watcher stays on for the whole life of
 * the connection, so a kept-alive request costs no epoll_ctl; only a peer that sends on while a
 * verdict is awaited has it switched off, then and not before. A first request that has arrived by
 * the time of accept is served at once; if that was all, the connection is never watched.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "server/net/worker_private.h"

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
    ASSERT(c->state < CONN_STATES && c->io.fd >= 0);
    if (c->message != NULL)
        inflight_abandon(w, c);
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
    conn_limit_give(w->o.limit);
}

/* No buffer is free for the rest of the input: the connection ends, with -6 if there is space. */
static void no_buffer(struct worker *w, struct connection *c)
{
    c->keepalive = KEEPALIVE_CLOSE; /* of the verdict, if one is awaited */
    if (c->state != CONN_WAITING && c->out == NULL && w->out_len + w->answer_max <= w->buffer_bytes)
        respond_unread(w, c, VERDICT_BUSY, NO_EVENT);
    c->closing = c->discard_input = true;
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
    ASSERT(len < w->buffer_bytes || c->closing);
    if (LIKELY(len == 0) || c->closing) {
        c->discard_input = c->discard_input || len > 0;
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

/* Closing at once would answer a peer that is still sending with a reset, which can overtake our
 * last answer: so only our side is shut, and input is discarded for a moment. */
static void shutdown_write(struct worker *w, struct connection *c)
{
    ASSERT(c->out == NULL && c->message == NULL); /* all is sent */
    if (!c->discard_input || c->peer_eof || shutdown(c->io.fd, SHUT_WR) != 0) {
        connection_close(w, c);
        return;
    }
    c->discarded = 0;
    watch(w, c, EV_READ);
    conn_state_move(w, c, CONN_LINGER);
}

/* All input that can be served is served: what does the connection wait for now? */
static void choose_state(struct worker *w, struct connection *c, bool progress)
{
    if (c->write_error) {
        connection_close(w, c);
    } else if (c->state == CONN_WAITING) {
        return; /* submit.c has moved it there */
    } else if (c->out != NULL) {
        watch(w, c, EV_WRITE);
        conn_state_move(w, c, CONN_WRITING);
    } else if (c->closing) {
        shutdown_write(w, c);
    } else if (c->peer_eof) {
        connection_close(w, c);
    } else {
        watch(w, c, EV_READ);
        if (c->in_len == 0)
            conn_state_move(w, c, CONN_IDLE);
        else if (progress || c->state != CONN_READING) /* one deadline for a whole request */
            conn_state_move(w, c, CONN_READING);
    }
}

static void process_input(struct worker *w, struct connection *c, const char *buf, uint32_t len)
{
    uint32_t used = serve_requests(w, c, buf, len);
    ASSERT(used <= len);
    keep_input(w, c, buf + used, len - used);
    output_flush(w, c);
    choose_state(w, c, used > 0);
}

void connection_continue(struct worker *w, struct connection *c)
{
    process_input(w, c, c->in != NULL ? c->in : w->in, c->in_len);
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
        process_input(w, c, buf, c->in_len + (uint32_t)n);
    else if (!is_passing(n))
        connection_close(w, c); /* the end, between requests or inside one; or a reset */
}

/* Awaiting a verdict: the next request can wait, the end of input must not end the order. */
static void peek_eof(struct worker *w, struct connection *c)
{
    char byte;
    ASSERT(c->message != NULL && c->out == NULL);
    ssize_t n = recv(c->io.fd, &byte, 1, MSG_PEEK);
    if (is_passing(n))
        return;
    c->peer_eof = n == 0;
    if (n < 0)
        connection_close(w, c);
    else
        watch(w, c, 0);
}

static void resume_output(struct worker *w, struct connection *c)
{
    if (output_resume(w, c))
        connection_continue(w, c);
    else if (c->write_error)
        connection_close(w, c);
}

static void linger(struct worker *w, struct connection *c)
{
    ssize_t n = recv(c->io.fd, w->in, w->buffer_bytes, 0);
    if (is_passing(n))
        return;
    c->discarded += n > 0 ? (uint32_t)n : 0;
    if (n <= 0 || c->discarded > LINGER_BYTES)
        connection_close(w, c);
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    static void (*const steps[CONN_STATES])(struct worker *, struct connection *) = {
        [CONN_IDLE] = connection_readable,
        [CONN_READING] = connection_readable,
        [CONN_WAITING] = peek_eof,
        [CONN_WRITING] = resume_output,
        [CONN_LINGER] = linger,
    };
    struct connection *c = (struct connection *)(void *)io;
    (void)loop;
    (void)revents; /* each state watches for one thing; an error shows in the call */
    ASSERT(c->state < CONN_STATES);
    steps[c->state](io->data, c);
}

static void count_connection(struct worker *w)
{
    COUNT(w->counters.connections, 1);
    uint32_t open = atomic_load_explicit(&w->counters.connections, memory_order_relaxed);
    if (open > atomic_load_explicit(&w->counters.connections_max, memory_order_relaxed))
        atomic_store_explicit(&w->counters.connections_max, open, memory_order_relaxed);
}

/* The first request has usually arrived by the time of accept: read at once. A watcher reaches the
 * kernel only when the loop sleeps next, never if its connection is closed by then. */
void connection_open(struct worker *w, int fd)
{
    ASSERT_OWNER(w);
    struct connection *c = pool_get(&w->connections);
    ASSERT(c != NULL); /* the limit is the pool's size */
    memset(c, 0, sizeof *c);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    c->io.data = w;
    ev_io_start(w->loop, &c->io);
    conn_state_begin(w, c);
    count_connection(w);
    connection_readable(w, c);
}
