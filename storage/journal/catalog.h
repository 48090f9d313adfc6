/*
 * names: the unnamed database of a journal: format, node, and which events there are.
 *
 *   meta:format, meta:node   numbers
 *   slot:NAME                a number: the event's place in order ids, given once, never changed
 *   event:NAME               the event's records: a database of its own (LMDB's entry), seq ->
 * record index:NAME               another one: number of an order -> struct index_entry
 *
 * A number is stored with a CRC over its key and itself, so that a flipped bit cannot rename an
 * event or move it to another slot.
 *
 * Owner: whoever owns the transaction. Inside the room only: it speaks LMDB.
 */
#ifndef SPIKE_CATALOG_H
#define SPIKE_CATALOG_H

#include <lmdb.h>
#include <stdint.h>

#include "conf/base/fault.h"
#include "conf/base/limits.h"
#include "storage/journal/layout.h"

#define JOURNAL_FORMAT    2
#define JOURNAL_SLOTS_MAX 256 /* a slot is a byte of the order id */
#define JOURNAL_DBIS_MAX  (2 * JOURNAL_SLOTS_MAX)
#define CATALOG_DBI_TEXT  (EVENT_NAME_MAX + 16)

/* Integers as they lie in the file, little-endian; pages.c asserts that they lie so here. */
struct index_entry {
    uint64_t grant, last; /* seq of the order's grant, of the last record that speaks of it */
};

/* An event's two databases. */
struct dbis {
    MDB_dbi records, index;
};

struct catalog {
    uint32_t format; /* 0: nothing is there yet */
    uint32_t node;
    uint32_t count;                                     /* slots 0 .. count - 1 are taken */
    uint32_t dbis;                                      /* databases of events, both kinds */
    char events[JOURNAL_SLOTS_MAX][EVENT_NAME_MAX + 1]; /* by slot */
};

/* Reads and checks all names. False: damaged or of another format; dir is for the words. */
MUST_CHECK bool catalog_read(struct catalog *n, MDB_txn *txn, const char *dir, struct fault *f);
/* The same entry by entry, in any order, into names that begin as zeros; false: no such entry can
 * be. At the end they are judged: `whole` says whether all entries were taken and the two databases
 * of each slot are there. */
MUST_CHECK bool catalog_parse(struct catalog *n, struct bytes key, struct bytes data);
MUST_CHECK bool catalog_check(const struct catalog *n, bool whole, const char *dir,
                              struct fault *f);
/* What the databases of the event at a slot are called. */
void catalog_dbi_names(const struct catalog *n, uint32_t slot, char records[CATALOG_DBI_TEXT],
                       char index[CATALOG_DBI_TEXT]);
/* Writes format and node into an empty journal. Answers LMDB's code. */
MUST_CHECK int catalog_create(struct catalog *n, MDB_txn *txn, uint16_t node);
/* Answers the event's slot, or -1. */
int catalog_find(const struct catalog *n, const char *event);
/* Opens the databases of the event at a slot. Answers LMDB's code. */
MUST_CHECK int catalog_open(const struct catalog *n, MDB_txn *txn, uint32_t slot,
                            struct dbis *dbis);
/* Gives a new event the next slot, which must be free, and makes its databases. */
MUST_CHECK int catalog_add(struct catalog *n, MDB_txn *txn, const char *event, struct dbis *dbis);

#endif
