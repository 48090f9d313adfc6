/*
 * roster: which nodes there are: those that were named, or those that Redis knows of (the registry
 * that every beat keeps), or the one whose configuration was given. Nodes that Redis comes to know
 * later join while the console runs, and one that it knows elsewhere is asked there; none leaves: a
 * node that is gone is a node that is down.
 *
 *     thread of its own: registry, names looked up ──mutex, ev_async──> loop: poll_add_at()
 *
 * so neither a slow Redis nor a slow name server ever stops the screen.
 *
 * Owner: main's thread; the struct belongs to the process until it ends.
 */
#ifndef SPIKE_TOP_ROSTER_H
#define SPIKE_TOP_ROSTER_H

#include "admin-tui/options.h"
#include "admin-tui/poll.h"
#include "conf/base/conf.h"

struct ev_loop;

/* Adds the first nodes. conf NULL: no configuration, so only those that were named. If Redis cannot
 * tell the others, that is said: among the events, and by a batch on standard error. False: there
 * is nobody to ask; f says what to do. */
MUST_CHECK bool roster_begin(struct poll *p, const struct top_options *o, const struct conf *conf,
                             struct fault *f);
/* If Redis is the source: looks again every few seconds from now on. The loop and the poller must
 * live until the process ends, or until roster_end(). */
MUST_CHECK bool roster_watch(struct ev_loop *loop, struct fault *f);
/* Nothing is added any more. The thread ends with the process: it may be waiting for a name. */
void roster_end(void);

#endif
