/*
 * Buying, the worker's half. Most buyers are refused by the board at once. A buyer with a key is
 * refused here only if the filter of granted keys is sure that the key has no order; otherwise the
 * ledger decides, which answers with the key's order if there is one (P4). All answers of an event
 * are equally long (canned.h).
 *
 * Order of effects: see submit.c; the owner of a YES until it is sent: inflight.c.
 */
#include "conf/base/clock.h"
#include "conf/base/key_hash.h"
#include "server/net/worker_private.h"

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

enum submitted buy(struct worker *w, struct connection *c, const struct route *route,
                   enum keepalive_mode keepalive)
{
    ASSERT(route->event >= 0 && (uint32_t)route->event < w->o.conf->event_count);
    enum verdict v = gate(w, route);
    if (v == VERDICT_YES) {
        enum submitted submitted = submit(w, c, route, keepalive);
        if (submitted != SUBMIT_NO_MESSAGE)
            return submitted;
        v = VERDICT_BUSY;
    }
    refuse_buy(w, c, (uint32_t)route->event, v, keepalive);
    w->refusals_in_turn++;
    return SUBMIT_ANSWERED;
}

static void answer_yes(struct worker *w, struct connection *c, const struct message *m,
                       enum keepalive_mode keepalive)
{
    const struct orderid id = {m->node, m->slot, m->number, m->tag};
    ASSERT(w->out_len == 0); /* so that its first byte is the first that is sent */
    w->out_len = (uint32_t)canned_put_yes(w->canned, w->out, m->event, keepalive, &id, m->n,
                                          m->pay_by_wall_ms);
    if (keepalive == KEEPALIVE_CLOSE)
        c->closing = true;
    respond_count(w, m->event, VERDICT_YES);
}

/* What is no verdict of the sale (the key came with another n or buyer) has no ready-made answer
 * and is no refusal to be counted as one. */
static void answer_wrong(struct worker *w, struct connection *c, const struct message *m,
                         enum keepalive_mode keepalive)
{
    struct response out;
    respond_open(w, &out, keepalive, false);
    response_begin(&out, (enum verdict)m->verdict, RESPONSE_JSON);
    response_refusal(&out, (enum verdict)m->verdict);
    response_pad(&out, canned_body_length(w->canned, m->event));
    respond_finish(w, c, &out, m->event);
}

static void measure(struct worker *w, const struct connection *c)
{
    uint64_t now_us = clock_mono_us();
    latency_add(&w->counters.buy, now_us, now_us - c->deadline.since_mono_us, 1);
}

bool buy_answer(struct worker *w, struct connection *c, const struct message *m,
                enum keepalive_mode keepalive)
{
    ASSERT(m->kind == MESSAGE_BUY && m->event < w->o.conf->event_count);
    measure(w, c);
    if (m->verdict == VERDICT_YES)
        answer_yes(w, c, m, keepalive);
    else if (m->verdict < VERDICT_SALE_COUNT)
        refuse_buy(w, c, m->event, (enum verdict)m->verdict, keepalive);
    else
        answer_wrong(w, c, m, keepalive);
    return m->verdict == VERDICT_YES; /* see inflight_yes_sent */
}

void buy_too_late(struct worker *w, struct connection *c, uint32_t event,
                  enum keepalive_mode keepalive)
{
    measure(w, c);
    refuse_buy(w, c, event, VERDICT_BUSY, keepalive);
}
