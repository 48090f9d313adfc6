/*
 * How the ledger's answers read, those of /buy apart (buy.c): an order, an event after an
 * operator's act, a refusal. They are rare, so they are printed when they are due, and have the
 * length they have.
 *
 * Order of effects: the message is only read; complete.c frees it, whatever becomes of the answer.
 */
#include <inttypes.h>

#include "server/net/worker_private.h"

static void put_event(struct response *out, const char *name, const char *state, uint32_t total,
                      uint32_t gone)
{
    response_put(out,
                 "\"event\":\"%s\",\"state\":\"%s\",\"total\":%" PRIu32 ",\"sold\":%" PRIu32
                 ",\"left\":%" PRIu32,
                 name, state, total, gone, total > gone ? total - gone : 0);
}

void reply_event(struct response *out, const char *name, const char *state, uint32_t total,
                 uint32_t gone)
{
    response_begin(out, VERDICT_YES, RESPONSE_JSON);
    response_put(out, "{\"code\":1,\"msg\":\"ok\",\"data\":{");
    put_event(out, name, state, total, gone);
    response_put(out, "}}");
}

static void put_order(const struct message *m, const char *event, struct response *out)
{
    const struct orderid id = {m->node, m->slot, m->number, m->tag};
    char text[ORDERID_TEXT];
    orderid_print(text, &id);
    response_begin(out, VERDICT_YES, RESPONSE_JSON);
    response_put(out,
                 "{\"code\":1,\"msg\":\"ok\",\"data\":{\"order\":\"%.*s\",\"event\":\"%s\","
                 "\"n\":%" PRIu32 ",\"state\":\"%s\",\"pay_by\":%" PRIu64 "}}",
                 ORDERID_TEXT, text, event, m->n, m->state, m->pay_by_wall_ms);
}

/* All events have heard it. Where there is one, it is shown, as by every act. */
static void put_reclaimed(const struct conf *conf, const struct message *m, struct response *out)
{
    response_begin(out, VERDICT_YES, RESPONSE_JSON);
    response_put(out, "{\"code\":1,\"msg\":\"ok\",\"data\":{");
    if (conf->event_count == 1) {
        put_event(out, conf->events[0].name, m->state, m->total, m->gone);
        response_put(out, ",");
    }
    response_put(out, "\"node\":%u,\"gone\":%" PRIu32 ",\"returned\":%" PRIu32, (unsigned)m->node,
                 m->node_gone, m->node_returned);
    if (m->node_returned > 0)
        response_put(out,
                     ",\"warning\":\"no oversell (P1) does not cover %" PRIu32
                     " tickets: a buyer who was told that he has one may find it sold again\"",
                     m->node_returned);
    response_put(out, "}}");
}

/* A node that is not evicted: it lives, or it may still come back. */
static void reply_node(struct worker *w, struct connection *c, const struct message *m,
                       enum keepalive_mode keepalive)
{
    enum verdict v = (enum verdict)m->verdict;
    uint32_t seconds = m->subject_ms / 1000 + 1;
    struct response out;
    respond_open(w, &out, keepalive, false);
    out.retry_after_s = seconds;
    response_begin(&out, v, RESPONSE_JSON);
    response_put(&out, "{\"code\":%d,\"msg\":\"node %u ", verdict_code(v),
                 (unsigned)m->subject_node);
    if (v == VERDICT_BUSY)
        response_put(&out, "may still come back: try again in %" PRIu32 " s", seconds);
    else
        response_put(&out, "was heard %" PRIu32 ".%" PRIu32 " s ago", m->subject_ms / 1000,
                     m->subject_ms / 100 % 10);
    response_put(&out, "\",\"data\":null}");
    respond_finish(w, c, &out, NO_EVENT);
}

void reply_answer(struct worker *w, struct connection *c, const struct message *m,
                  enum keepalive_mode keepalive)
{
    struct response out;
    if (m->subject_node != 0 && (m->verdict == VERDICT_BUSY || m->verdict == VERDICT_CONFLICT)) {
        reply_node(w, c, m, keepalive);
        return;
    }
    if (m->verdict != VERDICT_YES) {
        refuse_request(w, c, (enum verdict)m->verdict, keepalive);
        return;
    }
    ASSERT(m->event < w->o.conf->event_count && m->state != NULL);
    const char *event = w->o.conf->events[m->event].name;
    respond_open(w, &out, keepalive, false);
    if (m->kind == MESSAGE_RECLAIM)
        put_reclaimed(w->o.conf, m, &out);
    else if (m->kind >= MESSAGE_PAUSE)
        reply_event(&out, event, m->state, m->total, m->gone);
    else
        put_order(m, event, &out);
    respond_finish(w, c, &out, NO_EVENT);
}

enum submitted reply_submit(struct worker *w, struct connection *c, const struct route *route,
                            enum keepalive_mode keepalive)
{
    /* When the server stops, the ledger ends before the admin worker does. */
    bool is_ending =
        w->stopping || atomic_load_explicit(&w->o.board->stopping, memory_order_relaxed);
    enum submitted submitted = is_ending ? SUBMIT_NO_MESSAGE : submit(w, c, route, keepalive);
    if (submitted == SUBMIT_NO_MESSAGE) {
        refuse_request(w, c, VERDICT_BUSY, keepalive);
        return SUBMIT_ANSWERED;
    }
    return submitted;
}
