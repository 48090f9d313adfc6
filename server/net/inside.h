/*
 * inside: what the files of this room share; nobody else includes it.
 *
 *              first byte             the ledger is asked
 *     IDLE ──────────────> HEADER ──────────────────────> ORDERED
 *      ^ ^                   │ answered                      │ verdict, or too late: -6
 *      │ └───────────────────┴───────────────────────────────┤
 *      └──────── all sent ──────── DRAINING <────────────────┘ the peer reads slowly
 *                                     │
 *     LINGER: told to go, the last answer is sent; read on for a moment so that it arrives
 *
 * Each life has one list of deadlines, and a connection is in exactly one. A connection owns a
 * buffer only while half a request or half an answer is waiting; otherwise all share the worker's.
 */
#ifndef SPIKE_NET_INSIDE_H
#define SPIKE_NET_INSIDE_H

#include <ev.h>

#include "conf/base/pool.h"
#include "server/http/canned.h"
#include "server/net/deadline.h"
#include "server/net/worker.h"

enum life { LIFE_IDLE, LIFE_HEADER, LIFE_ORDERED, LIFE_DRAINING, LIFE_LINGER, LIFE_COUNT };

struct connection {
    ev_io io; /* io.data: the worker */
    struct deadline deadline;
    char *in, *out;          /* buffers of its own, or NULL */
    struct message *message; /* ORDERED: at the ledger. Else: a yes of which no byte is sent yet */
    uint32_t in_len;
    uint32_t out_at, out_len; /* what of out is not sent yet */
    uint32_t lingered;        /* bytes thrown away */
    uint8_t life;             /* enum life */
    uint8_t keepalive;        /* ORDERED: enum keepalive_mode of the answer to come */
    bool ended;               /* the peer sends no more */
    bool closing;             /* after what is being sent */
    bool rude;                /* it may have sent what nobody reads: linger */
    bool invited;             /* 100 Continue was sent for the request under way */
    bool dead;                /* a send has failed: to be closed at the end of the turn */
};
_Static_assert(sizeof(struct connection) <= 128, "a million of these");

struct worker {
    struct worker_options o;
    struct ev_loop *loop;
    struct request_limits limits;
    struct deadline_list lives[LIFE_COUNT];
    struct pool connections, messages, buffers;
    struct canned canned;
    char *in, *out; /* shared by whoever is being served */
    uint32_t buffer_bytes;
    uint32_t answer_room; /* free bytes of out that suffice for any answer */
    uint32_t out_len;
    uint64_t now_us;        /* of this turn of the loop */
    uint64_t wall_ms;       /* the same by the wall clock, for the stat log alone */
    uint64_t date_until_us; /* when the Date must be made again */
    uint64_t timer_at_us;   /* DEADLINE_NEVER: not armed */
    uint64_t stop_by_us;    /* when stopping */
    uint64_t complain_us;   /* not before: the next line about accept */
    uint32_t events;        /* of this turn of the loop */
    uint32_t told;          /* refusals of /buy in this turn of the loop, for the latency */
    bool bell_due;          /* something was pushed since the ledger's bell rang */
    bool armed;             /* our own bell */
    bool stopping;
    size_t shared_pool;
    ev_io accepts[LISTEN_MAX], bell;
    ev_timer timer, accept_again;
    ev_prepare prepare;
    ev_check check;
    ev_async stop;
    struct counters counters;
};

/* worker.c: the timer rings at this time or earlier. */
void worker_wake_by(struct worker *w, uint64_t at_us);

/* life.c */
uint64_t life_limit_us(const struct worker *w, enum life life);
void life_begin(struct worker *w, struct connection *c);
void life_move(struct worker *w, struct connection *c, enum life life);
/* NULL: nobody leads this life. */
struct connection *life_first(const struct worker *w, enum life life);
/* Ends what is due. */
void life_expire(struct worker *w);
/* When the next one is due. */
uint64_t life_next(const struct worker *w);

/* door.c */
void door_start(struct worker *w);
void door_stop(struct worker *w);

/* connection.c */
void connection_open(struct worker *w, int fd);
void connection_close(struct worker *w, struct connection *c);
void connection_readable(struct worker *w, struct connection *c);
/* Serves what it has kept, then sends and settles down. Answers may stand in w->out already. */
void connection_continue(struct worker *w, struct connection *c);

/* serve.c: answers the requests in buf into w->out, as many as can be; how many bytes are used. */
uint32_t serve_requests(struct worker *w, struct connection *c, const char *buf, uint32_t len);
/* To a request that nobody can make sense of, or that has no place: the last word. */
void serve_refusal(struct worker *w, struct connection *c, enum verdict v);
/* One answer behind those in w->out: open, fill with response_*, finish (which counts it, for an
 * event of /buy or NO_EVENT). */
void serve_open(const struct worker *w, struct response *out, enum keepalive_mode keepalive,
                bool without_body);
void serve_finish(struct worker *w, struct connection *c, struct response *out, int event);
/* Counts an answer, and notes it for the stat log. event: of /buy; NO_EVENT: another request. */
#define NO_EVENT (-1)
void serve_count(struct worker *w, int event, enum verdict v);

/* output.c */
/* Sends w->out. False: the rest is kept in the connection, or it is dead. */
bool output_flush(struct worker *w, struct connection *c);
/* The same for what was kept. */
bool output_resume(struct worker *w, struct connection *c);

/* ask.c: the ledger is asked. */
enum asked {
    ASK_ANSWERED,
    ASK_ORDERED, /* the verdict comes later */
    ASK_WAITS,   /* not yet: what was answered before is not sent yet */
    ASK_NO_ROOM, /* of ask_ledger alone: all messages are out, the caller is to answer busy */
};
enum asked ask_ledger(struct worker *w, struct connection *c, const struct route *route,
                      enum keepalive_mode keepalive);
void ask_push(struct worker *w, struct message *m);
/* Takes the ledger's verdicts off the ring. */
void ask_verdicts(struct worker *w);
/* The deadline has passed first. */
void ask_too_late(struct worker *w, struct connection *c);
/* The connection dies with its message under way, or with a yes that it was not told of. */
void ask_abandon(struct worker *w, struct connection *c);

/* buy.c: what is special to buying. */
enum asked buy(struct worker *w, struct connection *c, const struct route *route,
               enum keepalive_mode keepalive);
/* True: a yes; it stays the connection's until buy_told. */
bool buy_answer(struct worker *w, struct connection *c, const struct message *m,
                enum keepalive_mode keepalive);
void buy_too_late(struct worker *w, struct connection *c, uint32_t event,
                  enum keepalive_mode keepalive);
/* A verdict for which no buyer waits any more: what was bought is given back. */
void buy_orphan(struct worker *w, struct message *m);
/* The first byte of a yes has been sent. */
void buy_told(struct worker *w, struct connection *c);

/* reply.c: orders and acts. */
enum asked reply_ask(struct worker *w, struct connection *c, const struct route *route,
                     enum keepalive_mode keepalive);
void reply_answer(struct worker *w, struct connection *c, const struct message *m,
                  enum keepalive_mode keepalive);
void reply_refusal(struct worker *w, struct connection *c, enum verdict v,
                   enum keepalive_mode keepalive);
/* The whole answer of /stock, and of an act. */
void reply_event(struct response *out, const char *name, const char *state, uint32_t total,
                 uint32_t gone);

#endif
