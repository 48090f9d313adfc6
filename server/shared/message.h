/*
 * message: a request of a worker to the ledger and, in the same object, the ledger's verdict.
 *
 * Ownership: a message has one owner at a time, and only the owner reads and writes it.
 *
 *     the worker    from pool_get() until it pushes the message on the ring `orders`
 *     the ledger    from there until it pushes the message on the ring `verdicts`
 *     the worker    again, until pool_put(), or until it pushes the message once more
 *
 * The rings are as large as the pool, so a push cannot fail and no queue grows without bound.
 *
 * Two fields are exceptions while the ledger owns the message: `conn`, which the ledger never
 * touches, and `abandoned`, which is atomic.
 *
 * A buyer may be answered -6 while the ledger owns the message. Then `conn` is NULL when it comes
 * back, and a YES in it has no buyer. An order without a key is sent to the ledger once more as
 * MESSAGE_ABANDONED and cancelled (P3); an order with a key stays, for the retry.
 */
#ifndef SPIKE_MESSAGE_H
#define SPIKE_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/base/limits.h"
#include "conf/base/verdict.h"

/* For each kind: the fields that the worker fills (in) and those that the ledger fills (out). */
enum message_kind {
    /* In: event, n, buyer, key, deadline. Out: verdict, and with YES node, slot, number, tag,
     * pay_by. */
    MESSAGE_BUY,
    /* In: the message as its YES came out. It comes back only to be freed. */
    MESSAGE_ABANDONED,
    /* Orders of this node. In: slot, number, tag. Out: verdict YES, NOT_FOUND, BUSY or those named
     * below, and with YES event, n, pay_by, state; CONFLICT, REFUND and PAUSED also fill event. */
    MESSAGE_GET_ORDER,
    MESSAGE_CANCEL, /* CONFLICT: it is sold */
    MESSAGE_PAY,    /* REFUND: cancelled, or too late and no tickets are left; PAUSED: try again */
    /* The operators' acts on an event. In: event, total (RESTOCK), buyer: the operator's address.
     * Out: YES, BUSY, or CONFLICT (closed, or fewer than are gone), and with YES total, gone,
     * state. */
    MESSAGE_PAUSE,
    MESSAGE_RESUME,
    MESSAGE_CLOSE,
    MESSAGE_RESTOCK,
    MESSAGE_REOPEN,
    /* On all events at once. In: node, journal_lost, buyer. Out as above; CONFLICT: the node is
     * alive, NOT_FOUND: no event knows it; with YES also node_gone and node_returned. REOPEN and
     * RECLAIM also fill subject_node and subject_ms. */
    MESSAGE_RECLAIM,
};

struct connection;

struct message {
    struct connection *conn;   /* the worker's alone; NULL: the connection has let go of it */
    uint64_t deadline_mono_us; /* BUY: answered BUSY if the ledger takes it up after this time */
    uint64_t number, tag;
    uint64_t pay_by_wall_ms;
    uint64_t received_wall_ms; /* PAY: when it arrived, to compare with the deadline */
    const char *state;         /* name of the order's or the event's state, a literal */
    uint32_t n;
    uint32_t total, gone;
    uint32_t node_gone;     /* RECLAIM: tickets of the node that stay counted */
    uint32_t node_returned; /* RECLAIM: tickets of the node that were returned to the stock */
    uint32_t subject_ms;    /* CONFLICT: time since subject_node was last seen; BUSY: time until the
                             * ledger stops waiting for it */
    uint16_t subject_node;  /* 0: none */
    uint8_t kind;           /* enum message_kind */
    uint8_t event;          /* index in the configuration */
    uint16_t node;          /* of the order; for a BUY with a key it may be another one */
    bool journal_lost;      /* RECLAIM: the node's journal is lost for good */
    uint8_t slot;           /* of the event in the journal, as in orderid.h */
    uint8_t verdict;        /* enum verdict */
    /* Used by the ledger while it owns the message. */
    uint8_t worker;             /* index of the channel that it came from */
    uint8_t fallback_verdict;   /* enum verdict: if its key has no order; YES: it may buy */
    _Atomic bool abandoned;     /* set by the worker at any time: no connection waits */
    uint8_t buyer_len, key_len; /* 0: none */
    char buyer[PARAM_MAX], key[PARAM_MAX];
};

#endif
