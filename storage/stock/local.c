/*
 * Standalone: the stock is the ledger's own memory. It starts empty, like a Redis that has lost
 * everything, and the journal fills it again by settling from its first record: recovery and daily
 * work are one code. There is one node, nobody else, and so nothing is ever in doubt; the same
 * arithmetic as in the scripts is kept all the same, pending included, for the tests hold both
 * kinds of stock to it.
 *
 *     gone = held + sold + waiting      waiting: tickets of the grants done+1 .. last
 *
 * Keys and buyers have tables of fixed size. A key is remembered for ever, and each took a record
 * of the journal, so the journal's size says how many there can be; a buyer is counted while he has
 * tickets, so there are at most as many as tickets.
 */
#include <string.h>

#include "conf/base/key_hash.h"
#include "storage/stock/private.h"
#include "storage/stock/table.h"

/* A batch is taken only when all that was granted before is settled in the same step. */
#define PENDING_MAX BATCH_MAX
/* A record of the journal that names a key is never smaller. */
#define KEYED_RECORD 192

struct local_pending {
    uint32_t n;
    uint32_t key, buyer; /* places, or TABLE_NONE */
};

/* What a key remembers. */
struct local_key {
    uint64_t number, pay_by_wall_ms;
    uint64_t buyer; /* his mark, 0 for none */
    uint32_t n;
    bool ended;
};

struct local_event {
    struct stock_sale sale;
    uint64_t epoch, pos, last, done;
    uint32_t total, version, held, sold, waiting;
    enum stock_state state;
    bool ready;
    struct local_pending
        pending[PENDING_MAX]; /* that of grant number i stands at i % PENDING_MAX */
};

struct local {
    struct stock stock;
    struct local_event *events;
    struct table key_table, buyer_table;
    struct local_key *keys;
    uint32_t *tickets; /* of a buyer */
    size_t events_pool, keys_pool, tickets_pool;
};

static struct local *local_of(struct stock *s)
{
    return (struct local *)s;
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
    struct local *l = local_of(s);
    l->events = arena_block(a, l->events_pool);
    l->keys = arena_block(a, l->keys_pool);
    l->tickets = arena_block(a, l->tickets_pool);
    table_init(&l->key_table, a);
    table_init(&l->buyer_table, a);
}

static enum stock_result local_connect(struct stock *s, struct fault *f)
{
    (void)s;
    (void)f;
    return STOCK_OK;
}

/* ---- keys and buyers ------------------------------------------------------------------------ */

static uint64_t buyer_mark(const char *buyer, uint8_t len)
{
    return len > 0 ? key_hash(buyer, len) | 1 : 0;
}

/* False: no place. *place: TABLE_NONE without a buyer. */
static bool add_tickets(struct local *l, uint32_t event, const char *buyer, uint8_t len, uint32_t n,
                        uint32_t *place)
{
    *place = TABLE_NONE;
    if (len == 0)
        return true;
    *place = table_find(&l->buyer_table, event, buyer, len);
    if (*place == TABLE_NONE) {
        *place = table_add(&l->buyer_table, event, buyer, len);
        if (*place == TABLE_NONE)
            return false;
        l->tickets[*place] = 0;
    }
    l->tickets[*place] += n;
    return true;
}

static void take_tickets(struct local *l, uint32_t place, uint32_t n)
{
    if (place == TABLE_NONE)
        return;
    l->tickets[place] = l->tickets[place] > n ? l->tickets[place] - n : 0;
    if (l->tickets[place] == 0)
        table_remove(&l->buyer_table, place);
}

/* The key remembers the order, unless it has another. False: no place. */
static bool remember(struct local *l, uint32_t event, const char *key, uint8_t len,
                     const struct local_key *order, struct stock_step *st, uint32_t *place)
{
    *place = TABLE_NONE;
    if (len == 0 || table_find(&l->key_table, event, key, len) != TABLE_NONE)
        return true;
    *place = table_add(&l->key_table, event, key, len);
    if (*place == TABLE_NONE)
        return false;
    l->keys[*place] = *order;
    ASSERT(st->hash_count < KEY_HASHES_MAX);
    st->marks[st->hash_count++] = key_hash(key, len);
    return true;
}

