/*
 * Nodes that are gone: who is silent is said, whom a repair waits for is said, and by an operator's
 * word they are given up.
 *
 *     reclaim  one node, in every event: it is fenced, and no repair waits for it
 *     reopen   every silent node that this event's repair waits for
 *                  dies: done, or not; asked again it changes nothing more
 *     journal  a RECLAIM record for each node that was given up, synced
 *     step     ends the repair, if all others are ready
 *
 * What a node that is given up has sold, holds or has in doubt stays counted. A node that lives is
 * not given up: one whose beat is young or that this node itself has seen alive a moment ago. Nor
 * is one that may be on its way: an outage of Redis makes every node look silent to the first that
 * is back, and what begins a repair (a Redis that came back empty, or old) has lost all beats. So a
 * node is given up only when it has had the time to notice and to attach, since this node has
 * attached and since the repair began. Until then the operator hears which node may still come, and
 * for how long.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/private.h"

/* The longest pause between two attempts to connect, a connection and an attach take less. */
#define RECONNECT_MS 1000

void reclaim_note_since(struct ledger_event *e)
{
    if (e->figures.since == e->since)
        return;
    e->since = e->figures.since;
    e->since_mono_us = clock_mono_us();
}

/* How long a node that lives may take in a repair until it is heard. */
static uint64_t patience_ms(const struct ledger *l)
{
    uint64_t redis_ms =
        atomic_load_explicit(&l->board->tunables.redis_timeout_ms, memory_order_relaxed);
    return l->conf->node_timeout_ms > redis_ms + RECONNECT_MS ? l->conf->node_timeout_ms
                                                              : redis_ms + RECONNECT_MS;
}

/* Until another node has had that time, by our clock. */
static uint64_t still_to_wait_ms(const struct ledger *l, const struct ledger_event *e)
{
    uint64_t now = clock_mono_us(), from = l->attached_mono_us;
    if (from < e->since_mono_us)
        from = e->since_mono_us;
    uint64_t until = from + patience_ms(l) * 1000;
    return now < until ? (until - now) / 1000 + 1 : 0;
}

static const struct stock_node *find(const struct stock_node *nodes, uint32_t count, uint16_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (nodes[i].id == id)
            return &nodes[i];
    return NULL;
}

/* Milliseconds since we saw it alive; UINT64_MAX: it was silent then, or is not known. */
static uint64_t seen_alive_ms(const struct ledger_event *e, uint16_t node)
{
    const struct stock_node *n = find(e->nodes, e->node_count, node);
    return n != NULL && !n->silent ? (clock_mono_us() - e->nodes_mono_us) / 1000 : UINT64_MAX;
}

static enum reclaim_how how_of(const struct message *m)
{
    if (m->kind == MESSAGE_REOPEN)
        return RECLAIM_REOPEN;
    return m->journal_lost ? RECLAIM_LOST : RECLAIM_NODE;
}

static void journal_reclaim(struct ledger *l, struct ledger_event *e, const struct message *m,
                            const struct stock_evicted *g)
{
    struct record r = {.kind = RECORD_RECLAIM,
                       .state = (uint8_t)how_of(m),
                       .gone = g->gone,
                       .back = g->back,
                       .node = g->node,
                       .buyer_len = m->buyer_len};
    memcpy(r.buyer, m->buyer, m->buyer_len);
    ledger_append(l, e, &r);
    log_line(LOG_WARN,
             "event %s: node %u is given up by an operator (%.*s): %" PRIu32
             " of its tickets stay counted, %" PRIu32 " came back%s",
             e->conf->name, (unsigned)g->node, (int)m->buyer_len, m->buyer, g->gone, g->back,
             m->journal_lost
                 ? "; if a buyer was told that he has one of those, no oversell (P1) does not "
                   "cover it"
                 : "");
}

static enum verdict blame(struct message *m, enum verdict v, uint16_t node, uint64_t ms)
{
    m->subject_node = node;
    m->subject_ms = (uint32_t)ms;
    return v;
}

/* Asks the stock, of one event; node 0: all that its repair waits for. */
static enum verdict ask_stock(struct ledger *l, struct ledger_event *e, uint16_t node,
                              bool only_decide, struct message *m, struct stock_reclaim *rc)
{
    struct fault f;
    uint64_t wait_ms = still_to_wait_ms(l, e);
    *rc = (struct stock_reclaim){.event = e->index,
                                 .epoch = e->epoch,
                                 .seen = e->figures,
                                 .node = node,
                                 .journal_lost = m->kind == MESSAGE_RECLAIM && m->journal_lost,
                                 .patience_ms = patience_ms(l),
                                 .has_waited = wait_ms == 0,
                                 .only_decide = only_decide};
    if (!l->attached || l->room < NODES_MAX)
        return VERDICT_BUSY; /* what the journal has left is for returns */
    if (stock_reclaim(l->stock, rc, &f) != STOCK_OK) {
        ledger_detach(l, clock_mono_us(), &f);
        return VERDICT_BUSY;
    }
    e->figures = rc->figures;
    if (rc->outcome == STOCK_ALIVE)
        return blame(m, VERDICT_CONFLICT, rc->of, rc->of_ms);
    if (rc->outcome == STOCK_EARLY)
        return blame(m, VERDICT_BUSY, rc->of, rc->of_ms > wait_ms ? rc->of_ms : wait_ms);
    return rc->outcome == STOCK_NO_SUCH_NODE ? VERDICT_NOT_FOUND : VERDICT_YES;
}

