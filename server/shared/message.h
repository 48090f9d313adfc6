/*
 * message: what a worker asks the ledger, and, the same object, the ledger's verdict.
 *
 * A message is a baton: one object from the worker's pool, in exactly one hand at a time. The
 * worker fills it and pushes it; the ledger answers in it and pushes it back; the worker frees it.
 * The rings are as large as the pool, so no push can fail and nothing is ever queued without bound.
 *
 * If the buyer is told -6 while the ledger has the baton, `conn` is NULL when it comes back: a
 * "yes" that nobody waits for. An order without a key is then sent round again as MESSAGE_ABANDONED
 * and the ledger cancels it (P3); one with a key stands, for the retry.
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
    MESSAGE_BUY, /* event, n, buyer, key, deadline in; verdict and, with YES, node, slot, number,
                    tag, pay_by out */
    MESSAGE_ABANDONED, /* as the YES came out; goes back to the worker only to be freed */
    /* Orders of this node. In: slot, number, tag. Out: verdict YES, NOT_FOUND, BUSY or what is said
     * there, and with YES event, n, pay_by, state; CONFLICT, REFUND and PAUSED also fill event. */
    MESSAGE_GET_ORDER,
    MESSAGE_CANCEL, /* CONFLICT: it is sold */
    MESSAGE_PAY,    /* REFUND: cancelled, or too late and no tickets are left; PAUSED: try again */
    /* Acts of the operators. In: event, total (RESTOCK), buyer: where the act comes from. Out: YES,
     * BUSY, or CONFLICT (closed, or less than is gone), and with YES total, gone, state. */
    MESSAGE_PAUSE,
    MESSAGE_RESUME,
    MESSAGE_CLOSE,
    MESSAGE_RESTOCK,
    MESSAGE_REOPEN,
    /* Of all events at once. In: node, lost, buyer. Out as above; CONFLICT: it is alive, NOT_FOUND:
     * no event knows it; and out: out, back. Of REOPEN and RECLAIM also: about. */
    MESSAGE_RECLAIM,
};

struct connection;

struct message {
    struct connection *conn;
    uint64_t deadline_mono_us; /* a BUY that the ledger reaches later than this is answered BUSY */
    uint64_t number, tag;
    uint64_t pay_by_wall_ms;
    uint64_t received_wall_ms; /* PAY: when it came; a payment that came in time is in time */
    const char *state;         /* a literal: the order's or the event's word */
    uint32_t n;
    uint32_t total, gone;
    uint32_t node_gone,
        node_returned; /* RECLAIM: tickets of the node that stay counted, that came back */
    uint32_t
        subject_ms; /* CONFLICT: since node `about` was heard; BUSY: for how long it may come */
    uint16_t subject_node; /* 0: no node */
    uint8_t kind;          /* enum message_kind */
    uint8_t event;         /* index in the configuration */
    uint16_t node;     /* of the order: BUY with a key may hear of another node's; RECLAIM: in */
    bool journal_lost; /* RECLAIM: its journal is lost for good */
    uint8_t slot;      /* of the event in the journal, as in orderid.h */
    uint8_t verdict;   /* enum verdict */
    /* The ledger's notes while it has it. */
    uint8_t worker;           /* whose it is */
    uint8_t fallback_verdict; /* enum verdict: if its key has no order; YES: it may buy */
    _Atomic bool abandoned;   /* the worker's hint while the ledger has it: nobody waits any more */
    uint8_t buyer_len, key_len; /* 0: none. */
    char buyer[PARAM_MAX], key[PARAM_MAX];
};

#endif
