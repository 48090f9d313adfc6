/*
 * One answer in the worker's buffer, after those that are there already: opened here, filled by the
 * caller, finished and counted here. Refusals are written by refuse.c, the YES of a sale by buy.c.
 */
#include "server/net/worker_private.h"

static void put_stat_line(const struct worker *w, int event, enum verdict v)
{
    struct stat_line line = {.wall_ms = w->wall_ms, .event = STAT_NO_EVENT, .verdict = (uint8_t)v};
    if (event >= 0) {
        const struct board_event *e = &w->o.board->events[event];
        line.event = (uint8_t)event;
        line.sold = atomic_load_explicit(&e->node_sold, memory_order_relaxed) +
                    atomic_load_explicit(&e->node_held, memory_order_relaxed);
    }
    stat_ring_put(w->o.stats, &line);
}

void respond_count(struct worker *w, int event, enum verdict v)
{
    ASSERT(v < VERDICT_COUNT && event < (int)w->o.conf->event_count);
    COUNT(w->counters.answers[v], 1);
    if (LIKELY(event >= 0))
        COUNT(w->counters.verdicts[event][v], 1);
    if (!LIKELY(w->o.stats == NULL))
        put_stat_line(w, event, v);
}

void respond_open(const struct worker *w, struct response *out, enum keepalive_mode keepalive,
                  bool without_body)
{
    response_open(out, w->out + w->out_len, w->buffer_bytes - w->out_len, canned_date(w->canned),
                  keepalive, without_body);
}

void respond_unread(struct worker *w, struct connection *c, enum verdict v, int event)
{
    struct response out;
    ASSERT(w->out_len + w->answer_max <= w->buffer_bytes);
    respond_open(w, &out, KEEPALIVE_CLOSE, false);
    response_begin(&out, v, RESPONSE_JSON);
    response_refusal(&out, v);
    if (event >= 0)
        response_pad(&out, canned_body_length(w->canned, (uint32_t)event));
    bool fits = response_end(&out);
    ASSERT(fits); /* answer_max */
    w->out_len += (uint32_t)out.len;
    c->closing = c->discard_input = true;
    respond_count(w, NO_EVENT, v);
}

void respond_finish(struct worker *w, struct connection *c, struct response *out, int event)
{
    if (!response_end(out)) {
        respond_unread(w, c, VERDICT_BUSY, NO_EVENT); /* an answer too long for its buffer */
        return;
    }
    w->out_len += (uint32_t)out->len;
    if (out->keepalive == KEEPALIVE_CLOSE)
        c->closing = true;
    respond_count(w, event, out->verdict);
}
