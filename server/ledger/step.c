/*
 * One step of one event: settle what the journal holds, deduct the batch, hear what the others did.
 *
 * A step is one call of the stock, which does all of it or nothing. Without a batch it is a beat.
 * What it brings is put to use in this order: the figures; the nodes; the hashes of granted keys;
 * the last act of an operator; then the verdicts of the batch, which rest on all of these.
 *
 * No answer, or a bad one: the session ends and the next attach gives back what was in doubt. Dies
 * here: the same, at the next start.
 */
#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/ledger_private.h"

struct step_buffers {
    struct record *records;
    struct stock_change *changes;
    struct stock_item *items;
    uint64_t *key_hashes;
    struct stock_node *nodes;
    size_t records_pool, changes_pool, items_pool, hashes_pool, nodes_pool;
};

struct step_buffers *step_plan(struct arena *a)
{
    static struct step_buffers buffers;
    struct step_buffers *b = &buffers;
    b->records_pool = arena_plan(a, "ledger", SETTLE_MAX, sizeof(struct record));
    b->changes_pool = arena_plan(a, "ledger", SETTLE_MAX, sizeof(struct stock_change));
    b->items_pool = arena_plan(a, "ledger", BATCH_MAX, sizeof(struct stock_item));
    b->hashes_pool = arena_plan(a, "ledger", KEY_HASHES_MAX, sizeof(uint64_t));
    b->nodes_pool = arena_plan(a, "ledger", NODES_MAX, sizeof(struct stock_node));
    return b;
}

void step_init(struct ledger *l, const struct arena *a)
{
    struct step_buffers *b = l->step;
    b->records = arena_block(a, b->records_pool);
    b->changes = arena_block(a, b->changes_pool);
    b->items = arena_block(a, b->items_pool);
    b->key_hashes = arena_block(a, b->hashes_pool);
    b->nodes = arena_block(a, b->nodes_pool);
}

/* The hashes of keys that were granted on any node. An attach reads them all again, so most are in
 * the filter already. */
static void add_key_hashes(struct ledger_event *e, const struct stock_step *st)
{
    ASSERT(st->hash_count <= KEY_HASHES_MAX);
    for (uint32_t i = 0; i < st->hash_count; i++)
        if (!filter_may_have(e->filter, st->key_hashes[i]))
            filter_add(e->filter, st->key_hashes[i]);
    bool again = st->hashes_total < e->hashes_seen; /* the stock has lost some and sends all anew */
    e->hashes_seen = (again ? 0 : e->hashes_seen) + st->hash_count;
    e->hashes_known = e->hashes_seen == st->hashes_total;
}

static void log_ready(const struct ledger_event *e)
{
    enum sale_state state = publish_state(e, clock_wall_ms());
    log_line(LOG_INFO, "event %s: %s, %u of %u left", e->conf->name,
             state == SALE_OPEN ? "selling" : sale_state_name(state), event_left(e),
             e->figures.total);
}

static void update_figures(struct ledger_event *e, const struct stock_step *st,
                           uint64_t sent_mono_us)
{
    bool was_repair = e->figures.repair || !e->figures.ready;
    ASSERT(st->to >= e->settled);
    e->figures = st->figures;
    e->settled = st->to;
    e->asof_mono_us = sent_mono_us;
    e->is_known = true;
    e->step_due = false;
    nodes_note_repair(e);
    if (was_repair && !e->figures.repair && e->figures.ready)
        log_ready(e);
}

static void prepare(const struct ledger *l, const struct ledger_event *e, uint64_t now_mono_us,
                    struct stock_step *st)
{
    const struct step_buffers *b = l->step;
    uint64_t hold_ms = e->conf->hold_ms;
    *st = (struct stock_step){.event = e->index,
                              .epoch = e->epoch,
                              .slot = e->slot,
                              .pay_by_wall_ms = hold_ms > 0 ? clock_wall_ms() + hold_ms : 0,
                              .limit = e->conf->limit,
                              .hashes_seen = e->hashes_seen,
                              .key_hashes = b->key_hashes,
                              .changes = b->changes,
                              .items = b->items,
                              .seen = e->figures,
                              .known_count = e->totals.known_count,
                              .version = e->totals.version,
                              .want_nodes = nodes_are_due(e->nodes, now_mono_us),
                              .nodes = b->nodes};
    settle_read(l, e, b->records, st);
    sell_fill_items(e, st);
}

/* True: go on with this event in this turn, because there was too much to settle in one step. */
static bool step_once(struct ledger *l, struct ledger_event *e)
{
    struct fault f;
    struct stock_step st;
    prepare(l, e, clock_mono_us(), &st);
    uint64_t sent = clock_mono_us();
    enum stock_result result = stock_step(l->stock, &st, &f);
    uint64_t after = clock_mono_us();
    if (result == STOCK_CONFLICT)
        ledger_die(f.text);
    if (result != STOCK_OK) {
        if (result == STOCK_UNKNOWN && st.item_count > 0)
            session_set_in_doubt(l->session);
        session_detach(l, after, &f);
        return false;
    }
    atomic_store_explicit(&l->board->stores.redis_rtt_us, (uint32_t)(after - sent),
                          memory_order_relaxed);
    update_figures(e, &st, sent);
    for (uint32_t i = 0; i < st.node_count; i++)
        learn_node(l, e, st.nodes[i].id);
    nodes_update(l, e, st.nodes, st.node_count, sent);
    add_key_hashes(e, &st);
    learn_act(l, e, &st.origin);
    sell_decide(l, e, &st);
    return st.item_count < e->batch.count;
}

void step_run(struct ledger *l, struct ledger_event *e)
{
    ASSERT_LEDGER();
    ASSERT(session_is_attached(l->session));
    while (step_once(l, e))
        continue;
}
