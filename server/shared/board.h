/*
 * board: the figures that the ledger publishes and any thread reads, without a lock or a message.
 *
 * Two 64-bit words an event decide a refusal. `gate`: the verdict that a worker may answer without
 * the ledger, and until when it is valid (P5: "sold out" was true at most one beat ago). `figures`:
 * total and gone, in one word, so that a reader sees both as of the same moment. A refusal costs
 * one relaxed load of the gate.
 *
 *     gate     until (monotonic milliseconds, 56 bits) << 8 | keys << 7 | verdict (YES: only the
 *              ledger can decide)
 *     figures  total << 32 | gone
 *
 * keys: the filter holds every key that was granted, on any node, before the moment to which the
 * verdict refers. Only then may a worker refuse a key that is not in the filter; every other
 * request with a key goes to the ledger, because the key may have an order (P4). BUSY without keys:
 * the ledger could not decide either.
 *
 * Owner: the ledger writes, unless a field names main; any thread reads.
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
    SALE_UNKNOWN, /* before the first attach: the figures mean nothing */
    SALE_WAITING,
    SALE_OPEN,
    SALE_PAUSED,
    SALE_SOLDOUT,
    SALE_CLOSED,
    SALE_REPAIR,
};

/* "waiting", "open", ...: as in /stock and /stats. */
const char *sale_state_name(enum sale_state s);

enum node_state { NODE_STARTING, NODE_UP, NODE_REPAIR, NODE_DRAINING };
enum redis_state { REDIS_OFF, REDIS_UP, REDIS_DOWN };

#define BOARD_WAITS_MAX 16 /* names at most so many of the nodes that a repair waits for */

#define GATE_FOREVER    (UINT64_MAX >> 8)
#define GATE_KEYS       UINT64_C(0x80)

/* This node's orders since its journal began, by outcome, as in storage/journal/node_totals.h. */
struct board_orders {
    _Atomic uint64_t granted, granted_tickets, paid, cancelled, expired, late, late_refused;
};

struct board_event {
    _Alignas(CACHE_LINE) _Atomic uint64_t gate;
    _Atomic uint64_t figures;
    _Atomic int state; /* enum sale_state */
    _Atomic uint32_t node_sold, node_held;
    _Atomic uint32_t holds, holds_max, key_hashes,
        key_hashes_max;           /* fill of hold queue and filter */
    _Atomic uint32_t local_stock; /* CONF_NO_CAP: none; main writes it on HUP */
    struct board_orders orders;
    /* The other nodes that a repair waits for: how many, and the lowest of their numbers,
     * ascending. A reader may see old and new numbers mixed: it skips a number that does not
     * ascend. */
    _Atomic uint32_t waits_count;
    _Atomic uint16_t waits_for[BOARD_WAITS_MAX];
    const struct filter *filter; /* of granted keys; main sets it before the threads start */
};

/* The state of the ledger's two stores, Redis and the journal, for /stats. */
struct board_stores {
    _Alignas(CACHE_LINE) _Atomic int redis; /* enum redis_state */
    _Atomic uint32_t redis_rtt_us;
    _Atomic uint64_t redis_reconnects;
    _Atomic uint64_t journal_records, journal_used_bytes, journal_size_bytes;
    _Atomic uint32_t commit_p99_us;
    _Atomic uint32_t keys, keys_max, buyers,
        buyers_max;                /* fill of the tables of a standalone stock */
    const struct latency *commits; /* the ledger's; main sets it before the threads start */
};

/* What operators change while the server runs: settings, by HUP, and whether this node still sells.
 * Main writes it. */
struct board_tunables {
    _Alignas(CACHE_LINE) _Atomic uint64_t header_timeout_ms, idle_timeout_ms, answer_timeout_ms,
        redis_timeout_ms;
    _Atomic bool draining; /* POST /drain: no new orders; everything else goes on */
};

struct board {
    struct board_event events[EVENTS_MAX];
    struct board_stores stores;
    struct board_tunables tunables;
    _Atomic int node_state; /* enum node_state without DRAINING, by the ledger */
    _Atomic bool stopping;  /* main: the process is about to end */
};

static inline uint64_t gate_value(enum verdict v, uint64_t until_mono_ms)
{
    ASSERT((uint64_t)v < GATE_KEYS);
    return (until_mono_ms > GATE_FOREVER ? GATE_FOREVER : until_mono_ms) << 8 | (uint64_t)v;
}

/* The verdict for a buyer without a key; VERDICT_YES: only the ledger can decide. */
static inline enum verdict board_gate(const struct board_event *e, uint64_t now_mono_ms)
{
    uint64_t gate = atomic_load_explicit(&e->gate, memory_order_relaxed);
    return now_mono_ms <= gate >> 8 ? (enum verdict)(gate & 0x7f) : VERDICT_YES;
}

/* The same for a buyer with a key. */
static inline enum verdict board_gate_key(const struct board_event *e, uint64_t now_mono_ms,
                                          uint64_t key_hash)
{
    uint64_t gate = atomic_load_explicit(&e->gate, memory_order_acquire); /* the filter after it */
    enum verdict v = now_mono_ms <= gate >> 8 ? (enum verdict)(gate & 0x7f) : VERDICT_YES;
    if (v == VERDICT_YES)
        return v;
    if ((gate & GATE_KEYS) == 0)
        return v == VERDICT_BUSY ? v : VERDICT_YES;
    return filter_may_have(e->filter, key_hash) ? VERDICT_YES : v;
}

#endif
