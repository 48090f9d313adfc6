/*
 * screen: the interactive console: rounds, keys, signals, and a picture whenever something has
 * changed.
 *
 * Owner: the thread that runs the loop; one a process.
 */
#ifndef SPIKE_TOP_SCREEN_H
#define SPIKE_TOP_SCREEN_H

#include "admin-tui/client/poll.h"
#include "admin-tui/model/model.h"
#include "admin-tui/options.h"

/* Runs the loop until the operator or a signal ends it. Returns the exit code: 0, or 1 if no node
 * has answered in the last round, or if the terminal cannot be used (standard error says why). */
int screen_run(struct ev_loop *loop, struct model *m, struct poll *p, const struct top_options *o);

#endif
