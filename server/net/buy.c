/*
 * Buying, the worker's half. Most buyers are refused by the board without asking anybody. A buyer
 * with a key is refused here only if the filter of granted keys is sure that the key has no order;
 * else the ledger is asked, which answers with the key's order if there is one (P4). All answers
 * are as long as each other (answers.h).
 *
 * Order of effects: see ask.c. A yes belongs to the connection until the kernel has accepted its
 * first byte. If the connection dies before that, or was told -6 when the deadline passed, the
 * order has no buyer: without a key it is sent round again to be cancelled, with a key it stands.
 *
 * If the process dies with messages under way: nobody was told anything; the ledger's journal says
 * what was granted, and the next attach (ledger/attach.c) what becomes of it.
 */
#include "conf/base/clock.h"
#include "conf/base/key_hash.h"
#include "server/net/inside.h"

static void refuse(struct worker *w, struct connection *c, uint32_t event, enum verdict v,
                   enum keepalive_mode keepalive)
{
    ASSERT(w->out_len + CANNED_MAX <= w->buffer_bytes);
    w->out_len += (uint32_t)canned_put(&w->canned, w->out + w->out_len, event, v, keepalive);
    if (keepalive == KEEPALIVE_CLOSE)
        c->closing = true;
    serve_count(w, (int)event, v);
}

static enum verdict gate(const struct worker *w, const struct route *route)
{
    const struct board_event *e = &w->o.board->events[route->event];
    uint64_t now_ms = w->now_us / 1000;
    if (w->stopping || atomic_load_explicit(&w->o.board->tunables.draining, memory_order_relaxed))
        return VERDICT_BUSY;
    if (route->key_len == 0)
        return board_gate(e, now_ms);
    return board_gate_key(e, now_ms, key_hash(route->key, route->key_len));
}

enum asked buy(struct worker *w, struct connection *c, const struct route *route,
               enum keepalive_mode keepalive)
{
    ASSERT(route->event >= 0 && (uint32_t)route->event < w->o.conf->event_count);
    enum verdict v = gate(w, route);
    if (v == VERDICT_YES) {
        enum asked asked = ask_ledger(w, c, route, keepalive);
        if (asked != ASK_NO_ROOM)
            return asked;
        v = VERDICT_BUSY;
    }
    refuse(w, c, (uint32_t)route->event, v, keepalive);
    w->told++;
    return ASK_ANSWERED;
}

/* This yes will not come back as LEFT: the ledger need not keep room for its return. */
static void yes_is_done(struct worker *w)
{
    COUNT(w->o.channel->yes_done, 1);
}

void buy_orphan(struct worker *w, struct message *m)
{
    if (m->verdict != VERDICT_YES || m->key_len > 0) {
        if (m->verdict == VERDICT_YES)
            yes_is_done(w);
        pool_put(&w->messages, m);
        return;
    }
    m->kind = MESSAGE_ABANDONED;
    COUNT(w->counters.left, 1);
    ask_push(w, m);
}

static void answer_yes(struct worker *w, struct connection *c, const struct message *m,
                       enum keepalive_mode keepalive)
{
    const struct orderid id = {m->node, m->slot, m->number, m->tag};
    w->out_len = (uint32_t)canned_put_yes(&w->canned, w->out, m->event, keepalive, &id, m->n,
                                          m->pay_by_wall_ms);
    if (keepalive == KEEPALIVE_CLOSE)
        c->closing = true;
    serve_count(w, m->event, VERDICT_YES);
}

/* What is no verdict of the sale (the key came with another n or buyer) has no ready-made answer
 * and is no refusal to be counted as one. */
static void answer_wrong(struct worker *w, struct connection *c, const struct message *m,
                         enum keepalive_mode keepalive)
{
    struct response out;
    serve_open(w, &out, keepalive, false);
    response_begin(&out, (enum verdict)m->verdict, RESPONSE_JSON);
    response_refusal(&out, (enum verdict)m->verdict);
    response_pad(&out, w->canned.body_length[m->event]);
    serve_finish(w, c, &out, m->event);
}

static void measure(struct worker *w, const struct connection *c)
{
    uint64_t now_us = clock_mono_us();
    latency_add(&w->counters.buy, now_us, now_us - c->deadline.since_mono_us, 1);
}

bool buy_answer(struct worker *w, struct connection *c, const struct message *m,
                enum keepalive_mode keepalive)
{
    measure(w, c);
    if (m->verdict == VERDICT_YES)
        answer_yes(w, c, m, keepalive);
    else if (m->verdict < VERDICT_SALE_COUNT)
        refuse(w, c, m->event, (enum verdict)m->verdict, keepalive);
    else
        answer_wrong(w, c, m, keepalive);
    return m->verdict == VERDICT_YES; /* see buy_told */
}

void buy_too_late(struct worker *w, struct connection *c, uint32_t event,
                  enum keepalive_mode keepalive)
{
    measure(w, c);
    refuse(w, c, event, VERDICT_BUSY, keepalive);
}

void buy_told(struct worker *w, struct connection *c)
{
    yes_is_done(w);
    pool_put(&w->messages, c->message);
    c->message = NULL;
}
