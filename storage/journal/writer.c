/*
 * writer: appends the records of a step and their entries in the index to one transaction, and
 * commits it; promises in writer.h.
 *
 * Order of a commit: LMDB writes the pages of the transaction and syncs them, then writes one meta
 * page through a descriptor that syncs, and only then returns. Dying before that meta page is
 * written leaves the previous commit; dying after it, this one. No state in between can be seen.
 */
#include "storage/journal/writer.h"

#include <stdlib.h>

#include "storage/journal/order_index.h"

/* Cursors that stay at the ends of an event's two databases. NULL: the event was not written to
 * since the last commit. */
struct append_cursors {
    MDB_cursor *records, *index;
};

struct writer {
    MDB_env *env;
    MDB_txn *txn; /* from the first append to the commit, else NULL */
    struct append_cursors append[JOURNAL_SLOTS_MAX]; /* by event */
    uint64_t count;                                  /* records since the last commit */
    int error;                                       /* of the first failure since then */
};

struct writer *writer_new(MDB_env *env)
{
    struct writer *w = calloc(1, sizeof *w);
    if (w != NULL)
        w->env = env;
    return w;
}

void writer_free(struct writer *w)
{
    if (w == NULL)
        return;
    if (w->txn)
        mdb_txn_abort(w->txn);
    free(w);
}

/* The event is written to for the first time since the last commit. */
static int open_cursors(struct writer *w, struct append_cursors *a, const struct dbis *dbis)
{
    int rc = MDB_SUCCESS;
    if (w->txn == NULL)
        rc = mdb_txn_begin(w->env, NULL, 0, &w->txn);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_open(w->txn, dbis->records, &a->records);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_open(w->txn, dbis->index, &a->index);
    return rc;
}

static int put(struct writer *w, struct append_cursors *a, const struct dbis *dbis,
               const struct record *r, MDB_val data)
{
    uint64_t seq = r->seq;
    MDB_val key = {sizeof seq, &seq};
    int rc = a->records ? MDB_SUCCESS : open_cursors(w, a, dbis);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_put(a->records, &key, &data, MDB_APPEND);
    if (rc != MDB_SUCCESS || !record_is_order(r))
        return rc;
    return r->kind == RECORD_GRANT ? order_index_add(a->index, r->number, r->seq)
                                   : order_index_update(w->txn, dbis->index, record_order(r), seq);
}

void writer_append(struct writer *w, uint32_t event, const struct dbis *dbis,
                   const struct record *r, unsigned char *bytes, size_t len)
{
    ASSERT(event < ARRAY_LEN(w->append));
    ASSERT(len == RECORD_BYTES || len == RECORD_BYTES_MAX);
    w->count++;
    if (w->error == MDB_SUCCESS)
        w->error = put(w, &w->append[event], dbis, r, (MDB_val){len, bytes});
}

uint64_t writer_count(const struct writer *w)
{
    ASSERT(w->count > 0 || w->txn == NULL);
    return w->count;
}

int writer_error(const struct writer *w)
{
    return w->error;
}

void writer_fail(struct writer *w, int error)
{
    ASSERT(w->txn != NULL && error != MDB_SUCCESS);
    if (w->error == MDB_SUCCESS)
        w->error = error;
}

MDB_txn *writer_txn(const struct writer *w)
{
    return w->txn;
}

int writer_commit(struct writer *w)
{
    int rc = w->error;
    ASSERT(w->count > 0 && (w->txn != NULL || rc != MDB_SUCCESS));
    if (rc == MDB_SUCCESS)
        rc = mdb_txn_commit(w->txn);
    else if (w->txn)
        mdb_txn_abort(w->txn);
    w->txn = NULL; /* LMDB has closed the append cursors with their transaction */
    for (uint32_t i = 0; i < ARRAY_LEN(w->append); i++)
        w->append[i] = (struct append_cursors){NULL, NULL};
    w->count = 0;
    w->error = MDB_SUCCESS;
    return rc;
}
