/*
 * Buying, the worker's half. Most buyers are refused by the board without asking anybody. The
 * others' orders become messages (batons, meet/message.h) that travel to the ledger and back.
 *
 * Order of effects: everything older on this connection is sent; the message is pushed; the verdict
 * comes back; its answer is sent. A yes belongs to the connection until the kernel has accepted
 * its first byte. If the connection dies before that, or was told -6 when the deadline passed, the
 * order has no buyer: without a key it is sent round again to be cancelled, with a key it stands.
 *
 * If the process dies with messages under way: nobody was told anything; the ledger's journal says
 * what was granted, and the next attach (ledger/attach.c) what becomes of it.
 */
#include <string.h>

#include "conf/base/clock.h"
#include "server/net/inside.h"

static void count(struct worker *w, uint32_t event, enum verdict v)
{
    COUNT(w->counters.requests, 1);
    COUNT(w->counters.verdicts[event][v], 1);
    if (v == VERDICT_BUSY)
        COUNT(w->counters.answers_5xx, 1);
    else
        COUNT(w->counters.answers_2xx, 1);
}

static void refuse(struct worker *w, struct connection *c, uint32_t event, enum verdict v,
                   enum farewell farewell)
{
    ASSERT(w->out_len + ANSWER_MAX <= w->buffer_bytes);
    w->out_len += (uint32_t)answers_put(&w->answers, w->out + w->out_len, event, v, farewell);
    if (farewell == FAREWELL_CLOSE)
        c->closing = true;
    count(w, event, v);
}

static void push(struct worker *w, struct message *m)
{
    ring_push(&w->o.exchange->orders, m);
    w->bell_due = true; /* rung once, at the end of the turn */
}

static void fill(struct worker *w, struct connection *c, struct message *m,
                 const struct route *route)
{
    m->conn = c;
    m->deadline_mono_us = w->now_us + life_limit_us(w, LIFE_ORDERED);
    m->number = m->tag = m->pay_by_wall_ms = 0;
    m->n = route->n;
    m->kind = MESSAGE_BUY;
    atomic_store_explicit(&m->left, false, memory_order_relaxed);
    m->event = (uint8_t)route->event;
    m->slot = 0;
    m->verdict = VERDICT_BUSY;
    m->buyer_len = route->buyer_len;
    m->key_len = route->key_len;
    memcpy(m->buyer, route->buyer, route->buyer_len);
    memcpy(m->key, route->key, route->key_len);
}

static enum bought order(struct worker *w, struct connection *c, struct message *m,
                         const struct route *route, enum farewell farewell)
{
    ASSERT(c->message == NULL);
    fill(w, c, m, route);
    c->message = m;
    c->farewell = (uint8_t)farewell;
    life_move(w, c, LIFE_ORDERED);
    push(w, m);
    return BUY_ORDERED;
}

enum bought buy(struct worker *w, struct connection *c, const struct route *route,
                enum farewell farewell)
{
    ASSERT(route->event >= 0 && (uint32_t)route->event < w->o.conf->event_count);
    uint32_t event = (uint32_t)route->event;
    enum verdict v =
        w->stopping ? VERDICT_BUSY : board_gate(&w->o.board->events[event], w->now_us / 1000);
    if (LIKELY(v != VERDICT_YES)) {
        refuse(w, c, event, v, farewell);
        w->told++;
        return BUY_ANSWERED;
    }
    if (!output_flush(w, c))
        return BUY_WAITS;
    struct message *m = pool_get(&w->messages);
    if (m != NULL)
        return order(w, c, m, route, farewell);
    refuse(w, c, event, VERDICT_BUSY, farewell);
    w->told++;
    return BUY_ANSWERED;
}

/* This yes will not come back as LEFT: the ledger need not keep room for its return. */
static void yes_is_done(struct worker *w)
{
    COUNT(w->o.exchange->yes_done, 1);
}

/* A verdict for which no buyer waits any more. */
static void orphan(struct worker *w, struct message *m)
{
    m->conn = NULL;
    if (m->verdict != VERDICT_YES || m->key_len > 0) {
        if (m->verdict == VERDICT_YES)
            yes_is_done(w);
        pool_put(&w->messages, m);
        return;
    }
    m->kind = MESSAGE_LEFT;
    COUNT(w->counters.left, 1);
    push(w, m);
}

static void answer_yes(struct worker *w, struct connection *c, const struct message *m,
                       enum farewell farewell)
{
    const struct orderid id = {w->o.conf->node, m->slot, m->number, m->tag};
    w->out_len = (uint32_t)answers_put_yes(&w->answers, w->out, m->event, farewell, &id, m->n,
                                           m->pay_by_wall_ms);
    if (farewell == FAREWELL_CLOSE)
        c->closing = true;
    count(w, m->event, VERDICT_YES);
}

static enum farewell last_word(const struct worker *w, const struct connection *c)
{
    return w->stopping ? FAREWELL_CLOSE : (enum farewell)c->farewell;
}

static void measure(struct worker *w, const struct connection *c)
{
    uint64_t now_us = clock_mono_us();
    latency_add(&w->counters.buy, now_us, now_us - c->deadline.since_mono_us, 1);
}

static void deliver(struct worker *w, struct connection *c, struct message *m)
{
    ASSERT(c->message == m && c->life == LIFE_ORDERED && w->out_len == 0);
    ASSERT(m->verdict < VERDICT_SALE_COUNT);
    measure(w, c);
    if (m->verdict == VERDICT_YES) {
        answer_yes(w, c, m, last_word(w, c)); /* still the connection's: see buy_told */
    } else {
        refuse(w, c, m->event, (enum verdict)m->verdict, last_word(w, c));
        c->message = NULL;
        pool_put(&w->messages, m);
    }
    life_move(w, c, LIFE_IDLE);
    connection_continue(w, c);
}

void buy_verdicts(struct worker *w)
{
    struct message *m;
    while ((m = ring_pop(&w->o.exchange->verdicts)) != NULL) {
        if (m->kind == MESSAGE_LEFT)
            pool_put(&w->messages, m);
        else if (m->conn == NULL)
            orphan(w, m);
        else
            deliver(w, m->conn, m);
    }
}

void buy_too_late(struct worker *w, struct connection *c)
{
    ASSERT(c->life == LIFE_ORDERED && w->out_len == 0);
    struct message *m = c->message;
    measure(w, c);
    m->conn = NULL; /* the ledger never looks at it; when the baton is back, we do */
    atomic_store_explicit(&m->left, true, memory_order_relaxed);
    c->message = NULL;
    refuse(w, c, m->event, VERDICT_BUSY, last_word(w, c));
    life_move(w, c, LIFE_IDLE);
    connection_continue(w, c);
}

void buy_abandon(struct worker *w, struct connection *c)
{
    struct message *m = c->message;
    c->message = NULL;
    if (c->life != LIFE_ORDERED) {
        orphan(w, m);
        return;
    }
    m->conn = NULL; /* on its way; an orphan when it comes back */
    atomic_store_explicit(&m->left, true, memory_order_relaxed);
}

void buy_told(struct worker *w, struct connection *c)
{
    yes_is_done(w);
    pool_put(&w->messages, c->message);
    c->message = NULL;
}
