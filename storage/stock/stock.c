/*
 * The thin front of both kinds of stock: it looks the call up and checks what the caller promised.
 */
#include <sodium.h>
#include <string.h>

#include "storage/stock/private.h"

void stock_init(struct stock *s, const struct arena *a)
{
    s->ops->init(s, a);
}

enum stock_result stock_connect(struct stock *s, struct fault *f)
{
    return s->ops->connect(s, f);
}

enum stock_result stock_examine(struct stock *s, struct stock_attach *at, struct fault *f)
{
    ASSERT(at->event < s->conf->event_count);
    return s->ops->examine(s, at, f);
}

enum stock_result stock_attach(struct stock *s, struct stock_attach *at, struct fault *f)
{
    ASSERT(at->event < s->conf->event_count && at->epoch > at->own_epoch);
    return s->ops->attach(s, at, f);
}

enum stock_result stock_step(struct stock *s, struct stock_step *st, struct fault *f)
{
    ASSERT(st->event < s->conf->event_count);
    ASSERT(st->change_count <= SETTLE_MAX && st->item_count <= BATCH_MAX);
    ASSERT(st->from <= st->to && st->change_count <= st->to - st->from);
    return s->ops->step(s, st, f);
}

enum stock_result stock_act(struct stock *s, struct stock_act *act, struct fault *f)
{
    ASSERT(act->event < s->conf->event_count && act->epoch > 0);
    return s->ops->act(s, act, f);
}

enum stock_result stock_reclaim(struct stock *s, struct stock_reclaim *rc, struct fault *f)
{
    ASSERT(rc->event < s->conf->event_count && rc->epoch > 0 && s->ops->reclaim != NULL);
    return s->ops->reclaim(s, rc, f);
}

void stock_disconnect(struct stock *s)
{
    s->ops->disconnect(s);
}

struct stock_fill stock_fill(const struct stock *s)
{
    return s->ops->fill != NULL ? s->ops->fill(s) : (struct stock_fill){0};
}

void stock_set_timeout(struct stock *s, uint64_t timeout_ms)
{
    s->timeout_us = timeout_ms * 1000;
}

void stock_new_sale(struct stock_sale *sale)
{
    uint8_t id[STOCK_SALE_TEXT / 2];
    randombytes_buf(id, sizeof id);
    randombytes_buf(sale->secret, sizeof sale->secret);
    sodium_bin2hex(sale->id, sizeof sale->id, id, sizeof id);
}
