/*
 * A hash table with open addressing; half of it stays free.
 */
#include "storage/log/buyer_index.h"

#include <stdlib.h>
#include <string.h>

#include "storage/journal/node_totals.h"
#include "storage/log/name_hash.h"

#define BUYERS_FIRST 4096 /* a power of two */

struct buyer {
    uint8_t hash[NAME_HASH];
    uint64_t tickets; /* held and sold, in all journals */
    uint32_t here;    /* ... in the journal at hand */
    bool used;        /* the slot is in use */
    bool confirmed;   /* Redis has it */
};

struct buyer_index {
    struct buyer *at; /* a table of `size` slots, by hash */
    uint64_t count, size;
    uint32_t limit;             /* in the journal at hand */
    struct buyer_excess excess; /* the same */
};

struct buyer_index *buyer_index_create(void)
{
    return calloc(1, sizeof(struct buyer_index));
}

void buyer_index_destroy(struct buyer_index *b)
{
    if (b != NULL)
        free(b->at);
    free(b);
}

/* The slot that has the hash, or the free one where it belongs. */
static struct buyer *slot_of(const struct buyer_index *b, const uint8_t hash[NAME_HASH])
{
    uint64_t i;
    ASSERT(b->count < b->size); /* or the loop would not end */
    memcpy(&i, hash, sizeof i);
    for (i &= b->size - 1;; i = (i + 1) & (b->size - 1))
        if (!b->at[i].used || memcmp(b->at[i].hash, hash, NAME_HASH) == 0)
            return &b->at[i];
}

/* Ensures that half of the table is free after one more buyer. */
static bool reserve(struct buyer_index *b)
{
    struct buyer_index larger = *b;
    if (2 * (b->count + 1) <= b->size)
        return true;
    larger.size = b->size > 0 ? 2 * b->size : BUYERS_FIRST;
    larger.at = calloc(larger.size, sizeof *larger.at);
    if (larger.at == NULL)
        return false;
    for (uint64_t i = 0; i < b->size; i++)
        if (b->at[i].used)
            *slot_of(&larger, b->at[i].hash) = b->at[i];
    free(b->at);
    *b = larger;
    return true;
}

void buyer_index_begin(struct buyer_index *b, uint32_t limit)
{
    b->limit = limit;
    b->excess = (struct buyer_excess){0};
    for (uint64_t i = 0; i < b->size; i++)
        b->at[i].here = 0;
}

static void add_tickets(struct buyer_index *b, struct buyer *buyer, const struct record *r)
{
    int32_t held, sold;
    node_totals_delta(r, &held, &sold);
    int32_t change = held + sold;
    ASSERT(change >= 0 || buyer->here >= (uint32_t)-change); /* checked by audit_totals */
    buyer->tickets = (uint64_t)((int64_t)buyer->tickets + change);
    buyer->here = (uint32_t)((int64_t)buyer->here + change);
    if (change <= 0 || b->limit == 0 || buyer->here <= b->limit)
        return;
    if (b->excess.times++ == 0) {
        b->excess.seq = r->seq;
        b->excess.n = buyer->here;
    }
}

bool buyer_index_fold(struct buyer_index *b, const struct record *r)
{
    uint8_t hash[NAME_HASH];
    if (!record_is_order(r) || r->buyer_len == 0)
        return true;
    ASSERT(r->buyer_len <= PARAM_MAX);
    if (!reserve(b))
        return false;
    name_hash(hash, r->buyer, r->buyer_len);
    struct buyer *buyer = slot_of(b, hash);
    if (!buyer->used) {
        *buyer = (struct buyer){.used = true};
        memcpy(buyer->hash, hash, sizeof hash);
        b->count++;
    }
    add_tickets(b, buyer, r);
    return true;
}

struct buyer_excess buyer_index_excess(const struct buyer_index *b)
{
    return b->excess;
}

uint64_t buyer_index_count(const struct buyer_index *b)
{
    return b->count;
}

uint64_t buyer_index_above(const struct buyer_index *b, uint32_t limit, uint64_t *most)
{
    uint64_t above = 0;
    *most = 0;
    for (uint64_t i = 0; i < b->size; i++) {
        if (!b->at[i].used)
            continue;
        above += b->at[i].tickets > limit;
        *most = b->at[i].tickets > *most ? b->at[i].tickets : *most;
    }
    ASSERT(above <= b->count);
    return above;
}

bool buyer_index_confirm(struct buyer_index *b, const char *name, size_t len, uint64_t tickets)
{
    uint8_t hash[NAME_HASH];
    if (b->size == 0)
        return false;
    name_hash(hash, name, len);
    struct buyer *buyer = slot_of(b, hash);
    if (!buyer->used)
        return false;
    buyer->confirmed = true;
    return buyer->tickets == tickets;
}

uint64_t buyer_index_live(const struct buyer_index *b, uint64_t *unconfirmed)
{
    uint64_t live = 0;
    *unconfirmed = 0;
    for (uint64_t i = 0; i < b->size; i++) {
        const struct buyer *buyer = &b->at[i];
        bool is_live = buyer->used && buyer->tickets > 0;
        live += is_live;
        *unconfirmed += is_live && !buyer->confirmed;
    }
    ASSERT(*unconfirmed <= live && live <= b->count);
    return live;
}
