/*
 * http: see http.h. A node may close a kept connection at any time (its idle time-out, a restart).
 * That shows as an end of file before the first byte of a response: then, and only then, the
 * request is sent once more, on a new connection. If this process dies, the nodes see closed
 * connections.
 *
 * A body that needs chunks of the shared reserve waits in the list `waiting` while the reserve is
 * empty; its socket is not read until another connection has returned chunks.
 */
#include "admin-tui/client/http.h"

#include <errno.h>
#include <ev.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin-tui/client/buffers.h"
#include "admin-tui/client/http_head.h"
#include "conf/base/clock.h"

#define READS_MAX 16 /* in one callback, so that one fast node does not delay the others */

enum http_step {
    HTTP_IDLE,
    HTTP_DELAYED,
    HTTP_CONNECTING,
    HTTP_SENDING,
    HTTP_HEAD,
    HTTP_BODY,
};

struct http_conn {
    struct http_client *client;
    struct http_use use;
    struct endpoint endpoint;
    enum http_step step;
    int fd; /* -1: not connected */
    bool reused, waits_for_chunk;
    uint32_t at;    /* the socket address that is in use, or was last */
    uint32_t tried; /* addresses that were tried for this request */
    const char *request;
    size_t request_len, sent;
    uint64_t timeout_us, sent_mono_us;
    ev_io io;
    ev_timer timer;
    struct http_conn *next_waiting;
    struct http_head head;
    struct chain *body;
};

struct http_client {
    struct ev_loop *loop;
    struct buffers *buffers;
    struct http_conn *waiting; /* for a chunk */
    char failure[64];          /* text of the last failure, if it had to be formatted */
    uint32_t conn_count, conn_max;
    struct http_conn conns[];
};

static void on_io(struct ev_loop *loop, ev_io *io, int events);
static void on_timer(struct ev_loop *loop, ev_timer *timer, int events);
static void connect_next(struct http_conn *h, int error);

struct http_client *http_client_new(struct ev_loop *loop, uint32_t conns, uint32_t shared)
{
    struct http_client *c = calloc(1, sizeof *c + conns * sizeof c->conns[0]);
    if (c == NULL)
        return NULL;
    c->loop = loop;
    c->conn_max = conns;
    c->buffers = buffers_new(conns, shared);
    if (c->buffers == NULL) {
        free(c);
        return NULL;
    }
    return c;
}

void http_client_free(struct http_client *c)
{
    for (uint32_t i = 0; i < c->conn_count; i++)
        http_close(&c->conns[i]);
    ASSERT(c->waiting == NULL);
    buffers_free(c->buffers);
    free(c);
}

struct http_conn *http_conn_new(struct http_client *c, const struct http_use *use)
{
    ASSERT(c->conn_count < c->conn_max);
    ASSERT(use->done != NULL && use->body_max > 0);
    struct http_conn *h = &c->conns[c->conn_count++];
    *h = (struct http_conn){.client = c, .use = *use, .fd = -1};
    h->body = chain_new(c->buffers);
    ev_init(&h->io, on_io);
    ev_init(&h->timer, on_timer);
    h->io.data = h->timer.data = h;
    return h;
}

bool http_is_idle(const struct http_conn *h)
{
    return h->step == HTTP_IDLE;
}

size_t http_body_len(const struct http_conn *h)
{
    ASSERT(h->step == HTTP_IDLE);
    return chain_len(h->body);
}

void http_body_copy(const struct http_conn *h, char *out)
{
    ASSERT(h->step == HTTP_IDLE);
    chain_copy(h->body, out);
}

uint64_t http_sent_mono_us(const struct http_conn *h)
{
    return h->sent_mono_us;
}

/* ---- chunks of the shared reserve ------------------------------------------------------------ */

static void wait_for_chunk(struct http_conn *h)
{
    struct http_client *c = h->client;
    ASSERT(!h->waits_for_chunk && h->step == HTTP_BODY);
    ev_io_stop(c->loop, &h->io);
    h->waits_for_chunk = true;
    h->next_waiting = c->waiting;
    c->waiting = h;
}

/* Chunks have been returned: every waiting connection reads again and tries to reserve. */
static void wake_waiting(struct http_client *c)
{
    while (c->waiting != NULL) {
        struct http_conn *h = c->waiting;
        ASSERT(h->waits_for_chunk && h->fd >= 0);
        c->waiting = h->next_waiting;
        h->waits_for_chunk = false;
        ev_io_start(c->loop, &h->io);
    }
}

static void stop_waiting(struct http_conn *h)
{
    struct http_conn **at = &h->client->waiting;
    while (*at != NULL && *at != h)
        at = &(*at)->next_waiting;
    ASSERT(*at == h);
    *at = h->next_waiting;
    h->waits_for_chunk = false;
}

