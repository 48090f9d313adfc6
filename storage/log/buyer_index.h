/*
 * buyer_index: the tickets of each buyer of an event, in one journal and over all. Buyers are kept
 * as hashes (name_hash.h).
 *
 * Owner: one thread. Allocates: up to 128 bytes for each buyer.
 */
#ifndef SPIKE_LOG_BUYER_INDEX_H
#define SPIKE_LOG_BUYER_INDEX_H

#include "conf/base/check.h"
#include "storage/journal/record.h"

/* Where a journal gave a buyer more tickets than the limit. */
struct buyer_excess {
    uint64_t times;
    uint64_t seq; /* of the first of these records */
    uint32_t n;   /* tickets that the buyer had then */
};

struct buyer_index;

/* NULL: no memory. */
MUST_CHECK struct buyer_index *buyer_index_create(void);
void buyer_index_destroy(struct buyer_index *b);

/* Goes on to the next journal, in which `limit` holds (0: none). */
void buyer_index_begin(struct buyer_index *b, uint32_t limit);
/* False: no memory. */
MUST_CHECK bool buyer_index_fold(struct buyer_index *b, const struct record *r);
/* In the journal that was begun last. */
struct buyer_excess buyer_index_excess(const struct buyer_index *b);

uint64_t buyer_index_count(const struct buyer_index *b);
/* How many buyers have more than `limit` tickets over all journals; *most: the most that one has.
 */
uint64_t buyer_index_above(const struct buyer_index *b, uint32_t limit, uint64_t *most);

/* Notes that Redis has the buyer. False: no journal has it, or it has another number of tickets. */
bool buyer_index_confirm(struct buyer_index *b, const char *name, size_t len, uint64_t tickets);
/* How many buyers have tickets, and how many of these were not confirmed. */
uint64_t buyer_index_live(const struct buyer_index *b, uint64_t *unconfirmed);

#endif
