/*
 * stock_model: what a stock must hold, computed from the journals from their first record on, and a
 * check that Redis holds exactly that. It shares only the enums with the code under test.
 */
#ifndef SPIKE_STOCK_MODEL_H
#define SPIKE_STOCK_MODEL_H

#include <inttypes.h>
#include <stdlib.h>

#include "tests/lib/stock_book.h"

#define KEYS    40
#define NAMES   6 /* buyers */
#define BATCH   8
#define NO_NAME UINT32_MAX

static uint16_t node_count;
static char key_names[KEYS][16], buyer_names[NAMES][16];
/* What the last act of an operator has set. */
static uint32_t version, now_total;
static enum stock_state now_state;

/* What the stock holds for a node beyond its journal. */
static struct at_stake {
    bool attached;
    uint64_t last;                 /* the last number that the stock has deducted */
    struct stock_item lost[BATCH]; /* granted and never journaled: void at the next attach */
    uint32_t lost_count;
} stakes[BOOKS];

/* ---- the model: what the stock must hold ---------------------------------------------------- */

struct view {
    uint32_t gone;
    struct {
        uint32_t held, sold, waiting;
        uint64_t done;
    } nodes[BOOKS];
    uint32_t tickets[NAMES];
    struct view_key {
        uint16_t node; /* 0: no order has it */
        uint64_t number, due;
        uint32_t n, buyer;
        bool ended;
    } keys[KEYS];
};

static inline uint32_t key_of(const char *key, uint8_t len)
{
    return len > 0 ? (uint32_t)((key - key_names[0]) / (ptrdiff_t)sizeof key_names[0]) : NO_NAME;
}

static inline uint32_t buyer_of(const char *buyer, uint8_t len)
{
    return len > 0 ? (uint32_t)((buyer - buyer_names[0]) / (ptrdiff_t)sizeof buyer_names[0])
                   : NO_NAME;
}

static inline void view_tickets(struct view *v, uint32_t buyer, uint32_t more, uint32_t less)
{
    v->gone = v->gone + more - less;
    if (buyer != NO_NAME)
        v->tickets[buyer] = v->tickets[buyer] + more - less;
}

static inline void view_key(struct view *v, uint16_t node, uint64_t number, uint32_t n,
                            uint32_t buyer, uint32_t key, uint64_t due)
{
    if (key == NO_NAME)
        return;
    assert_int_equal(v->keys[key].node, 0); /* or the key has two orders */
    v->keys[key] = (struct view_key){
        .node = node, .number = number, .due = due, .n = n, .buyer = buyer, .ended = false};
}

static inline uint64_t order_number(const struct stock_change *c)
{
    struct orderid id;
    assert_true(orderid_parse(c->order, ORDERID_TEXT, &id));
    return id.number;
}

/* An order, or its tickets once more, is deducted. */
static inline void view_deduct(struct view *v, uint16_t node, const struct stock_change *c)
{
    uint32_t buyer = buyer_of(c->buyer, c->buyer_len);
    view_tickets(v, buyer, c->n, 0);
    if (c->kind != STOCK_PAID_LATE)
        view_key(v, node, c->number, c->n, buyer, key_of(c->key, c->key_len), c->pay_by_wall_ms);
}

static inline void view_settle(struct view *v, uint16_t node, const struct stock_change *c)
{
    uint32_t *held = &v->nodes[node].held, *sold = &v->nodes[node].sold;
    uint32_t key = key_of(c->key, c->key_len);
    bool ends = c->kind == STOCK_CANCELLED || c->kind == STOCK_EXPIRED || c->kind == STOCK_UNDONE;
    if (c->number > 0) {
        view_deduct(v, node, c);
        v->nodes[node].done = c->number;
        *(c->kind == STOCK_GRANTED_HELD ? held : sold) += c->n;
    } else {
        *(c->kind == STOCK_UNDONE ? sold : held) -= c->n;
        *sold += c->kind == STOCK_PAID ? c->n : 0;
    }
    if (ends)
        view_tickets(v, buyer_of(c->buyer, c->buyer_len), 0, c->n);
    if (key != NO_NAME && v->keys[key].node == node && v->keys[key].number == order_number(c))
        v->keys[key].ended = ends || (v->keys[key].ended && c->kind != STOCK_PAID_LATE);
}

/* All that the stock must hold when this node has settled up to record `to`. */
static inline struct view expected_view(uint16_t me, uint64_t to)
{
    struct view v = {.gone = 0};
    for (uint16_t node = 1; node <= node_count; node++) {
        const struct book *b = &books[node];
        const struct at_stake *s = &stakes[node];
        uint64_t pos = node == me ? to : b->pos;
        for (uint64_t i = 0; i < b->end; i++) {
            const struct stock_change *c = &b->journal[i];
            if (c->n > 0 && i < pos) {
                view_settle(&v, node, c);
            } else if (c->n > 0 && c->number > 0 && c->number <= s->last) {
                view_deduct(&v, node, c);
                v.nodes[node].waiting += c->n;
            }
        }
        for (uint32_t i = 0; i < s->lost_count; i++) {
            const struct stock_item *item = &s->lost[i];
            uint32_t buyer = buyer_of(item->buyer, item->buyer_len);
            view_tickets(&v, buyer, item->n, 0);
            view_key(&v, node, b->last + 1 + i, item->n, buyer, key_of(item->key, item->key_len),
                     pay_by);
            v.nodes[node].waiting += item->n;
        }
    }
    return v;
}

