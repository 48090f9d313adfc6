/*
 * ask: see ask.h. A connection that the node has closed meanwhile (its idle time-out, a restart)
 * shows as an end of file before the first byte: then, and only then, the question is asked once
 * more on a new one. If this dies, the node sees a closed connection; a question changes nothing.
 */
#include "admin-tui/ask.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/clock.h"

#define READS_MAX 16 /* in one callback, so that one fast node does not keep the others waiting */

static void on_io(struct ev_loop *loop, ev_io *io, int events);
static void on_timer(struct ev_loop *loop, ev_timer *timer, int events);
static void connect_next(struct ask *a, int error);

void ask_init(struct ask *a, struct asker *with, const struct place *place, ask_ended *ended)
{
    memset(a, 0, sizeof *a);
    a->with = with;
    a->place = place;
    a->ended = ended;
    a->fd = -1;
    ev_init(&a->io, on_io);
    ev_init(&a->timer, on_timer);
    a->io.data = a->timer.data = a;
}

/* ---- chunks --------------------------------------------------------------------------------- */

static void go_hungry(struct ask *a)
{
    ev_io_stop(a->with->loop, &a->io);
    a->is_hungry = true;
    a->next_hungry = a->with->hungry;
    a->with->hungry = a;
}

static void feed_all(struct asker *with)
{
    while (with->hungry != NULL) {
        struct ask *a = with->hungry;
        with->hungry = a->next_hungry;
        a->is_hungry = false;
        ev_io_start(with->loop, &a->io);
    }
}

static void leave_hungry(struct ask *a)
{
    struct ask **at = &a->with->hungry;
    while (*at != a)
        at = &(*at)->next_hungry;
    *at = a->next_hungry;
    a->is_hungry = false;
}

void ask_forget(struct ask *a)
{
    bool more = a->body.reserved > 0;
    chain_clear(&a->with->buffers, &a->body);
    if (more)
        feed_all(a->with);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void disconnect(struct ask *a)
{
    if (a->is_hungry)
        leave_hungry(a);
    ev_io_stop(a->with->loop, &a->io);
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
}

static void watch(struct ask *a, int events)
{
    ev_io_stop(a->with->loop, &a->io);
    ev_io_set(&a->io, a->fd, events);
    ev_io_start(a->with->loop, &a->io);
}

void ask_close(struct ask *a)
{
    disconnect(a);
    ev_timer_stop(a->with->loop, &a->timer);
    a->step = ASK_REST;
    ask_forget(a);
}

static void fail(struct ask *a, const char *why)
{
    ask_close(a);
    a->ended(a, why);
}

static void succeed(struct ask *a)
{
    ev_timer_stop(a->with->loop, &a->timer);
    a->step = ASK_REST;
    if (!a->answer.keep)
        disconnect(a);
    a->ended(a, NULL);
}

static const char *words(struct ask *a, int error)
{
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
        snprintf(a->with->why, sizeof a->with->why, "%s", strerror(error));
        return a->with->why;
    }
}

static const char *words_status(struct ask *a)
{
    switch (a->answer.status) {
    case 401:
        return strstr(a->request, "\r\nAuthorization:") != NULL ? "401: wrong token"
                                                                : "401: token needed";
    case 403:
        return "403: refused";
    case 404:
        return "404: not an admin address";
    default:
        snprintf(a->with->why, sizeof a->with->why, "status %u", (unsigned)a->answer.status);
        return a->with->why;
    }
}

