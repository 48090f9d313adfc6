/*
 * batch: rounds on standard output, without a terminal: plain text for mails and logs, or one JSON
 * object a line for programs. Every round is flushed as soon as it is over.
 *
 * Owner: main's thread.
 */
#ifndef SPIKE_TOP_BATCH_H
#define SPIKE_TOP_BATCH_H

#include "admin-tui/client/poll.h"
#include "admin-tui/model/model.h"
#include "admin-tui/options.h"

/* Runs the rounds of the options, or until a signal (INT, TERM, HUP) ends it. Returns the exit
 * code: 1 if no node has answered in the last round, or standard output has failed. With -j the
 * poll must keep texts. */
int batch_run(struct ev_loop *loop, struct model *m, struct poll *p, const struct top_options *o);

/* batch_text.c: a round as text, at most 80 columns wide. */
void batch_print_text(const struct model *m, uint64_t wall_ms);
/* batch_json.c: a round as one line. */
void batch_print_json(const struct model *m, struct poll *p, uint64_t wall_ms);

#endif