static void set_ended(struct local *l, uint32_t event, const struct stock_change *c, bool ended)
{
    struct orderid id;
    uint32_t place =
        c->key_len > 0 ? table_find(&l->key_table, event, c->key, c->key_len) : TABLE_NONE;
    if (place != TABLE_NONE && orderid_parse(c->order, sizeof c->order, &id) &&
        l->keys[place].number == id.number)
        l->keys[place].ended = ended;
}

/* ---- attach --------------------------------------------------------------------------------- */

static void void_after(struct local *l, struct local_event *e, struct stock_attach *at)
{
    at->voided = 0;
    for (; e->last > at->last && e->last > e->done; e->last--, at->voided++) {
        const struct local_pending *p = &e->pending[e->last % PENDING_MAX];
        e->waiting -= p->n;
        take_tickets(l, p->buyer, p->n);
        if (p->key != TABLE_NONE)
            table_remove(&l->key_table, p->key);
    }
}

/* There is one journal, whose lock keeps a second server away: no proof is needed, nor a beat. */
static enum stock_result local_examine(struct stock *s, struct stock_attach *at, struct fault *f)
{
    const struct local_event *e = &local_of(s)->events[at->event];
    at->found = (struct stock_found){.epoch = e->epoch};
    if (e->epoch > at->own_epoch) {
        fault_set(f, "epoch %lu of this node is in use, the journal is at %lu",
                  (unsigned long)e->epoch, (unsigned long)at->own_epoch);
        return STOCK_CONFLICT;
    }
    if (e->pos > at->end || e->done > at->last) {
        fault_set(f, "settled up to record %lu, the journal ends at %lu", (unsigned long)e->pos,
                  (unsigned long)at->end);
        return STOCK_CONFLICT;
    }
    return STOCK_OK;
}

static enum stock_result local_attach(struct stock *s, struct stock_attach *at, struct fault *f)
{
    struct local_event *e = &local_of(s)->events[at->event];
    enum stock_result result = local_examine(s, at, f);
    if (result != STOCK_OK)
        return result;
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
    void_after(local_of(s), e, at);
    at->sale = e->sale;
    at->pos = e->pos;
    at->known[0] = s->conf->node;
    at->known_count = 1;
    at->figures = figures_of(e);
    memset(&at->origin, 0, sizeof at->origin);
    return STOCK_OK;
}

/* ---- step ----------------------------------------------------------------------------------- */

/* The table of step.lua. */
static const struct {
    int held, sold; /* per ticket */
    enum { GRANTED, CHANGED, RETURNED, LATE } kind;
} steps[] = {
    [STOCK_GRANTED_HELD] = {1, 0, GRANTED}, [STOCK_GRANTED_SOLD] = {0, 1, GRANTED},
    [STOCK_PAID] = {-1, 1, CHANGED},        [STOCK_CANCELLED] = {-1, 0, RETURNED},
    [STOCK_EXPIRED] = {-1, 0, RETURNED},    [STOCK_UNDONE] = {0, -1, RETURNED},
    [STOCK_PAID_LATE] = {0, 1, LATE},
};

/* A grant, or a late payment, that this stock has not heard of. False: no place for its names. */
static bool apply(struct local *l, uint32_t event, const struct stock_change *c,
                  struct stock_step *st)
{
    uint32_t place;
    const struct local_key order = {.number = c->number,
                                    .pay_by_wall_ms = c->pay_by_wall_ms,
                                    .buyer = buyer_mark(c->buyer, c->buyer_len),
                                    .n = c->n};
    return add_tickets(l, event, c->buyer, c->buyer_len, c->n, &place) &&
           (steps[c->what].kind == LATE ||
            remember(l, event, c->key, c->key_len, &order, st, &place));
}