/* The verdict of one event. */
static enum verdict give_up(struct ledger *l, struct ledger_event *e, uint16_t node,
                            struct message *m)
{
    struct stock_reclaim rc;
    enum verdict v = ask_stock(l, e, node, false, m, &rc);
    if (v != VERDICT_YES)
        return v;
    for (uint32_t i = 0; i < rc.evicted_count; i++) {
        if (rc.evicted[i].is_new)
            journal_reclaim(l, e, m, &rc.evicted[i]);
        m->node_gone += rc.evicted[i].gone;
        m->node_returned += rc.evicted[i].back;
    }
    uint32_t judged = e->batch_count; /* in this turn: they must not be deducted again */
    e->batch_count = 0;
    e->asked_mono_us = 0; /* what is remembered of the others must not be older than this */
    ledger_step(l, e);    /* ends the repair, if that was all that it waited for */
    e->batch_count = judged;
    return l->attached ? VERDICT_YES : VERDICT_BUSY;
}

void reopen_do(struct ledger *l, struct message *m)
{
    struct ledger_event *e = &l->events[m->event];
    enum verdict v = VERDICT_BUSY;
    if (l->attached && !e->figures.repair && e->figures.ready)
        v = VERDICT_YES;
    else
        v = give_up(l, e, 0, m);
    m->verdict = (uint8_t)v;
}

/* May the node be given up in this event? */
static enum verdict may_reclaim(struct ledger *l, struct ledger_event *e, struct message *m)
{
    struct stock_reclaim rc;
    uint64_t ms = seen_alive_ms(e, m->node);
    if (!e->figures.repair && ms < l->conf->node_timeout_ms)
        return blame(m, VERDICT_CONFLICT, m->node, ms);
    return ask_stock(l, e, m->node, true, m, &rc);
}

static enum verdict do_reclaim(struct ledger *l, struct ledger_event *e, struct message *m)
{
    return give_up(l, e, m->node, m);
}

static bool goes_on(enum verdict v)
{
    return v == VERDICT_YES || v == VERDICT_NOT_FOUND;
}

/* An event that does not know the node has nothing to give up. */
static enum verdict in_all_events(struct ledger *l, struct message *m,
                                  enum verdict (*one)(struct ledger *, struct ledger_event *,
                                                      struct message *))
{
    enum verdict all = VERDICT_NOT_FOUND;
    for (uint32_t i = 0; i < l->conf->event_count && goes_on(all); i++) {
        enum verdict v = one(l, &l->events[i], m);
        all = v != VERDICT_NOT_FOUND ? v : all;
    }
    return all;
}

/* In all events or in none: decided for all before it is done in the first. */
void reclaim_do(struct ledger *l, struct message *m)
{
    enum verdict v = VERDICT_NOT_FOUND;
    if (m->node == l->conf->node)
        v = VERDICT_CONFLICT;
    else if (l->conf->redis.len > 0)
        v = in_all_events(l, m, may_reclaim);
    if (v == VERDICT_YES)
        v = in_all_events(l, m, do_reclaim);
    m->verdict = (uint8_t)v;
}

/* ---- what is logged of the other nodes ------------------------------------------------------ */

void reclaim_watch(const struct ledger_event *e, const struct stock_node *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct stock_node *n = &nodes[i], *was = find(e->nodes, e->node_count, n->id);
        bool was_silent = was != NULL && was->silent;
        if (n->silent && !was_silent)
            log_line(LOG_WARN,
                     "event %s: node %u is silent; its %" PRIu32
                     " tickets stay counted, the others sell on",
                     e->conf->name, (unsigned)n->id, n->gone);
        else if (!n->silent && was_silent)
            log_line(LOG_INFO, "event %s: node %u is back", e->conf->name, (unsigned)n->id);
    }
}

/* There is room for one more, or the largest gives way. */
static void add_wait(struct ledger_event *e, uint16_t id)
{
    uint32_t i = e->waits_count < BOARD_WAITS_MAX ? e->waits_count : BOARD_WAITS_MAX;
    e->waits_count++;
    if (i == BOARD_WAITS_MAX && e->waits_for[--i] < id)
        return;
    for (; i > 0 && e->waits_for[i - 1] > id; i--)
        e->waits_for[i] = e->waits_for[i - 1];
    e->waits_for[i] = id;
}

void reclaim_note_waits(const struct ledger *l, struct ledger_event *e,
                        const struct stock_node *nodes, uint32_t count)
{
    e->waits_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!nodes[i].ready && nodes[i].id != l->conf->node)
            add_wait(e, nodes[i].id);
}

void reclaim_say_waits(const struct ledger *l, struct ledger_event *e,
                       const struct stock_node *nodes, uint32_t count)
{
    char text[sizeof e->waits] = "";
    size_t used = 0;
    if (still_to_wait_ms(l, e) > 0)
        return; /* they may be about to come */
    for (uint32_t i = 0; i < count && used + sizeof " 65535 ..." < sizeof text; i++)
        if (!nodes[i].ready && nodes[i].id != l->conf->node)
            used += (size_t)snprintf(text + used, sizeof text - used, " %u", (unsigned)nodes[i].id);
    if (used > 0 && strcmp(text, e->waits) != 0)
        log_line(
            LOG_WARN,
            "event %s: in repair, waits for node%s; start what is missing, or, if it is gone for "
            "good, POST /reopen?event=%s",
            e->conf->name, text, e->conf->name);
    memcpy(e->waits, text, sizeof text);
}
