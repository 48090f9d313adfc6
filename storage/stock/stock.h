/*
 * stock: where tickets are deducted: the unified stock in Redis (redis.c), or, standalone, the
 * ledger's own memory (local.c). Both keep the same arithmetic and the same verdicts; the tests run
 * the same cases on both.
 *
 * Five calls (the scripts attach.lua, step.lua, act.lua and reclaim.lua are their definition):
 *   examine is this journal the one of this node? Reads only; the first half of attach;
 *   attach  tell what the journal holds; take one's place in the sale; what was granted but is not
 *           in the journal is given back;
 *   step    settle changes from the journal, in order, each once, and deduct a batch of items;
 *   act     an operator pauses, resumes, closes or restocks: compare and set;
 *   reclaim an operator gives up nodes that are gone.
 *
 * A key names one order for ever: whoever asks with it again hears of that order, whatever the
 * event's state. A buyer's tickets are counted with the deduction and given back with the return.
 *
 * A call is sent once. When its outcome is in doubt the connection is closed and the caller raises
 * its epoch and attaches again. A call takes at most the time-out that was set (P7).
 *
 * Owner: the ledger thread. Our code allocates nothing after start; hiredis allocates inside a
 * call, and at most one call is under way.
 */
#ifndef SPIKE_STOCK_H
#define SPIKE_STOCK_H

#include <stdint.h>

#include "conf/base/arena.h"
#include "conf/base/conf.h"
#include "conf/base/fault.h"
#include "conf/base/orderid.h"

#define STOCK_SALE_TEXT 32 /* a sale id in hex */

enum stock_result {
    STOCK_OK,
    STOCK_UNKNOWN,  /* no answer, or an error: closed; connect and attach again */
    STOCK_ATTACH,   /* nothing was done: fenced, or Redis has lost something, or changed since it
                     * was examined; attach again */
    STOCK_CONFLICT, /* this journal is not the one of this node in this sale; exit 1 */
};

enum stock_state { STOCK_OPEN, STOCK_PAUSED, STOCK_CLOSED };

enum stock_verdict {
    STOCK_YES,
    STOCK_SOLD_OUT,
    STOCK_IS_PAUSED,
    STOCK_IS_CLOSED,
    STOCK_BUSY, /* repair, or another node's order of this key is in doubt */
    STOCK_LIMIT,
    STOCK_DUPLICATE,    /* the key has an order: item.order */
    STOCK_ENDED,        /* ... which has ended */
    STOCK_KEY_MISMATCH, /* ... for another n or buyer */
    STOCK_NO_KEY,       /* to a PROBE: nobody has bought with this key */
};

/* How an item is meant. */
enum stock_item_kind {
    STOCK_BUY,
    STOCK_LOOKUP, /* only look whether the key has an order */
    STOCK_LATE,   /* an expired order was paid: its tickets once more */
};

/* One sale: its id in hex and the secret of its order ids. */
struct stock_sale {
    char id[STOCK_SALE_TEXT + 1]; /* empty: none yet */
    uint8_t secret[ORDERID_SECRET];
};

/* Another node of the sale, as the stock knows it. */
struct stock_node {
    uint16_t id;
    bool silent;    /* no beat for node-timeout */
    bool ready;     /* it has settled its journal; a repair does not wait for it */
    uint32_t gone;  /* tickets it has out */
    uint64_t epoch; /* 0: has never attached */
};

/* What an operator has done last, on any node. */
struct stock_origin {
    uint16_t node;    /* 0: nobody has done anything, or it is forgotten */
    uint64_t wall_ms; /* by that node's clock */
    uint8_t from_len;
    char from[PARAM_MAX]; /* where the operator came from */
};

