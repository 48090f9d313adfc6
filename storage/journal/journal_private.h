/*
 * journal_private: what journal.c, journal_open.c and journal_preallocate.c share: the journal
 * itself and its events. Only for the files of storage/journal.
 */
#ifndef SPIKE_JOURNAL_PRIVATE_H
#define SPIKE_JOURNAL_PRIVATE_H

#include "storage/journal/capacity.h"
#include "storage/journal/journal.h"
#include "storage/journal/snapshot.h"
#include "storage/journal/verify.h"
#include "storage/journal/writer.h"

#define WALK_CHUNK  64 /* records that journal_walk() reads at a time */
#define READERS_MAX 64 /* spike-log processes at one time, and the server itself */

struct event {
    const char *name;
    uint8_t slot;
    struct dbis dbis;
    bool is_new;             /* its databases do not exist yet: see journal_begin() */
    uint64_t end, committed; /* seq */
    uint64_t leaves;         /* of the index, as of the last commit */
    uint32_t crc;            /* of the record at `end` */
};

struct journal {
    enum thread_role owner;
    MDB_env *env;
    int lock;                  /* descriptor that holds the lock; -1: read-only */
    bool begun;                /* may be written to */
    struct writer *writer;     /* NULL: read-only */
    struct snapshot *snapshot; /* for reading */
    struct capacity *capacity;
    struct catalog *catalog;
    uint64_t mended; /* number of the commit that the start has completed, or 0 */
    uint64_t commits;
    bool poisoned; /* a commit has failed, and `why` says how */
    struct fault why;
    uint32_t event_count;
    struct event events[JOURNAL_SLOTS_MAX];
    struct journal_options options;
    char dir[PATH_TEXT_MAX];
    struct record chunk[WALK_CHUNK];
};

/* The owner's thread calls; a committed seq is never ahead of the end. */
static inline void journal_check(const struct journal *j)
{
    ASSERT(thread_role() == j->owner);
    ASSERT(j->event_count <= JOURNAL_SLOTS_MAX);
}

/* Completes a commit that lacks its number: then it is the newest one. */
MUST_CHECK bool journal_mend(const char *dir, const struct leftover *l, struct fault *f);

/* Finds out how much of the file has its blocks already. */
MUST_CHECK bool journal_find_allocated(struct journal *j, struct fault *f);
/* Makes the file as long as the orders to come need. False: nothing has been sold yet, and the disk
 * has no space for it. */
MUST_CHECK bool journal_preallocate(struct journal *j, struct fault *f);

/* These return LMDB's code. */

/* Sets the event's end and chain from its last record, as the transaction sees it. */
MUST_CHECK int journal_find_end(MDB_txn *txn, struct event *e);
/* Reads how many leaves the event's index has. */
MUST_CHECK int journal_count_leaves(MDB_txn *txn, struct event *e);

#endif
