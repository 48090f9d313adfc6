/*
 * look: what Redis says of a sale, read and never written: for spike-log(8), which holds it
 * against the journals.
 *
 * The hash and the registry of an event are read in one call, so they are of one moment. The stream
 * of orders, keys, buyers and marks are read in pieces and may change meanwhile: what was there all
 * the time is visited. Connecting and each call take at most redis-timeout.
 *
 * Owner: one thread. Allocates: a tool's, not the server's.
 */
#ifndef SPIKE_LOOK_H
#define SPIKE_LOOK_H

#include "conf/base/conf.h"
#include "conf/base/fault.h"

#define LOOK_SALE_TEXT 32 /* a sale id in hex */
#define LOOK_RUN_TEXT  64 /* room for the id of a run of Redis */

/* What Redis remembers beside the hash and the stream. */
enum look_names { LOOK_KEYS, LOOK_BUYERS, LOOK_MARKS, LOOK_NAMES };

/* What the hash says of one node. A field that is missing reads as 0. */
struct look_node {
    uint16_t node;
    bool ready;
    uint64_t epoch;         /* 0: not here since Redis has forgotten everything */
    uint64_t last;          /* number of the last grant */
    uint64_t done;          /* ... of the last one that is settled */
    uint64_t pos;           /* seq up to which the journal is settled */
    uint64_t told;          /* seq of the last change that is in the stream */
    uint64_t told_registry; /* ... as the registry has it: the same, unless one was lost */
    uint64_t rebuild;       /* which rebuild of keys, buyers and marks it has done */
    uint64_t held, sold, gone;
    uint64_t pending_orders, pending; /* granted and not settled: orders, tickets */
};

struct look_event {
    bool exists; /* there is a hash */
    bool repair; /* nobody sells; total stands aside */
    char sale[LOOK_SALE_TEXT + 1];
    char state[16];                      /* "open", "paused", "closed"; "": lost */
    char run[LOOK_RUN_TEXT];             /* of Redis, when a node last attached */
    uint64_t total, gone, ours, version; /* gone: the field E_sold_nums, foreign included */
    uint64_t rebuild; /* of keys, buyers and marks, the last one; 0: there was none */
    uint64_t stamps[LOOK_NAMES];
    uint32_t node_count;
    struct look_node nodes[NODES_MAX];
};

/* One entry of the stream; the texts live as long as the visit. */
struct look_entry {
    uint64_t node, seq, n, time_wall_ms;
    const char *order, *event, *state, *buyer;
};

struct look;

/* NULL: Redis cannot be reached; f says why. The conf must outlive it. */
MUST_CHECK struct look *look_open(const struct conf *conf, struct fault *f);
void look_close(struct look *l);

/* False: no answer, or a hash that is none of ours. */
MUST_CHECK bool look_event(struct look *l, const char *event, struct look_event *out,
                           struct fault *f);
/* The id of Redis' run: another one than that of the hash, and Redis was started again since. */
MUST_CHECK bool look_run(struct look *l, char run[LOOK_RUN_TEXT], struct fault *f);
/* How many entries the stream has and how many were ever added (0, 0: there is none). */
MUST_CHECK bool look_stream_size(struct look *l, const char *event, uint64_t *length,
                                 uint64_t *added, struct fault *f);
/* Visits all entries in order. False: no answer, or an entry that is none of ours. */
typedef void look_visit(void *context, const struct look_entry *e);
MUST_CHECK bool look_stream(struct look *l, const char *event, look_visit *visit, void *context,
                            struct fault *f);

/* What they say of themselves: of which sale they are, and in which turn they were last written (of
 * the marks: how many there are, and one). The hash says so, too: what differs was lost. */
struct look_guard {
    char sale[LOOK_SALE_TEXT + 1];
    uint64_t stamp;
};

/* Visits every key (its value is that of step.lua) or buyer (tickets), some more than once. False:
 * no answer. */
typedef void look_name_visit(void *context, const char *name, size_t name_len, const char *value,
                             size_t value_len);
MUST_CHECK bool look_names(struct look *l, const char *event, enum look_names what,
                           struct look_guard *guard, look_name_visit *visit, void *context,
                           struct fault *f);
/* Visits the marks of granted keys, in order. */
typedef void look_mark_visit(void *context, uint64_t mark);
MUST_CHECK bool look_marks(struct look *l, const char *event, struct look_guard *guard,
                           look_mark_visit *visit, void *context, struct fault *f);

#endif
