/*
 * The form of the two arguments, as Lua's struct.unpack() reads it: little-endian integers, and
 * texts behind their length in a byte. Changes and items that are alike form runs; step.lua has
 * their layout, and what the letters mean.
 *
 *     bytes  [ run run run ... | run run ... ]
 *              changes           items from items_at on
 */
#include "storage/stock/redis_pack.h"

#include <string.h>

#include "conf/base/key_hash.h"

#define DIGITS_MAX 20 /* of a 64-bit number */

/* The most that a change or an item takes, in a run of its own. */
#define NAMES_BYTES  (4 + PARAM_MAX + KEY_HASH_BYTES + PARAM_MAX) /* buyer, key hash, key */
#define ITEM_BYTES   (1 + 2 + 1 + DIGITS_MAX + NAMES_BYTES)
#define RUN_BYTES    (1 + 2 + 4 + 4 + 8 + 8 + 1 + DIGITS_MAX)
#define CHANGE_BYTES (RUN_BYTES + ORDERID_TEXT + 3 * (1 + DIGITS_MAX) + NAMES_BYTES)

struct redis_pack {
    unsigned char *bytes;
    uint32_t len, max;
    uint32_t items_at;
    size_t pool;
};

/* By enum stock_change_kind and by enum stock_item_kind. */
static const char change_letters[] = {'H', 'S', 'p', 'c', 'x', 'u', 'L'};
static const char item_letters[] = {'b', 'p', 'l'};

_Static_assert(sizeof change_letters == STOCK_PAID_LATE + 1, "a letter for each kind of change");
_Static_assert(sizeof item_letters == STOCK_LATE + 1, "a letter for each kind of item");

struct redis_pack *redis_pack_plan(struct arena *a)
{
    static struct redis_pack pack;
    pack = (struct redis_pack){.max = SETTLE_MAX * CHANGE_BYTES + BATCH_MAX * ITEM_BYTES};
    pack.pool = arena_plan(a, "redis arguments", pack.max, 1);
    return &pack;
}

void redis_pack_init(struct redis_pack *p, const struct arena *a)
{
    ASSERT(p->max > 0);
    p->bytes = arena_block(a, p->pool);
}

/* ---- fields --------------------------------------------------------------------------------- */

static unsigned char *reserve(struct redis_pack *p, uint32_t bytes)
{
    ASSERT(bytes <= p->max - p->len);
    unsigned char *at = p->bytes + p->len;
    p->len += bytes;
    return at;
}

/* 'c1' */
static void pack_letter(struct redis_pack *p, char letter)
{
    *reserve(p, 1) = (unsigned char)letter;
}

static void put_integer(unsigned char *at, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

/* 'I1' to 'I8' */
static void pack_integer(struct redis_pack *p, uint64_t value, uint32_t bytes)
{
    put_integer(reserve(p, bytes), value, bytes);
}

/* Sets an integer that was packed before its value was known. */
static void set_integer(struct redis_pack *p, uint32_t at, uint64_t value, uint32_t bytes)
{
    ASSERT(at + bytes <= p->len && (bytes == 8 || value >> (8 * bytes) == 0));
    put_integer(p->bytes + at, value, bytes);
}

/* 'cN' */
static void pack_bytes(struct redis_pack *p, const void *bytes, uint32_t len)
{
    memcpy(reserve(p, len), bytes, len);
}

/* 'Bc0' */
static void pack_text(struct redis_pack *p, const void *text, uint8_t len)
{
    pack_integer(p, len, 1);
    pack_bytes(p, text, len);
}

/* 'Bc0': in decimal digits. */
static void pack_digits(struct redis_pack *p, uint64_t number)
{
    char digits[DIGITS_MAX];
    uint32_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    pack_text(p, digits + at, (uint8_t)(sizeof digits - at));
}

/* ---- changes -------------------------------------------------------------------------------- */

/* The rest of an order: nothing, or its pay_by, key hash and key. */
static void pack_rest(struct redis_pack *p, const struct stock_change *c)
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
    set_integer(p, len_at, p->len - len_at - 1, 1);
}

static void pack_order(struct redis_pack *p, const struct stock_change *c)
{
    ASSERT(c->buyer_len <= PARAM_MAX && c->key_len <= PARAM_MAX);
    pack_bytes(p, c->order, ORDERID_TEXT);
    pack_digits(p, c->seq);
    pack_digits(p, c->n);
    pack_text(p, c->buyer, c->buyer_len);
    pack_rest(p, c);
}

/* Can the change be in one run with the one before it? */
static bool continues_run(const struct stock_change *c, const struct stock_change *before)
{
    return c->kind == before->kind && c->time_wall_ms == before->time_wall_ms &&
           c->seq == before->seq + 1 &&
           (c->number == 0 ? before->number == 0 : c->number == before->number + 1);
}

/* Packs one run, of at most `max` changes, and returns how many it holds. */
static uint32_t pack_change_run(struct redis_pack *p, const struct stock_change *c, uint32_t max)
{
    uint32_t count = 0, tickets = 0;
    ASSERT(max > 0 && c->kind <= STOCK_PAID_LATE);
    do
        tickets += c[count++].n;
    while (count < max && continues_run(&c[count], &c[count - 1]));
    pack_letter(p, change_letters[c->kind]);
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
    set_integer(p, bytes_at, p->len - orders_at, 4);
    return count;
}

/* ---- items ---------------------------------------------------------------------------------- */

static bool is_anonymous(const struct stock_item *item)
{
    return item->buyer_len == 0 && item->key_len == 0;
}

static bool is_alike(const struct stock_item *a, const struct stock_item *b)
{
    return is_anonymous(a) && is_anonymous(b) && a->kind == b->kind && a->n == b->n;
}

/* Packs one run, of at most `max` items, and returns how many it holds. */
static uint32_t pack_item_run(struct redis_pack *p, const struct stock_item *item, uint32_t max)
{
    uint32_t count = 1;
    ASSERT(max > 0 && item->kind <= STOCK_LATE);
    ASSERT(item->buyer_len <= PARAM_MAX && item->key_len <= PARAM_MAX);
    while (count < max && is_alike(item, &item[count]))
        count++;
    pack_letter(p, item_letters[item->kind]);
    pack_integer(p, count, 2);
    pack_digits(p, item->n);
    pack_text(p, item->buyer, item->buyer_len);
    pack_integer(p, item->key_len > 0 ? KEY_HASH_BYTES : 0, 1);
    if (item->key_len > 0)
        pack_integer(p, key_hash(item->key, item->key_len), KEY_HASH_BYTES);
    pack_text(p, item->key, item->key_len);
    return count;
}

void redis_pack_step(struct redis_pack *p, const struct stock_step *st)
{
    ASSERT(st->change_count <= SETTLE_MAX && st->item_count <= BATCH_MAX);
    p->len = 0;
    for (uint32_t i = 0; i < st->change_count;)
        i += pack_change_run(p, &st->changes[i], st->change_count - i);
    p->items_at = p->len;
    for (uint32_t i = 0; i < st->item_count;)
        i += pack_item_run(p, &st->items[i], st->item_count - i);
}

const char *redis_pack_changes(const struct redis_pack *p, size_t *len)
{
    *len = p->items_at;
    return (const char *)p->bytes;
}

const char *redis_pack_items(const struct redis_pack *p, size_t *len)
{
    ASSERT(p->items_at <= p->len);
    *len = p->len - p->items_at;
    return (const char *)p->bytes + p->items_at;
}
