/*
 * key_index: the keys of an event over all its journals, and the order that each names. Keys come
 * from buyers and may be many: each is kept as a hash (name_hash.h).
 *
 * Owner: one thread. Allocates: 56 bytes for each key.
 */
#ifndef SPIKE_LOG_KEY_INDEX_H
#define SPIKE_LOG_KEY_INDEX_H

#include "conf/base/check.h"
#include "storage/journal/record.h"
#include "storage/log/name_hash.h"

/* A key and the order that it names. */
struct key {
    uint8_t hash[NAME_HASH];
    uint64_t value;    /* key_index_value() of its value in Redis, but for live or ended */
    uint64_t key_hash; /* as in the filter of granted keys */
    uint64_t number;
    uint16_t node;
    uint8_t slot;
    bool settled;           /* Redis has settled the grant */
    bool live;              /* the order is held or sold */
    bool found, found_live; /* Redis has the key, and has it as live */
};

struct key_index;

/* NULL: no memory. */
MUST_CHECK struct key_index *key_index_create(void);
void key_index_destroy(struct key_index *k);

/* Appends the key of a grant. NULL: no memory. */
struct key *key_index_add(struct key_index *k, const struct record *grant, uint16_t node,
                          uint8_t slot);
uint64_t key_index_count(const struct key_index *k);
struct key *key_index_at(const struct key_index *k, uint64_t i);
/* Sorts the keys; returns how many name more than one order, and one of these in *duplicate. */
uint64_t key_index_sort(struct key_index *k, const struct key **duplicate);
/* The first key of that name, or NULL; *count: how many follow each other from there. The index
 * must be sorted. */
struct key *key_index_find(const struct key_index *k, const char *name, size_t len,
                           uint64_t *count);
/* A key's value in Redis, without its first letter, as a number to compare. */
uint64_t key_index_value(const char *text, size_t len);

#endif
