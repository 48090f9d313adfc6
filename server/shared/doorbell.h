/*
 * doorbell: wakes a thread that waits for a ring to fill. An eventfd, and a flag that says whether
 * the owner sleeps, so that ringing an owner that is awake costs no system call.
 *
 * The owner: doorbell_arm(); checks its rings once more; waits only if they are empty, in
 * doorbell_wait() or in its own loop on `fd`; then doorbell_disarm(). The ringer: pushes, then
 * calls doorbell_ring(). Both exchange the same flag, and the second of the two reads what the
 * first one wrote. So either the ringer finds the owner asleep, or the owner finds what was pushed.
 *
 * Owner: the thread that waits. doorbell_ring: any thread.
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
void doorbell_disarm(struct doorbell *d);
/* Resets the eventfd. For an owner with its own loop: whenever fd is readable, armed or not.
 * doorbell_wait() does it itself. */
void doorbell_clear(struct doorbell *d);
/* Sleeps until the bell rings, at most timeout_us. The owner has armed it. */
void doorbell_wait(struct doorbell *d, uint64_t timeout_us);
void doorbell_ring(struct doorbell *d);

#endif
