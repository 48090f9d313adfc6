/*
 * journal: appends, commits and reads; promises in journal.h. Opening is in journal_open.c, what
 * fits in capacity.c.
 *
 * Order of effects of a step: records are encoded and chained here, written by the writer
 * (writer.c) with their entries in the index, and committed together; only then `committed` rises.
 * Dying before the commit returns leaves the previous commit or this one, never a part.
 *
 * Reading uses the snapshot (snapshot.c). A single order is read through the writing transaction
 * while one is open, so that a step sees what it has appended.
 */
#include "storage/journal/journal.h"

#include <inttypes.h>
#include <string.h>

#include "storage/journal/journal_private.h"
#include "storage/journal/order_index.h"

/* A reader that was killed keeps its snapshot until its slot is cleared; do that now and then. */
#define COMMITS_BETWEEN_READER_CHECKS 64

static struct event *event_at(struct journal *j, uint32_t event)
{
    journal_check(j);
    ASSERT(event < j->event_count);
    return &j->events[event];
}

void journal_append(struct journal *j, uint32_t event, struct record *r, uint64_t now_wall_ms)
{
    struct event *e = event_at(j, event);
    unsigned char bytes[RECORD_BYTES_MAX];
    ASSERT(j->begun && !e->is_new);
    r->seq = ++e->end;
    r->time_wall_ms = now_wall_ms;
    size_t len = record_encode(r, &e->crc, bytes);
    if (!j->poisoned)
        writer_append(j->writer, event, &e->dbis, r, bytes, len);
}

/* The leaves of every index that the open transaction has changed. */
static int count_leaves(struct journal *j)
{
    int rc = MDB_SUCCESS;
    for (uint32_t i = 0; rc == MDB_SUCCESS && i < j->event_count; i++)
        if (j->events[i].end > j->events[i].committed)
            rc = journal_count_leaves(writer_txn(j->writer), &j->events[i]);
    return rc;
}

static int commit(struct journal *j)
{
    int rc = writer_error(j->writer) == MDB_SUCCESS ? count_leaves(j) : MDB_SUCCESS;
    if (rc != MDB_SUCCESS)
        writer_fail(j->writer, rc);
    return writer_commit(j->writer);
}

static void note_commit(struct journal *j)
{
    int cleared;
    ASSERT(writer_count(j->writer) == 0 && writer_txn(j->writer) == NULL);
    for (uint32_t i = 0; i < j->event_count; i++)
        j->events[i].committed = j->events[i].end;
    capacity_measure(j->capacity);
    if (++j->commits % COMMITS_BETWEEN_READER_CHECKS == 0)
        (void)mdb_reader_check(j->env, &cleared); /* what it cannot clear now, it can later */
}

bool journal_commit(struct journal *j, struct fault *f)
{
    journal_check(j);
    uint64_t count = j->writer ? writer_count(j->writer) : 0;
    if (!j->poisoned && count > 0) {
        int rc = commit(j);
        if (rc == MDB_SUCCESS) {
            note_commit(j);
            return true;
        }
        j->poisoned = true;
        (void)fault(&j->why,
                    "journal %s: commit of %" PRIu64 " records failed: %s; no buyer was told of "
                    "them; check the disk and its free space, and start again",
                    j->dir, count, mdb_strerror(rc));
    }
    return !j->poisoned || fault(f, "%s", j->why.text);
}

static int get(MDB_txn *txn, MDB_dbi dbi, uint64_t number, MDB_val *data)
{
    MDB_val key = {sizeof number, &number};
    return mdb_get(txn, dbi, &key, data);
}

/* Puts the cursor, which was just renewed, on the record before `from`; *crc becomes the chain
 * there. */
static int seek(MDB_cursor *cursor, uint64_t from, uint32_t *crc)
{
    uint64_t before = from - 1;
    MDB_val key = {sizeof before, &before}, data;
    *crc = 0;
    if (from == 1)
        return MDB_SUCCESS; /* the next record is the first */
    int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET);
    if (rc == MDB_SUCCESS && data.mv_size < RECORD_BYTES)
        rc = MDB_CORRUPTED;
    if (rc == MDB_SUCCESS)
        *crc = record_chain(data.mv_data);
    return rc;
}

/* One record into *out; MDB_NOTFOUND behind the last. */
static int next(MDB_cursor *cursor, uint64_t seq, uint32_t *crc, struct record *out)
{
    MDB_val key, data;
    uint64_t number;
    int rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    if (rc != MDB_SUCCESS)
        return rc;
    if (key.mv_size != sizeof number || !record_decode(out, crc, data.mv_data, data.mv_size))
        return MDB_CORRUPTED;
    memcpy(&number, key.mv_data, sizeof number);
    return number == seq && out->seq == seq ? MDB_SUCCESS : MDB_CORRUPTED;
}

