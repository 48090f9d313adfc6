/*
 * ev_alloc: libev's memory, a region of the arena.
 *
 * libev grows its tables by realloc and gives up the process when that fails. Here its tables are
 * grown once, before the server opens (ev_alloc_grow: "by use"), as far as the descriptors that
 * this process may have; so it never asks again. If it did, ev_alloc_late() would count it, and the
 * region has some space for that.
 *
 * Owner: main until ev_alloc_seal(). Afterwards calls are counted and served from any thread.
 */
#ifndef SPIKE_EV_ALLOC_H
#define SPIKE_EV_ALLOC_H

#include <stdint.h>

#include "conf/base/arena.h"
#include "conf/base/fault.h"

struct ev_loop;

/* For `loops` loops that must each be able to watch any descriptor below `descriptors`; `ready`
 * descriptors, over all loops, may be ready at once. */
void ev_alloc_plan(struct arena *a, uint32_t loops, uint32_t descriptors, uint32_t ready);
/* Takes the region and makes it libev's allocator: before the first loop is made. */
void ev_alloc_init(const struct arena *a);
/* Grows the loop's tables to what ev_alloc_plan() promised. Opens `ready` descriptors for a moment.
 */
MUST_CHECK bool ev_alloc_grow(struct ev_loop *loop, uint32_t descriptors, uint32_t ready,
                              struct fault *f);
void ev_alloc_seal(void);
/* How often libev has asked for memory since. */
uint64_t ev_alloc_late(void);

#endif