void http_drop_body(struct http_conn *h)
{
    ASSERT(h->step == HTTP_IDLE);
    if (chain_clear(h->body))
        wake_waiting(h->client);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void disconnect(struct http_conn *h)
{
    if (h->waits_for_chunk)
        stop_waiting(h);
    ev_io_stop(h->client->loop, &h->io);
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
}

static void watch(struct http_conn *h, int events)
{
    ASSERT(h->fd >= 0 && !h->waits_for_chunk);
    ev_io_stop(h->client->loop, &h->io);
    ev_io_set(&h->io, h->fd, events);
    ev_io_start(h->client->loop, &h->io);
}

void http_close(struct http_conn *h)
{
    disconnect(h);
    ev_timer_stop(h->client->loop, &h->timer);
    h->step = HTTP_IDLE;
    http_drop_body(h);
}

void http_set_endpoint(struct http_conn *h, const struct endpoint *e)
{
    ASSERT(h->step == HTTP_IDLE && e->count > 0);
    http_close(h);
    h->endpoint = *e;
    h->at = 0;
}

static void fail(struct http_conn *h, const char *failure)
{
    ASSERT(h->step != HTTP_IDLE);
    http_close(h);
    h->use.done(h->use.owner, failure);
}

static void succeed(struct http_conn *h)
{
    ASSERT(h->step == HTTP_BODY && h->head.complete);
    ev_timer_stop(h->client->loop, &h->timer);
    h->step = HTTP_IDLE;
    if (!h->head.keep_alive)
        disconnect(h);
    h->use.done(h->use.owner, NULL);
}

static const char *error_text(struct http_client *c, int error)
{
    ASSERT(error > 0);
    switch (error) {
    case ECONNREFUSED:
        return "connection refused";
    case ECONNRESET:
    case EPIPE:
        return "connection reset";
    case ETIMEDOUT:
        return "timed out";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "no route to it";
    case ENOENT:
        return "no such socket";
    default:
        snprintf(c->failure, sizeof c->failure, "%s", strerror(error));
        return c->failure;
    }
}

static const char *status_text(struct http_conn *h)
{
    struct http_client *c = h->client;
    switch (h->head.status) {
    case 401:
        return strstr(h->request, "\r\nAuthorization:") != NULL ? "401: wrong token"
                                                                : "401: token needed";
    case 403:
        return "403: refused";
    case 404:
        return "404: not an admin address";
    default:
        snprintf(c->failure, sizeof c->failure, "status %u", (unsigned)h->head.status);
        return c->failure;
    }
}

/* The connection has ended before the response; error 0: it was closed in good order. */
static void cut_off(struct http_conn *h, int error)
{
    if (h->reused && h->step <= HTTP_HEAD && h->head.bytes == 0) {
        disconnect(h);
        connect_next(h, error);
        return;
    }
    if (error != 0)
        fail(h, error_text(h->client, error));
    else
        fail(h, h->head.bytes == 0 ? "closed, no answer" : "half an answer");
}

/* ---- the response --------------------------------------------------------------------------- */

/* True: there may be more to read. */
static bool is_unfinished(struct http_conn *h)
{
    if (h->step != HTTP_BODY || chain_len(h->body) < h->head.length)
        return true;
    succeed(h);
    return false;
}

/* Parses bytes of the head; what follows them goes to the body. */
static bool receive_head(struct http_conn *h, const char *bytes, size_t len)
{
    size_t used, space;
    const char *why = http_head_parse(&h->head, bytes, len, &used);
    if (h->use.only_200 && h->head.status != 0 && h->head.status != 200)
        why = status_text(h);
    else if (why == NULL && h->head.length > h->use.body_max)
        why = "too long";
    else if (why == NULL && h->head.complete && len - used > h->head.length)
        why = "garbage";
    if (why != NULL) {
        fail(h, why);
        return false;
    }
    if (h->head.complete)
        h->step = HTTP_BODY;
    if (len > used) {
        char *to = chain_tail(h->body, &space);
        ASSERT(h->head.complete && space >= len - used);
        memcpy(to, bytes + used, len - used);
        chain_filled(h->body, len - used);
    }
    return is_unfinished(h);
}

static bool read_head(struct http_conn *h)
{
    char bytes[CHUNK_BYTES];
    ASSERT(chain_len(h->body) == 0);
    ssize_t got = recv(h->fd, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        cut_off(h, got == 0 ? 0 : errno);
        return false;
    }
    return receive_head(h, bytes, (size_t)got);
}

static bool read_body(struct http_conn *h)
{
    ASSERT(chain_len(h->body) < h->head.length);
    size_t space, missing = (size_t)h->head.length - chain_len(h->body);
    if (!chain_reserve(h->body, (size_t)h->head.length)) {
        wait_for_chunk(h);
        return false;
    }
    char *to = chain_tail(h->body, &space);
    ssize_t got = recv(h->fd, to, space < missing ? space : missing, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        cut_off(h, got == 0 ? 0 : errno);
        return false;
    }
    chain_filled(h->body, (size_t)got);
    return is_unfinished(h);
}

static void read_some(struct http_conn *h)
{
    for (int i = 0; i < READS_MAX; i++)
        if (h->step == HTTP_HEAD ? !read_head(h) : !read_body(h))
            return;
}

/* ---- the request ---------------------------------------------------------------------------- */

static void send_some(struct http_conn *h)
{
    ASSERT(h->step == HTTP_SENDING && h->sent <= h->request_len);
    while (h->sent < h->request_len) {
        ssize_t put = send(h->fd, h->request + h->sent, h->request_len - h->sent, MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
            watch(h, EV_WRITE);
            return;
        }
        if (put < 0) {
            cut_off(h, errno);
            return;
        }
        h->sent += (size_t)put;
    }
    h->step = HTTP_HEAD;
    watch(h, EV_READ);
}

static void begin_sending(struct http_conn *h)
{
    ASSERT(h->step == HTTP_CONNECTING || h->step == HTTP_DELAYED);
    h->step = HTTP_SENDING;
    h->sent = 0;
    h->sent_mono_us = clock_mono_us();
    http_head_begin(&h->head);
    send_some(h);
}

/* 0: the connection is established, or under way. */
static int connect_at(struct http_conn *h, uint32_t i)
{
    const struct sockaddr *to = endpoint_at(&h->endpoint, i);
    int one = 1;
    ASSERT(h->fd < 0);
    h->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (h->fd < 0)
        return errno;
    if (to->sa_family != AF_UNIX)
        setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(h->fd, to, h->endpoint.len[i]) == 0 || errno == EINPROGRESS)
        return 0;
    int error = errno;
    disconnect(h);
    return error;
}

