/*
 * The standalone stock: the ledger's own memory. It starts empty, like a Redis that has lost
 * everything, and the journal fills it again by settling from its first record, so recovery and
 * daily work are one code. There is one node, and no call is ever in doubt. All the same it keeps
 * the arithmetic of the scripts, pending grants included: the tests hold both kinds of stock to it.
 *
 *     gone = held + sold + waiting      waiting: tickets of the grants done+1 .. last
 *
 * Keys and buyers have tables of fixed size (name_table.h). A key is remembered for ever, and each
 * took a record of the journal, so the journal's size bounds their number. A buyer is counted while
 * it has tickets, so there are at most as many buyers as tickets.
 */
#include <string.h>

#include "conf/base/key_hash.h"
#include "storage/stock/name_table.h"
#include "storage/stock/stock_private.h"

/* A batch is decided only after all earlier grants are settled, so at most one batch is pending. */
#define PENDING_MAX BATCH_MAX
/* A record of the journal that names a key is never smaller. */
#define KEYED_RECORD 192

struct local_pending {
    uint32_t n;
    uint32_t key, buyer; /* slots, or NAME_TABLE_NONE */
};

/* The order that a key names. */
struct local_key {
    uint64_t number, pay_by_wall_ms;
    uint64_t buyer; /* its hash; 0: none */
    uint32_t n;
    bool ended;
};

struct local_event {
    struct stock_sale sale;
    uint64_t epoch, pos, last, done;
    uint32_t total, version, held, sold, waiting;
    enum stock_state state;
    bool ready;
    struct local_pending pending[PENDING_MAX]; /* of grant number i at i % PENDING_MAX */
};

struct local {
    struct stock stock;
    struct local_event *events;
    struct name_table *key_table, *buyer_table;
    struct local_key *keys; /* by the slot of the key */
    uint32_t *tickets;      /* by the slot of the buyer */
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
    name_table_init(l->key_table, a);
    name_table_init(l->buyer_table, a);
}

static enum stock_result local_connect(struct stock *s, struct fault *f)
{
    (void)s;
    (void)f;
    return STOCK_OK;
}

/* ---- keys and buyers ------------------------------------------------------------------------ */

static uint64_t buyer_hash(const char *buyer, uint8_t len)
{
    return len > 0 ? key_hash(buyer, len) | 1 : 0;
}

/* Adds to the buyer's tickets. *slot becomes the slot of the buyer, NAME_TABLE_NONE if there is no
 * buyer. False: the table is full. */
static bool add_tickets(struct local *l, uint32_t event, const char *buyer, uint8_t len, uint32_t n,
                        uint32_t *slot)
{
    *slot = NAME_TABLE_NONE;
    if (len == 0)
        return true;
    *slot = name_table_find(l->buyer_table, event, buyer, len);
    if (*slot == NAME_TABLE_NONE) {
        *slot = name_table_add(l->buyer_table, event, buyer, len);
        if (*slot == NAME_TABLE_NONE)
            return false;
        l->tickets[*slot] = 0;
    }
    l->tickets[*slot] += n;
    return true;
}

static void return_tickets(struct local *l, uint32_t slot, uint32_t n)
{
    if (slot == NAME_TABLE_NONE)
        return;
    ASSERT(slot < name_table_capacity(l->buyer_table));
    l->tickets[slot] = l->tickets[slot] > n ? l->tickets[slot] - n : 0;
    if (l->tickets[slot] == 0)
        name_table_remove(l->buyer_table, slot);
}

/* From now on the key names the order, unless it names another one. *slot becomes its slot,
 * NAME_TABLE_NONE if nothing was added. False: the table is full. */