static bool settle(struct local *l, uint32_t event, const struct stock_change *c,
                   struct stock_step *st)
{
    struct local_event *e = &l->events[event];
    if (c->number > e->last) {
        e->last = e->done = c->number;
        if (!apply(l, event, c, st))
            return false;
    } else if (c->number > 0) {
        e->done = c->number;
        e->waiting -= e->pending[c->number % PENDING_MAX].n;
    }
    e->held = (uint32_t)((int64_t)e->held + steps[c->what].held * (int64_t)c->n);
    e->sold = (uint32_t)((int64_t)e->sold + steps[c->what].sold * (int64_t)c->n);
    if (steps[c->what].kind == RETURNED && c->buyer_len > 0) {
        uint32_t place = table_find(&l->buyer_table, event, c->buyer, c->buyer_len);
        take_tickets(l, place, c->n);
    }
    if (steps[c->what].kind == RETURNED || steps[c->what].kind == LATE)
        set_ended(l, event, c, steps[c->what].kind == RETURNED);
    return true;
}

static enum stock_verdict judge_key(const struct local *l, uint32_t place, const struct stock *s,
                                    const struct stock_step *st, struct stock_item *item)
{
    const struct local_key *k = &l->keys[place];
    if (k->n != item->n || k->buyer != buyer_mark(item->buyer, item->buyer_len))
        return STOCK_KEY_MISMATCH;
    if (k->ended)
        return STOCK_ENDED;
    item->order = (struct orderid){.node = s->conf->node, .slot = st->slot, .number = k->number};
    item->order_pay_by_wall_ms = k->pay_by_wall_ms;
    return STOCK_DUPLICATE;
}

static bool is_over_limit(const struct local *l, const struct stock_step *st,
                          const struct stock_item *item)
{
    if (st->limit == 0 || item->buyer_len == 0)
        return false;
    uint32_t place = table_find(&l->buyer_table, st->event, item->buyer, item->buyer_len);
    uint64_t has = place != TABLE_NONE ? l->tickets[place] : 0;
    return has + item->n > st->limit;
}

static enum stock_verdict grant(struct local *l, struct stock_step *st, struct stock_item *item)
{
    struct local_event *e = &l->events[st->event];
    struct local_pending *p = &e->pending[(e->last + 1) % PENDING_MAX];
    const struct local_key order = {.number = e->last + 1,
                                    .pay_by_wall_ms = st->pay_by_wall_ms,
                                    .buyer = buyer_mark(item->buyer, item->buyer_len),
                                    .n = item->n};
    ASSERT(e->last + 1 - e->done <= PENDING_MAX);
    if (!add_tickets(l, st->event, item->buyer, item->buyer_len, item->n, &p->buyer))
        return STOCK_BUSY;
    if (!remember(l, st->event, item->key, item->key_len, &order, st, &p->key)) {
        take_tickets(l, p->buyer, item->n);
        return STOCK_BUSY;
    }
    p->n = item->n;
    e->last++;
    e->waiting += item->n;
    return STOCK_YES;
}

/* Key, state, limit, stock: in this order. */
static enum stock_verdict judge(struct stock *s, struct stock_step *st, struct stock_item *item)
{
    struct local *l = local_of(s);
    const struct local_event *e = &l->events[st->event];
    uint32_t key = item->key_len > 0
                       ? table_find(&l->key_table, st->event, item->key, item->key_len)
                       : TABLE_NONE;
    if (key != TABLE_NONE)
        return judge_key(l, key, s, st, item);
    if (item->how == STOCK_LOOKUP)
        return STOCK_NO_KEY;
    if (e->state != STOCK_OPEN)
        return e->state == STOCK_PAUSED ? STOCK_IS_PAUSED : STOCK_IS_CLOSED;
    if (is_over_limit(l, st, item))
        return STOCK_LIMIT;
    if ((uint64_t)e->held + e->sold + e->waiting + item->n > e->total)
        return STOCK_SOLD_OUT;
    return grant(l, st, item);
}