static inline enum stock_verdict decide_key(const struct view *v, uint16_t me,
                                            const struct view_key *k, const struct stock_item *item)
{
    if (k->n != item->n || k->buyer != buyer_of(item->buyer, item->buyer_len))
        return STOCK_KEY_MISMATCH;
    if (k->ended)
        return STOCK_ENDED;
    return k->node != me && k->number > v->nodes[k->node].done ? STOCK_BUSY : STOCK_DUPLICATE;
}

/* The verdict that an item must have; a grant changes the view. */
static inline enum stock_verdict decide(struct view *v, uint16_t me, uint64_t *last,
                                        const struct stock_item *item)
{
    uint32_t key = key_of(item->key, item->key_len);
    uint32_t buyer = buyer_of(item->buyer, item->buyer_len);
    if (key != NO_NAME && v->keys[key].node != 0)
        return decide_key(v, me, &v->keys[key], item);
    if (item->kind == STOCK_LOOKUP)
        return STOCK_NO_KEY;
    if (now_state != STOCK_OPEN)
        return now_state == STOCK_PAUSED ? STOCK_IS_PAUSED : STOCK_IS_CLOSED;
    if (limit > 0 && buyer != NO_NAME && v->tickets[buyer] + item->n > limit)
        return STOCK_LIMIT;
    if (v->gone + item->n > now_total)
        return STOCK_SOLD_OUT;
    ++*last;
    view_tickets(v, buyer, item->n, 0);
    view_key(v, me, *last, item->n, buyer, key, pay_by);
    v->nodes[me].waiting += item->n;
    return STOCK_YES;
}

/* ---- Redis holds exactly that --------------------------------------------------------------- */

static inline redisReply *fetch(const char *command)
{
    redisReply *reply = redisCommand(redis.c, command);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    return reply;
}

static inline void check_buyers(const struct view *v)
{
    redisReply *all = fetch("HGETALL " BUYERS);
    uint32_t count = 1; /* the name of the sale */
    for (uint32_t b = 0; b < NAMES; b++) {
        count += v->tickets[b] > 0;
        assert_int_equal(tickets_of(buyer_names[b]),
                         v->tickets[b] > 0 ? (int)v->tickets[b] : NO_FIELD);
    }
    assert_int_equal(all->elements, 2 * count);
    freeReplyObject(all);
}

static inline void check_key(const struct view_key *k, const char *text)
{
    char want_text[160];
    snprintf(want_text, sizeof want_text, "%c%04x-%02x%010" PRIx64 ":%u:%" PRIu64 ":%s",
             k->ended ? 'e' : 'l', (unsigned)k->node, SLOT, k->number, k->n, k->due,
             k->buyer != NO_NAME ? buyer_names[k->buyer] : "");
    assert_string_equal(text, want_text);
}

static inline void check_requests(const struct view *v)
{
    redisReply *all = fetch("HGETALL " REQUESTS);
    uint32_t count = 1;
    for (uint32_t k = 0; k < KEYS; k++)
        count += v->keys[k].node != 0;
    assert_int_equal(all->elements, 2 * count);
    for (size_t i = 0; i < all->elements; i += 2) {
        if (all->element[i]->len == 0)
            continue;
        uint32_t k = (uint32_t)atoi(all->element[i]->str + 4); /* "key:12" */
        assert_true(k < KEYS && v->keys[k].node != 0);
        check_key(&v->keys[k], all->element[i + 1]->str);
    }
    freeReplyObject(all);
}

static inline void check_redis(const struct view *v)
{
    assert_sums();
    assert_int_equal(field("ticket_sold_nums"), v->gone);
    assert_int_equal(field("ticket_total_nums"), now_total);
    for (uint16_t node = 1; node <= node_count; node++) {
        char name[32];
        snprintf(name, sizeof name, "%u:held", (unsigned)node);
        assert_int_equal(field(name), v->nodes[node].held);
        snprintf(name, sizeof name, "%u:sold", (unsigned)node);
        assert_int_equal(field(name), v->nodes[node].sold);
        snprintf(name, sizeof name, "%u:gone", (unsigned)node);
        assert_int_equal(field(name),
                         v->nodes[node].held + v->nodes[node].sold + v->nodes[node].waiting);
    }
    check_buyers(v);
    check_requests(v);
}

/* The key hashes that a node has read include every granted key, once it has read them all. */
static inline void check_key_hashes(const struct view *v)
{
    if (!book->hashes_known)
        return;
    for (uint32_t k = 0; k < KEYS; k++)
        if (v->keys[k].node != 0)
            assert_true(times_hashed(key_names[k]) >= 1);
}

/* The stream has every change once, and each node's in order. */
static inline void check_stream(void)
{
    uint64_t at[BOOKS] = {0};
    redisReply *all = fetch("XRANGE " ORDERS " - +");
    for (size_t i = 0; i < all->elements; i++) {
        const redisReply *fields = all->element[i]->element[1];
        uint16_t node = (uint16_t)atoi(fields->element[1]->str);
        assert_true(node >= 1 && node <= node_count);
        const struct book *b = &books[node];
        while (at[node] < b->end && b->journal[at[node]].n == 0)
            at[node]++;
        assert_true(at[node] < b->end);
        const struct stock_change *c = &b->journal[at[node]++];
        assert_int_equal(atoll(fields->element[3]->str), c->seq);
        assert_memory_equal(fields->element[5]->str, c->order, ORDERID_TEXT);
        assert_int_equal(atoi(fields->element[11]->str), c->n);
    }
    for (uint16_t node = 1; node <= node_count; node++) {
        for (; at[node] < books[node].end; at[node]++)
            assert_int_equal(books[node].journal[at[node]].n, 0);
    }
    freeReplyObject(all);
}

#endif
