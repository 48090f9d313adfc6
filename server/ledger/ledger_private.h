/*
 * ledger_private: what the files of the ledger share. Calls run from the top down, never back:
 *
 *     ledger                  plan, run, sleep, stop
 *     turn                    the order of effects of one turn
 *     step                    one step of one event
 *     intake                  rings -> batches
 *     acts, reclaim           what operators ask for
 *     settle, sell            journal -> changes; items -> grants
 *     attach                  this node takes its place in the sale
 *     orders                  the life of an order
 *     learn                   what other nodes did becomes a record here
 *     publish                 the board
 *     outbox                  verdicts on their way to the workers
 *     session                 the connection to the stock
 *     nodes                   the other nodes of the sale
 *     book                    the journal: append, commit, capacity
 *     hold_queue              deadlines of held orders
 *
 * Owner of all of it: the ledger thread, once main has initialized it.
 */
#ifndef SPIKE_LEDGER_PRIVATE_H
#define SPIKE_LEDGER_PRIVATE_H

#include "server/ledger/hold_queue.h"
#include "server/ledger/ledger.h"
#include "server/shared/counters.h"
#include "storage/journal/node_totals.h"
#include "storage/stock/stock.h"

/* The messages of one event that this turn's step deducts: BUY, and PAY of expired orders. */
struct batch {
    struct message **messages; /* BATCH_MAX; NULL: was deferred to the next turn */
    uint32_t count, tickets;
};

struct ledger_event {
    const struct conf_event *conf;
    struct board_event *board;
    uint32_t index; /* in the configuration */
    uint8_t slot;   /* in the journal */
    /* book.c: what the records of the journal add up to. */
    struct node_totals totals;
    struct hold_queue holds;
    /* attach.c. `epoch`: in use, at most the journal's; `own_epoch`: the last that Redis may have
     * of this process: of the journal as it was opened, or of the last attach. */
    uint64_t epoch, own_epoch;
    /* What the stock said last, in answer to a step or an attach. */
    struct stock_figures figures;
    bool is_known;         /* a step has answered the figures once */
    uint64_t asof_mono_us; /* when they were asked for; 0: never yet */
    uint64_t settled;      /* seq up to which the stock has the journal's changes */
    /* step.c: the hashes of granted keys. */
    struct filter *filter;
    size_t filter_pool;
    uint64_t hashes_seen; /* how many of the stock's are in it */
    bool hashes_known;    /* all of them, as of the last step */
    struct nodes *nodes;
    /* This turn. */
    struct batch batch;
    bool returned; /* orders have ended: the stock does not have their tickets back yet */
    bool step_due; /* an operator's act needs a step, whatever else is due */
};

struct ledger {
    const struct conf *conf;
    struct board *board;
    struct journal *journal;
    struct stock *stock;
    struct book *book;
    struct session *session;
    struct outbox *outbox;
    struct intake *intake;
    struct step_buffers *step;
    struct doorbell *bell;
    _Atomic bool stop;
    struct ledger_event events[EVENTS_MAX];
    size_t batches_pool;
};

/* Logs what is wrong and ends the process with exit code 1. */
_Noreturn void ledger_die(const char *what);

/* ---- turn.c --------------------------------------------------------------------------------- */

/* One turn. True: messages were taken off the rings, so there may be more. */
bool turn_run(struct ledger *l);
/* Something is to be done at once, whether or not a message comes. */
bool turn_has_work(const struct ledger *l);
/* When the next turn is due if no bell rings; UINT64_MAX: never. */
uint64_t turn_due_mono_us(const struct ledger *l, uint64_t now_mono_us);
/* The stock has every change that the journal holds. */
bool turn_all_settled(const struct ledger *l);

/* ---- step.c --------------------------------------------------------------------------------- */

struct step_buffers *step_plan(struct arena *a);
void step_init(struct ledger *l, const struct arena *a);
/* Settles, deducts the batch, appends the grants. Afterwards session_is_attached() tells whether
 * the stock answered; if not, the verdicts of the batch are as they were. */
void step_run(struct ledger *l, struct ledger_event *e);

/* ---- intake.c ------------------------------------------------------------------------------- */

struct intake *intake_plan(struct arena *a);
void intake_init(struct ledger *l, const struct arena *a, struct channel *channels,
                 uint32_t channel_count);
bool intake_rings_are_empty(const struct ledger *l);
/* Takes what the rings hold into this turn. True: there was something. */
bool intake_run(struct ledger *l);
/* The messages that wait for this turn's steps: operators' acts, and payments of an order of which
 * another payment is in the batch. */
