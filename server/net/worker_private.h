/*
 * worker_private: what the files of a worker share. Calls run from the top down, never back:
 *
 *     worker                     the loop, the bells, the end
 *     accept                     new connections, the limit
 *     timeouts, complete         a deadline has passed; a verdict has arrived
 *     connection                 open, read, process input, close
 *     serve                      one request after another
 *     buy, reply_order           what is special to each kind
 *     submit                     a request becomes a message to the ledger
 *     output                     bytes out
 *     inflight                   the owner of each message, until the buyer has its YES
 *     refuse                     what is refused: a buyer, a request
 *     respond                    open, finish, count an answer
 *     conn_state                 which list a connection is in
 *     timer                      the one timer
 *     deadline, listener, conn_limit, ev_alloc
 *
 *              first byte              sent to the ledger
 *     IDLE ──────────────> READING ─────────────────────> WAITING
 *      ^ ^                   │ answered                      │ verdict, or too late: -6
 *      │ └───────────────────┴───────────────────────────────┤
 *      └──────── all sent ──────── WRITING <─────────────────┘ the peer reads slowly
 *                                     │
 *     LINGER: the last answer is sent and our side is shut; input is discarded for a moment, so
 *     that a reset does not overtake the answer
 *
 * Each state has one list of deadlines, and a connection is in exactly one. A connection owns a
 * buffer only while half a request or half an answer is waiting; otherwise all share the worker's.
 *
 * Owner of all of it: the worker's thread, once main has initialized it.
 */
#ifndef SPIKE_WORKER_PRIVATE_H
#define SPIKE_WORKER_PRIVATE_H

#include <ev.h>

#include "conf/base/pool.h"
#include "server/http/canned.h"
#include "server/net/deadline.h"
#include "server/net/worker.h"

enum conn_state { CONN_IDLE, CONN_READING, CONN_WAITING, CONN_WRITING, CONN_LINGER, CONN_STATES };

struct connection {
    ev_io io; /* io.data: the worker */
    struct deadline deadline;
    char *in, *out; /* buffers of its own, or NULL */
    /* WAITING: the one that is at the ledger. Else: a YES of which no byte is sent yet. */
    struct message *message;
    uint32_t in_len;
    uint32_t out_at, out_len; /* what of out is not sent yet */
    uint32_t discarded;       /* bytes of input, in LINGER */
    uint8_t state;            /* enum conn_state */
    uint8_t keepalive;        /* WAITING: enum keepalive_mode of the answer to come */
    bool peer_eof;            /* the peer sends no more */
    bool closing;             /* after what is being sent */
    bool discard_input;       /* the peer may have sent what is not read: linger */
    bool sent_100;            /* 100 Continue, for the request under way */
    bool write_error;         /* to be closed at the end of processing */
};
_Static_assert(sizeof(struct connection) <= 128, "a million of these");

struct worker {
    struct worker_options o;
    struct ev_loop *loop;
    struct request_limits limits;
    struct pool connections, messages, buffers;
    struct canned *canned;
    struct counters counters;
    size_t shared_pool;
    /* The buffers of the connection that is being served. */
    char *in, *out;
    uint32_t buffer_bytes; /* of each of them */
    uint32_t answer_max;   /* free bytes of out that suffice for any answer */
    uint32_t out_len;
    /* This turn of the loop. */
    uint64_t now_us;
    uint64_t wall_ms;          /* the same by the wall clock, for the stat log alone */
    uint64_t date_until_us;    /* when the Date must be made again */
    uint32_t events;           /* that it began with */
    uint32_t refusals_in_turn; /* of /buy, for the latency */
    bool bell_due;             /* something was pushed since the ledger's bell rang */
    bool armed;                /* our own bell */
    /* Stopping. */
    bool stopping;
    uint64_t stop_by_us;
    /* conn_state.c */
    struct deadline_list by_state[CONN_STATES];
    /* timer.c */
    ev_timer timer;
    uint64_t timer_at_us; /* DEADLINE_NEVER: not armed */
    /* accept.c */
    ev_io accepts[LISTEN_MAX];
    ev_timer accept_again;
    uint64_t warn_after_us; /* not before: the next line about accept */
    /* worker.c */
    ev_io bell;
    ev_prepare prepare;
    ev_check check;
    ev_async stop;
};

/* Asserts that the caller is the thread that owns the worker: its own, or main. */
#define ASSERT_OWNER(w) \
    ASSERT(thread_role() == ((w)->o.side == ROUTE_BUYERS ? THREAD_WORKER : THREAD_MAIN))

/* ---- accept.c ------------------------------------------------------------------------------- */

void accept_start(struct worker *w);
/* Takes what the kernel has accepted already, then leaves the listeners. */
void accept_stop(struct worker *w);

/* ---- timeouts.c ----------------------------------------------------------------------------- */

/* Ends what is due. */
void timeouts_expire(struct worker *w);

/* ---- complete.c ----------------------------------------------------------------------------- */

/* Takes the ledger's verdicts off the ring and answers them. */
void complete_verdicts(struct worker *w);
/* The deadline has passed first: -6. */
void complete_too_late(struct worker *w, struct connection *c);

/* ---- connection.c --------------------------------------------------------------------------- */

