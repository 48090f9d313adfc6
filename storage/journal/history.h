/*
 * history: can the records of a commit be true? Read from a file whose pages were walked (pages.h).
 *
 * Checked: format and names; of each event seq without gaps, every record's CRC chain and meaning
 * (states, numbers that rise by one, a change of an order that was granted), and the index (it says
 * exactly what the records say).
 *
 * Threads: any. Allocates.
 */
#ifndef SPIKE_HISTORY_H
#define SPIKE_HISTORY_H

#include "storage/journal/catalog.h"
#include "storage/journal/pages.h"

/* How far the events of a commit go, by slot. */
struct history {
    struct catalog catalog;
    struct {
        uint64_t end;    /* seq of the last record */
        uint32_t crc;    /* ... its chain */
        uint64_t at;     /* in: a seq, and out: the chain there, to tell whether this history */
        uint32_t at_crc; /* goes on from another one's end */
    } events[JOURNAL_SLOTS_MAX];
};

/* Fills *h, which begins as zeros but for `at`. False: f says what is damaged and where. */
MUST_CHECK bool history_check(struct history *h, const struct pages *p, const struct meta *m,
                              const char *dir, struct fault *f);
/* Checks what hangs on m against `before`: how many records it holds more, if it holds all of
 * them; 0: it does not, or is damaged. */
uint64_t history_more(const struct history *before, const struct pages *p, const struct meta *m,
                      const char *dir);

#endif
