/*
 * exchange: the rings between one worker and the ledger, and the bells at both ends.
 *
 * Owner: orders: the worker pushes, the ledger pops; verdicts: the other way round; yes_done: the
 * worker counts every YES that will not come back as LEFT (so that the ledger knows how many still
 * may, and keeps room for their cancellation in the journal).
 */
#ifndef SPIKE_CHANNEL_H
#define SPIKE_CHANNEL_H

#include "server/shared/doorbell.h"
#include "server/shared/message.h"
#include "server/shared/ring.h"

struct channel {
    struct ring orders;      /* worker -> ledger */
    struct ring verdicts;    /* ledger -> worker */
    struct doorbell worker;  /* rung by the ledger */
    struct doorbell *ledger; /* rung by every worker; one for all */
    _Atomic uint64_t yes_done;
};

#endif
