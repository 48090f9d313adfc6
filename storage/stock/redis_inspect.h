/*
 * redis_inspect: reads what Redis holds of a sale, and never writes; for spike-log(8), which
 * compares it with the journals.
 *
 * The hash and the registry of an event are read in one call, so they are of one moment. The stream
 * of orders, the keys, the buyers and the key hashes are read in pieces and may change meanwhile:
 * each element that exists all the time is visited. Connecting and each call take at most
 * redis-timeout.
 *
 * Owner: one thread. Allocates: a tool's module, not the server's.
 */
#ifndef SPIKE_REDIS_INSPECT_H
#define SPIKE_REDIS_INSPECT_H

#include "conf/base/conf.h"
#include "conf/base/fault.h"

#define INSPECT_SALE_TEXT 32 /* a sale id in hex */
#define INSPECT_RUN_TEXT  64 /* bytes for the id of a run of Redis, NUL included */

/* What Redis remembers beside the hash and the stream. */
enum inspect_names { INSPECT_KEYS, INSPECT_BUYERS, INSPECT_KEY_HASHES, INSPECT_NAMES };

/* The fields of one node in the hash. A field that is missing reads as 0. */
struct inspect_node {
    uint16_t node;
    bool ready;
    uint64_t epoch;             /* 0: not attached since Redis has forgotten everything */
    uint64_t last_number;       /* of the last grant */
    uint64_t settled_number;    /* of the last grant that is settled */
    uint64_t pos;               /* seq up to which the journal is settled */
    uint64_t streamed_seq;      /* of the last change that is in the stream, by the hash */
    uint64_t streamed_registry; /* ... by the registry: the same, unless one of them was lost */
    uint64_t rebuild;          /* the last rebuild of keys, buyers and key hashes it took part in */
    uint64_t held, sold, gone; /* tickets */
    uint64_t pending_orders, pending; /* granted and not settled: orders, tickets */
};

struct inspect_event {
    bool exists; /* there is a hash */
    bool repair; /* no node sells; the total is parked in another field */
    char sale[INSPECT_SALE_TEXT + 1];
    char state[16];             /* "open", "paused", "closed"; "": lost */
    char run[INSPECT_RUN_TEXT]; /* of Redis, when a node last attached */
    uint64_t total, version;
    uint64_t gone;       /* the field E_sold_nums: tickets, foreign included */
    uint64_t sold_by_us; /* ... through nodes of the sale */
    uint64_t rebuild;    /* the last one of keys, buyers and key hashes; 0: there was none */
    uint64_t stamps[INSPECT_NAMES];
    uint32_t node_count;
    struct inspect_node nodes[NODES_MAX];
};

/* One entry of the stream; the texts live as long as the visit. */
struct inspect_entry {
    uint64_t node, seq, n, time_wall_ms;
    const char *order, *event, *state, *buyer;
};

/* What keys, buyers or key hashes record of themselves: the sale, and the revision of the hash with
 * which they were last written (of key hashes: how many there are, plus one). The hash records the
 * same: what differs was lost. */
struct inspect_guard {
    char sale[INSPECT_SALE_TEXT + 1];
    uint64_t stamp;
};

struct redis_inspect;

/* NULL: Redis cannot be reached; f says why. `conf` must outlive it. */
MUST_CHECK struct redis_inspect *inspect_open(const struct conf *conf, struct fault *f);
void inspect_close(struct redis_inspect *in);

/* False: no answer, or a hash that is not of the expected form. */
MUST_CHECK bool inspect_event(struct redis_inspect *in, const char *event,
                              struct inspect_event *out, struct fault *f);
/* The id of this run of Redis. If the hash has another one, Redis has been restarted since. */
MUST_CHECK bool inspect_run(struct redis_inspect *in, char run[INSPECT_RUN_TEXT], struct fault *f);

/* How many entries the stream has, and how many were ever added (0, 0: there is no stream). */
MUST_CHECK bool inspect_stream_size(struct redis_inspect *in, const char *event, uint64_t *length,
                                    uint64_t *added, struct fault *f);
typedef void inspect_visit(void *context, const struct inspect_entry *e);
/* Visits all entries in order. False: no answer, or an entry of another form. */
MUST_CHECK bool inspect_stream(struct redis_inspect *in, const char *event, inspect_visit *visit,
                               void *context, struct fault *f);

typedef void inspect_name_visit(void *context, const char *name, size_t name_len, const char *value,
                                size_t value_len);
/* Visits every key (its value is that of step.lua) or every buyer (its value is its tickets), some
 * more than once. False: no answer. */
MUST_CHECK bool inspect_names(struct redis_inspect *in, const char *event, enum inspect_names which,
                              struct inspect_guard *guard, inspect_name_visit *visit, void *context,
                              struct fault *f);
typedef void inspect_key_hash_visit(void *context, uint64_t key_hash);
/* Visits the hashes of granted keys, in order. */
MUST_CHECK bool inspect_key_hashes(struct redis_inspect *in, const char *event,
                                   struct inspect_guard *guard, inspect_key_hash_visit *visit,
                                   void *context, struct fault *f);

#endif
