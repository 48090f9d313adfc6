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
#ifndef SPIKE_REDIS_INSPECT_H
#define SPIKE_REDIS_INSPECT_H

#include "conf/base/conf.h"
#include "conf/base/fault.h"

#define INSPECT_SALE_TEXT 32 /* a sale id in hex */
#define INSPECT_RUN_TEXT  64 /* room for the id of a run of Redis */

/* What Redis remembers beside the hash and the stream. */
enum inspect_names { INSPECT_KEYS, INSPECT_BUYERS, INSPECT_MARKS, INSPECT_NAMES };

/* What the hash says of one node. A field that is missing reads as 0. */
struct inspect_node {
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

struct inspect_event {
    bool exists; /* there is a hash */
    bool repair; /* nobody sells; total stands aside */
    char sale[INSPECT_SALE_TEXT + 1];
    char state[16];                      /* "open", "paused", "closed"; "": lost */
    char run[INSPECT_RUN_TEXT];          /* of Redis, when a node last attached */
    uint64_t total, gone, ours, version; /* gone: the field E_sold_nums, foreign included */
    uint64_t rebuild; /* of keys, buyers and marks, the last one; 0: there was none */
    uint64_t stamps[INSPECT_NAMES];
    uint32_t node_count;
    struct inspect_node nodes[NODES_MAX];
};

/* One entry of the stream; the texts live as long as the visit. */
struct inspect_entry {
    uint64_t node, seq, n, time_wall_ms;
    const char *order, *event, *state, *buyer;
};

struct redis_inspect;

/* NULL: Redis cannot be reached; f says why. The conf must outlive it. */
MUST_CHECK struct redis_inspect *inspect_open(const struct conf *conf, struct fault *f);
void inspect_close(struct redis_inspect *l);

/* False: no answer, or a hash that is none of ours. */
MUST_CHECK bool inspect_event(struct redis_inspect *l, const char *event, struct inspect_event *out,
                              struct fault *f);
/* The id of Redis' run: another one than that of the hash, and Redis was started again since. */
MUST_CHECK bool inspect_run(struct redis_inspect *l, char run[INSPECT_RUN_TEXT], struct fault *f);
/* How many entries the stream has and how many were ever added (0, 0: there is none). */
MUST_CHECK bool inspect_stream_size(struct redis_inspect *l, const char *event, uint64_t *length,
                                    uint64_t *added, struct fault *f);
/* Visits all entries in order. False: no answer, or an entry that is none of ours. */
typedef void inspect_visit(void *context, const struct inspect_entry *e);
MUST_CHECK bool inspect_stream(struct redis_inspect *l, const char *event, inspect_visit *visit,
                               void *context, struct fault *f);

/* What they say of themselves: of which sale they are, and in which turn they were last written (of
 * the marks: how many there are, and one). The hash says so, too: what differs was lost. */
struct inspect_guard {
    char sale[INSPECT_SALE_TEXT + 1];
    uint64_t stamp;
};

/* Visits every key (its value is that of step.lua) or buyer (tickets), some more than once. False:
 * no answer. */
typedef void inspect_name_visit(void *context, const char *name, size_t name_len, const char *value,
                                size_t value_len);
MUST_CHECK bool inspect_names(struct redis_inspect *l, const char *event, enum inspect_names what,
                              struct inspect_guard *guard, inspect_name_visit *visit, void *context,
                              struct fault *f);
/* Visits the marks of granted keys, in order. */
typedef void inspect_mark_visit(void *context, uint64_t mark);
MUST_CHECK bool inspect_marks(struct redis_inspect *l, const char *event,
                              struct inspect_guard *guard, inspect_mark_visit *visit, void *context,
                              struct fault *f);

#endif
