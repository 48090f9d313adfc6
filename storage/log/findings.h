/*
 * findings: what an audit has found, line by line, and how many lines are breaches. The lines are
 * kept until the end, so that an attempt that is repeated prints nothing.
 *
 * Owner: one thread. Allocates.
 */
#ifndef SPIKE_LOG_FINDINGS_H
#define SPIKE_LOG_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/base/check.h"

struct findings;

/* NULL: no memory. */
MUST_CHECK struct findings *findings_open(void);
/* Prints the lines to `out`, or (NULL) drops them. */
void findings_close(struct findings *to, FILE *out);

/* Adds a line, without a newline in the format. */
void findings_add(struct findings *to, const char *format, ...) PRINTF(2, 3);
void findings_breach(struct findings *to, const char *format, ...) PRINTF(2, 3);
/* Adds a line that is a breach unless `good`. */
void findings_check(struct findings *to, bool good, const char *format, ...) PRINTF(3, 4);
/* How many lines are breaches. */
uint64_t findings_breaches(const struct findings *to);

/* For "%s" behind a noun that is counted. */
static inline const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

#endif
