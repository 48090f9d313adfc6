/*
 * One array; a hold is named by its slot in it, counted from 1, so that zeroed memory means "none"
 * everywhere: neither start nor an idle event touches what is behind it. Numbers are dense (one
 * rising counter), so their low bits spread them over the buckets as evenly as can be.
 *
 * Order of effects: none to the outside. If it dies here: the holds are made again from the
 * journal.
 */
#include "server/ledger/hold_queue.h"

#define NONE 0u

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;
    while (p < n)
        p <<= 1;
    return p;
}

void hold_queue_plan(struct hold_queue *h, struct arena *a, uint32_t capacity)
{
    ASSERT(capacity <= UINT32_C(1) << 30);
    uint32_t buckets = power_of_two(capacity);
    h->capacity = capacity;
    h->mask = buckets - 1;
    h->all_pool = arena_plan(a, "holds", capacity, sizeof *h->all);
    h->buckets_pool = arena_plan(a, "hold buckets", buckets, sizeof *h->buckets);
}

void hold_queue_init(struct hold_queue *h, const struct arena *a)
{
    h->all = arena_block(a, h->all_pool);
    h->buckets = arena_block(a, h->buckets_pool);
    h->first = h->last = h->joined = NONE;
    h->free = NONE;
    h->high_water = 0;
    h->count = 0;
}

static struct hold *at(const struct hold_queue *h, uint32_t slot)
{
    return &h->all[slot - 1];
}

/* Where the slot of this number is written, or would be: NONE stands there. */
static uint32_t *find(const struct hold_queue *h, uint64_t number)
{
    uint32_t *link = &h->buckets[number & h->mask];
    while (*link != NONE && at(h, *link)->number != number)
        link = &at(h, *link)->chain;
    return link;
}

static uint32_t take_slot(struct hold_queue *h)
{
    uint32_t slot = h->free;
    if (slot == NONE)
        return ++h->high_water;
    h->free = at(h, slot)->chain;
    return slot;
}

/* The hold after which one that ends at this time belongs: after all that end no later. The search
 * goes out from where the last one went in. */
static uint32_t behind(const struct hold_queue *h, uint64_t pay_by_wall_ms)
{
    uint32_t slot = h->joined;
    while (slot != NONE && at(h, slot)->pay_by_wall_ms > pay_by_wall_ms)
        slot = at(h, slot)->prev;
    uint32_t next = slot == NONE ? h->first : at(h, slot)->next;
    while (next != NONE && at(h, next)->pay_by_wall_ms <= pay_by_wall_ms) {
        slot = next;
        next = at(h, slot)->next;
    }
    return slot;
}

/* The member that names `slot` from the side of the one before it, and of the one behind it. */
static uint32_t *link_from_prev(struct hold_queue *h, uint32_t prev)
{
    return prev == NONE ? &h->first : &at(h, prev)->next;
}

static uint32_t *link_from_next(struct hold_queue *h, uint32_t next)
{
    return next == NONE ? &h->last : &at(h, next)->prev;
}

bool hold_queue_add(struct hold_queue *h, uint64_t number, uint64_t pay_by_wall_ms)
{
    if (h->count == h->capacity)
        return false;
    uint32_t *bucket = find(h, number);
    ASSERT(*bucket == NONE);
    uint32_t prev = behind(h, pay_by_wall_ms), next = *link_from_prev(h, prev);
    uint32_t slot = take_slot(h);
    *at(h, slot) = (struct hold){number, pay_by_wall_ms, prev, next, NONE};
    *bucket = *link_from_prev(h, prev) = *link_from_next(h, next) = slot;
    h->joined = slot;
    h->count++;
    return true;
}

void hold_queue_remove(struct hold_queue *h, uint64_t number)
{
    ASSERT(h->count > 0);
    uint32_t *bucket = find(h, number);
    uint32_t slot = *bucket;
    ASSERT(slot != NONE);
    struct hold *hold = at(h, slot);
    *bucket = hold->chain;
    *link_from_prev(h, hold->prev) = hold->next;
    *link_from_next(h, hold->next) = hold->prev;
    if (h->joined == slot)
        h->joined = hold->prev; /* NONE: it was the first, and the search begins there */
    hold->chain = h->free;
    h->free = slot;
    h->count--;
}

const struct hold *hold_queue_first(const struct hold_queue *h)
{
    return h->first == NONE ? NULL : at(h, h->first);
}
