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

#include "conf/base/conf.h"

struct listener;

/* Binds and listens, before any thread runs; at most LISTEN_MAX and one more. NULL: nothing stays
 * open. */
MUST_CHECK struct listener *listener_open(const struct conf_addr *at, uint32_t workers,
                                          struct fault *f);
/* This worker's socket; -1: it has left. */
int listener_fd(const struct listener *l, uint32_t worker);
/* "127.0.0.1:3005", for "listening on …". */
const char *listener_text(const struct listener *l);
/* This worker accepts no more here; the last one closes the address. */
void listener_leave(struct listener *l, uint32_t worker);
/* For all that have not left. */
void listener_close(struct listener *l);

#endif
