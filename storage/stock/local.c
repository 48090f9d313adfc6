/*
 * Standalone: the stock is the ledger's own memory. It starts empty, like a Redis that has lost
 * everything, and the journal fills it again by settling from its first record: recovery and daily
 * work are one code. There is one node, nobody else, and so nothing is ever in doubt; the same
 * arithmetic as in the scripts is kept all the same, pending included, for the tests hold both
 * kinds of stock to it.
 *
 *     gone = held + sold + waiting      waiting: tickets of the grants done+1 .. last
 */
#include <string.h>

#include "storage/stock/private.h"

/* A batch is taken only when all that was granted before is settled in the same step. */
#define PENDING_MAX (2 * BATCH_MAX)

struct local_event {
    struct stock_sale sale;
    uint64_t epoch, pos, last, done;
    uint32_t total, version, held, sold, waiting;
    enum stock_state state;
    bool ready;
    uint32_t pending[PENDING_MAX]; /* tickets of grant number i stand at i % PENDING_MAX */
};

struct local {
    struct stock stock;
    struct local_event *events;
    size_t events_pool;
};

static struct local_event *event_of(struct stock *s, uint32_t event)
{
    return &((struct local *)s)->events[event];
}

static struct stock_figures figures_of(const struct local_event *e)
{
    return (struct stock_figures){.state = e->state,
                                  .version = e->version,
                                  .total = e->total,
                                  .gone = e->held + e->sold + e->waiting,
                                  .repair = !e->ready,
                                  .ready = e->ready};
}

static void local_init(struct stock *s, const struct arena *a)
{
    struct local *l = (struct local *)s;
    l->events = arena_block(a, l->events_pool);
}

static enum stock_result local_connect(struct stock *s, struct fault *f)
{
    (void)s;
    (void)f;
    return STOCK_OK;
}

static void void_after(struct local_event *e, uint64_t keep, struct stock_attach *at)
{
    at->voided = 0;
    for (; e->last > keep && e->last > e->done; e->last--, at->voided++)
        e->waiting -= e->pending[e->last % PENDING_MAX];
}

static enum stock_result local_attach(struct stock *s, struct stock_attach *at, struct fault *f)
{
    struct local_event *e = event_of(s, at->event);
    if (e->epoch >= at->epoch) {
        fault_say(f, "epoch %lu of this node is in use, the journal is at %lu",
                  (unsigned long)e->epoch, (unsigned long)at->epoch);
        return STOCK_OTHER;
    }
    if (e->pos > at->end || e->done > at->last) {
        fault_say(f, "settled up to record %lu, the journal ends at %lu", (unsigned long)e->pos,
                  (unsigned long)at->end);
        return STOCK_OTHER;
    }
    if (e->epoch == 0) {
        e->sale = at->sale;
        if (e->sale.id[0] == '\0')
            stock_new_sale(&e->sale);
        e->total = at->total;
        e->version = at->version > 0 ? at->version : 1;
        e->state = at->state;
    }
    e->epoch = at->epoch;
    e->ready = false;
    void_after(e, at->last, at);
    at->sale = e->sale;
    at->pos = e->pos;
    at->known[0] = s->conf->node;
    at->known_count = 1;
    at->figures = figures_of(e);
    return STOCK_OK;
}

static void settle(struct local_event *e, const struct stock_change *c)
{
    if (c->number > e->last) {
        e->last = e->done = c->number;
    } else if (c->number > 0) {
        e->done = c->number;
        e->waiting -= e->pending[c->number % PENDING_MAX];
    }
    e->held = (uint32_t)((int64_t)e->held + c->held);
    e->sold = (uint32_t)((int64_t)e->sold + c->sold);
}

static enum stock_verdict deduct(struct local_event *e, uint32_t n)
{
    if (e->state == STOCK_PAUSED)
        return STOCK_IS_PAUSED;
    if (e->state == STOCK_CLOSED)
        return STOCK_IS_CLOSED;
    uint64_t gone = (uint64_t)e->held + e->sold + e->waiting;
    if (gone + n > e->total)
        return STOCK_SOLD_OUT;
    e->last++;
    ASSERT(e->last - e->done <= PENDING_MAX);
    e->pending[e->last % PENDING_MAX] = n;
    e->waiting += n;
    return STOCK_YES;
}

static enum stock_result local_step(struct stock *s, struct stock_step *st, struct fault *f)
{
    struct local_event *e = event_of(s, st->event);
    const char *why = NULL;
    if (e->epoch != st->epoch)
        why = "the epoch is another";
    else if (e->pos != st->from)
        why = "settled up to another record";
    else if (st->item_count > 0 && (!e->ready || e->last != st->first - 1))
        why = "not ready, or the first number is not the next";
    if (why != NULL) {
        fault_say(f, "%s", why);
        return STOCK_ATTACH;
    }
    for (uint32_t i = 0; i < st->change_count; i++)
        settle(e, &st->changes[i]);
    e->pos = st->to;
    for (uint32_t i = 0; i < st->item_count; i++)
        st->items[i].verdict = deduct(e, st->items[i].n);
    e->ready = e->ready || st->end;
    st->figures = figures_of(e);
    st->node_count = 0;
    return STOCK_OK;
}

static enum stock_result local_last_beat(struct stock *s, uint32_t event, uint64_t *beat,
                                         uint64_t *now, struct fault *f)
{
    (void)s;
    (void)event;
    (void)f;
    *beat = *now = 0; /* the journal's lock already keeps a second server away */
    return STOCK_OK;
}

static void local_disconnect(struct stock *s)
{
    (void)s;
}

static const struct stock_ops local_ops = {
    .init = local_init,
    .connect = local_connect,
    .attach = local_attach,
    .step = local_step,
    .last_beat = local_last_beat,
    .disconnect = local_disconnect,
};

struct stock *stock_local_plan(const struct conf *conf, struct arena *a)
{
    static struct local local;
    local = (struct local){.stock = {.ops = &local_ops, .conf = conf}};
    local.events_pool = arena_plan(a, "stock", conf->event_count, sizeof(struct local_event));
    return &local.stock;
}