/* Tries the addresses that remain; error: what the last attempt ended with. */
static void connect_next(struct http_conn *h, int error)
{
    ASSERT(h->endpoint.count > 0 && h->at < h->endpoint.count);
    h->reused = false;
    h->step = HTTP_CONNECTING;
    for (; h->tried < h->endpoint.count; h->at = (h->at + 1) % h->endpoint.count) {
        h->tried++;
        if ((error = connect_at(h, h->at)) == 0) {
            watch(h, EV_WRITE);
            return;
        }
    }
    fail(h, error_text(h->client, error));
}

static void finish_connecting(struct http_conn *h)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0) {
        begin_sending(h);
        return;
    }
    disconnect(h);
    h->at = (h->at + 1) % h->endpoint.count;
    connect_next(h, error);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    struct http_conn *h = io->data;
    (void)loop, (void)events;
    ASSERT(h->fd >= 0);
    switch (h->step) {
    case HTTP_CONNECTING:
        finish_connecting(h);
        return;
    case HTTP_SENDING:
        send_some(h);
        return;
    case HTTP_HEAD:
    case HTTP_BODY:
        read_some(h);
        return;
    case HTTP_IDLE:
    case HTTP_DELAYED:
        disconnect(h); /* the node has closed it, or sent bytes without a request */
        return;
    }
}

static void set_timer(struct http_conn *h, uint64_t us)
{
    ev_timer_stop(h->client->loop, &h->timer);
    ev_timer_set(&h->timer, (double)us / 1e6, 0.);
    ev_timer_start(h->client->loop, &h->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct http_conn *h = timer->data;
    (void)loop, (void)events;
    ASSERT(h->step != HTTP_IDLE);
    if (h->step != HTTP_DELAYED) {
        fail(h, "timed out");
        return;
    }
    set_timer(h, h->timeout_us);
    h->tried = 0;
    h->reused = h->fd >= 0;
    if (h->reused)
        begin_sending(h);
    else
        connect_next(h, ECONNREFUSED);
}

void http_begin(struct http_conn *h, const char *request, size_t len, uint64_t delay_us,
                uint64_t timeout_us)
{
    ASSERT(h->step == HTTP_IDLE && delay_us < timeout_us);
    ASSERT(h->endpoint.count > 0 && len > 0);
    http_drop_body(h);
    h->step = HTTP_DELAYED;
    h->request = request;
    h->request_len = len;
    h->timeout_us = timeout_us - delay_us;
    set_timer(h, delay_us);
}
