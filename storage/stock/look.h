/*
 * look: what Redis says of a sale, read and never written: for spike-log(8), which holds it
 * against the journals.
 *
 * The hash of an event is read in one call, so its fields are of one moment. The stream of orders
 * is read in pieces and may grow meanwhile. Connecting and each call take at most redis-timeout.
 *
 * Owner: one thread. Allocates: a tool's, not the server's.
 */
#ifndef SPIKE_LOOK_H
#define SPIKE_LOOK_H

#include "conf/base/conf.h"
#include "conf/base/fault.h"

#define LOOK_SALE_TEXT 32 /* a sale id in hex */

/* What the hash says of one node. A field that is missing reads as 0. */
struct look_node {
    uint16_t node;
    bool ready;
    uint64_t last; /* number of the last grant */
    uint64_t done; /* ... of the last one that is settled */
    uint64_t pos;  /* seq up to which the journal is settled */
    uint64_t held, sold, gone;
    uint64_t pending_orders, pending; /* granted and not settled: orders, tickets */
};

struct look_event {
    bool exists; /* there is a hash */
    bool repair; /* nobody sells; total stands aside */
    char sale[LOOK_SALE_TEXT + 1];
    uint64_t total, gone, ours, version; /* gone: the field E_sold_nums, foreign included */
    uint32_t node_count;
    struct look_node nodes[NODES_MAX];
};

/* One entry of the stream; the texts live as long as the visit. */
struct look_entry {
    uint64_t node, seq, n, time_wall_ms;
    const char *order, *state;
};

struct look;

/* NULL: Redis cannot be reached; f says why. The conf must outlive it. */
MUST_CHECK struct look *look_open(const struct conf *conf, struct fault *f);
void look_close(struct look *l);

/* False: no answer, or a hash that is none of ours. */
MUST_CHECK bool look_event(struct look *l, const char *event, struct look_event *out,
                           struct fault *f);
/* How many entries the stream has and how many were ever added (0, 0: there is none). */
MUST_CHECK bool look_stream_size(struct look *l, const char *event, uint64_t *length,
                                 uint64_t *added, struct fault *f);
/* Visits all entries in order. False: no answer, or an entry that is none of ours. */
typedef void look_visit(void *context, const struct look_entry *e);
MUST_CHECK bool look_stream(struct look *l, const char *event, look_visit *visit, void *context,
                            struct fault *f);

#endif
