/*
 * log: the server's own words, one line per fact, on standard error.
 *
 *     2026-12-01T10:00:00.123Z info listening on 127.0.0.1:3005
 *
 * A line is one write(2) from a buffer on the stack: no allocation, no waiting, no torn lines up to
 * PIPE_BUF. A worker logs only what an operator must know; nothing per request.
 *
 * What is said again and again is counted, and told once a minute: "... (repeated 12 times)"
 * (flood.h).
 *
 * Threads: any.
 */
#ifndef SPIKE_LOG_H
#define SPIKE_LOG_H

#include "conf/base/check.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
void log_line(enum log_level level, const char *format, ...) PRINTF(2, 3);
/* Every few seconds: tells what was counted for a minute; at the end, all: whatever was counted. */
void log_report_repeated(bool all);

#endif
