/*
 * Giving up nodes that are gone, when an operator orders it.
 *
 *     reclaim  one node, in every event: it is fenced, and no repair waits for it
 *     reopen   every silent node that this event's repair waits for
 *                  dies: done, or not; repeated it changes nothing more
 *     journal  a RECLAIM record for each node that was evicted, synced
 *     step     requested here, run by the turn: ends the repair, if all others are ready
 *
 * What an evicted node has sold, holds or has in doubt stays counted. A node that lives is not
 * evicted: one whose beat is young, or that this node itself has seen alive a moment ago. Nor is
 * one that may be on its way: an outage of Redis makes every node look silent to the first that is
 * back, and what begins a repair (a Redis that came back empty, or old) has lost all beats. So a
 * node is evicted only when it has had the time to notice and to attach, since this node has
 * attached and since the repair began. Until then the operator hears which node may still come, and
 * for how long.
 */
#include <inttypes.h>
#include <string.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/ledger_private.h"

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
    book_append(l, e, &r);
    log_line(LOG_WARN,
             "event %s: node %u is given up by an operator (%.*s): %" PRIu32
             " of its tickets stay counted, %" PRIu32 " came back%s",
             e->conf->name, (unsigned)g->node, (int)m->buyer_len, m->buyer, g->gone, g->back,
             m->journal_lost
                 ? "; if a buyer was told that one of those is sold to them, no oversell (P1) "
                   "does not cover it"
                 : "");
}

static enum verdict name_node(struct message *m, enum verdict v, uint16_t node, uint64_t ms)
{
    m->subject_node = node;
    m->subject_ms = (uint32_t)ms;
    return v;
}

/* The stock decides, for one event; node 0: all that its repair waits for. */
static enum verdict reclaim_in_stock(struct ledger *l, struct ledger_event *e, uint16_t node,
                                     bool only_decide, struct message *m, struct stock_reclaim *rc)
{
    struct fault f;
    uint64_t wait_ms = nodes_wait_ms(l, e->nodes);
    *rc = (struct stock_reclaim){.event = e->index,
                                 .epoch = e->epoch,
                                 .seen = e->figures,
                                 .node = node,
                                 .journal_lost = m->kind == MESSAGE_RECLAIM && m->journal_lost,
                                 .patience_ms = nodes_patience_ms(l),
                                 .has_waited = wait_ms == 0,
                                 .only_decide = only_decide};
    if (!session_is_attached(l->session) || book_free(l) < NODES_MAX)
        return VERDICT_BUSY; /* what the journal has left is for returns */
    if (stock_reclaim(l->stock, rc, &f) != STOCK_OK) {
        session_detach(l, clock_mono_us(), &f);
        return VERDICT_BUSY;
    }
    e->figures = rc->figures;
    if (rc->outcome == STOCK_ALIVE)
        return name_node(m, VERDICT_CONFLICT, rc->subject_node, rc->subject_ms);
    if (rc->outcome == STOCK_EARLY)
        return name_node(m, VERDICT_BUSY, rc->subject_node,
                         rc->subject_ms > wait_ms ? rc->subject_ms : wait_ms);
    return rc->outcome == STOCK_NO_SUCH_NODE ? VERDICT_NOT_FOUND : VERDICT_YES;
}

/* The verdict of one event. */
static enum verdict evict(struct ledger *l, struct ledger_event *e, uint16_t node,
                          struct message *m)
{
    struct stock_reclaim rc;
    enum verdict v = reclaim_in_stock(l, e, node, false, m, &rc);
    if (v != VERDICT_YES)
        return v;
    for (uint32_t i = 0; i < rc.evicted_count; i++) {
        if (rc.evicted[i].is_new)
            journal_reclaim(l, e, m, &rc.evicted[i]);
        m->node_gone += rc.evicted[i].gone;
        m->node_returned += rc.evicted[i].back;
    }
    nodes_refresh(e->nodes); /* what is remembered of the others must not be older than this */
    e->step_due = true;      /* ends the repair, if that was all that it waited for */
    return VERDICT_YES;
}

void reclaim_reopen(struct ledger *l, struct message *m)
{
    struct ledger_event *e = &l->events[m->event];
    enum verdict v = VERDICT_BUSY;
    if (session_is_attached(l->session) && !e->figures.repair && e->figures.ready)
        v = VERDICT_YES;
    else if (l->conf->redis.len > 0) /* standalone there are no other nodes to wait for */
        v = evict(l, e, 0, m);
    m->verdict = (uint8_t)v;
}

/* May the node be evicted in this event? */
static enum verdict check_node(struct ledger *l, struct ledger_event *e, struct message *m)
{
    struct stock_reclaim rc;
    uint64_t ms = nodes_seen_alive_ms(e->nodes, m->node);
    if (!e->figures.repair && ms < l->conf->node_timeout_ms)
        return name_node(m, VERDICT_CONFLICT, m->node, ms);
    return reclaim_in_stock(l, e, m->node, true, m, &rc);
}

static enum verdict evict_node(struct ledger *l, struct ledger_event *e, struct message *m)
{
    return evict(l, e, m->node, m);
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
void reclaim_node(struct ledger *l, struct message *m)
{
    enum verdict v = VERDICT_NOT_FOUND;
    if (m->node == l->conf->node)
        v = VERDICT_CONFLICT;
    else if (l->conf->redis.len > 0)
        v = in_all_events(l, m, check_node);
    if (v == VERDICT_YES)
        v = in_all_events(l, m, evict_node);
    m->verdict = (uint8_t)v;
}
