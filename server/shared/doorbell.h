/*
 * doorbell: wakes a thread that waits for a ring. An eventfd, and a word that says whether
 * the owner sleeps, so that a busy owner costs the ringer no system call.
 *
 * The owner: doorbell_arm(); looks at its rings once more; only if they are empty does it wait
 * (doorbell_wait, or its own loop on doorbell_fd) ; then doorbell_disarm(). The ringer pushes first
 * and rings after. Both exchange the same word: who comes second reads what the first has written,
 * so either the ringer finds the owner asleep, or the owner finds what was pushed.
 *
 * Owner: the thread that waits; doorbell_ring: any.
 */
#ifndef SPIKE_DOORBELL_H
#define SPIKE_DOORBELL_H

#include <stdatomic.h>
#include <stdint.h>

#include "conf/base/fault.h"

struct doorbell {
    int fd;
    _Alignas(CACHE_LINE) _Atomic int asleep;
};

MUST_CHECK bool doorbell_open(struct doorbell *d, struct fault *f);
void doorbell_close(struct doorbell *d);
void doorbell_arm(struct doorbell *d);
/* Not asleep any more. */
void doorbell_disarm(struct doorbell *d);
/* Takes the ring off the eventfd: whenever it is readable, armed or not. doorbell_wait does. */
void doorbell_clear(struct doorbell *d);
/* Sleeps until rung or for timeout_us at most; the caller has armed it. */
void doorbell_wait(struct doorbell *d, uint64_t timeout_us);
void doorbell_ring(struct doorbell *d);

#endif
