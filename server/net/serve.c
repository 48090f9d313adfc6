/*
 * From bytes to answers: one request after another, in order, until the input is used up, a verdict
 * is awaited, the peer does not read, or the connection is to be closed.
 */
#include <string.h>

#include "server/net/worker_private.h"

static enum keepalive_mode keepalive_of(const struct worker *w, const struct request *r)
{
    if (!r->keep_alive || w->stopping)
        return KEEPALIVE_CLOSE;
    return r->minor == 0 ? KEEPALIVE_HTTP10 : KEEPALIVE_HTTP11;
}

static void stock(const struct worker *w, const struct route *route, struct response *out)
{
    ASSERT(route->event >= 0 && (uint32_t)route->event < w->o.conf->event_count);
    const struct board_event *e = &w->o.board->events[route->event];
    enum sale_state state = (enum sale_state)atomic_load_explicit(&e->state, memory_order_relaxed);
    uint64_t figures = atomic_load_explicit(&e->figures, memory_order_relaxed);
    if (state == SALE_UNKNOWN) {
        response_begin(out, VERDICT_BUSY, RESPONSE_JSON);
        response_refusal(out, VERDICT_BUSY);
        return;
    }
    reply_event(out, w->o.conf->events[route->event].name, sale_state_name(state),
                (uint32_t)(figures >> 32), (uint32_t)figures);
}

/* An unauthorized client learns nothing, not even which paths there are. */
static bool is_unauthorized(const struct worker *w, const struct request *r, enum verdict v)
{
    return w->o.authorize != NULL && v != VERDICT_FORBIDDEN && !w->o.authorize(w->o.context, r);
}

static enum submitted serve_one(struct worker *w, struct connection *c, const struct request *r)
{
    struct route route;
    struct response out;
    route.event = -1;
    route.allow = NULL;
    enum verdict v = route_find(&route, r, w->o.conf, w->o.side);
    if (LIKELY(v == VERDICT_YES && route.kind == ROUTE_BUY))
        return buy(w, c, &route, keepalive_of(w, r));
    if (is_unauthorized(w, r, v))
        v = VERDICT_UNAUTHORIZED;
    if (v == VERDICT_YES && route_is_for_ledger(&route))
        return reply_submit(w, c, &route, keepalive_of(w, r));
    respond_open(w, &out, keepalive_of(w, r), r->method == METHOD_HEAD);
    if (v != VERDICT_YES)
        refuse_put(w, &route, v, &out);
    else if (route.kind == ROUTE_STOCK)
        stock(w, &route, &out);
    else
        w->o.serve(w->o.context, &route, &out);
    respond_finish(w, c, &out, route.kind == ROUTE_BUY ? route.event : NO_EVENT);
    return SUBMIT_ANSWERED;
}

/* Once for each request that asks for it. */
static void send_100(struct worker *w, struct connection *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (c->sent_100)
        return;
    memcpy(w->out + w->out_len, text, sizeof text - 1);
    w->out_len += (uint32_t)sizeof text - 1;
    c->sent_100 = true;
}

static bool has_space(struct worker *w, struct connection *c)
{
    return w->out_len + w->answer_max <= w->buffer_bytes || output_flush(w, c);
}

/* Parses and answers one request; its length, or 0: nothing more can be done for now. */
static uint32_t serve_next(struct worker *w, struct connection *c, const char *buf, uint32_t len)
{
    struct request r;
    enum verdict why;
    if (c->closing || c->state == CONN_WAITING || !has_space(w, c))
        return 0;
    switch (request_parse(&r, &why, buf, len, &w->limits)) {
    case REQUEST_MORE:
        return 0;
    case REQUEST_CONTINUE:
        send_100(w, c);
        return 0;
    case REQUEST_WRONG:
        respond_unread(w, c, why,
                       w->o.side == ROUTE_BUYERS ? route_buy_event(r.path, w->o.conf) : -1);
        return len;
    default:
        break;
    }
    ASSERT(r.length > 0 && r.length <= len);
    if (serve_one(w, c, &r) == SUBMIT_BLOCKED)
        return 0;
    c->sent_100 = false;
    return r.length;
}

uint32_t serve_requests(struct worker *w, struct connection *c, const char *buf, uint32_t len)
{
    uint32_t used = 0;
    ASSERT(len <= w->buffer_bytes);
    while (used < len) {
        uint32_t n = serve_next(w, c, buf + used, len - used);
        if (n == 0)
            break;
        used += n;
    }
    return used;
}
