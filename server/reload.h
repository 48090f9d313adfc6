/*
 * reload: what of a configuration may change while the server runs (HUP): the log level, the
 * time-outs of workers and Redis, and local-stock. They are published on the board, where they are
 * read at every use.
 *
 * Owner: main.
 */
#ifndef SPIKE_RELOAD_H
#define SPIKE_RELOAD_H

#include "conf/base/conf.h"
#include "server/shared/board.h"

/* Publishes what may change; events are matched by name, in the order of `running`. */
void reload_publish(const struct conf *running, const struct conf *updated, struct board *board);
/* For HUP: the same, and says by name what was taken over and what only a restart changes. */
void reload(const struct conf *running, const struct conf *updated, struct board *board);

#endif