static enum stock_result local_step(struct stock *s, struct stock_step *st, struct fault *f)
{
    struct local *l = local_of(s);
    struct local_event *e = &l->events[st->event];
    const char *why = NULL;
    if (e->epoch != st->epoch)
        why = "the epoch is another";
    else if (e->pos != st->from)
        why = "settled up to another record";
    else if (st->item_count > 0 && (!e->ready || e->last != st->first - 1))
        why = "not ready, or the first number is not the next";
    if (why != NULL) {
        fault_set(f, "%s", why);
        return STOCK_ATTACH;
    }
    st->hash_count = st->node_count = 0;
    memset(&st->origin, 0, sizeof st->origin);
    for (uint32_t i = 0; i < st->change_count; i++) {
        if (!settle(l, st->event, &st->changes[i], st)) {
            fault_set(f,
                      "event %s: the journal names more keys or buyers than there are places for; "
                      "raise the journal's `size`, or `stock-max`",
                      s->conf->events[st->event].name);
            return STOCK_CONFLICT;
        }
    }
    e->pos = st->to;
    for (uint32_t i = 0; i < st->item_count; i++)
        st->items[i].verdict = judge(s, st, &st->items[i]);
    e->ready = e->ready || st->end;
    st->figures = figures_of(e);
    st->hashes_total = st->hashes_seen + st->hash_count;
    return STOCK_OK;
}

/* ---- act ------------------------------------------------------------------------------------ */

static enum stock_result local_act(struct stock *s, struct stock_act *act, struct fault *f)
{
    struct local_event *e = &local_of(s)->events[act->event];
    (void)f;
    if (act->seen.version != e->version) {
        act->outcome = STOCK_STALE;
    } else if (!e->ready) {
        act->outcome = STOCK_LATER;
    } else if (act->total != e->total && act->total < e->held + e->sold + e->waiting) {
        act->outcome = STOCK_TOO_LOW;
    } else {
        act->outcome = STOCK_DONE;
        e->total = act->total;
        e->state = act->state;
        e->version++;
    }
    act->figures = figures_of(e);
    return STOCK_OK;
}

static void local_disconnect(struct stock *s)
{
    (void)s;
}

static struct stock_fill local_fill(const struct stock *s)
{
    const struct local *l = (const struct local *)s;
    return (struct stock_fill){.keys = l->key_table.used,
                               .keys_max = l->key_table.capacity,
                               .buyers = l->buyer_table.used,
                               .buyers_max = l->buyer_table.capacity};
}

static const struct stock_ops local_ops = {
    .init = local_init,
    .connect = local_connect,
    .examine = local_examine,
    .attach = local_attach,
    .step = local_step,
    .act = local_act,
    .disconnect = local_disconnect,
    .fill = local_fill,
};

static uint32_t at_most(uint64_t n)
{
    return n < TABLE_NONE ? (uint32_t)n : TABLE_NONE - 1;
}

struct stock *stock_local_plan(const struct conf *conf, struct arena *a)
{
    static struct local local;
    struct local *l = &local;
    uint64_t keys = conf->journal_size / KEYED_RECORD, buyers = 0;
    for (uint32_t i = 0; i < conf->event_count; i++)
        buyers += conf->events[i].stock_max;
    *l = (struct local){.stock = {.ops = &local_ops, .conf = conf}};
    l->events_pool = arena_plan(a, "stock", conf->event_count, sizeof(struct local_event));
    table_plan(&l->key_table, a, "keys", at_most(keys));
    table_plan(&l->buyer_table, a, "buyers", at_most(buyers));
    l->keys_pool = arena_plan(a, "keys", at_most(keys), sizeof(struct local_key));
    l->tickets_pool = arena_plan(a, "buyers", at_most(buyers), sizeof(uint32_t));
    return &l->stock;
}
