#include "storage/log/key_index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/base/key_hash.h"

#define KEYS_FIRST 4096
#define VALUE_TEXT 128 /* the value of a key in Redis: an order, two numbers, a buyer */

struct key_index {
    struct key *at;
    uint64_t count, max;
    bool is_sorted;
};

struct key_index *key_index_create(void)
{
    return calloc(1, sizeof(struct key_index));
}

void key_index_destroy(struct key_index *k)
{
    if (k != NULL)
        free(k->at);
    free(k);
}

uint64_t key_index_value(const char *text, size_t len)
{
    return name_hash_64(text, len);
}

/* As step.lua writes it: '0001-000000000007:2:1764554400000:alice'. */
static uint64_t value_of(const struct record *r, uint16_t node, uint8_t slot)
{
    char text[VALUE_TEXT];
    int len = snprintf(text, sizeof text, "%04x-%02x%010" PRIx64 ":%" PRIu32 ":%" PRIu64 ":%.*s",
                       (unsigned)node, (unsigned)slot, r->number, r->n, r->pay_by_wall_ms,
                       (int)r->buyer_len, r->buyer);
    ASSERT(len > 0 && (size_t)len < sizeof text);
    return key_index_value(text, (size_t)len);
}

static bool grow(struct key_index *k)
{
    uint64_t max = k->max > 0 ? 2 * k->max : KEYS_FIRST;
    struct key *at = realloc(k->at, max * sizeof *at);
    if (at == NULL)
        return false;
    k->at = at;
    k->max = max;
    return true;
}

struct key *key_index_add(struct key_index *k, const struct record *grant, uint16_t node,
                          uint8_t slot)
{
    ASSERT(grant->kind == RECORD_GRANT && grant->key_len > 0 && k->count <= k->max);
    if (k->count == k->max && !grow(k))
        return NULL;
    struct key *key = &k->at[k->count++];
    *key = (struct key){.value = value_of(grant, node, slot),
                        .key_hash = key_hash(grant->key, grant->key_len),
                        .number = grant->number,
                        .node = node,
                        .slot = slot};
    name_hash(key->hash, grant->key, grant->key_len);
    k->is_sorted = false;
    return key;
}

uint64_t key_index_count(const struct key_index *k)
{
    return k->count;
}

struct key *key_index_at(const struct key_index *k, uint64_t i)
{
    ASSERT(i < k->count);
    return &k->at[i];
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *left = a, *right = b;
    return memcmp(left->hash, right->hash, sizeof left->hash);
}

uint64_t key_index_sort(struct key_index *k, const struct key **duplicate)
{
    uint64_t duplicates = 0;
    if (k->count > 1)
        qsort(k->at, k->count, sizeof *k->at, compare_keys);
    k->is_sorted = true;
    for (uint64_t i = 1; i < k->count; i++) {
        if (compare_keys(&k->at[i - 1], &k->at[i]) != 0)
            continue;
        if (i < 2 || compare_keys(&k->at[i - 2], &k->at[i]) != 0)
            duplicates++;
        *duplicate = &k->at[i];
    }
    return duplicates;
}

struct key *key_index_find(const struct key_index *k, const char *name, size_t len, uint64_t *count)
{
    struct key wanted = {0};
    ASSERT(k->is_sorted || k->count == 0);
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