/* The connection ended before the answer did; error 0: in good order. */
static void cut_off(struct ask *a, int error)
{
    if (a->reused && a->step <= ASK_HEAD && a->answer.head == 0) {
        disconnect(a);
        connect_next(a, error);
        return;
    }
    if (error != 0)
        fail(a, words(a, error));
    else
        fail(a, a->answer.head == 0 ? "closed, no answer" : "half an answer");
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* True: there may be more to read. */
static bool is_unfinished(struct ask *a)
{
    if (a->step != ASK_BODY || a->body.len < a->answer.length)
        return true;
    succeed(a);
    return false;
}

/* The end of the head, and what follows it, which goes to the body. */
static bool take_head(struct ask *a, const char *bytes, size_t len)
{
    size_t used, room;
    const char *why = answer_take(&a->answer, bytes, len, &used);
    if (a->only_200 && a->answer.status != 0 && a->answer.status != 200)
        why = words_status(a);
    else if (why == NULL && a->answer.length > a->body_max)
        why = "too long";
    else if (why == NULL && a->answer.whole && len - used > a->answer.length)
        why = "garbage";
    if (why != NULL) {
        fail(a, why);
        return false;
    }
    if (a->answer.whole)
        a->step = ASK_BODY;
    if (len > used) {
        char *to = chain_room(&a->with->buffers, &a->body, &room);
        ASSERT(room >= len - used);
        memcpy(to, bytes + used, len - used);
        chain_filled(&a->body, len - used);
    }
    return is_unfinished(a);
}

static bool read_head(struct ask *a)
{
    char bytes[CHUNK_BYTES];
    ssize_t got = recv(a->fd, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        cut_off(a, got == 0 ? 0 : errno);
        return false;
    }
    return take_head(a, bytes, (size_t)got);
}

static bool read_body(struct ask *a)
{
    size_t room, left = (size_t)a->answer.length - a->body.len;
    if (!chain_reserve(&a->with->buffers, &a->body, (size_t)a->answer.length)) {
        go_hungry(a);
        return false;
    }
    char *to = chain_room(&a->with->buffers, &a->body, &room);
    ssize_t got = recv(a->fd, to, room < left ? room : left, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        cut_off(a, got == 0 ? 0 : errno);
        return false;
    }
    chain_filled(&a->body, (size_t)got);
    return is_unfinished(a);
}

static void read_some(struct ask *a)
{
    for (int i = 0; i < READS_MAX; i++)
        if (a->step == ASK_HEAD ? !read_head(a) : !read_body(a))
            return;
}

/* ---- the question --------------------------------------------------------------------------- */

static void send_some(struct ask *a)
{
    while (a->sent < a->request_len) {
        ssize_t put = send(a->fd, a->request + a->sent, a->request_len - a->sent, MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
            watch(a, EV_WRITE);
            return;
        }
        if (put < 0) {
            cut_off(a, errno);
            return;
        }
        a->sent += (size_t)put;
    }
    a->step = ASK_HEAD;
    watch(a, EV_READ);
}

static void begin_sending(struct ask *a)
{
    a->step = ASK_SENDING;
    a->sent = 0;
    a->sent_mono_us = clock_mono_us();
    answer_begin(&a->answer);
    send_some(a);
}

/* 0: the connection is there, or under way. */
static int connect_at(struct ask *a, uint32_t i)
{
    const struct sockaddr *to = place_at(a->place, i);
    int one = 1;
    a->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0)
        return errno;
    if (to->sa_family != AF_UNIX)
        setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(a->fd, to, a->place->len[i]) == 0 || errno == EINPROGRESS)
        return 0;
    int error = errno;
    disconnect(a);
    return error;
}

/* error: what the last attempt ended with. */
static void connect_next(struct ask *a, int error)
{
    a->reused = false;
    a->step = ASK_CONNECTING;
    for (; a->tried < a->place->count; a->at = (a->at + 1) % a->place->count) {
        a->tried++;
        if ((error = connect_at(a, a->at)) == 0) {
            watch(a, EV_WRITE);
            return;
        }
    }
    fail(a, words(a, error));
}

static void finish_connecting(struct ask *a)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0) {
        begin_sending(a);
        return;
    }
    disconnect(a);
    a->at = (a->at + 1) % a->place->count;
    connect_next(a, error);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop, (void)events;
    struct ask *a = io->data;
    switch (a->step) {
    case ASK_CONNECTING:
        finish_connecting(a);
        return;
    case ASK_SENDING:
        send_some(a);
        return;
    case ASK_HEAD:
    case ASK_BODY:
        read_some(a);
        return;
    case ASK_REST:
    case ASK_DELAYED:
        disconnect(a); /* closed by the node, or bytes that nobody has asked for */
        return;
    }
}

static void set_timer(struct ask *a, uint64_t us)
{
    ev_timer_stop(a->with->loop, &a->timer);
    ev_timer_set(&a->timer, (double)us / 1e6, 0.);
    ev_timer_start(a->with->loop, &a->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct ask *a = timer->data;
    if (a->step != ASK_DELAYED) {
        fail(a, "timed out");
        return;
    }
    set_timer(a, a->timeout_us);
    a->tried = 0;
    a->reused = a->fd >= 0;
    if (a->reused)
        begin_sending(a);
    else
        connect_next(a, ECONNREFUSED);
}

void ask_begin(struct ask *a, const char *request, size_t len, uint64_t delay_us,
               uint64_t timeout_us)
{
    ASSERT(a->step == ASK_REST && delay_us < timeout_us);
    ask_forget(a);
    a->step = ASK_DELAYED;
    a->request = request;
    a->request_len = len;
    a->timeout_us = timeout_us - delay_us;
    set_timer(a, delay_us);
}
