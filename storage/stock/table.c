#include "storage/stock/table.h"

#include <sodium.h>
#include <string.h>

#include "conf/base/check.h"
#include "conf/base/limits.h"

_Static_assert(sizeof((struct table_entry){{0}, 0}.hash) == crypto_shorthash_siphashx24_BYTES,
               "128 bits");

void table_plan(struct table *t, struct arena *a, const char *pool, uint32_t capacity)
{
    uint32_t buckets = 1;
    while (buckets < capacity && buckets < UINT32_C(1) << 31)
        buckets *= 2;
    t->capacity = capacity;
    t->mask = buckets - 1;
    t->entries_pool = arena_plan(a, pool, capacity, sizeof(struct table_entry));
    t->buckets_pool = arena_plan(a, pool, buckets, sizeof(uint32_t));
}

/* A bucket holds a place plus one, so that memory of the arena, which is zero, is an empty table
 * and none of it is touched before its time. */
void table_init(struct table *t, const struct arena *a)
{
    t->entries = arena_block(a, t->entries_pool);
    t->buckets = arena_block(a, t->buckets_pool);
    t->fresh = t->used = 0;
    t->free = TABLE_NONE;
    randombytes_buf(t->secret, sizeof t->secret);
}

static void hash_of(const struct table *t, uint32_t event, const char *name, size_t len,
                    uint8_t out[16])
{
    unsigned char text[1 + PARAM_MAX];
    ASSERT(len > 0 && len <= PARAM_MAX && event < EVENTS_MAX);
    text[0] = (unsigned char)event;
    memcpy(text + 1, name, len);
    crypto_shorthash_siphashx24(out, text, len + 1, t->secret);
}

static uint32_t *bucket_of(const struct table *t, const uint8_t hash[16])
{
    uint32_t bits;
    memcpy(&bits, hash, sizeof bits);
    return &t->buckets[bits & t->mask];
}

uint32_t table_find(const struct table *t, uint32_t event, const char *name, size_t len)
{
    uint8_t hash[16];
    hash_of(t, event, name, len, hash);
    uint32_t at = *bucket_of(t, hash);
    while (at != 0 && memcmp(t->entries[at - 1].hash, hash, sizeof hash) != 0)
        at = t->entries[at - 1].next;
    return at != 0 ? at - 1 : TABLE_NONE;
}

static uint32_t take_place(struct table *t)
{
    if (t->free != TABLE_NONE) {
        uint32_t place = t->free;
        t->free = t->entries[place].next;
        return place;
    }
    return t->fresh < t->capacity ? t->fresh++ : TABLE_NONE;
}

uint32_t table_add(struct table *t, uint32_t event, const char *name, size_t len)
{
    uint32_t place = take_place(t);
    if (place == TABLE_NONE)
        return TABLE_NONE;
    struct table_entry *e = &t->entries[place];
    hash_of(t, event, name, len, e->hash);
    uint32_t *bucket = bucket_of(t, e->hash);
    e->next = *bucket;
    *bucket = place + 1;
    t->used++;
    return place;
}

void table_remove(struct table *t, uint32_t place)
{
    ASSERT(place < t->fresh);
    uint32_t *link = bucket_of(t, t->entries[place].hash);
    while (*link != place + 1) {
        ASSERT(*link != 0);
        link = &t->entries[*link - 1].next;
    }
    *link = t->entries[place].next;
    t->entries[place].next = t->free;
    t->free = place;
    t->used--;
}
