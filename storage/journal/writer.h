/*
 * writer: the one writing transaction of a journal, from the first record of a step to its commit.
 *
 * The first failure is remembered: what is appended after it has no effect, and writer_commit()
 * reports it.
 *
 * Owner: the journal's owner. Only for the files of storage/journal: it speaks LMDB. Functions that
 * return int return LMDB's code.
 */
#ifndef SPIKE_WRITER_H
#define SPIKE_WRITER_H

#include "storage/journal/catalog.h"
#include "storage/journal/record.h"

struct writer;

/* NULL: no memory. */
MUST_CHECK struct writer *writer_new(MDB_env *env);
/* Discards what was not committed. NULL: nothing to do. Must come before the environment is
 * closed. */
void writer_free(struct writer *w);

/* Puts the encoded record behind the last one of the event, and updates the index. The first append
 * after a commit begins the transaction. */
void writer_append(struct writer *w, uint32_t event, const struct dbis *dbis,
                   const struct record *r, unsigned char *bytes, size_t len);
/* Records since the last commit, those after a failure included. */
uint64_t writer_count(const struct writer *w);
/* The code of the first failure since the last commit, or MDB_SUCCESS. */
int writer_error(const struct writer *w);
/* Remembers a failure that the caller found while the transaction was open. */
void writer_fail(struct writer *w, int error);
/* The open transaction; NULL: nothing was appended since the last commit. */
MDB_txn *writer_txn(const struct writer *w);
/* Commits and syncs; or, after a failure, discards and returns its code. */
MUST_CHECK int writer_commit(struct writer *w);

#endif
