/*
 * The front of every kind of stock: it checks what the caller promises, and calls the kind.
 */
#include <sodium.h>
#include <string.h>

#include "storage/stock/stock_private.h"

void stock_init(struct stock *s, const struct arena *a)
{
    s->ops->init(s, a);
}

enum stock_result stock_connect(struct stock *s, struct fault *f)
{
    ASSERT_LEDGER();
    return s->ops->connect(s, f);
}

enum stock_result stock_examine(struct stock *s, struct stock_attach *at, struct fault *f)
{
    ASSERT_LEDGER();
    ASSERT(at->event < s->conf->event_count && at->known_count <= NODES_MAX);
    return s->ops->examine(s, at, f);
}

enum stock_result stock_attach(struct stock *s, struct stock_attach *at, struct fault *f)
{
    ASSERT_LEDGER();
    ASSERT(at->event < s->conf->event_count && at->known_count <= NODES_MAX);
    ASSERT(at->epoch > at->own_epoch);
    return s->ops->attach(s, at, f);
}

enum stock_result stock_step(struct stock *s, struct stock_step *st, struct fault *f)
{
    ASSERT_LEDGER();
    ASSERT(st->event < s->conf->event_count);
    ASSERT(st->change_count <= SETTLE_MAX && st->item_count <= BATCH_MAX);
    ASSERT(st->from <= st->to && st->change_count <= st->to - st->from);
    enum stock_result result = s->ops->step(s, st, f);
    ASSERT(result != STOCK_OK || (st->hash_count <= KEY_HASHES_MAX && st->node_count <= NODES_MAX));
    return result;
}

enum stock_result stock_act(struct stock *s, struct stock_act *act, struct fault *f)
{
    ASSERT_LEDGER();
    ASSERT(act->event < s->conf->event_count && act->epoch > 0);
    return s->ops->act(s, act, f);
}

enum stock_result stock_reclaim(struct stock *s, struct stock_reclaim *rc, struct fault *f)
{
    ASSERT_LEDGER();
    ASSERT(rc->event < s->conf->event_count && rc->epoch > 0 && s->ops->reclaim != NULL);
    return s->ops->reclaim(s, rc, f);
}

void stock_disconnect(struct stock *s)
{
    ASSERT_LEDGER();
    s->ops->disconnect(s);
}

struct stock_fill stock_fill(const struct stock *s)
{
    return s->ops->fill != NULL ? s->ops->fill(s) : (struct stock_fill){0};
}

void stock_set_timeout(struct stock *s, uint64_t timeout_ms)
{
    if (s->ops->set_timeout != NULL)
        s->ops->set_timeout(s, timeout_ms);
}

void stock_new_sale(struct stock_sale *sale)
{
    uint8_t id[STOCK_SALE_TEXT / 2];
    randombytes_buf(id, sizeof id);
    randombytes_buf(sale->secret, sizeof sale->secret);
    sodium_bin2hex(sale->id, sizeof sale->id, id, sizeof id);
}
