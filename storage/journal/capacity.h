/*
 * capacity: how large the map is, what of it is used, and how many records still fit.
 *
 * All sizes are in pages unless a name says otherwise. It reads figures of LMDB and of the file
 * system, and changes nothing.
 *
 * Owner: the journal's owner. Only for the files of storage/journal: it speaks LMDB.
 */
#ifndef SPIKE_CAPACITY_H
#define SPIKE_CAPACITY_H

#include <lmdb.h>
#include <stdint.h>

#include "conf/base/check.h"

/* LMDB uses the pages that a commit has freed again from the second commit after it on. So the
 * pages of this many commits are taken at the same time. */
#define COMMITS_AT_ONCE 3

struct capacity;

/* Measured once. NULL: no memory. */
MUST_CHECK struct capacity *capacity_new(MDB_env *env, uint64_t page_size);
/* NULL: nothing to do. */
void capacity_free(struct capacity *c);
/* Reads all figures again: after each commit, and whenever the map's size was set. */
void capacity_measure(struct capacity *c);
/* The first `bytes` of the file have their blocks on the disk. */
void capacity_set_allocated(struct capacity *c, uint64_t bytes);

/* Bytes of a page. */
uint64_t capacity_page_size(const struct capacity *c);
uint64_t capacity_map_pages(const struct capacity *c);
uint64_t capacity_used_pages(const struct capacity *c);

/* Pages that commits need to work in, whatever they hold, with so many events whose indexes have
 * `leaves` together. */
uint64_t capacity_reserve(const struct capacity *c, uint32_t events, uint64_t leaves);
/* An upper bound of the leaves that an index has in so many pages: an entry takes 34 bytes, the
 * record of its grant at least 82. */
uint64_t capacity_index_leaves_max(uint64_t pages);
/* Leaves of an index of so many orders. */
uint64_t capacity_index_leaves(const struct capacity *c, uint64_t orders);
/* Pages that hold so many records, all with names, each with an entry of the index whose leaf is
 * written `copies` times. */
uint64_t capacity_pages(const struct capacity *c, uint64_t records, uint64_t copies);
/* Records of RECORD_BYTES_MAX that surely fit beside that reserve. */
uint64_t capacity_records(const struct capacity *c, uint32_t events, uint64_t leaves);

#endif
