/*
 * stats: what a node reports of itself: the JSON of /stats, parsed into one flat struct.
 *
 * The text comes from a network and nothing of it is trusted: any bytes of any length give either a
 * struct or a reason. Fields that are missing are zero or empty (older nodes), fields that are not
 * known are ignored; numbers out of range and strings that are too long or hold control bytes are
 * errors; so is an answer without a node's number (any other server's JSON). Of more pools and
 * workers than there is space for, the first are kept.
 *
 * Owner: one thread (json.h). Never allocates.
 */
#ifndef SPIKE_TOP_STATS_H
#define SPIKE_TOP_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/fault.h"
#include "conf/base/limits.h"

#define STATS_BYTES_MAX   (256u << 10) /* of an answer; more is refused before it is parsed */
#define STATS_POOLS_MAX   24
#define STATS_BUCKETS_MAX 32
#define STATS_STATE       16 /* bytes of a state's name, NUL included */
#define STATS_NAME        32
#define STATS_WAITS_MAX   16 /* nodes that a repair waits for; of more the first are kept */

struct stats_event {
    char name[EVENT_NAME_MAX + 1];
    char state[STATS_STATE];
    uint64_t total, sold, left; /* of the sale; sold is what is gone */
    uint64_t node_sold, node_held;
    bool has_cap;
    uint64_t local_stock; /* with has_cap */
    uint64_t refused;
    /* "orders": of this node, since its journal began */
    uint64_t granted, paid, cancelled, expired, late, late_refused;
    bool has_granted_tickets;            /* older nodes do not count them */
    uint64_t granted_tickets;            /* ever, by this node's journal; only grows */
    uint16_t waits_for[STATS_WAITS_MAX]; /* nodes without which its repair does not end */
    uint32_t waits;                      /* how many; the first STATS_WAITS_MAX are there */
};

struct stats_worker {
    char name[STATS_NAME];
    uint64_t requests, connections;
    uint64_t p50_us, p99_us, max_us;
};

struct stats_pool {
    char name[STATS_NAME];
    uint64_t used, size; /* "pools"; in "plan": bytes in size, used 0 */
};

struct stats {
    uint64_t node, pid;
    char version[STATS_NAME];
    char state[STATS_STATE]; /* starting up repair draining */
    uint64_t uptime_s, time_ms;
    struct stats_event events[EVENTS_MAX];
    uint32_t event_count;
    uint64_t requests, connections, connections_max;
    uint64_t answers_2xx, answers_4xx, answers_5xx;
    uint64_t p50_us, p99_us, max_us;
    uint64_t bucket_us[STATS_BUCKETS_MAX],
        bucket_count[STATS_BUCKETS_MAX]; /* "buckets": [le, count] */
    uint32_t buckets;
    char redis[STATS_STATE]; /* up down off */
    uint64_t redis_rtt_us, redis_reconnects;
    uint64_t journal_records, journal_used_bytes, journal_size_bytes, commit_p99_us;
    uint64_t arena_bytes, rss_bytes;
    struct stats_pool pools[STATS_POOLS_MAX], plan[STATS_POOLS_MAX];
    uint32_t pool_count, plan_count;
    struct stats_worker workers[WORKERS_MAX];
    uint32_t worker_count;
};

/* The node's figures of an event, *index its index unless index is NULL. NULL: it has no such
 * event. */
const struct stats_event *stats_find_event(const struct stats *s, const char *name,
                                           uint32_t *index);
/* False: f says what is wrong, in a few words that fit a row of the console. */
MUST_CHECK bool stats_parse(struct stats *s, const char *text, size_t len, struct fault *f);

#endif
