/*
 * board: what the ledger publishes and everybody reads without asking.
 *
 * Per event two words. `gate`: the verdict a worker may give by itself, and until when that stays
 * true (P5: "sold out" was true at most one beat ago). `figures`: total and gone, in one word so
 * that a reader sees both of one moment. A worker's refusal costs one relaxed load of the gate.
 *
 *     gate     until (monotonic milliseconds, 56 bits) << 8 | keys << 7 | verdict (YES: ask the
 *              ledger)
 *     figures  total << 32 | gone
 *
 * keys: the filter knows every key that was granted, on any node, by the moment of which the
 * verdict speaks. Only then may a worker refuse a key that the filter misses; any other key crosses
 * the ring, for it may have an order (P4). BUSY without keys: nobody can say.
 *
 * Owner: the ledger writes; any thread reads.
 */
#ifndef SPIKE_BOARD_H
#define SPIKE_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "conf/base/check.h"
#include "conf/base/conf.h"
#include "conf/base/verdict.h"
#include "server/shared/counters.h"
#include "server/shared/filter.h"

enum sale_state {
    SALE_UNKNOWN, /* before the first attach: the figures say nothing */
    SALE_WAITING,
    SALE_OPEN,
    SALE_PAUSED,
    SALE_SOLDOUT,
    SALE_CLOSED,
    SALE_REPAIR,
};

/* "waiting", "open", ...; the word of /stock and /stats. */
const char *sale_state_name(enum sale_state s);

enum node_state { NODE_STARTING, NODE_UP, NODE_REPAIR, NODE_DRAINING };
enum redis_state { REDIS_OFF, REDIS_UP, REDIS_DOWN };

#define BOARD_WAITS_MAX 16 /* of the nodes that a repair waits for so many are named */

#define GATE_FOREVER    (UINT64_MAX >> 8)
#define GATE_KEYS       UINT64_C(0x80)

/* What has become of this node's orders since its journal began, as in
 * storage/journal/node_totals.h. */
struct board_orders {
    _Atomic uint64_t granted, granted_tickets, paid, cancelled, expired, late, late_refused;
};

struct board_event {
    _Alignas(CACHE_LINE) _Atomic uint64_t gate;
    _Atomic uint64_t figures;
    _Atomic int state; /* enum sale_state */
    _Atomic uint32_t node_sold, node_held;
    _Atomic uint32_t holds, holds_max, marks,
        key_hashes_max;           /* fill of the holds and of the filter */
    _Atomic uint32_t local_stock; /* CONF_NO_CAP: none; written by main on HUP */
    struct board_orders orders;
    /* The other nodes that a repair waits for: how many, and the least of their numbers, rising.
     * Between two stores a reader sees old ones and new ones: he skips what does not rise. */
    _Atomic uint32_t waits_count;
    _Atomic uint16_t waits_for[BOARD_WAITS_MAX];
    const struct filter *filter; /* of granted keys; set before the threads start */
};

/* What the ledger knows of its two stores, for /stats. */
struct board_stores {
    _Alignas(CACHE_LINE) _Atomic int redis; /* enum redis_state */
    _Atomic uint32_t redis_rtt_us;
    _Atomic uint64_t redis_reconnects;
    _Atomic uint64_t journal_records, journal_used_bytes, journal_size_bytes;
    _Atomic uint32_t commit_p99_us;
    _Atomic uint32_t keys, keys_max, buyers, buyers_max; /* fill of the standalone stock's tables */
    const struct latency *commits; /* the ledger's; set before the threads start */
};

/* What operators change while the server runs: settings by HUP, and whether this node still sells.
 * Written by main. */
struct board_tunables {
    _Alignas(CACHE_LINE) _Atomic uint64_t header_timeout_ms, idle_timeout_ms, answer_timeout_ms,
        redis_timeout_ms;
    _Atomic bool draining; /* POST /drain: sells no more, and does all else as before */
};

struct board {
    struct board_event events[EVENTS_MAX];
    struct board_stores stores;
    struct board_tunables tunables;
    _Atomic int node_state; /* enum node_state, the ledger's part: never DRAINING */
    _Atomic bool stopping;  /* main's part: the process is about to end */
};

static inline uint64_t gate_value(enum verdict v, uint64_t until_mono_ms)
{
    return (until_mono_ms > GATE_FOREVER ? GATE_FOREVER : until_mono_ms) << 8 | (uint64_t)v;
}

/* What to tell a buyer now: VERDICT_YES means that only the ledger can say. */
static inline enum verdict board_gate(const struct board_event *e, uint64_t now_mono_ms)
{
    uint64_t gate = atomic_load_explicit(&e->gate, memory_order_relaxed);
    return now_mono_ms <= gate >> 8 ? (enum verdict)(gate & 0x7f) : VERDICT_YES;
}

/* The same for a buyer with a key, of which `mark` is the mark. */
static inline enum verdict board_gate_key(const struct board_event *e, uint64_t now_mono_ms,
                                          uint64_t mark)
{
    uint64_t gate = atomic_load_explicit(&e->gate, memory_order_acquire); /* the filter after it */
    enum verdict v = now_mono_ms <= gate >> 8 ? (enum verdict)(gate & 0x7f) : VERDICT_YES;
    if (v == VERDICT_YES)
        return v;
    if ((gate & GATE_KEYS) == 0)
        return v == VERDICT_BUSY ? v : VERDICT_YES;
    return filter_may_have(e->filter, mark) ? VERDICT_YES : v;
}

#endif
