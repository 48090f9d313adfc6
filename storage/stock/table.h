/*
 * table: names (keys, buyers) to places, of fixed size, for the standalone stock. A name is kept as
 * its 128-bit SipHash under a secret of this process: what buyers choose cannot be made to collide,
 * and an entry has one size. What belongs to a place is the caller's, in an array of its own.
 *
 * Owner: the ledger thread.
 */
#ifndef SPIKE_TABLE_H
#define SPIKE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/arena.h"

#define TABLE_NONE UINT32_MAX

struct table_entry {
    uint8_t hash[16];
    uint32_t next; /* in the bucket; of the free ones when free */
};

struct table {
    struct table_entry *entries;
    uint32_t *buckets, mask;
    uint32_t capacity, fresh, free; /* places 0 .. fresh - 1 have been used */
    uint32_t used;                  /* names that are there */
    size_t entries_pool, buckets_pool;
    uint8_t secret[16];
};

void table_plan(struct table *t, struct arena *a, const char *pool, uint32_t capacity);
void table_init(struct table *t, const struct arena *a);
/* The place of a name of an event, 0 .. capacity - 1; TABLE_NONE: not there. */
uint32_t table_find(const struct table *t, uint32_t event, const char *name, size_t len);
/* A place for a name that is not there; TABLE_NONE: full. */
uint32_t table_add(struct table *t, uint32_t event, const char *name, size_t len);
void table_remove(struct table *t, uint32_t place);

#endif
