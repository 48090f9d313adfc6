/*
 * node_list: the nodes that the console watches: those that the operator named, or those that Redis
 * knows (client/discovery), or the one whose configuration was given. Nodes that join the sale
 * later are added while the console runs.
 *
 * Owner: main's thread; one a process.
 */
#ifndef SPIKE_TOP_NODE_LIST_H
#define SPIKE_TOP_NODE_LIST_H

#include "admin-tui/feed.h"
#include "admin-tui/options.h"
#include "conf/base/conf.h"

/* Adds the first nodes. conf NULL: no configuration, so only nodes that were named. If Redis cannot
 * name the others, a line among the events says so, and with -b a line on standard error. False:
 * there is no node to ask; f says what to do. */
MUST_CHECK bool node_list_begin(struct feed *feed, struct model *m, const struct top_options *o,
                                const struct conf *conf, struct fault *f);
/* If the nodes come from Redis: watches for more from now on. */
MUST_CHECK bool node_list_watch(struct ev_loop *loop, struct fault *f);
/* Nothing is added any more. */
void node_list_end(void);

#endif
