/*
 * limits: the sizes that no configuration changes, each with its users.
 */
#ifndef SPIKE_LIMITS_H
#define SPIKE_LIMITS_H

#define EVENT_NAME_MAX 32 /* [a-z0-9_-]{1,32} */
#define EVENTS_MAX     16 /* events of one node; each is a named LMDB database and a Redis hash */
#define NODE_MAX       65535
#define NODES_MAX      256 /* nodes of one sale: conf `nodes`, the journal's list, the hash's list */
#define WORKERS_MAX    64
#define LISTEN_MAX     8
#define PARAM_MAX      64         /* bytes of a buyer or a key, after decoding */
#define PATH_TEXT_MAX  1024       /* bytes of a file name in the configuration, NUL included */
#define TICKETS_MAX    100000000u /* total, stock-max */

/* The ledger's periodic step. Promised: at most 250 ms apart; 100 allows for a slow Redis. */
#define BEAT_MS         100
#define BEAT_PROMISE_MS 250

/* Orders deducted in one Redis call and synced in one LMDB commit. */
#define BATCH_MAX 512
/* Messages other than buys (get, cancel, pay, abandoned, admin acts) of one turn; each writes one
 * journal record at most. */
#define OPS_MAX 512
/* Holds that end in one turn; further ones that are due end in the next turn. */
#define EXPIRE_MAX 448
/* Journal records settled in one Redis call: more than a turn can write, so that settling never
 * falls behind selling. 64 are for epochs, nodes and admin acts. */
#define SETTLE_MAX (BATCH_MAX + OPS_MAX + EXPIRE_MAX + 64)
/* Hashes of granted keys that one Redis call returns: at least what it can grant and re-apply. */
#define KEY_HASHES_MAX 4096

#endif
