/*
 * A step, as Redis hears it and as it answers. What it brings of orders is packed into two
 * arguments, however many there are; step.lua has their form.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/key_hash.h"
#include "storage/stock/redis.h"
#include "storage/stock/reply.h"

/* In the order of enum stock_change_kind and of enum stock_item_kind. */
static const char what_letters[] = {'H', 'S', 'p', 'c', 'x', 'u', 'L'};
static const char how_letters[] = {'b', 'p', 'l'};

/* Nothing, or: when to pay, then mark and key of its order. */
static void pack_rest(struct pack *p, const struct stock_change *c)
{
    if (c->key_len == 0 && c->pay_by_wall_ms == 0) {
        pack_text(p, "", 0);
        return;
    }
    uint32_t len_at = p->len;
    pack_integer(p, 0, 1);
    pack_digits(p, c->pay_by_wall_ms);
    if (c->key_len > 0) {
        pack_integer(p, key_hash(c->key, c->key_len), KEY_HASH_BYTES);
        pack_bytes(p, c->key, c->key_len);
    }
    pack_integer_at(p, len_at, p->len - len_at - 1, 1);
}

static void pack_order(struct pack *p, const struct stock_change *c)
{
    pack_bytes(p, c->order, ORDERID_TEXT);
    pack_digits(p, c->seq);
    pack_digits(p, c->n);
    pack_text(p, c->buyer, c->buyer_len);
    pack_rest(p, c);
}

static bool follows(const struct stock_change *c, const struct stock_change *before)
{
    return c->kind == before->kind && c->time_wall_ms == before->time_wall_ms &&
           c->seq == before->seq + 1 &&
           (c->number == 0 ? before->number == 0 : c->number == before->number + 1);
}

/* One run of them; tells how many it took. */
static uint32_t pack_changes(struct pack *p, const struct stock_change *c, uint32_t max)
{
    uint32_t count = 0, tickets = 0;
    do
        tickets += c[count++].n;
    while (count < max && follows(&c[count], &c[count - 1]));
    pack_letter(p, what_letters[c->kind]);
    pack_integer(p, count, 2);
    uint32_t bytes_at = p->len;
    pack_integer(p, 0, 4);
    pack_integer(p, tickets, 4);
    pack_integer(p, c->seq, 8);
    pack_integer(p, c->number, 8);
    pack_digits(p, c->time_wall_ms);
    uint32_t orders_at = p->len;
    for (uint32_t i = 0; i < count; i++)
        pack_order(p, &c[i]);
    pack_integer_at(p, bytes_at, p->len - orders_at, 4);
    return count;
}

static bool is_plain(const struct stock_item *item)
{
    return item->buyer_len == 0 && item->key_len == 0;
}

static bool is_alike(const struct stock_item *a, const struct stock_item *b)
{
    return is_plain(a) && is_plain(b) && a->kind == b->kind && a->n == b->n;
}

/* As above. */
static uint32_t pack_items(struct pack *p, const struct stock_item *item, uint32_t max)
{
    uint32_t count = 1;
    while (count < max && is_alike(item, &item[count]))
        count++;
    pack_letter(p, how_letters[item->kind]);
    pack_integer(p, count, 2);
    pack_digits(p, item->n);
    pack_text(p, item->buyer, item->buyer_len);
    pack_integer(p, item->key_len > 0 ? KEY_HASH_BYTES : 0, 1);
    if (item->key_len > 0)
        pack_integer(p, key_hash(item->key, item->key_len), KEY_HASH_BYTES);
    pack_text(p, item->key, item->key_len);
    return count;
}

static void add_packed(struct redis *r, const struct stock_step *st)
{
    struct pack *p = &r->pack;
    p->len = 0;
    for (uint32_t i = 0; i < st->change_count;)
        i += pack_changes(p, &st->changes[i], st->change_count - i);
    uint32_t items_at = p->len;
    for (uint32_t i = 0; i < st->item_count;)
        i += pack_items(p, &st->items[i], st->item_count - i);
    redis_conn_add(&r->link, (const char *)p->bytes, items_at);
    redis_conn_add_number(&r->link, st->chain);
    redis_conn_add(&r->link, (const char *)p->bytes + items_at, p->len - items_at);
}

static void add_step(struct redis *r, const struct stock_step *st)
{
    struct redis_conn *l = &r->link;
    snprintf(r->prefix, sizeof r->prefix, "%04x-%02x", (unsigned)r->stock.conf->node,
             (unsigned)st->slot);
    redis_begin_script(r, SCRIPT_STEP, st->event, st->epoch);
    redis_conn_add_text(l, r->stock.conf->events[st->event].name);
    redis_conn_add_number(l, (int64_t)st->from);
    redis_conn_add_number(l, (int64_t)st->to);
    redis_conn_add_number(l, st->end ? 1 : 0);
    redis_conn_add_number(l, (int64_t)st->first_number);
    redis_conn_add_number(l, (int64_t)st->seen.revision);
    redis_conn_add_number(l, st->seen.foreign);
    redis_conn_add_number(l, st->known_count);
    redis_conn_add_number(l, (int64_t)r->stock.conf->node_timeout_ms);
    redis_conn_add_number(l, st->want_nodes ? 1 : 0);
    redis_conn_add_text(l, r->prefix);
    redis_conn_add_number(l, (int64_t)st->pay_by_wall_ms);
    redis_conn_add_number(l, st->limit);
    redis_conn_add_number(l, (int64_t)st->hashes_seen);
    redis_conn_add_number(l, KEY_HASHES_MAX);
    redis_conn_add_number(l, st->version);
    redis_conn_add_text(l, r->advertise);
    add_packed(r, st);
}