void connection_open(struct worker *w, int fd);
void connection_close(struct worker *w, struct connection *c);
void connection_readable(struct worker *w, struct connection *c);
/* Serves the input that was kept, sends, and moves to the next state. Answers may stand in w->out
 * already. */
void connection_continue(struct worker *w, struct connection *c);

/* ---- serve.c -------------------------------------------------------------------------------- */

/* Answers the requests in buf into w->out, as many as can be; how many bytes are used. */
uint32_t serve_requests(struct worker *w, struct connection *c, const char *buf, uint32_t len);

/* ---- submit.c ------------------------------------------------------------------------------- */

enum submitted {
    SUBMIT_ANSWERED,
    SUBMIT_WAITING,    /* the verdict comes later */
    SUBMIT_BLOCKED,    /* not yet: what was answered before is not sent yet */
    SUBMIT_NO_MESSAGE, /* of submit() alone: all messages are out, the caller answers busy */
};
enum submitted submit(struct worker *w, struct connection *c, const struct route *route,
                      enum keepalive_mode keepalive);

/* ---- buy.c ---------------------------------------------------------------------------------- */

enum submitted buy(struct worker *w, struct connection *c, const struct route *route,
                   enum keepalive_mode keepalive);
/* True: a YES; the message stays the connection's until inflight_yes_sent. */
bool buy_answer(struct worker *w, struct connection *c, const struct message *m,
                enum keepalive_mode keepalive);
void buy_too_late(struct worker *w, struct connection *c, uint32_t event,
                  enum keepalive_mode keepalive);

/* ---- reply_order.c: orders and operators' acts ------------------------------------------------
 */

enum submitted reply_submit(struct worker *w, struct connection *c, const struct route *route,
                            enum keepalive_mode keepalive);
void reply_answer(struct worker *w, struct connection *c, const struct message *m,
                  enum keepalive_mode keepalive);
/* The whole answer of /stock, and of an act. */
void reply_event(struct response *out, const char *name, const char *state, uint32_t total,
                 uint32_t gone);

/* ---- output.c ------------------------------------------------------------------------------- */

/* Sends w->out. False: the rest is kept in the connection, or sending has failed. */
bool output_flush(struct worker *w, struct connection *c);
/* The same for what was kept. */
bool output_resume(struct worker *w, struct connection *c);

/* ---- inflight.c ----------------------------------------------------------------------------- */

/* Gives the message to the ledger. */
void inflight_push(struct worker *w, struct message *m);
/* The connection ends, or is answered, before the verdict: it lets go of its message. */
void inflight_detach(struct connection *c);
/* The connection ends with a message at the ledger, or with a YES that was not sent. */
void inflight_abandon(struct worker *w, struct connection *c);
/* A verdict has come back that no connection waits for: what was bought is given back. */
void inflight_reap(struct worker *w, struct message *m);
/* The first byte of a YES has been sent. */
void inflight_yes_sent(struct worker *w, struct connection *c);

/* ---- respond.c: one answer behind those in w->out ---------------------------------------------
 */

#define NO_EVENT (-1) /* a request that is not /buy */

/* Open, fill with response_*, finish, which counts it. */
void respond_open(const struct worker *w, struct response *out, enum keepalive_mode keepalive,
                  bool without_body);
void respond_finish(struct worker *w, struct connection *c, struct response *out, int event);
/* Counts an answer and leaves a line for the stat log. */
void respond_count(struct worker *w, int event, enum verdict v);
/* To a request that cannot be parsed, or that has no buffer: the last answer of the connection. As
 * long as all answers of /buy for that event, or NO_EVENT. */
void respond_unread(struct worker *w, struct connection *c, enum verdict v, int event);

/* ---- refuse.c ------------------------------------------------------------------------------- */

/* To a buyer: a verdict of the sale that is no YES. */
void refuse_buy(struct worker *w, struct connection *c, uint32_t event, enum verdict v,
                enum keepalive_mode keepalive);
/* To any other request: without data. */
void refuse_request(struct worker *w, struct connection *c, enum verdict v,
                    enum keepalive_mode keepalive);
/* The same into an answer that is open, with the headers that the verdict needs. */
void refuse_put(const struct worker *w, const struct route *route, enum verdict v,
                struct response *out);

/* ---- conn_state.c --------------------------------------------------------------------------- */

/* How long a connection may stay in a state. */
uint64_t conn_state_limit_us(const struct worker *w, enum conn_state state);
void conn_state_begin(struct worker *w, struct connection *c);
void conn_state_move(struct worker *w, struct connection *c, enum conn_state state);
/* The one that is longest in a state; NULL: none. */
struct connection *conn_state_first(const struct worker *w, enum conn_state state);
/* The same, if its time is over. */
struct connection *conn_state_expired(const struct worker *w, enum conn_state state);
/* When the next one's time is over; DEADLINE_NEVER: there is none. */
uint64_t conn_state_next_us(const struct worker *w);

/* ---- timer.c -------------------------------------------------------------------------------- */

void timer_start(struct worker *w, void (*on_timer)(struct ev_loop *, ev_timer *, int));
/* It rings at this time or earlier. */
void timer_wake_by(struct worker *w, uint64_t at_us);
/* It has rung. */
void timer_rang(struct worker *w);

#endif
