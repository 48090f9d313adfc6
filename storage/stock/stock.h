/*
 * stock: where tickets are deducted: the unified stock in Redis (redis.c), or, standalone, the
 * ledger's own memory (local.c). Both keep the same arithmetic and give the same verdicts; the
 * tests run the same cases on both.
 *
 * Five calls; the scripts attach.lua, step.lua, act.lua and reclaim.lua define them:
 *   examine  is this journal the one of this node? Reads only; the first half of attach;
 *   attach   reports what the journal holds and joins the sale; what was granted but is not in the
 *            journal is given back;
 *   step     settles changes from the journal, in order, each once, and deducts a batch of items;
 *   act      an operator pauses, resumes, closes or restocks the event: compare and set;
 *   reclaim  an operator gives up nodes that are gone.
 *
 * A key names one order for ever: every later request with the key gets that order, whatever the
 * state of the event. A buyer's tickets are counted with the deduction and given back with the
 * return.
 *
 * A call is sent once. When its outcome is in doubt, the connection is closed, and the caller
 * raises its epoch and attaches again. A call takes at most the time-out that was set (P7).
 *
 * Owner: the ledger thread; main plans and initializes. The module allocates nothing after start;
 * hiredis allocates inside a call, and at most one call is under way.
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
    STOCK_UNKNOWN,  /* no answer, or an error: disconnected; connect and attach again */
    STOCK_ATTACH,   /* nothing was done: the epoch is fenced, or Redis has lost something, or has
                     * changed since it was examined; attach again */
    STOCK_CONFLICT, /* this journal is not the one of this node in this sale: exit 1 */
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
    STOCK_NO_KEY,       /* of a LOOKUP: no order has this key */
};

/* What an item asks for. */
enum stock_item_kind {
    STOCK_BUY,
    STOCK_LOOKUP, /* whether the key has an order; deducts nothing */
    STOCK_LATE,   /* tickets for an expired order that was paid */
};

/* One sale: its id in hex and the secret of its order ids. */
struct stock_sale {
    char id[STOCK_SALE_TEXT + 1]; /* empty: there is no sale yet */
    uint8_t secret[ORDERID_SECRET];
};

/* Another node of the sale, as the stock knows it. */
struct stock_node {
    uint16_t id;
    bool silent;    /* no beat for node-timeout */
    bool ready;     /* it has settled its journal; a repair does not wait for it */
    uint32_t gone;  /* tickets that it has taken from the stock */
    uint64_t epoch; /* 0: has never attached */
};

/* Where the last act of an operator came from. */
struct stock_origin {
    uint16_t node;    /* 0: there was no act, or it is forgotten */
    uint64_t wall_ms; /* by that node's clock */
    uint8_t from_len;
    char from[PARAM_MAX]; /* the address of the operator */
};

/* The event in the stock, as of one call. */
struct stock_figures {
    enum stock_state state;
    uint32_t version;
    uint32_t total;
    uint32_t gone;     /* tickets taken from the stock, foreign included */
    uint32_t foreign;  /* ... through programs that are no nodes of the sale */
    uint64_t revision; /* counts the calls that wrote the hash: a lower one is an older hash */
    bool repair;       /* no node sells until every known node is ready */
    bool ready;        /* this node has settled up to its journal's end */
    uint64_t repair_since_wall_ms; /* by the stock's clock; 0: no repair */
};

/* What an examination finds about this node. */
struct stock_found {
    uint64_t proof_pos;                 /* the highest record that was settled ... */
    uint32_t proof_chain;               /* ... and its CRC: the journal must have it */
    uint64_t epoch;                     /* 0: has never attached */
    uint64_t beat_wall_ms, now_wall_ms; /* the last beat, 0 for none, and the stock's clock */
};

struct stock_attach {
    /* in */
    uint32_t event;
    uint64_t epoch;
    uint64_t last; /* the journal's last order number */
    uint64_t end;  /* seq of the journal's last record */
    /* The highest epoch that can be this process's own: that of the journal when it was opened, or
     * that of the last attempt to attach. */
    uint64_t own_epoch;
    struct stock_found found; /* attach: in, and must not have changed; examine: out */
    bool first_of_process;  /* the first attach of this process: the beat must not have changed, too
                             */
    struct stock_sale sale; /* of the journal; in and out */
    uint32_t total, version; /* of the journal, else of the configuration */
    enum stock_state state;
    struct stock_figures seen; /* as of the last call, foreign and revision above all */
    uint16_t known[NODES_MAX]; /* in and out */
    uint32_t known_count;
    /* The other nodes as of the last call outside a repair. A repair does not wait for the silent
     * ones; of the others, this is what stays counted if they are given up. */
    const struct stock_node *nodes;
    uint32_t node_count;
    bool nodes_are_current; /* nothing can have happened since, even if the stock has lost them */
    /* out */
    uint64_t pos;
    uint32_t voided; /* orders that were granted and are not in the journal */
    struct stock_figures figures;
    struct stock_origin origin; /* of the last act; in: as the journal has it */
};

