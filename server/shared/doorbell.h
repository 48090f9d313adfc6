/*
 * doorbell: wakes a thread that waits for a ring to fill. An eventfd, and a flag that says whether
 * the owner sleeps, so that ringing an owner that is awake costs no system call.
 *
 * The owner: doorbell_arm(); checks its rings once more; waits only if they are empty, in
 * doorbell_wait() or in its own loop on doorbell_fd(); then doorbell_disarm(). The ringer: pushes,
 * then calls doorbell_ring(). Both exchange the same flag, and the second of the two reads what the
 * first one wrote. So either the ringer finds the owner asleep, or the owner finds what was pushed.
 *
 * Owner: the thread that waits. doorbell_ring: any thread. doorbell_open and doorbell_close: main.
 */
#ifndef SPIKE_DOORBELL_H
#define SPIKE_DOORBELL_H

#include <stdint.h>

#include "conf/base/fault.h"
#include "conf/base/limits.h"

/* The workers, the admin worker, the ledger and the stat log. */
#define DOORBELLS_MAX (WORKERS_MAX + 3)

struct doorbell;

/* NULL: the system refuses an eventfd. At most DOORBELLS_MAX are open at a time. */
MUST_CHECK struct doorbell *doorbell_open(struct fault *f);
void doorbell_close(struct doorbell *d);
/* Readable when the bell has rung: for an owner that waits in its own loop. */
int doorbell_fd(const struct doorbell *d);
void doorbell_arm(struct doorbell *d);
void doorbell_disarm(struct doorbell *d);
/* Resets the eventfd. For an owner with its own loop: whenever the descriptor is readable, armed or
 * not. doorbell_wait() does it itself. */
void doorbell_clear(struct doorbell *d);
/* Sleeps until the bell rings, at most timeout_us. The owner has armed it. */
void doorbell_wait(struct doorbell *d, uint64_t timeout_us);
void doorbell_ring(struct doorbell *d);

#endif
