/*
 * The board after each turn. The gate is the verdict a worker may give by itself; a
 * verdict that another node or a return could change stays true for one beat only (P5), one that
 * only this ledger can change stays until it is published anew.
 */
#include "conf/base/clock.h"
#include "server/ledger/ledger_private.h"

enum sale_state publish_state(const struct ledger_event *e, uint64_t now_wall_ms)
{
    if (!e->is_known)
        return SALE_UNKNOWN;
    if (e->figures.repair || !e->figures.ready)
        return SALE_REPAIR;
    if (e->figures.state == STOCK_CLOSED)
        return SALE_CLOSED;
    if (e->figures.state == STOCK_PAUSED)
        return SALE_PAUSED;
    if (e->conf->open_wall_ms > now_wall_ms)
        return SALE_WAITING;
    return event_left(e) == 0 ? SALE_SOLDOUT : SALE_OPEN;
}

static uint64_t gate_of(const struct ledger *l, const struct ledger_event *e, enum sale_state state,
                        bool sells, uint64_t now_wall_ms)
{
    uint64_t beat_ms = e->asof_mono_us / 1000 + BEAT_PROMISE_MS;
    uint32_t cap = atomic_load_explicit(&e->board->local_stock, memory_order_relaxed);
    if (!sells)
        return gate_value(VERDICT_BUSY, GATE_FOREVER);
    switch (state) {
    case SALE_CLOSED:
        return gate_value(VERDICT_CLOSED, beat_ms);
    case SALE_PAUSED:
        return gate_value(VERDICT_PAUSED, beat_ms);
    case SALE_SOLDOUT:
        return gate_value(VERDICT_SOLD_OUT, beat_ms);
    case SALE_WAITING: {
        uint64_t opens_ms = clock_mono_us() / 1000 + (e->conf->open_wall_ms - now_wall_ms);
        return gate_value(VERDICT_NOT_OPEN, beat_ms < opens_ms ? beat_ms : opens_ms - 1);
    }
    default:
        break;
    }
    if (book_is_full(l))
        return gate_value(VERDICT_BUSY, GATE_FOREVER);
    if (cap != CONF_NO_CAP && event_out(e) >= cap)
        return gate_value(VERDICT_SOLD_OUT_HERE, beat_ms);
    return gate_value(VERDICT_YES, GATE_FOREVER);
}

static void publish_orders(struct board_orders *b, const struct order_totals *o)
{
    atomic_store_explicit(&b->granted, o->granted, memory_order_relaxed);
    atomic_store_explicit(&b->granted_tickets, o->granted_tickets, memory_order_relaxed);
    atomic_store_explicit(&b->paid, o->paid, memory_order_relaxed);
    atomic_store_explicit(&b->cancelled, o->cancelled, memory_order_relaxed);
    atomic_store_explicit(&b->expired, o->expired, memory_order_relaxed);
    atomic_store_explicit(&b->late, o->late, memory_order_relaxed);
    atomic_store_explicit(&b->late_refused, o->late_refused, memory_order_relaxed);
}

static void publish_awaited(struct board_event *b, const struct nodes *n)
{
    uint32_t count;
    const uint16_t *awaited = nodes_awaited(n, &count);
    for (uint32_t i = 0; i < count && i < BOARD_WAITS_MAX; i++)
        atomic_store_explicit(&b->waits_for[i], awaited[i], memory_order_relaxed);
    atomic_store_explicit(&b->waits_count, count, memory_order_release); /* them first */
}

static void publish_event(struct ledger *l, struct ledger_event *e)
{
    uint64_t now_wall_ms = clock_wall_ms();
    enum sale_state state = publish_state(e, now_wall_ms);
    bool sells = event_sells(l, e);
    struct board_event *b = e->board;
    atomic_store_explicit(&b->figures, (uint64_t)e->figures.total << 32 | e->figures.gone,
                          memory_order_relaxed);
    atomic_store_explicit(&b->state, (int)state, memory_order_release); /* the figures before it */
    atomic_store_explicit(&b->node_sold, e->totals.sold, memory_order_relaxed);
    atomic_store_explicit(&b->node_held, e->totals.held, memory_order_relaxed);
    publish_orders(&b->orders, &e->totals.orders);
    publish_awaited(b, e->nodes);
    atomic_store_explicit(&b->holds, e->holds.count, memory_order_relaxed);
    atomic_store_explicit(&b->holds_max, e->holds.capacity, memory_order_relaxed);
    atomic_store_explicit(&b->key_hashes, filter_fill(e->filter), memory_order_relaxed);
    atomic_store_explicit(&b->key_hashes_max, filter_capacity(e->filter), memory_order_relaxed);
    atomic_store_explicit(&b->gate,
                          gate_of(l, e, state, sells, now_wall_ms) |
                              (sells && e->hashes_known ? GATE_KEYS : 0),
                          memory_order_release); /* the key hashes before it */
}

static void publish_fill(const struct ledger *l, struct board_stores *s)
{
    const struct stock_fill fill = stock_fill(l->stock);
    atomic_store_explicit(&s->keys, fill.keys, memory_order_relaxed);
    atomic_store_explicit(&s->keys_max, fill.keys_max, memory_order_relaxed);
    atomic_store_explicit(&s->buyers, fill.buyers, memory_order_relaxed);
    atomic_store_explicit(&s->buyers_max, fill.buyers_max, memory_order_relaxed);
}

static void publish_stores(struct ledger *l)
{
    struct board_stores *s = &l->board->stores;
    bool off = l->conf->redis.len == 0;
    atomic_store_explicit(&s->redis,
                          off                               ? REDIS_OFF
                          : session_is_attached(l->session) ? REDIS_UP
                                                            : REDIS_DOWN,
                          memory_order_relaxed);
    uint64_t records = 0;
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        records += l->events[i].totals.end;
    atomic_store_explicit(&s->journal_records, records, memory_order_relaxed);
    atomic_store_explicit(&s->journal_used_bytes, journal_used_bytes(l->journal),
                          memory_order_relaxed);
    atomic_store_explicit(&s->journal_size_bytes, journal_size_bytes(l->journal),
                          memory_order_relaxed);
    publish_fill(l, s);
    atomic_store_explicit(&s->commit_p99_us, book_commit_p99_us(l, clock_mono_us()),
                          memory_order_relaxed);
}

/* STARTING: this node has never taken its place yet. REPAIR: it waits for others. A node that has
 * was attached and attaches again, because Redis was away, is not starting: a balancer that took
 * every node out for that would refuse connections where buyers can hear "try again". */
static enum node_state node_state_of(const struct ledger *l, enum node_state was)
{
    enum node_state state = session_has_started(l->session) ? NODE_UP : NODE_STARTING;
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        if (!l->events[i].figures.ready && was == NODE_STARTING)
            return NODE_STARTING;
        if (l->events[i].figures.repair)
            state = NODE_REPAIR;
    }
    return state;
}

void publish_run(struct ledger *l)
{
    ASSERT(thread_role() != THREAD_WORKER); /* the ledger; main before the ledger runs */
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        publish_event(l, &l->events[i]);
    publish_stores(l);
    enum node_state was =
        (enum node_state)atomic_load_explicit(&l->board->node_state, memory_order_relaxed);
    atomic_store_explicit(&l->board->node_state, (int)node_state_of(l, was), memory_order_relaxed);
}
