/*
 * log: the messages of the server for its operator, one line for each fact, on standard error.
 *
 *     2026-12-01T10:00:00.123Z info listening on 127.0.0.1:3005
 *
 * A line is one write(2) from a buffer on the stack: no allocation, no waiting, no interleaved
 * lines up to PIPE_BUF. A worker logs only what an operator must know; nothing for each request.
 *
 * Repeated lines are counted, and reported once a minute: "... (repeated 12 times)" (flood.h).
 *
 * Threads: any.
 */
#ifndef SPIKE_LOG_H
#define SPIKE_LOG_H

#include "conf/base/check.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above this level are dropped; at first, those above LOG_INFO. */
void log_set_level(enum log_level level);
/* One line without newline; the text is cut at 900 bytes. */
void log_line(enum log_level level, const char *format, ...) PRINTF(2, 3);
/* Writes the counts whose minute is over; to be called every few seconds. `all`, at the end: every
 * count. */
void log_report_repeated(bool all);

#endif
