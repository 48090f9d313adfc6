/*
 * Refusals, all of them: what a buyer gets instead of a ticket ("sold out", "paused", "busy", ...)
 * is copied from the canned answers; any other refusal is printed when it is due.
 *
 * This is the hot path: of a million buyers 99 of 100 end here.
 */
#include <stdio.h>

#include "server/net/worker_private.h"

void refuse_buy(struct worker *w, struct connection *c, uint32_t event, enum verdict v,
                enum keepalive_mode keepalive)
{
    ASSERT(w->out_len + CANNED_MAX <= w->buffer_bytes);
    w->out_len += (uint32_t)canned_put(w->canned, w->out + w->out_len, event, v, keepalive);
    if (keepalive == KEEPALIVE_CLOSE)
        c->closing = true;
    respond_count(w, (int)event, v);
}

/* The headers that some refusals need. */
static void put_hints(const struct route *route, enum verdict v, struct response *out)
{
    char node[8];
    if (v == VERDICT_METHOD && route->allow != NULL)
        response_header(out, "Allow", route->allow);
    if (v == VERDICT_UNAUTHORIZED)
        response_header(out, "WWW-Authenticate", "Bearer");
    if (v == VERDICT_ELSEWHERE) {
        snprintf(node, sizeof node, "%u", (unsigned)route->order.node);
        response_header(out, "X-Spike-Node", node);
    }
}

void refuse_put(const struct worker *w, const struct route *route, enum verdict v,
                struct response *out)
{
    response_begin(out, v, RESPONSE_JSON);
    put_hints(route, v, out);
    response_refusal(out, v);
    if (route->kind == ROUTE_BUY && route->event >= 0)
        response_pad(out, canned_body_length(w->canned, (uint32_t)route->event));
}

void refuse_request(struct worker *w, struct connection *c, enum verdict v,
                    enum keepalive_mode keepalive)
{
    struct response out;
    respond_open(w, &out, keepalive, false);
    response_begin(&out, v, RESPONSE_JSON);
    response_refusal(&out, v);
    respond_finish(w, c, &out, NO_EVENT);
}
