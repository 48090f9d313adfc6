/*
 * listener: an address that is listened at, with one socket for every worker.
 *
 * TCP: the kernel spreads new connections over sockets that share the address (SO_REUSEPORT).
 * A Unix socket cannot be shared that way: its workers share one descriptor.
 *
 * Owner: main opens and closes; each worker leaves by itself when it stops.
 */
#ifndef SPIKE_LISTENER_H
#define SPIKE_LISTENER_H

#include <stdatomic.h>

#include "conf/base/conf.h"

struct listener {
    char text[sizeof(((struct conf_addr *)0)->text)]; /* with the port that was picked */
    struct conf_addr at;
    int fds[WORKERS_MAX]; /* -1: left */
    uint32_t count;
    _Atomic uint32_t there; /* workers that have not left */
};

/* Binds and listens, before any thread runs. False: nothing stays open. */
MUST_CHECK bool listener_open(struct listener *l, const struct conf_addr *at, uint32_t workers,
                              struct fault *f);
/* "127.0.0.1:3005", for "listening on …". */
const char *listener_text(const struct listener *l);
/* This worker accepts no more here; the last one closes the address. */
void listener_leave(struct listener *l, uint32_t worker);
/* For all that have not left. */
void listener_close(struct listener *l);

#endif