/* What the unified stock said last. */
struct stock_figures {
    enum stock_state state;
    uint32_t version;
    uint32_t total;
    uint32_t gone;     /* what the unified stock has given out, foreign included */
    uint32_t foreign;  /* through no node of ours */
    uint64_t revision; /* counts the calls that wrote the hash: a lower one is an older hash */
    bool repair;       /* nobody sells until every known node is ready */
    bool ready;        /* this node has settled up to its journal's end */
    uint64_t
        repair_since_ms; /* of the repair: when it began, by the stock's clock in Unix ms; else 0 */
};

/* What an examination finds of this node. */
struct stock_found {
    uint64_t proof_pos;   /* the highest record that was settled ... */
    uint32_t proof_chain; /* ... and its CRC: the journal must have it */
    uint64_t epoch;       /* 0: has never attached */
    uint64_t beat, now;   /* of this node, 0 for never, and the stock's clock: Unix ms */
};

struct stock_attach {
    /* in */
    uint32_t event;
    uint64_t epoch, last, end; /* end: seq of the journal's last record */
    /* The highest epoch that can be this process's own: that of its journal when it was opened, or
     * with which it has last tried to attach. */
    uint64_t own_epoch;
    struct stock_found found; /* attach: in, and must not have changed; examine: out */
    bool first_of_process;    /* of this process: nor must the beat have */
    struct stock_sale sale;   /* of the journal; in and out */
    uint32_t total, version;  /* of the journal, else of the configuration */
    enum stock_state state;
    struct stock_figures seen; /* what was last heard, foreign and turn above all */
    uint16_t known[NODES_MAX]; /* in and out */
    uint32_t known_count;
    /* As last heard outside of a repair. The silent ones are not waited for; of the others this is
     * what stays counted should they be given up. */
    const struct stock_node *nodes;
    uint32_t node_count;
    bool nodes_are_current; /* ... even if the stock has forgotten them: nothing can have happened
                               since */
    /* out */
    uint64_t pos;
    uint32_t voided; /* orders that were granted and are not in the journal */
    struct stock_figures figures;
    struct stock_origin origin; /* of the last act; in: as the journal knows it */
};

/* What can happen to an order, in the words of the stock (step.lua has the same table). */
enum stock_change_kind {
    STOCK_GRANTED_HELD,
    STOCK_GRANTED_SOLD,
    STOCK_PAID,      /* held -> sold */
    STOCK_CANCELLED, /* held -> cancelled */
    STOCK_EXPIRED,   /* held -> expired */
    STOCK_UNDONE,    /* sold -> cancelled: the buyer had left */
    STOCK_PAID_LATE, /* expired -> sold, under a number of its own */
};

struct stock_change {
    enum stock_change_kind kind;
    uint64_t seq;
    uint64_t number; /* of a grant or a late payment; else 0 */
    uint64_t time_wall_ms, pay_by_wall_ms;
    uint32_t n;
    char order[ORDERID_TEXT];
    uint8_t buyer_len, key_len;
    const char *buyer, *key;
};

struct stock_item {
    enum stock_item_kind kind;
    uint32_t n;
    uint8_t buyer_len, key_len;
    const char *buyer, *key;
    enum stock_verdict verdict; /* out */
    struct orderid order;       /* out, with STOCK_DUPLICATE: but for its tag */
    uint64_t order_pay_by_wall_ms;
};

struct stock_step {
    /* in */
    uint32_t event;
    uint64_t epoch;
    uint64_t from, to;     /* pos before and after */
    uint32_t chain;        /* CRC of record `to` */
    bool end;              /* `to` is the journal's end */
    uint64_t first_number; /* number of the first grant */
    struct stock_change *changes;
    uint32_t change_count; /* <= SETTLE_MAX */
    struct stock_item *items;
    uint32_t item_count;     /* <= BATCH_MAX */
    uint8_t slot;            /* of the event in the journal: part of order ids */
    uint64_t pay_by_wall_ms; /* of the orders granted now; 0: sold outright */
    uint32_t limit;          /* tickets of a buyer; 0 none */
    uint64_t hashes_seen;    /* marks of granted keys that were read so far; 0 after an attach */
    struct stock_figures seen;
    uint32_t known_count; /* nodes that the journal knows */
    uint32_t version;     /* ... and the event's version */
    bool want_nodes;
    /* out */
    struct stock_figures figures;
    struct stock_origin origin; /* only if figures.version is not `version` */
    uint64_t *key_hashes; /* KEY_HASHES_MAX places of the caller's: those behind hashes_seen */
    uint32_t hash_count;
    uint64_t hashes_total;    /* hashes_seen + hash_count: these were all */
    struct stock_node *nodes; /* NODES_MAX places of the caller's */
    uint32_t node_count;      /* 0: not told this time */
};

