/*
 * private: what the ledger is made of; for the files of this room alone.
 *
 * Owner of all of it: the ledger thread.
 */
#ifndef SPIKE_LEDGER_PRIVATE_H
#define SPIKE_LEDGER_PRIVATE_H

#include "server/ledger/hold_queue.h"
#include "server/ledger/ledger.h"
#include "server/shared/counters.h"
#include "storage/journal/node_totals.h"
#include "storage/stock/stock.h"

struct ledger_event {
    const struct conf_event *conf;
    struct board_event *board;
    uint32_t index; /* in the configuration */
    uint8_t slot;   /* in the journal */
    struct node_totals totals;
    struct hold_queue holds;
    struct filter filter; /* of granted keys */
    uint64_t hashes_seen; /* how far it has read */
    bool hashes_known;    /* ... all, as of the last step */
    uint64_t epoch;       /* in use; at most the journal's */
    uint64_t own_epoch;   /* the last that Redis may have of us: of the journal as it was opened, or
                           * of the last attach */
    uint64_t settled;     /* seq up to which the stock has heard of the journal */
    uint64_t asof_mono_us; /* when the figures were asked for; 0: never yet */
    struct stock_figures figures;
    bool is_known; /* a step has told the figures once */
    /* The nodes of the sale as the last beat outside of a repair told: what a hash in repair says
     * of them may be old, and must not be believed when it is asked about the silent ones. */
    struct stock_node nodes[NODES_MAX];
    uint32_t node_count;
    uint64_t nodes_mono_us; /* when `nodes` was asked for */
    uint64_t since,
        since_mono_us;    /* of the repair, and when this was first told; 0: there is none */
    char waits[128];      /* the nodes that it waits for, as last logged */
    uint32_t waits_count; /* how many they are as the last step told; the least of them, rising: */
    uint16_t waits_for[BOARD_WAITS_MAX];
    uint64_t asked_mono_us; /* when the nodes were last asked for at all */
    bool returned;          /* orders have ended in this turn: their tickets are not back yet */
    struct message **batch; /* BUY, and PAY of expired orders, for this turn's step */
    uint32_t batch_count, batch_tickets;
};

struct ledger {
    const struct conf *conf;
    struct board *board;
    struct journal *journal;
    struct stock *stock;
    struct channel *channels;
    uint32_t channel_count; /* the workers' and the operators' */
    struct doorbell bell;
    _Atomic bool stop;

    struct ledger_event events[EVENTS_MAX];
    bool attached; /* all events have been, since the connection was made */
    bool started;  /* attached once: from here on another node under our number is an error */
    bool in_doubt; /* a batch was sent and its outcome was never heard */
    uint64_t attached_mono_us; /* since when; other nodes may have been away as long */
    uint64_t retry_mono_us, backoff_us;
    char said[FAULT_TEXT]; /* the last trouble that was logged, so that it is not said again */

    uint64_t room; /* records that may still be promised in this turn */
    bool full;     /* no room was left */
    uint64_t yes_sent[WORKERS_MAX + 1];
    bool ring[WORKERS_MAX + 1]; /* whose bell to ring when all are answered */
    struct message **others;    /* of this turn, to be done when its steps are */
    uint32_t other_count;
    uint32_t taken;           /* messages of this turn that are no buys */
    struct message **answers; /* have their verdict, and leave after the next commit */
    uint32_t answer_count;
    struct message **waiting; /* PAY, put off to the next turn */
    uint32_t waiting_count;
    struct latency commits;
    uint64_t summed_second; /* when commit_p99 was last worked out */

    /* Room for one step. */
    struct record *records;
    struct stock_change *changes;
    struct stock_item *items;
    uint64_t *marks;
    struct stock_node *told;
    size_t told_pool, waiting_pool, batch_pool, others_pool, answers_pool, records_pool,
        changes_pool, items_pool, hashes_pool;
};

_Noreturn void ledger_die(const char *what);

/* attach.c: makes the connection and takes this node's place in every event, when it is time to
 * try. Afterwards l->attached tells. */
void ledger_attach(struct ledger *l, uint64_t now_mono_us);
/* Journals that this node belongs to the sale, if the journal does not know it yet: a repair must
 * wait for it. */
void ledger_learn_node(struct ledger *l, struct ledger_event *e, uint16_t node);
/* The stock is lost: what was asked is in doubt; say why, and try again a little later. */
void ledger_detach(struct ledger *l, uint64_t now_mono_us, const struct fault *why);