static int read_some(struct journal *j, uint32_t event, MDB_txn *txn, uint64_t from,
                     struct record *out, uint32_t max, uint32_t *count)
{
    struct event *e = &j->events[event];
    MDB_cursor *cursor;
    uint32_t crc;
    int rc = j->writer ? MDB_SUCCESS : journal_find_end(txn, e);
    if (rc != MDB_SUCCESS || from > e->committed)
        return rc;
    rc = snapshot_cursor(j->snapshot, event, &cursor);
    if (rc == MDB_SUCCESS)
        rc = seek(cursor, from, &crc);
    for (; rc == MDB_SUCCESS && *count < max && from + *count <= e->committed; (*count)++)
        rc = next(cursor, from + *count, &crc, &out[*count]);
    /* Every record up to `committed` must exist. */
    return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

int journal_read(struct journal *j, uint32_t event, uint64_t from, struct record *out, uint32_t max,
                 struct fault *f)
{
    struct event *e = event_at(j, event);
    MDB_txn *txn;
    uint32_t count = 0;
    ASSERT(from > 0 && max <= INT32_MAX);
    if (j->writer && from > e->committed)
        return 0;
    int rc = snapshot_begin(j->snapshot, &txn);
    if (rc == MDB_SUCCESS) {
        rc = read_some(j, event, txn, from, out, max, &count);
        snapshot_end(j->snapshot);
    }
    if (rc == MDB_SUCCESS)
        return (int)count;
    (void)fault(f, "journal %s: event %s from record %" PRIu64 " on cannot be read: %s", j->dir,
                e->name, from, mdb_strerror(rc));
    return -1;
}

/* The chain before a record. */
static int get_chain(MDB_txn *txn, const struct event *e, uint64_t seq, uint32_t *crc)
{
    MDB_val data;
    *crc = 0;
    if (seq == 1)
        return MDB_SUCCESS;
    int rc = get(txn, e->dbis.records, seq - 1, &data);
    if (rc == MDB_SUCCESS && data.mv_size < RECORD_BYTES)
        rc = MDB_CORRUPTED;
    if (rc == MDB_SUCCESS)
        *crc = record_chain(data.mv_data);
    return rc;
}

/* A record that the index names, so it must exist. */
static int get_record(MDB_txn *txn, const struct event *e, uint64_t seq, struct record *out)
{
    MDB_val data;
    uint32_t crc;
    int rc = get_chain(txn, e, seq, &crc);
    if (rc == MDB_SUCCESS)
        rc = get(txn, e->dbis.records, seq, &data);
    if (rc != MDB_SUCCESS)
        return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
    bool good = record_decode(out, &crc, data.mv_data, data.mv_size) && out->seq == seq;
    return good ? MDB_SUCCESS : MDB_CORRUPTED;
}

bool journal_chain(struct journal *j, uint32_t event, uint64_t seq, uint32_t *chain,
                   struct fault *f)
{
    const struct event *e = event_at(j, event);
    MDB_txn *txn;
    ASSERT(seq <= e->committed);
    *chain = seq == 0 ? 0 : e->crc;
    if (seq == 0 || seq == e->end)
        return true;
    int rc = snapshot_begin(j->snapshot, &txn);
    if (rc == MDB_SUCCESS) {
        rc = get_chain(txn, e, seq + 1, chain);
        snapshot_end(j->snapshot);
    }
    return rc == MDB_SUCCESS ||
           fault(f, "journal %s: record %" PRIu64 " of event %s cannot be read: %s", j->dir, seq,
                 e->name, mdb_strerror(rc));
}

static bool refers_to(const struct record *r, uint64_t number)
{
    return record_is_order(r) && record_order(r) == number;
}

static int find_order(MDB_txn *txn, const struct event *e, uint64_t number, struct record *grant,
                      struct record *last)
{
    uint64_t grant_seq, last_seq;
    int rc = order_index_find(txn, e->dbis.index, number, &grant_seq, &last_seq);
    if (rc == MDB_SUCCESS)
        rc = get_record(txn, e, grant_seq, grant);
    if (rc == MDB_SUCCESS && (grant->kind != RECORD_GRANT || grant->number != number))
        rc = MDB_CORRUPTED;
    if (rc != MDB_SUCCESS)
        return rc;
    *last = *grant;
    if (last_seq == grant_seq)
        return MDB_SUCCESS;
    rc = get_record(txn, e, last_seq, last);
    if (rc == MDB_SUCCESS && !refers_to(last, number))
        rc = MDB_CORRUPTED;
    return rc;
}

/* Through the writing transaction while one is open. */
static int find_current(struct journal *j, const struct event *e, uint64_t number,
                        struct record *grant, struct record *last)
{
    MDB_txn *txn = j->writer ? writer_txn(j->writer) : NULL;
    int rc = j->writer ? writer_error(j->writer) : MDB_SUCCESS;
    if (rc != MDB_SUCCESS)
        return rc;
    if (txn != NULL)
        return find_order(txn, e, number, grant, last);
    rc = snapshot_begin(j->snapshot, &txn);
    if (rc != MDB_SUCCESS)
        return rc;
    rc = find_order(txn, e, number, grant, last);
    snapshot_end(j->snapshot);
    return rc;
}

int journal_order(struct journal *j, uint32_t event, uint64_t number, struct record *grant,
                  struct record *last, struct fault *f)
{
    const struct event *e = event_at(j, event);
    if (j->poisoned) {
        (void)fault(f, "%s", j->why.text);
        return -1;
    }
    if (e->is_new)
        return 0;
    int rc = find_current(j, e, number, grant, last);
    if (rc == MDB_SUCCESS || rc == MDB_NOTFOUND)
        return rc == MDB_SUCCESS;
    (void)fault(f, "journal %s: order %" PRIu64 " of event %s cannot be read: %s", j->dir, number,
                e->name, mdb_strerror(rc));
    return -1;
}

bool journal_walk(struct journal *j, uint32_t event, journal_visit *visit, void *context,
                  struct fault *f)
{
    uint64_t from = 1;
    journal_check(j);
    for (;;) {
        int count = journal_read(j, event, from, j->chunk, WALK_CHUNK, f);
        if (count <= 0)
            return count == 0;
        ASSERT(count <= WALK_CHUNK);
        for (int i = 0; i < count; i++)
            if (!visit(context, &j->chunk[i]))
                return true;
        from += (uint64_t)count;
    }
}