struct stock_act {
    /* in */
    uint32_t event;
    uint64_t epoch;
    struct stock_figures seen; /* its version must be the stock's */
    enum stock_state state;    /* from now on */
    uint32_t total;
    struct stock_origin origin;
    /* out */
    enum { STOCK_DONE, STOCK_STALE, STOCK_TOO_LOW, STOCK_LATER } outcome; /* but for DONE: no act */
    struct stock_figures figures; /* repair and ready are as seen */
};

/* How full the tables of names are, of all events; with Redis the names are there: all 0. */
struct stock_fill {
    uint32_t keys, keys_max, buyers, buyers_max;
};

/* A node that was given up: its tickets that stay counted, and those that came back. */
struct stock_evicted {
    uint16_t node;
    uint32_t gone, back;
    bool is_new; /* that was not so before */
};

struct stock_reclaim {
    /* in */
    uint32_t event;
    uint64_t epoch;
    struct stock_figures seen;
    uint16_t node;     /* 0: all that the repair waits for and that are silent */
    bool journal_lost; /* what it held or had in doubt comes back */
    /* A node has so long to come: in a repair from seen.repair_since_ms on, by the stock's clock;
     * and by the caller's, since it attached and saw that `since`. */
    uint64_t patience_ms;
    bool has_waited;
    bool only_decide; /* nothing is done */
    /* out */
    enum {
        STOCK_RECLAIMED,
        STOCK_ALIVE, /* node `of` was heard of_ms ago */
        STOCK_EARLY, /* node `of` may still come, for of_ms */
        STOCK_NO_SUCH_NODE
    } outcome;
    uint16_t subject_node;
    uint32_t subject_ms;
    struct stock_evicted evicted[NODES_MAX];
    uint32_t evicted_count;
    struct stock_figures figures; /* as seen, but for what this has changed */
};

struct stock;

/* Where and for whom. Plans into the arena; init takes the blocks. One of the two. */
struct stock *stock_redis_plan(const struct conf *conf, struct arena *a);
struct stock *stock_local_plan(const struct conf *conf, struct arena *a);
void stock_init(struct stock *s, const struct arena *a);

/* Connects if there is no connection; a fresh one must attach before it steps. */
MUST_CHECK enum stock_result stock_connect(struct stock *s, struct fault *f);
/* Changes nothing but in_out->found: whether this journal may attach, but for the record that
 * `found` names, which the caller has to compare. */
MUST_CHECK enum stock_result stock_examine(struct stock *s, struct stock_attach *in_out,
                                           struct fault *f);
MUST_CHECK enum stock_result stock_attach(struct stock *s, struct stock_attach *in_out,
                                          struct fault *f);
MUST_CHECK enum stock_result stock_step(struct stock *s, struct stock_step *in_out,
                                        struct fault *f);
MUST_CHECK enum stock_result stock_act(struct stock *s, struct stock_act *in_out, struct fault *f);
/* Not for a standalone stock, which has no other nodes. */
MUST_CHECK enum stock_result stock_reclaim(struct stock *s, struct stock_reclaim *in_out,
                                           struct fault *f);
void stock_disconnect(struct stock *s);
struct stock_fill stock_fill(const struct stock *s);
void stock_set_timeout(struct stock *s, uint64_t timeout_ms);

#endif