/* step.c: one step of an event: settles, deducts the batch, appends the grants. */
void ledger_step(struct ledger *l, struct ledger_event *e);
/* Folds a record into what the event adds up to. False: it cannot follow, or there is no place for
 * one more hold. */
MUST_CHECK bool ledger_fold(struct ledger_event *e, const struct record *r);
/* Appends a record and folds it. */
void ledger_append(struct ledger *l, struct ledger_event *e, struct record *r);
void ledger_commit(struct ledger *l);

/* gather.c: takes what the rings hold into this turn. True if there was anything. */
bool ledger_gather(struct ledger *l);
/* Gives a message back with its verdict, which needs no commit; its worker is woken with the next
 * delivery. */
void ledger_answer(struct ledger *l, struct message *m, enum verdict v);
/* The same, after the next commit: the message has its verdict already. */
void ledger_answer_later(struct ledger *l, struct message *m);
/* What the journal can still hold, less two records for every order that may still change: those
 * held, and those whose YES may come back because the buyer has left. */
uint64_t ledger_room(struct ledger *l);
/* A payment that can only be decided when what this turn returns is back: it is asked again first
 * thing in the next turn. */
void ledger_put_off(struct ledger *l, struct message *m);

/* orders.c: the life of an order. A message is told its verdict; what has changed is appended. */
void order_look(struct ledger *l, struct message *m);
void order_cancel(struct ledger *l, struct message *m);
void order_left(struct ledger *l, struct message *m);
enum order_paid {
    ORDER_ANSWERED,
    ORDER_WAITS,   /* for the step: order_pay_again */
    ORDER_LATE,    /* it goes into the event's batch, to be deducted once more */
    ORDER_PUT_OFF, /* to the next turn */
};
enum order_paid order_pay(struct ledger *l, struct message *m);
/* What the stock says to a late payment. False: it is put off. */
bool order_paid_late(struct ledger *l, struct ledger_event *e, struct message *m,
                     enum stock_verdict said);
/* After the step: the payments that came while another one of the same order was in the batch. */
void order_pay_again(struct ledger *l, struct message *m);
/* Ends the holds that are due. */
void order_expire(struct ledger *l, uint64_t now_wall_ms);
uint64_t ledger_tag(const struct ledger *l, const struct ledger_event *e, uint64_t number);

/* acts.c: operators. */
bool act_is(const struct message *m);
/* After the step, which has brought the latest version: does what is asked. */
void act_do(struct ledger *l, struct message *m, uint64_t now_wall_ms);
/* Journals what was done on another node, or since this one was last here. */
void act_learn(struct ledger *l, struct ledger_event *e, const struct stock_origin *origin);
/* reclaim.c: notes when a repair began, if the figures tell of another one than before. */
void reclaim_note_since(struct ledger_event *e);
/* Gives up nodes that are gone: one, in all events, or those that a repair waits for. */
void reclaim_do(struct ledger *l, struct message *m);
void reopen_do(struct ledger *l, struct message *m);
/* Logs who has fallen silent since the nodes were last told, and who is back. */
void reclaim_watch(const struct ledger_event *e, const struct stock_node *nodes, uint32_t count);
/* Notes for whom a repair waits; without one `count` is 0. */
void reclaim_note_waits(const struct ledger *l, struct ledger_event *e,
                        const struct stock_node *nodes, uint32_t count);
/* Logs for whom a repair waits, when that changes. */
void reclaim_say_waits(const struct ledger *l, struct ledger_event *e,
                       const struct stock_node *nodes, uint32_t count);
/* The event as it stands, into the answer. */
void act_describe(const struct ledger *l, struct message *m, uint64_t now_wall_ms);

/* publish.c: the board. */
void ledger_publish(struct ledger *l);
enum sale_state ledger_state(const struct ledger_event *e, uint64_t now_wall_ms);

static inline bool event_sells(const struct ledger *l, const struct ledger_event *e)
{
    return l->attached && e->figures.ready && !e->figures.repair;
}

static inline uint32_t event_out(const struct ledger_event *e)
{
    return e->totals.held + e->totals.sold;
}

static inline uint32_t event_left(const struct ledger_event *e)
{
    return e->figures.total > e->figures.gone ? e->figures.total - e->figures.gone : 0;
}

#endif
