/*
 * catalog: the unnamed database of a journal: its format, its node, and its events.
 *
 *     meta:format, meta:node   numbers
 *     slot:NAME                a number: the event's slot in order ids, given once, never changed
 *     event:NAME               the event's records, a database of its own (LMDB's entry): seq ->
 *                              record
 *     index:NAME               another one: number of an order -> entry (order_index.h)
 *
 * A number is stored with a CRC over its key and itself, so that a flipped bit cannot rename an
 * event or move it to another slot.
 *
 * Owner: the thread that owns the transaction. Only for the files of storage/journal: it speaks
 * LMDB.
 */
#ifndef SPIKE_CATALOG_H
#define SPIKE_CATALOG_H

#include <lmdb.h>
#include <stdint.h>

#include "conf/base/fault.h"
#include "conf/base/limits.h"
#include "storage/journal/layout.h"

#define JOURNAL_FORMAT    2
#define JOURNAL_SLOTS_MAX 256 /* a slot is one byte of the order id */
#define JOURNAL_DBIS_MAX  (2 * JOURNAL_SLOTS_MAX)
#define CATALOG_DBI_TEXT  (EVENT_NAME_MAX + 16) /* bytes of a database's name, NUL included */

/* An event's two databases. */
struct dbis {
    MDB_dbi records, index;
};

struct catalog;

/* Empty. NULL: no memory. */
MUST_CHECK struct catalog *catalog_new(void);
/* NULL: nothing to do. */
void catalog_free(struct catalog *c);

/* Nothing was ever written to the journal. */
bool catalog_is_empty(const struct catalog *c);
uint32_t catalog_node(const struct catalog *c);
/* The slots in use are 0 .. count - 1. */
uint32_t catalog_count(const struct catalog *c);
const char *catalog_event(const struct catalog *c, uint32_t slot);
/* The event's slot, or -1. */
int catalog_find(const struct catalog *c, const char *event);
/* The names of the two databases of the event at a slot. */
void catalog_dbi_names(const struct catalog *c, uint32_t slot, char records[CATALOG_DBI_TEXT],
                       char index[CATALOG_DBI_TEXT]);

/* Reads and checks everything. False: damaged, or of another format; `dir` is named in f. */
MUST_CHECK bool catalog_read(struct catalog *c, MDB_txn *txn, const char *dir, struct fault *f);
/* The same entry by entry, in any order, into an empty catalog. False: no such entry can be. */
MUST_CHECK bool catalog_parse(struct catalog *c, struct bytes key, struct bytes data);
/* After the last entry. `whole`: every entry was parsed, and the two databases of each slot are
 * there. */
MUST_CHECK bool catalog_check(const struct catalog *c, bool whole, const char *dir,
                              struct fault *f);

/* These write, and return LMDB's code. */

/* Format and node, into an empty journal. */
MUST_CHECK int catalog_create(struct catalog *c, MDB_txn *txn, uint16_t node);
/* Opens the databases of the event at a slot. */
MUST_CHECK int catalog_open(const struct catalog *c, MDB_txn *txn, uint32_t slot,
                            struct dbis *dbis);
/* Gives a new event the next slot, which must be free, and creates its databases. */
MUST_CHECK int catalog_add(struct catalog *c, MDB_txn *txn, const char *event, struct dbis *dbis);

#endif
