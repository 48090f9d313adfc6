/*
 * holds: the orders of one event that wait to be paid, the first to end first.
 *
 * All holds of an event last equally long, so a new one nearly always joins at the end. Only a
 * clock that was set back, or a restart with a shorter `hold`, brings earlier ends than those that
 * are there; therefore a new one is put in its slot from where the last one went in, which is
 * again next to it. Found by number, for pay and cancel. Of fixed size; time is an argument.
 *
 * Owner: the ledger thread.
 */
#ifndef SPIKE_HOLD_QUEUE_H
#define SPIKE_HOLD_QUEUE_H

#include <stdint.h>

#include "conf/base/arena.h"
#include "conf/base/check.h"

/* Slots in `all` count from 1; 0 is none. */
struct hold {
    uint64_t number;
    uint64_t pay_by_wall_ms;
    uint32_t prev, next; /* in the list */
    uint32_t chain;      /* in the bucket of the number */
};

struct hold_queue {
    struct hold *all;
    uint32_t *buckets, mask;
    uint32_t first, last;
    uint32_t joined; /* the last one that went in; that gone, the one before it */
    uint32_t free, high_water;
    uint32_t count, capacity;
    size_t all_pool, buckets_pool;
};

void hold_queue_plan(struct hold_queue *h, struct arena *a, uint32_t capacity);
void hold_queue_init(struct hold_queue *h, const struct arena *a);
/* False: full. A number is there once at most. */
MUST_CHECK bool hold_queue_add(struct hold_queue *h, uint64_t number, uint64_t pay_by_wall_ms);
/* The number must be there. */
void hold_queue_remove(struct hold_queue *h, uint64_t number);
/* The first to end; NULL: none. */
const struct hold *hold_queue_first(const struct hold_queue *h);

#endif