struct message *const *intake_ops(const struct ledger *l, uint32_t *count);
/* They are answered. */
void intake_clear(struct ledger *l);

/* ---- acts.c, reclaim.c ---------------------------------------------------------------------- */

bool act_is(const struct message *m);
/* After the step, which has brought the latest version: decides and acts. */
void act_run(struct ledger *l, struct message *m, uint64_t now_wall_ms);
/* Writes the event as it stands into the answer. */
void act_describe(const struct ledger *l, struct message *m, uint64_t now_wall_ms);
/* Evict nodes: one in all events, or all silent ones that the repair of one event waits for. They
 * ask for a step, which ends the repair if nothing else is missing. */
void reclaim_node(struct ledger *l, struct message *m);
void reclaim_reopen(struct ledger *l, struct message *m);

/* ---- settle.c, sell.c ----------------------------------------------------------------------- */

/* Fills the step's changes with the committed records that the stock does not have yet. `records`:
 * SETTLE_MAX records to read them into; the changes point there. */
void settle_read(const struct ledger *l, const struct ledger_event *e, struct record *records,
                 struct stock_step *st);
/* Fills the step's items from the event's batch. */
void sell_fill_items(const struct ledger_event *e, struct stock_step *st);
/* Turns the stock's verdicts into those of the batch, and grants into records. */
void sell_decide(struct ledger *l, struct ledger_event *e, const struct stock_step *st);

/* ---- attach.c ------------------------------------------------------------------------------- */

/* Connects and takes this node's place in every event, if an attempt is due. Afterwards
 * session_is_attached() tells. */
void attach_run(struct ledger *l, uint64_t now_mono_us);

/* ---- orders.c ------------------------------------------------------------------------------- */

/* Each writes its verdict into the message and appends what has changed. */
void order_get(struct ledger *l, struct message *m);
void order_cancel(struct ledger *l, struct message *m);
/* The buyer has left before the YES could be sent: the order ends. */
void order_abandoned(struct ledger *l, struct message *m);
enum payment {
    PAYMENT_ANSWERED,
    PAYMENT_WAITS,    /* for the step, then order_pay_again: another payment is in the batch */
    PAYMENT_LATE,     /* goes into the event's batch, to be deducted once more */
    PAYMENT_DEFERRED, /* to the next turn */
};
enum payment order_pay(struct ledger *l, struct message *m);
void order_pay_again(struct ledger *l, struct message *m);
/* Applies the stock's verdict on a late payment. False: it is to be deferred. */
bool order_pay_late(struct ledger *l, struct ledger_event *e, struct message *m,
                    enum stock_verdict verdict);
/* Ends the holds that are due, EXPIRE_MAX at most. */
void order_expire(struct ledger *l, uint64_t now_wall_ms);

/* ---- learn.c: each appends a record, unless the journal says so already -----------------------
 */

/* The node belongs to the sale: a repair must wait for it. */
void learn_node(struct ledger *l, struct ledger_event *e, uint16_t node);
void learn_sale(struct ledger *l, struct ledger_event *e, const struct stock_attach *at);
/* State and total of the event are others: an operator acted, here, elsewhere, or while this node
 * was away. */
void learn_act(struct ledger *l, struct ledger_event *e, const struct stock_origin *origin);
void learn_own_act(struct ledger *l, struct ledger_event *e, const struct stock_origin *origin);

/* ---- publish.c ------------------------------------------------------------------------------ */

void publish_run(struct ledger *l);
enum sale_state publish_state(const struct ledger_event *e, uint64_t now_wall_ms);

/* ---- outbox.c ------------------------------------------------------------------------------- */

struct outbox *outbox_plan(const struct conf *conf, struct arena *a);
void outbox_init(struct ledger *l, const struct arena *a, struct channel *channels,
                 uint32_t channel_count);
/* A verdict that needs no commit: never YES. */
void outbox_answer(struct ledger *l, struct message *m, enum verdict v);
/* The message has its verdict, and leaves with the delivery after the commit. */
void outbox_add(struct ledger *l, struct message *m);
/* After the commit: sends all verdicts and rings each worker once. */
void outbox_deliver(struct ledger *l);
/* A payment that can only be decided when the stock has this turn's returns: the next turn takes it
 * before all others. The list stays valid while entries that were read are deferred again. */
void outbox_defer(struct ledger *l, struct message *m);
struct message *const *outbox_take_deferred(struct ledger *l, uint32_t *count);
bool outbox_has_deferred(const struct ledger *l);

