/*
 * message: what a worker asks the ledger, and, the same object, the ledger's verdict.
 *
 * A message is a baton: one object from the worker's pool, in exactly one hand at a time. The
 * worker fills it and pushes it; the ledger answers in it and pushes it back; the worker frees it.
 * The rings are as large as the pool, so no push can fail and nothing is ever queued without bound.
 *
 * If the buyer is told -6 while the ledger has the baton, `conn` is NULL when it comes back: a
 * "yes" that nobody waits for. An order without a key is then sent round again as MESSAGE_LEFT and
 * the ledger cancels it (P3); one with a key stands, for the retry.
 *
 * Owner: see above. `conn` is the worker's alone and is never read by the ledger.
 */
#ifndef SPIKE_MESSAGE_H
#define SPIKE_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/base/limits.h"
#include "conf/base/verdict.h"

enum message_kind {
    MESSAGE_BUY,  /* event, n, deadline in; verdict and, with YES, slot, number, tag, pay_by out */
    MESSAGE_LEFT, /* as the YES came out; goes back to the worker only to be freed */
};

struct connection;

struct message {
    struct connection *conn;
    uint64_t deadline_mono_us; /* a BUY that the ledger reaches later than this is answered BUSY */
    uint64_t number, tag;
    uint64_t pay_by_wall_ms;
    uint32_t n;
    uint8_t kind;      /* enum message_kind */
    uint8_t event;     /* index in the configuration */
    uint8_t slot;      /* of the event in the journal, as in orderid.h */
    uint8_t verdict;   /* enum verdict */
    uint8_t worker;    /* whose it is; the ledger's note while it has it */
    _Atomic bool left; /* the worker's hint while the ledger has it: nobody waits any more */
    uint8_t buyer_len, key_len; /* 0: none. */
    char buyer[PARAM_MAX], key[PARAM_MAX];
};

#endif
