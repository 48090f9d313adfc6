/*
 * history: can the records of a commit be true? Read from a file whose pages were walked (pages.h).
 *
 * Checked: format and names; of each event: seq without gaps, every record's CRC chain and meaning
 * (states, numbers that rise by one, a change only of an order that was granted), and the index,
 * which must say exactly what the records say.
 *
 * Threads: any. Allocates: for the child process of verify and for spike-log.
 */
#ifndef SPIKE_HISTORY_H
#define SPIKE_HISTORY_H

#include "storage/journal/pages.h"

struct history;

/* NULL: no memory. */
MUST_CHECK struct history *history_new(void);
void history_free(struct history *h);
/* Fills a new history with the end of each event. False: f says what is damaged and where. `dir` is
 * named in the message. */
MUST_CHECK bool history_check(struct history *h, const struct pages *p, const struct meta *m,
                              const char *dir, struct fault *f);
/* Checks the commit of m against `before`: how many records it adds, if it contains all of those.
 * 0: it does not, or is damaged. */
uint64_t history_more(const struct history *before, const struct pages *p, const struct meta *m,
                      const char *dir);

#endif
