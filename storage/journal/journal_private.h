/*
 * inside: what journal.c and the files beside it share. Not for other rooms.
 */
#ifndef SPIKE_JOURNAL_PRIVATE_H
#define SPIKE_JOURNAL_PRIVATE_H

#include <lmdb.h>

#include "storage/journal/catalog.h"
#include "storage/journal/journal.h"
#include "storage/journal/verify.h"

#define WALK_CHUNK  64 /* records that journal_walk reads at a time */
#define READERS_MAX 64 /* spike-log processes at one time, and ourselves */

/* Cursors that stay at the ends of an event's two databases. */
struct append_cursors {
    MDB_cursor *records, *index;
};

struct event {
    const char *name;
    uint8_t slot;
    struct dbis dbis;
    MDB_cursor *cursor;           /* over the records, of the reading transaction */
    struct append_cursors append; /* of the writing transaction, from the event's first append on */
    bool is_new;                  /* its databases are not there yet: see journal_begin */
    uint64_t end, committed;      /* seq */
    uint64_t leaves;              /* of the index, as of the last commit */
    uint32_t crc;                 /* of the record at `end` */
};

struct journal {
    MDB_env *env;
    MDB_txn *writer;   /* from the first append to the commit, else NULL */
    MDB_txn *reader;   /* reset between calls */
    int lock;          /* -1: none, so read-only */
    uint64_t mended;   /* number of the commit that was finished when it was opened, or 0 */
    bool begun;        /* may be written to */
    uint64_t appended; /* records since the last commit */
    uint64_t commits;
    int failed;    /* LMDB's code of the first failure since then */
    bool poisoned; /* a commit has failed, and `why` says how */
    struct fault why;
    uint64_t page_size, map_pages, used_pages;
    uint64_t ready_pages; /* whose blocks are there already, counted from the file's begin; or 0 */
    uint64_t disk_pages;  /* what the disk had for us at the last commit */
    uint32_t event_count;
    struct event events[JOURNAL_SLOTS_MAX];
    struct catalog catalog;
    struct journal_options options;
    char dir[PATH_TEXT_MAX];
    struct record chunk[WALK_CHUNK];
};

/* What a commit leaves behind can be used by the second one after it. */
#define COMMITS_AT_ONCE 3

/* Pages that commits need to work in, whatever they hold, with so many events whose indexes have so
 * many leaves together. */
uint64_t journal_reserve_pages(const struct journal *j, uint32_t events, uint64_t leaves);
uint64_t journal_index_leaves(const struct journal *j);
/* How many leaves an index may have in so many pages: its entry takes 34 bytes, the record of its
 * grant 82 at least. */
static inline uint64_t journal_index_leaves_max(uint64_t pages)
{
    return pages / 3;
}

/* Pages in which so many records fit, all with names, each with an entry of the index whose leaf is
 * needed so many times. */
uint64_t journal_pages(const struct journal *j, uint64_t records, uint64_t times);
/* Leaves of an index of so many orders. */
uint64_t journal_leaves(const struct journal *j, uint64_t orders);
/* Learns how much of the file has its blocks already. */
MUST_CHECK bool journal_find_ready(struct journal *j, struct fault *f);
/* Makes the file as long as the orders to come need. False: nothing has been sold yet, and the disk
 * has no room for it. */
MUST_CHECK bool journal_preallocate(struct journal *j, struct fault *f);

/* Finishes a commit: from then on it is the newest one. */
MUST_CHECK bool journal_mend(const char *dir, const struct leftover *l, struct fault *f);

/* Looks how large the map is and what of it is used. */
void journal_measure(struct journal *j);
/* Sets the event's end and chain from its last record, as the transaction sees it. */
MUST_CHECK int journal_find_end(MDB_txn *txn, struct event *e);
/* Looks how many leaves the event's index has. */
MUST_CHECK int journal_count_leaves(MDB_txn *txn, struct event *e);

#endif