/* ---- session.c ------------------------------------------------------------------------------ */

struct session *session_new(void);
/* All events are attached over the present connection. */
bool session_is_attached(const struct session *s);
/* This process was attached once: from here on another node under our number is an error. */
bool session_has_started(const struct session *s);
/* A batch was sent and its outcome was never heard. */
bool session_is_in_doubt(const struct session *s);
void session_set_in_doubt(struct session *s);
/* At least one attempt has failed since it was last attached. */
bool session_has_failed(const struct session *s);
uint64_t session_retry_mono_us(const struct session *s);
uint64_t session_backoff_us(const struct session *s);
/* Since when it is attached; other nodes may have been away from the stock as long. */
uint64_t session_attached_mono_us(const struct session *s);
void session_attach(struct session *s, uint64_t now_mono_us);
/* The stock is lost, and the outcome of the last call unknown: logs why, once, and sets the time of
 * the next attempt. */
void session_detach(struct ledger *l, uint64_t now_mono_us, const struct fault *why);

/* ---- nodes.c: of one event ------------------------------------------------------------------ */

struct nodes *nodes_new(uint32_t event);
/* The list of nodes is to be asked for with the next step. */
bool nodes_are_due(const struct nodes *n, uint64_t now_mono_us);
void nodes_refresh(struct nodes *n);
/* What a step said of the nodes; count 0: nothing. Logs nodes that fell silent or came back, and
 * those that a repair waits for. */
void nodes_update(const struct ledger *l, struct ledger_event *e, const struct stock_node *list,
                  uint32_t count, uint64_t sent_mono_us);
/* Notes when a repair began, if the figures name another one than before. */
void nodes_note_repair(struct ledger_event *e);
/* As heard outside of a repair. */
const struct stock_node *nodes_last_heard(const struct nodes *n, uint32_t *count,
                                          uint64_t *heard_mono_us);
/* Milliseconds since this node saw it alive; UINT64_MAX: it was silent then, or is not known. */
uint64_t nodes_seen_alive_ms(const struct nodes *n, uint16_t id);
/* How long a living node may take in a repair until it is heard; what of that is still to come. */
uint64_t nodes_patience_ms(const struct ledger *l);
uint64_t nodes_wait_ms(const struct ledger *l, const struct nodes *n);
/* The nodes that a repair waits for: the BOARD_WAITS_MAX lowest numbers, rising; *count: of all. */
const uint16_t *nodes_awaited(const struct nodes *n, uint32_t *count);

/* ---- book.c --------------------------------------------------------------------------------- */

struct book *book_new(void);
/* Before book_replay; the workers' channels say how many a YES may still come back. */
void book_init(struct ledger *l, struct channel *channels, uint32_t channel_count);
/* Folds the journal of an event into its totals and holds. False: f says what does not fit. */
MUST_CHECK bool book_replay(struct ledger *l, struct ledger_event *e, struct fault *f);
/* Appends a record and folds it. */
void book_append(struct ledger *l, struct ledger_event *e, struct record *r);
/* Syncs what was appended, if anything was. */
void book_commit(struct ledger *l);
/* For how many more orders the journal has capacity now, beside what must stay free: two records
 * for every order that may still change (held, or its YES may come back). */
uint64_t book_capacity(const struct ledger *l);
/* Measures it for this turn; logs when sales stop for lack of it and when they go on. */
void book_begin_turn(struct ledger *l);
/* What of it is not promised yet in this turn; and takes one. */
uint64_t book_free(const struct ledger *l);
void book_promise(struct ledger *l);
bool book_is_full(const struct ledger *l);
/* A YES is on its way to this worker; this one has come back. */
void book_count_yes(struct ledger *l, uint8_t worker);
void book_count_returned_yes(struct ledger *l, uint8_t worker);
/* The tag of the order's id. */
uint64_t book_tag(const struct ledger *l, const struct ledger_event *e, uint64_t number);
uint32_t book_commit_p99_us(struct ledger *l, uint64_t now_mono_us);

static inline bool event_sells(const struct ledger *l, const struct ledger_event *e)
{
    return session_is_attached(l->session) && e->figures.ready && !e->figures.repair;
}

/* Tickets of this node's orders, held and sold. */
static inline uint32_t event_out(const struct ledger_event *e)
{
    return e->totals.held + e->totals.sold;
}

static inline uint32_t event_left(const struct ledger_event *e)
{
    return e->figures.total > e->figures.gone ? e->figures.total - e->figures.gone : 0;
}

#endif
