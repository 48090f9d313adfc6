/*
 * A hash table with chains. Entries are numbered: the number of a name's entry is its slot. Free
 * entries below `high_water` form a list; those from there on have never been used.
 *
 *     entries  0 ............ high_water ............ capacity
 *              used, or free   never touched
 *
 * A bucket and a `next` of a used entry hold a slot plus one, so that memory of the arena, which is
 * zero, is an empty table, and the kernel gives a page only when the first name needs it.
 */
#include "storage/stock/name_table.h"

#include <sodium.h>
#include <string.h>

#include "conf/base/check.h"
#include "conf/base/limits.h"

#define HASH_BYTES crypto_shorthash_siphashx24_BYTES

struct name_entry {
    uint8_t hash[HASH_BYTES];
    uint32_t next; /* used: of the bucket, plus one, 0 for the last; free: the next free slot */
};

struct name_table {
    struct name_entry *entries;
    uint32_t *buckets, mask;
    uint32_t capacity, high_water;
    uint32_t free; /* the first free slot below high_water, or NAME_TABLE_NONE */
    uint32_t used;
    size_t entries_pool, buckets_pool;
    uint8_t secret[crypto_shorthash_siphashx24_KEYBYTES];
};

_Static_assert(HASH_BYTES == 16, "names are compared by 128 bits");

struct name_table *name_table_plan(enum name_table_id id, struct arena *a, const char *pool,
                                   uint32_t capacity)
{
    static struct name_table tables[NAME_TABLES];
    struct name_table *t = &tables[id];
    uint32_t buckets = 1;
    ASSERT(id < NAME_TABLES && capacity < NAME_TABLE_NONE);
    while (buckets < capacity && buckets < UINT32_C(1) << 31)
        buckets *= 2;
    *t = (struct name_table){.capacity = capacity, .mask = buckets - 1};
    t->entries_pool = arena_plan(a, pool, capacity, sizeof(struct name_entry));
    t->buckets_pool = arena_plan(a, pool, buckets, sizeof(uint32_t));
    return t;
}

void name_table_init(struct name_table *t, const struct arena *a)
{
    ASSERT(t->used == 0);
    t->entries = arena_block(a, t->entries_pool);
    t->buckets = arena_block(a, t->buckets_pool);
    t->free = NAME_TABLE_NONE;
    randombytes_buf(t->secret, sizeof t->secret);
}

static void hash_of(const struct name_table *t, uint32_t event, const char *name, size_t len,
                    uint8_t out[HASH_BYTES])
{
    unsigned char text[1 + PARAM_MAX];
    ASSERT(len > 0 && len <= PARAM_MAX && event < EVENTS_MAX);
    text[0] = (unsigned char)event;
    memcpy(text + 1, name, len);
    crypto_shorthash_siphashx24(out, text, len + 1, t->secret);
}

static uint32_t *bucket_of(const struct name_table *t, const uint8_t hash[HASH_BYTES])
{
    uint32_t bits;
    memcpy(&bits, hash, sizeof bits);
    return &t->buckets[bits & t->mask];
}

uint32_t name_table_find(const struct name_table *t, uint32_t event, const char *name, size_t len)
{
    uint8_t hash[HASH_BYTES];
    hash_of(t, event, name, len, hash);
    uint32_t at = *bucket_of(t, hash);
    while (at != 0 && memcmp(t->entries[at - 1].hash, hash, sizeof hash) != 0)
        at = t->entries[at - 1].next;
    ASSERT(at <= t->high_water);
    return at != 0 ? at - 1 : NAME_TABLE_NONE;
}

static uint32_t take_slot(struct name_table *t)
{
    if (t->free != NAME_TABLE_NONE) {
        uint32_t slot = t->free;
        ASSERT(slot < t->high_water);
        t->free = t->entries[slot].next;
        return slot;
    }
    return t->high_water < t->capacity ? t->high_water++ : NAME_TABLE_NONE;
}

uint32_t name_table_add(struct name_table *t, uint32_t event, const char *name, size_t len)
{
    uint32_t slot = take_slot(t);
    if (slot == NAME_TABLE_NONE)
        return NAME_TABLE_NONE;
    struct name_entry *e = &t->entries[slot];
    hash_of(t, event, name, len, e->hash);
    uint32_t *bucket = bucket_of(t, e->hash);
    e->next = *bucket;
    *bucket = slot + 1;
    t->used++;
    ASSERT(t->used <= t->high_water);
    return slot;
}

void name_table_remove(struct name_table *t, uint32_t slot)
{
    ASSERT(slot < t->high_water && t->used > 0);
    uint32_t *link = bucket_of(t, t->entries[slot].hash);
    while (*link != slot + 1) {
        ASSERT(*link != 0); /* the slot is in use, so its bucket has it */
        link = &t->entries[*link - 1].next;
    }
    *link = t->entries[slot].next;
    t->entries[slot].next = t->free;
    t->free = slot;
    t->used--;
}

uint32_t name_table_used(const struct name_table *t)
{
    return t->used;
}

uint32_t name_table_capacity(const struct name_table *t)
{
    return t->capacity;
}
