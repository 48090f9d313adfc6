/*
 * log: the server's own words, one line per fact, on standard error.
 *
 *     2026-12-01T10:00:00.123Z info listening on 127.0.0.1:3005
 *
 * A line is one write(2) from a buffer on the stack: no allocation, no lock, no torn lines up to
 * PIPE_BUF. A worker logs only what an operator must know; nothing per request.
 *
 * Threads: any.
 */
#ifndef SPIKE_LOG_H
#define SPIKE_LOG_H

#include "conf/base/check.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
void log_line(enum log_level level, const char *format, ...) PRINTF(2, 3);

#endif
