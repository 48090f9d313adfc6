/*
 * deadline: lists of those that wait, the longest waiting first.
 *
 * All members of one list may wait equally long, so the order of joining is the order of expiry:
 * joining and leaving cost a few stores, and only the first must be looked at. The limit is an
 * argument, because HUP may change it; so is the time.
 *
 * Owner: one thread.
 */
#ifndef SPIKE_DEADLINE_H
#define SPIKE_DEADLINE_H

#include <stdint.h>

#include "conf/base/check.h"

#define DEADLINE_NEVER UINT64_MAX

struct deadline {
    struct deadline *prev, *next; /* NULL: in no list */
    uint64_t since_mono_us;
};

struct deadline_list {
    struct deadline head; /* a circle: next the first, prev the last */
};

void deadline_list_init(struct deadline_list *l);
/* Joins at the end. Time does not run backwards within a list. */
void deadline_join(struct deadline_list *l, struct deadline *d, uint64_t now_mono_us);
void deadline_leave(struct deadline *d);
/* The first; NULL: the list is empty. */
struct deadline *deadline_first(const struct deadline_list *l);
/* The first, if it has waited limit_us by now. */
struct deadline *deadline_expired(const struct deadline_list *l, uint64_t now_mono_us,
                                  uint64_t limit_us);
/* When the first will have waited limit_us; DEADLINE_NEVER: the list is empty. */
uint64_t deadline_next(const struct deadline_list *l, uint64_t limit_us);

#endif
