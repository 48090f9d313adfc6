/*
 * holds: the orders of one event that wait to be paid, the first to end first.
 *
 * All holds of an event last equally long, so a new one nearly always joins at the end. Only a
 * clock that was set back, or a restart with a shorter `hold`, brings earlier ends than those that
 * are there; therefore a new one is put in its place from where the last one went in, which is
 * again next to it. Found by number, for pay and cancel. Of fixed size; time is an argument.
 *
 * Owner: the ledger thread.
 */
#ifndef SPIKE_HOLDS_H
#define SPIKE_HOLDS_H

#include <stdint.h>

#include "conf/base/check.h"
#include "server/mem/arena.h"

/* Places in `all` count from 1; 0 is none. */
struct hold {
    uint64_t number;
    uint64_t pay_by_wall_ms;
    uint32_t prev, next; /* in the list */
    uint32_t chain;      /* in the bucket of the number */
};

struct holds {
    struct hold *all;
    uint32_t *buckets, mask;
    uint32_t first, last;
    uint32_t joined; /* the last one that went in; that gone, the one before it */
    uint32_t free, fresh;
    uint32_t count, capacity;
    size_t all_pool, buckets_pool;
};

void holds_plan(struct holds *h, struct arena *a, uint32_t capacity);
void holds_init(struct holds *h, const struct arena *a);
/* False: full. A number is there once at most. */
MUST_CHECK bool holds_add(struct holds *h, uint64_t number, uint64_t pay_by_wall_ms);
/* The number must be there. */
void holds_remove(struct holds *h, uint64_t number);
/* The first to end; NULL: none. */
const struct hold *holds_first(const struct holds *h);

#endif