static bool take_verdicts(const redisReply *reply, struct stock_step *st)
{
    static const struct {
        char letter;
        enum stock_verdict verdict;
    } letters[] = {
        {'y', STOCK_YES},       {'s', STOCK_SOLD_OUT}, {'p', STOCK_IS_PAUSED},
        {'c', STOCK_IS_CLOSED}, {'b', STOCK_BUSY},     {'l', STOCK_LIMIT},
        {'k', STOCK_DUPLICATE}, {'e', STOCK_ENDED},    {'x', STOCK_KEY_MISMATCH},
        {'n', STOCK_NO_KEY},
    };
    const char *text = reply_text(reply, 1);
    if (text == NULL || strlen(text) != st->item_count)
        return false;
    for (uint32_t i = 0; i < st->item_count; i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(letters) && letters[k].letter != text[i])
            k++;
        if (k == ARRAY_LEN(letters))
            return false;
        st->items[i].verdict = letters[k].verdict;
    }
    return true;
}

/* "node slot number pay_by ..." for each item whose key has an order. */
static bool take_same(const char *text, struct stock_step *st)
{
    for (uint32_t i = 0; i < st->item_count && text != NULL; i++) {
        struct stock_item *item = &st->items[i];
        unsigned node, slot;
        int used = 0;
        if (item->verdict != STOCK_DUPLICATE)
            continue;
        if (sscanf(text, "%5u %3u %20" SCNu64 " %20" SCNu64 "%n", &node, &slot, &item->order.number,
                   &item->order_pay_by_wall_ms, &used) != 4 ||
            node < 1 || node > NODE_MAX || slot > UINT8_MAX || item->order.number < 1 ||
            item->order.number > ORDER_NUMBER_MAX)
            return false;
        item->order.node = (uint16_t)node;
        item->order.slot = (uint8_t)slot;
        text += used + (text[used] == ' ' ? 1 : 0);
    }
    return text != NULL;
}

static bool add_key_hashes(const redisReply *reply, struct stock_step *st)
{
    const char *bytes = reply_text(reply, 13);
    if (bytes == NULL || !reply_number(reply, 12, INT64_MAX, &st->hashes_total))
        return false;
    size_t len = reply->element[13]->len;
    if (len % KEY_HASH_BYTES != 0 || len / KEY_HASH_BYTES > KEY_HASHES_MAX)
        return false;
    st->hash_count = (uint32_t)(len / KEY_HASH_BYTES);
    for (uint32_t i = 0; i < st->hash_count; i++) {
        st->key_hashes[i] = 0;
        for (int k = 0; k < KEY_HASH_BYTES; k++)
            st->key_hashes[i] |= (uint64_t)(unsigned char)bytes[i * KEY_HASH_BYTES + (uint32_t)k]
                                 << (8 * k);
    }
    return true;
}

/* "id:epoch:gone:silent:ready ..." */
static bool take_nodes(const char *text, struct stock_step *st)
{
    st->node_count = 0;
    while (text != NULL && *text != '\0') {
        struct stock_node *n = &st->nodes[st->node_count];
        unsigned id, silent, ready;
        int used = 0;
        if (st->node_count == NODES_MAX ||
            sscanf(text, "%5u:%20" SCNu64 ":%10" SCNu32 ":%1u:%1u%n", &id, &n->epoch, &n->gone,
                   &silent, &ready, &used) != 5 ||
            id < 1 || id > NODE_MAX)
            return false;
        n->id = (uint16_t)id;
        n->silent = silent == 1;
        n->ready = ready == 1;
        st->node_count++;
        text += used + (text[used] == ' ' ? 1 : 0);
    }
    return text != NULL;
}

static bool take_step(const redisReply *reply, void *into)
{
    struct stock_step *st = into;
    struct stock_figures *g = &st->figures;
    uint32_t ours;
    uint64_t repair, ready;
    if (!take_verdicts(reply, st) || !reply_state(reply, 2, &g->state) ||
        !reply_u32(reply, 3, &g->version) || !reply_u32(reply, 4, &g->total) ||
        !reply_u32(reply, 5, &g->gone) || !reply_u32(reply, 6, &ours) ||
        !reply_number(reply, 7, 1, &repair) || !reply_number(reply, 8, 1, &ready) ||
        !reply_number(reply, 9, INT64_MAX, &g->revision) ||
        !take_nodes(reply_text(reply, 10), st) || !take_same(reply_text(reply, 11), st) ||
        !add_key_hashes(reply, st) || !reply_origin(reply_text(reply, 14), &st->origin) ||
        !reply_number(reply, 15, INT64_MAX, &g->repair_since_ms))
        return false;
    g->foreign = g->gone > ours ? g->gone - ours : 0;
    g->repair = repair == 1;
    g->ready = ready == 1;
    return true;
}

enum stock_result redis_step(struct stock *s, struct stock_step *st, struct fault *f)
{
    add_step(redis_of(s), st);
    return redis_finish_script(redis_of(s), SCRIPT_STEP, take_step, st, f);
}