/* What can happen to an order (step.lua has the same table). */
enum stock_change_kind {
    STOCK_GRANTED_HELD,
    STOCK_GRANTED_SOLD,
    STOCK_PAID,      /* held -> sold */
    STOCK_CANCELLED, /* held -> cancelled */
    STOCK_EXPIRED,   /* held -> expired */
    STOCK_UNDONE,    /* sold -> cancelled: the client was gone before the answer */
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
    struct orderid order;       /* out, with STOCK_DUPLICATE; without its tag */
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
    uint64_t hashes_seen;    /* key hashes that were read so far; 0 after an attach */
    struct stock_figures seen;
    uint32_t known_count; /* nodes that the journal knows */
    uint32_t version;     /* ... and the event's version */
    bool want_nodes;
    /* out */
    struct stock_figures figures;
    struct stock_origin origin; /* only if figures.version is not `version` */
    uint64_t *key_hashes; /* of the caller, KEY_HASHES_MAX of them: those behind hashes_seen */
    uint32_t hash_count;
    uint64_t hashes_total;    /* equal to hashes_seen + hash_count: these were all */
    struct stock_node *nodes; /* of the caller, NODES_MAX of them */
    uint32_t node_count;      /* 0: the reply has no nodes */
};

struct stock_act {
    /* in */
    uint32_t event;
    uint64_t epoch;
    struct stock_figures seen; /* the act is stale unless the stock has this version */
    enum stock_state state;    /* from now on */
    uint32_t total;
    struct stock_origin origin;
    /* out */
    enum {
        STOCK_DONE,
        STOCK_STALE,
        STOCK_TOO_LOW,
        STOCK_LATER
    } outcome;                    /* not DONE: nothing was done */
    struct stock_figures figures; /* repair and ready are as seen */
};

/* Entries of the tables of names, of all events; all 0 with Redis, which holds the names itself. */
struct stock_fill {
    uint32_t keys, keys_max, buyers, buyers_max;
};

/* A node that was given up: its tickets that stay counted, and those that were given back. */
struct stock_evicted {
    uint16_t node;
    uint32_t gone, back;
    bool is_new; /* it had not been given up before */
};

struct stock_reclaim {
    /* in */
    uint32_t event;
    uint64_t epoch;
    struct stock_figures seen;
    uint16_t node;     /* 0: all silent nodes that the repair waits for */
    bool journal_lost; /* its held tickets and those in doubt are given back */
    /* How long a node has to attach in a repair: from seen.repair_since_wall_ms on, by the stock's
     * clock, and (has_waited) by the caller's since it first saw that repair. */
    uint64_t patience_ms;
    bool has_waited;
    bool only_decide; /* nothing is changed */
    /* out */
    enum {
        STOCK_RECLAIMED,
        STOCK_ALIVE, /* subject_node had its last beat subject_ms ago */
        STOCK_EARLY, /* subject_node may still attach, for subject_ms */
        STOCK_NO_SUCH_NODE
    } outcome;
    uint16_t subject_node;
    uint32_t subject_ms;
    struct stock_evicted evicted[NODES_MAX];
    uint32_t evicted_count;
    struct stock_figures figures; /* as seen, with what this has changed */
};

struct stock;

/* One of the two, once: plans its memory into the arena; init takes the blocks. Owner: main. `conf`
 * must outlive the stock. */
struct stock *stock_redis_plan(const struct conf *conf, struct arena *a);
struct stock *stock_local_plan(const struct conf *conf, struct arena *a);
void stock_init(struct stock *s, const struct arena *a);

/* Connects if there is no connection; after that, attach comes before any step. */
MUST_CHECK enum stock_result stock_connect(struct stock *s, struct fault *f);
/* May this journal attach? Sets in_out->found and changes nothing else. The caller has to compare
 * the record that `found` names with its journal. */
MUST_CHECK enum stock_result stock_examine(struct stock *s, struct stock_attach *in_out,
                                           struct fault *f);
MUST_CHECK enum stock_result stock_attach(struct stock *s, struct stock_attach *in_out,
                                          struct fault *f);
MUST_CHECK enum stock_result stock_step(struct stock *s, struct stock_step *in_out,
                                        struct fault *f);
MUST_CHECK enum stock_result stock_act(struct stock *s, struct stock_act *in_out, struct fault *f);
/* Not for a standalone stock: it has no other nodes. */
MUST_CHECK enum stock_result stock_reclaim(struct stock *s, struct stock_reclaim *in_out,
                                           struct fault *f);
void stock_disconnect(struct stock *s);
struct stock_fill stock_fill(const struct stock *s);
void stock_set_timeout(struct stock *s, uint64_t timeout_ms);

#endif
