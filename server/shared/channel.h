/*
 * channel: the two rings between one worker and the ledger, and the doorbell at either end.
 *
 *     worker --- orders ---> ledger       rings `ledger`
 *     worker <-- verdicts -- ledger       rings `worker`
 *
 * Both rings have a slot for every message of the worker's pool (message.h), so a push cannot fail.
 *
 * yes_done: the worker counts every YES that cannot come back as MESSAGE_ABANDONED any more. By it
 * the ledger knows how many still can, and keeps that much of the journal free for cancellations.
 *
 * Owner: main, until the threads start. Then the worker pushes orders, pops verdicts and writes
 * yes_done; the ledger pops orders, pushes verdicts and reads yes_done.
 */
#ifndef SPIKE_CHANNEL_H
#define SPIKE_CHANNEL_H

#include "server/shared/doorbell.h"
#include "server/shared/message.h"
#include "server/shared/ring.h"

struct channel {
    struct ring *orders;     /* worker -> ledger */
    struct ring *verdicts;   /* ledger -> worker */
    struct doorbell *worker; /* rung by the ledger */
    struct doorbell *ledger; /* rung by every worker; the same one in all channels */
    _Atomic uint64_t yes_done;
    uint32_t messages;
    size_t orders_pool, verdicts_pool; /* numbers in the arena's plan */
};

/* For so many messages in flight. */
void channel_plan(struct channel *x, struct arena *a, uint32_t messages);
MUST_CHECK bool channel_init(struct channel *x, const struct arena *a, struct doorbell *ledger,
                             struct fault *f);

#endif
