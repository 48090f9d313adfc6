/*
 * Accepting connections, up to the limit that all workers of a server share. When none can be
 * accepted (the limit, or the system is out of descriptors or memory) the watchers are switched off
 * and tried again a moment later: the kernel's queue waits, and nothing spins.
 *
 * A turn of the loop accepts one connection, and one more for every four events that it has. An
 * accept that finds the queue empty costs the kernel twice what another turn does, so a quiet loop
 * does not try for a second one. The turns of a loop that serves thousands of kept connections are
 * long: with one accept in each, new connections would wait until the others have become quiet.
 */
#include <errno.h>
#include <string.h>

#include "conf/base/log.h"
#include "server/net/worker_private.h"

#define EVENTS_AN_ACCEPT 4
#define PAUSE_SECONDS    0.05
#define WARN_US          60000000u

static void watch_all(struct worker *w)
{
    for (uint32_t i = 0; i < w->o.listener_count; i++)
        ev_io_start(w->loop, &w->accepts[i]);
}

static void pause_all(struct worker *w)
{
    for (uint32_t i = 0; i < w->o.listener_count; i++)
        ev_io_stop(w->loop, &w->accepts[i]);
    ev_timer_set(&w->accept_again, PAUSE_SECONDS, 0.);
    ev_timer_start(w->loop, &w->accept_again);
}

static void warn(struct worker *w, const char *why)
{
    if (w->now_us < w->warn_after_us)
        return;
    w->warn_after_us = w->now_us + WARN_US;
    log_line(LOG_WARN, "new connections must wait: %s (%u open, %s %u)", why,
             conn_limit_open(w->o.limit),
             w->o.side == ROUTE_BUYERS ? "`connections`" : "of operators at most",
             conn_limit_max(w->o.limit));
}

/* True: there may be more. `expected`: the kernel has said that there is one. */
static bool accept_one(struct worker *w, int listener, bool expected)
{
    if (!conn_limit_take(w->o.limit)) {
        if (expected) {
            warn(w, "the limit is reached");
            pause_all(w);
        }
        return false;
    }
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        COUNT(w->counters.accepted, 1);
        connection_open(w, fd);
        return true;
    }
    int e = errno;
    conn_limit_give(w->o.limit);
    if (e == EAGAIN)
        return false;
    if (e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM) {
        COUNT(w->counters.accept_errors, 1);
        warn(w, strerror(e));
        pause_all(w);
        return false;
    }
    return true; /* ECONNABORTED and the like: this one is gone, the next may not be */
}

static void on_acceptable(struct ev_loop *loop, ev_io *io, int revents)
{
    struct worker *w = io->data;
    uint32_t count = 1 + w->events / EVENTS_AN_ACCEPT;
    (void)loop;
    (void)revents;
    for (uint32_t i = 0; i < count && accept_one(w, io->fd, i == 0); i++)
        continue;
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    watch_all(timer->data);
}

void accept_start(struct worker *w)
{
    ASSERT(w->o.listener_count <= LISTEN_MAX);
    for (uint32_t i = 0; i < w->o.listener_count; i++) {
        ev_io_init(&w->accepts[i], on_acceptable, listener_fd(w->o.listeners[i], w->o.number),
                   EV_READ);
        w->accepts[i].data = w;
    }
    ev_timer_init(&w->accept_again, on_retry, 0., 0.);
    w->accept_again.data = w;
    watch_all(w);
}

void accept_stop(struct worker *w)
{
    ASSERT(w->stopping);
    for (uint32_t i = 0; i < w->o.listener_count; i++) {
        ev_io_stop(w->loop, &w->accepts[i]);
        for (uint32_t k = 0;
             k < conn_limit_max(w->o.limit) && accept_one(w, w->accepts[i].fd, false); k++)
            continue; /* what the kernel has accepted already is answered, not reset */
        ev_timer_stop(w->loop, &w->accept_again);
        listener_leave(w->o.listeners[i], w->o.number);
    }
}