static bool remember_key(struct local *l, uint32_t event, const char *key, uint8_t len,
                         const struct local_key *order, struct stock_step *st, uint32_t *slot)
{
    *slot = NAME_TABLE_NONE;
    if (len == 0 || name_table_find(l->key_table, event, key, len) != NAME_TABLE_NONE)
        return true;
    *slot = name_table_add(l->key_table, event, key, len);
    if (*slot == NAME_TABLE_NONE)
        return false;
    l->keys[*slot] = *order;
    ASSERT(st->hash_count < KEY_HASHES_MAX);
    st->key_hashes[st->hash_count++] = key_hash(key, len);
    return true;
}

static void set_ended(struct local *l, uint32_t event, const struct stock_change *c, bool ended)
{
    struct orderid id;
    uint32_t slot =
        c->key_len > 0 ? name_table_find(l->key_table, event, c->key, c->key_len) : NAME_TABLE_NONE;
    if (slot != NAME_TABLE_NONE && orderid_parse(c->order, sizeof c->order, &id) &&
        l->keys[slot].number == id.number)
        l->keys[slot].ended = ended;
}

/* ---- attach --------------------------------------------------------------------------------- */

/* Gives back what was granted after the journal's last number. */
static void void_after(struct local *l, struct local_event *e, struct stock_attach *at)
{
    at->voided = 0;
    for (; e->last > at->last && e->last > e->done; e->last--, at->voided++) {
        const struct local_pending *p = &e->pending[e->last % PENDING_MAX];
        ASSERT(e->waiting >= p->n);
        e->waiting -= p->n;
        return_tickets(l, p->buyer, p->n);
        if (p->key != NAME_TABLE_NONE)
            name_table_remove(l->key_table, p->key);
    }
}

/* There is one journal, and its lock excludes a second server: neither a proof nor a beat is
 * needed. */
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

/* What a change does to an event, by enum stock_change_kind: the table of step.lua. */
static const struct {
    int held, sold; /* per ticket */
    enum { GRANTED, CHANGED, RETURNED, LATE } kind;
} effects[] = {
    [STOCK_GRANTED_HELD] = {1, 0, GRANTED}, [STOCK_GRANTED_SOLD] = {0, 1, GRANTED},
    [STOCK_PAID] = {-1, 1, CHANGED},        [STOCK_CANCELLED] = {-1, 0, RETURNED},
    [STOCK_EXPIRED] = {-1, 0, RETURNED},    [STOCK_UNDONE] = {0, -1, RETURNED},
    [STOCK_PAID_LATE] = {0, 1, LATE},
};

/* Applies a grant or a late payment that the stock did not decide itself: the journal is settled
 * from its start. False: a table is full. */
static bool apply_grant(struct local *l, uint32_t event, const struct stock_change *c,
                        struct stock_step *st)
{
    uint32_t slot;
    const struct local_key order = {.number = c->number,
                                    .pay_by_wall_ms = c->pay_by_wall_ms,
                                    .buyer = buyer_hash(c->buyer, c->buyer_len),
                                    .n = c->n};
    return add_tickets(l, event, c->buyer, c->buyer_len, c->n, &slot) &&
           (effects[c->kind].kind == LATE ||
            remember_key(l, event, c->key, c->key_len, &order, st, &slot));
}

static bool settle(struct local *l, uint32_t event, const struct stock_change *c,
                   struct stock_step *st)
{
    struct local_event *e = &l->events[event];
    ASSERT(c->kind < ARRAY_LEN(effects));
    if (c->number > e->last) {
        e->last = e->done = c->number;
        if (!apply_grant(l, event, c, st))
            return false;
    } else if (c->number > 0) {
        e->done = c->number;
        ASSERT(e->waiting >= e->pending[c->number % PENDING_MAX].n);
        e->waiting -= e->pending[c->number % PENDING_MAX].n;
    }
    e->held = (uint32_t)((int64_t)e->held + effects[c->kind].held * (int64_t)c->n);
    e->sold = (uint32_t)((int64_t)e->sold + effects[c->kind].sold * (int64_t)c->n);
    if (effects[c->kind].kind == RETURNED && c->buyer_len > 0) {
        uint32_t slot = name_table_find(l->buyer_table, event, c->buyer, c->buyer_len);
        return_tickets(l, slot, c->n);
    }
    if (effects[c->kind].kind == RETURNED || effects[c->kind].kind == LATE)
        set_ended(l, event, c, effects[c->kind].kind == RETURNED);
    return true;
}

