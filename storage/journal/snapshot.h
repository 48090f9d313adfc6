/*
 * snapshot: the one reading transaction of a journal, with a cursor over the records of each event.
 *
 * It is reset after every call and renewed by the next one, so no call leaves a snapshot behind
 * that would keep old pages from being used again; and after snapshot_open() reading allocates
 * nothing.
 *
 * Owner: the journal's owner. Only for the files of storage/journal: it speaks LMDB. Functions that
 * return int return LMDB's code.
 */
#ifndef SPIKE_SNAPSHOT_H
#define SPIKE_SNAPSHOT_H

#include <lmdb.h>
#include <stdint.h>

#include "conf/base/check.h"

struct snapshot;

/* beside_writer: another process writes this journal. */
MUST_CHECK int snapshot_open(struct snapshot **out, MDB_env *env, bool beside_writer);
/* NULL: nothing to do. Must come before the environment is closed. */
void snapshot_close(struct snapshot *s);
/* Opens the cursor of an event. */
MUST_CHECK int snapshot_add(struct snapshot *s, uint32_t event, MDB_dbi records);

/* Sees the newest commit from here to snapshot_end(); after a failure nothing has begun. */
MUST_CHECK int snapshot_begin(struct snapshot *s, MDB_txn **txn);
void snapshot_end(struct snapshot *s);
/* Between the two: the event's cursor, before its first record. */
MUST_CHECK int snapshot_cursor(struct snapshot *s, uint32_t event, MDB_cursor **cursor);

#endif
