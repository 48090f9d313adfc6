/*
 * stock: where tickets are deducted: the unified stock in Redis (redis.c), or, standalone, the
 * ledger's own memory (local.c). Both keep the same arithmetic and the same verdicts; the tests run
 * the same cases on both.
 *
 * Two calls (the scripts attach.lua and step.lua are their definition):
 *   attach  tell what the journal holds; take one's place in the sale; what was granted but is not
 *           in the journal is given back;
 *   step    settle changes from the journal, in order, each once, and deduct a batch of items.
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

#include "conf/base/conf.h"
#include "conf/base/fault.h"
#include "conf/base/orderid.h"
#include "server/mem/arena.h"

#define STOCK_SALE_TEXT 32 /* a sale id in hex */

enum stock_result {
    STOCK_OK,
    STOCK_DOUBT,  /* no answer, or an error: closed; connect and attach again */
    STOCK_ATTACH, /* nothing was done: fenced, or Redis has lost something; attach again */
    STOCK_OTHER,  /* this journal is not the one of this node in this sale; exit 1 */
};

enum stock_state { STOCK_OPEN, STOCK_PAUSED, STOCK_CLOSED };

enum stock_verdict {
    STOCK_YES,
    STOCK_SOLD_OUT,
    STOCK_IS_PAUSED,
    STOCK_IS_CLOSED,
    STOCK_IN_REPAIR,
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
    uint32_t gone;  /* tickets it has out */
    uint64_t epoch; /* 0: has never attached */
};

/* What the unified stock said last. */
struct stock_figures {
    enum stock_state state;
    uint32_t version;
    uint32_t total;
    uint32_t gone;    /* what the unified stock has given out, foreign included */
    uint32_t foreign; /* through no node of ours */
    uint64_t turn;    /* calls that wrote the hash; a lower one is an older hash */
    bool repair;      /* nobody sells until every known node is ready */
    bool ready;       /* this node has settled up to its journal's end */
};

struct stock_attach {
    /* in */
    uint32_t event;
    uint64_t epoch, last, end; /* end: seq of the journal's last record */
    struct stock_sale sale;    /* of the journal; in and out */
    uint32_t total, version;   /* of the journal, else of the configuration */
    enum stock_state state;
    struct stock_figures seen; /* what was last heard, foreign and turn above all */
    uint16_t known[NODES_MAX]; /* in and out */
    uint32_t known_count;
    const struct stock_node *nodes; /* as last heard; the silent ones are not waited for */
    uint32_t node_count;
    bool just_heard; /* ... even if the stock has forgotten them: nothing can have happened since */
    /* out */
    uint64_t pos;
    uint32_t voided; /* orders that were granted and are not in the journal */
    struct stock_figures figures;
};

struct stock_change {
    uint64_t seq;
    uint64_t number; /* of a grant; 0: a change of an earlier order */
    uint64_t time_wall_ms;
    int32_t held, sold; /* by how many tickets these change */
    uint32_t n;
    const char *state; /* its word */
    char order[ORDERID_TEXT];
    uint8_t buyer_len;
    const char *buyer;
};

struct stock_item {
    uint32_t n;
    uint8_t buyer_len, key_len;
    const char *buyer, *key;
    enum stock_verdict verdict; /* out */
};

struct stock_step {
    /* in */
    uint32_t event;
    uint64_t epoch;
    uint64_t from, to; /* pos before and after */
    bool end;          /* `to` is the journal's end */
    uint64_t first;    /* number of the first grant */
    struct stock_change *changes;
    uint32_t change_count; /* <= SETTLE_MAX */
    struct stock_item *items;
    uint32_t item_count; /* <= BATCH_MAX */
    struct stock_figures seen;
    uint32_t knows; /* nodes that the journal knows */
    bool ask_nodes;
    /* out */
    struct stock_figures figures;
    struct stock_node *nodes; /* NODES_MAX places of the caller's */
    uint32_t node_count;      /* 0: not told this time */
};

struct stock;

/* Where and for whom. Plans into the arena; init takes the blocks. One of the two. */
struct stock *stock_redis_plan(const struct conf *conf, struct arena *a);
struct stock *stock_local_plan(const struct conf *conf, struct arena *a);
void stock_init(struct stock *s, const struct arena *a);

/* Connects if there is no connection; a fresh one must attach before it steps. */
MUST_CHECK enum stock_result stock_connect(struct stock *s, struct fault *f);
MUST_CHECK enum stock_result stock_attach(struct stock *s, struct stock_attach *in_out,
                                          struct fault *f);
MUST_CHECK enum stock_result stock_step(struct stock *s, struct stock_step *in_out,
                                        struct fault *f);
/* The beat that the node's number last made in this event, in Unix milliseconds by Redis' clock
 * and 0 for never; *now: that clock. Seen to move, somebody else runs under this number. */
MUST_CHECK enum stock_result stock_last_beat(struct stock *s, uint32_t event, uint64_t *beat,
                                             uint64_t *now, struct fault *f);
void stock_disconnect(struct stock *s);
void stock_set_timeout(struct stock *s, uint64_t timeout_ms);

#endif