static enum stock_verdict check_key(const struct local *l, uint32_t slot, const struct stock *s,
                                    const struct stock_step *st, struct stock_item *item)
{
    const struct local_key *k = &l->keys[slot];
    if (k->n != item->n || k->buyer != buyer_hash(item->buyer, item->buyer_len))
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
    uint32_t slot = name_table_find(l->buyer_table, st->event, item->buyer, item->buyer_len);
    uint64_t has = slot != NAME_TABLE_NONE ? l->tickets[slot] : 0;
    return has + item->n > st->limit;
}

static enum stock_verdict grant(struct local *l, struct stock_step *st, struct stock_item *item)
{
    struct local_event *e = &l->events[st->event];
    struct local_pending *p = &e->pending[(e->last + 1) % PENDING_MAX];
    const struct local_key order = {.number = e->last + 1,
                                    .pay_by_wall_ms = st->pay_by_wall_ms,
                                    .buyer = buyer_hash(item->buyer, item->buyer_len),
                                    .n = item->n};
    ASSERT(e->last + 1 - e->done <= PENDING_MAX);
    if (!add_tickets(l, st->event, item->buyer, item->buyer_len, item->n, &p->buyer))
        return STOCK_BUSY;
    if (!remember_key(l, st->event, item->key, item->key_len, &order, st, &p->key)) {
        return_tickets(l, p->buyer, item->n);
        return STOCK_BUSY;
    }
    p->n = item->n;
    e->last++;
    e->waiting += item->n;
    return STOCK_YES;
}

/* In this order: the key, the state, the limit, the tickets. */
static enum stock_verdict decide(struct stock *s, struct stock_step *st, struct stock_item *item)
{
    struct local *l = local_of(s);
    const struct local_event *e = &l->events[st->event];
    uint32_t key = item->key_len > 0
                       ? name_table_find(l->key_table, st->event, item->key, item->key_len)
                       : NAME_TABLE_NONE;
    if (key != NAME_TABLE_NONE)
        return check_key(l, key, s, st, item);
    if (item->kind == STOCK_LOOKUP)
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
    ASSERT(e->done <= e->last);
    if (e->epoch != st->epoch)
        why = "the epoch is another";
    else if (e->pos != st->from)
        why = "settled up to another record";
    else if (st->item_count > 0 && (!e->ready || e->last != st->first_number - 1))
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
                      "event %s: the journal names more keys or buyers than the tables hold; "
                      "raise the journal's `size`, or `stock-max`",
                      s->conf->events[st->event].name);
            return STOCK_CONFLICT;
        }
    }
    e->pos = st->to;
    ASSERT(st->hash_count <= st->change_count);
    for (uint32_t i = 0; i < st->item_count; i++)
        st->items[i].verdict = decide(s, st, &st->items[i]);
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
    return (struct stock_fill){.keys = name_table_used(l->key_table),
                               .keys_max = name_table_capacity(l->key_table),
                               .buyers = name_table_used(l->buyer_table),
                               .buyers_max = name_table_capacity(l->buyer_table)};
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

/* Slots for n names. */
static uint32_t table_size(uint64_t n)
{
    return n < NAME_TABLE_NONE ? (uint32_t)n : NAME_TABLE_NONE - 1;
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
    l->key_table = name_table_plan(NAME_TABLE_KEYS, a, "keys", table_size(keys));
    l->buyer_table = name_table_plan(NAME_TABLE_BUYERS, a, "buyers", table_size(buyers));
    l->keys_pool = arena_plan(a, "keys", table_size(keys), sizeof(struct local_key));
    l->tickets_pool = arena_plan(a, "buyers", table_size(buyers), sizeof(uint32_t));
    return &l->stock;
}
