/*
 * names: keys and buyers, which come from buyers and may be many: each is kept as a 128-bit hash
 * under a secret of this process. Pure, but for the memory that it takes.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "conf/base/key_hash.h"
#include "storage/log/inside.h"

#define KEYS_FIRST   4096
#define BUYERS_FIRST 4096 /* a power of two */
#define VALUE_TEXT   128  /* what Redis has for a key: an order, two numbers, a buyer */

static const unsigned char *hash_secret(void)
{
    static unsigned char secret[crypto_shorthash_siphashx24_KEYBYTES];
    static bool made;
    if (!made)
        randombytes_buf(secret, sizeof secret);
    made = true;
    return secret;
}

void name_hash(uint8_t out[NAME_HASH], const void *name, size_t len)
{
    _Static_assert(NAME_HASH == crypto_shorthash_siphashx24_BYTES, "128 bits");
    crypto_shorthash_siphashx24(out, name, len, hash_secret());
}

/* ---- keys ----------------------------------------------------------------------------------- */

uint64_t key_value(const char *text, size_t len)
{
    uint8_t hash[NAME_HASH];
    uint64_t value;
    name_hash(hash, text, len);
    memcpy(&value, hash, sizeof value);
    return value;
}

/* As step.lua writes it: '0001-000000000007:2:1764554400000:alice'. */
static uint64_t value_of(const struct record *r, uint16_t node, uint8_t slot)
{
    char text[VALUE_TEXT];
    int len = snprintf(text, sizeof text, "%04x-%02x%010" PRIx64 ":%" PRIu32 ":%" PRIu64 ":%.*s",
                       (unsigned)node, (unsigned)slot, r->number, r->n, r->pay_by_wall_ms,
                       (int)r->buyer_len, r->buyer);
    ASSERT(len > 0 && (size_t)len < sizeof text);
    return key_value(text, (size_t)len);
}

static bool keys_make_room(struct keys *k)
{
    uint64_t max = k->max > 0 ? 2 * k->max : KEYS_FIRST;
    struct key *at = realloc(k->at, max * sizeof *at);
    if (at == NULL)
        return false;
    k->at = at;
    k->max = max;
    return true;
}

struct key *keys_add(struct keys *k, const struct record *grant, uint16_t node, uint8_t slot)
{
    if (k->count == k->max && !keys_make_room(k))
        return NULL;
    struct key *key = &k->at[k->count++];
    *key = (struct key){.value = value_of(grant, node, slot),
                        .mark = key_hash(grant->key, grant->key_len),
                        .number = grant->number,
                        .node = node,
                        .slot = slot};
    name_hash(key->hash, grant->key, grant->key_len);
    return key;
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *left = a, *right = b;
    return memcmp(left->hash, right->hash, sizeof left->hash);
}

uint64_t keys_doubles(struct keys *k, const struct key **twice)
{
    uint64_t doubles = 0;
    if (k->count > 1)
        qsort(k->at, k->count, sizeof *k->at, compare_keys);
    for (uint64_t i = 1; i < k->count; i++) {
        if (compare_keys(&k->at[i - 1], &k->at[i]) != 0)
            continue;
        if (i < 2 || compare_keys(&k->at[i - 2], &k->at[i]) != 0)
            doubles++;
        *twice = &k->at[i];
    }
    return doubles;
}

struct key *keys_find(const struct keys *k, const char *name, size_t len, uint64_t *count)
{
    struct key wanted = {0};
    *count = 0;
    name_hash(wanted.hash, name, len);
    struct key *end = k->at + k->count;
    struct key *first =
        k->count > 0 ? bsearch(&wanted, k->at, k->count, sizeof wanted, compare_keys) : NULL;
    if (first == NULL)
        return NULL;
    while (first > k->at && compare_keys(first - 1, &wanted) == 0)
        first--;
    while (first + *count < end && compare_keys(first + *count, &wanted) == 0)
        ++*count;
    return first;
}

/* ---- buyers --------------------------------------------------------------------------------- */

/* Where the hash is, or the free place where it belongs. The table is never full. */
static struct buyer *place_of(const struct buyers *b, const uint8_t hash[NAME_HASH])
{
    uint64_t i;
    memcpy(&i, hash, sizeof i);
    for (i &= b->size - 1;; i = (i + 1) & (b->size - 1))
        if (!b->at[i].used || memcmp(b->at[i].hash, hash, NAME_HASH) == 0)
            return &b->at[i];
}

/* Keeps half of the table free. */
static bool buyers_make_room(struct buyers *b)
{
    struct buyers larger = *b;
    if (2 * (b->count + 1) <= b->size)
        return true;
    larger.size = b->size > 0 ? 2 * b->size : BUYERS_FIRST;
    larger.at = calloc(larger.size, sizeof *larger.at);
    if (larger.at == NULL)
        return false;
    for (uint64_t i = 0; i < b->size; i++)
        if (b->at[i].used)
            *place_of(&larger, b->at[i].hash) = b->at[i];
    free(b->at);
    *b = larger;
    return true;
}

void buyers_begin(struct buyers *b, uint32_t limit)
{
    b->limit = limit;
    b->above = (struct above){0};
    for (uint64_t i = 0; i < b->size; i++)
        b->at[i].here = 0;
}

static void take(struct buyers *b, struct buyer *buyer, const struct record *r)
{
    int32_t held, sold;
    node_totals_delta(r, &held, &sold);
    int32_t change = held + sold;
    buyer->tickets = (uint64_t)((int64_t)buyer->tickets + change);
    buyer->here = (uint32_t)((int64_t)buyer->here + change);
    if (change <= 0 || b->limit == 0 || buyer->here <= b->limit)
        return;
    if (b->above.times++ == 0) {
        b->above.seq = r->seq;
        b->above.n = buyer->here;
    }
}

bool buyers_fold(struct buyers *b, const struct record *r)
{
    uint8_t hash[NAME_HASH];
    if (!record_is_order(r) || r->buyer_len == 0)
        return true;
    if (!buyers_make_room(b))
        return false;
    name_hash(hash, r->buyer, r->buyer_len);
    struct buyer *buyer = place_of(b, hash);
    if (!buyer->used) {
        *buyer = (struct buyer){.used = true};
        memcpy(buyer->hash, hash, sizeof hash);
        b->count++;
    }
    take(b, buyer, r);
    return true;
}

struct buyer *buyers_find(const struct buyers *b, const char *name, size_t len)
{
    uint8_t hash[NAME_HASH];
    if (b->size == 0)
        return NULL;
    name_hash(hash, name, len);
    struct buyer *buyer = place_of(b, hash);
    return buyer->used ? buyer : NULL;
}

uint64_t buyers_above(const struct buyers *b, uint32_t limit, uint64_t *most)
{
    uint64_t above = 0;
    *most = 0;
    for (uint64_t i = 0; i < b->size; i++) {
        if (!b->at[i].used)
            continue;
        above += b->at[i].tickets > limit;
        *most = b->at[i].tickets > *most ? b->at[i].tickets : *most;
    }
    return above;
}
