/*
 * journal: appends, commits and reads; promises in journal.h. Opening is in journal_open.c, what
 * fits in journal_room.c.
 *
 * Order of a commit: all records of the step are in one LMDB transaction; LMDB writes its pages and
 * syncs them, then writes one meta page through a synced descriptor, and only then returns. Dying
 * before that meta page is written leaves the commit before; dying after it, this one. Nothing in
 * between can be seen.
 *
 * A record and its entry in the index are in one transaction, so a crash parts them never.
 *
 * Reading uses one transaction that is reset after every call and renewed by the next, so no call
 * leaves a snapshot behind that would keep old pages from being used again. A single order is read
 * through the writing transaction while one is open, so that a step sees what it has appended.
 */
#include "storage/journal/journal.h"

#include <inttypes.h>
#include <string.h>

#include "storage/journal/journal_private.h"

/* A reader that was killed keeps its snapshot until somebody looks; look now and then. */
#define COMMITS_BETWEEN_LOOKS 64

static struct event *event_at(struct journal *j, uint32_t event)
{
    ASSERT(event < j->event_count);
    return &j->events[event];
}

static const struct event *event_of(const struct journal *j, uint32_t event)
{
    ASSERT(event < j->event_count);
    return &j->events[event];
}

uint32_t journal_event_count(const struct journal *j)
{
    return j->event_count;
}

const char *journal_event_name(const struct journal *j, uint32_t event)
{
    return event_of(j, event)->name;
}

uint16_t journal_node(const struct journal *j)
{
    return (uint16_t)j->catalog.node;
}

uint8_t journal_slot(const struct journal *j, uint32_t event)
{
    return event_of(j, event)->slot;
}

uint64_t journal_end(const struct journal *j, uint32_t event)
{
    return event_of(j, event)->end;
}

uint64_t journal_committed(const struct journal *j, uint32_t event)
{
    return event_of(j, event)->committed;
}

static int get(MDB_txn *txn, MDB_dbi tree, uint64_t number, MDB_val *data)
{
    MDB_val key = {sizeof number, &number};
    return mdb_get(txn, tree, &key, data);
}

static int get_entry(MDB_txn *txn, const struct event *e, uint64_t number, struct index_entry *out)
{
    MDB_val data;
    int rc = get(txn, e->dbis.index, number, &data);
    if (rc != MDB_SUCCESS)
        return rc;
    if (data.mv_size != sizeof *out)
        return MDB_CORRUPTED;
    memcpy(out, data.mv_data, sizeof *out);
    return MDB_SUCCESS;
}

/* An order that changes was found through the index, by us or by who verified it. If it is not
 * there now, the file or our memory has changed under us: a disk can do that, so it is a commit
 * that fails, and is said, rather than an assertion. */
static int put_entry(MDB_txn *txn, const struct event *e, const struct record *r)
{
    uint64_t number = record_order(r);
    struct index_entry entry = {r->seq, r->seq};
    MDB_val key = {sizeof number, &number}, data = {sizeof entry, &entry};
    if (r->kind == RECORD_GRANT)
        return mdb_cursor_put(e->append.index, &key, &data, MDB_APPEND);
    int rc = get_entry(txn, e, number, &entry);
    if (rc != MDB_SUCCESS)
        return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
    entry.last = r->seq;
    return mdb_put(txn, e->dbis.index, &key, &data, 0);
}

/* The event is written to for the first time since the last commit. */
static int begin_write(struct journal *j, struct event *e)
{
    int rc = MDB_SUCCESS;
    if (j->writer == NULL)
        rc = mdb_txn_begin(j->env, NULL, 0, &j->writer);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_open(j->writer, e->dbis.records, &e->append.records);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_open(j->writer, e->dbis.index, &e->append.index);
    return rc;
}

static int put(struct journal *j, struct event *e, const struct record *r, unsigned char *bytes,
               size_t len)
{
    uint64_t seq = r->seq;
    MDB_val key = {sizeof seq, &seq}, data = {len, bytes};
    int rc = e->append.records ? MDB_SUCCESS : begin_write(j, e);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_put(e->append.records, &key, &data, MDB_APPEND);
    if (rc == MDB_SUCCESS && record_is_order(r))
        rc = put_entry(j->writer, e, r);
    return rc;
}

void journal_append(struct journal *j, uint32_t event, struct record *r, uint64_t now_wall_ms)
{
    struct event *e = event_at(j, event);
    unsigned char bytes[RECORD_BYTES_MAX];
    ASSERT(j->begun && thread_role() != THREAD_WORKER);
    r->seq = ++e->end;
    r->time_wall_ms = now_wall_ms;
    size_t len = record_encode(r, &e->crc, bytes);
    j->appended++;
    if (j->failed == MDB_SUCCESS && !j->poisoned)
        j->failed = put(j, e, r, bytes, len);
}

static int finish(struct journal *j)
{
    int rc = j->failed;
    for (uint32_t i = 0; rc == MDB_SUCCESS && i < j->event_count; i++)
        if (j->events[i].end > j->events[i].committed)
            rc = journal_count_leaves(j->writer, &j->events[i]);
    if (rc == MDB_SUCCESS)
        rc = mdb_txn_commit(j->writer);
    else if (j->writer)
        mdb_txn_abort(j->writer);
    j->writer =
        NULL; /* and with it the append cursors: LMDB closes cursors with their transaction */
    for (uint32_t i = 0; i < j->event_count; i++)
        j->events[i].append = (struct append_cursors){NULL, NULL};
    return rc;
}

static void take_over(struct journal *j)
{
    int dead;
    for (uint32_t i = 0; i < j->event_count; i++)
        j->events[i].committed = j->events[i].end;
    j->appended = 0;
    journal_measure(j);
    if (++j->commits % COMMITS_BETWEEN_LOOKS == 0)
        (void)mdb_reader_check(j->env, &dead); /* what it cannot free now, it can later */
}

bool journal_commit(struct journal *j, struct fault *f)
{
    ASSERT(thread_role() != THREAD_WORKER);
    if (!j->poisoned && j->appended > 0) {
        int rc = finish(j);
        if (rc == MDB_SUCCESS) {
            take_over(j);
            return true;
        }
        j->poisoned = true;
        (void)fault(&j->why,
                    "journal %s: commit of %" PRIu64 " records failed: %s; no buyer was told of "
                    "them; check the disk and the room on it, and start again",
                    j->dir, j->appended, mdb_strerror(rc));
    }
    return !j->poisoned || fault(f, "%s", j->why.text);
}

/* A reader that is put aside while it renews may find that its meta page has been written again, by
 * a commit whose sync has not returned: it would see that commit now, and an older one next. */
static bool is_overtaken(const struct journal *j)
{
    MDB_envinfo info;
    return mdb_env_info(j->env, &info) == MDB_SUCCESS &&
           info.me_last_txnid > mdb_txn_id(j->reader) + 1;
}

/* A server that was started with a larger size has outgrown this reader's map: take the new one. */
static int renew_beside_a_writer(struct journal *j)
{
    int rc = mdb_txn_renew(j->reader);
    if (rc == MDB_MAP_RESIZED) {
        rc = mdb_env_set_mapsize(j->env, 0);
        if (rc == MDB_SUCCESS)
            rc = mdb_txn_renew(j->reader);
    }
    while (rc == MDB_SUCCESS && is_overtaken(j)) {
        mdb_txn_reset(j->reader);
        rc = mdb_txn_renew(j->reader);
    }
    return rc;
}

static int renew(struct journal *j)
{
    return j->lock < 0 ? renew_beside_a_writer(j) : mdb_txn_renew(j->reader);
}

static int begin_read(struct journal *j, const struct event *e)
{
    int rc = renew(j);
    if (rc != MDB_SUCCESS)
        return rc;
    rc = mdb_cursor_renew(j->reader, e->cursor);
    if (rc != MDB_SUCCESS)
        mdb_txn_reset(j->reader);
    return rc;
}

/* Puts the cursor on the record before `from`; answers its place in the chain. */
static int seek(const struct event *e, uint64_t from, uint32_t *crc)
{
    uint64_t before = from - 1;
    MDB_val key = {sizeof before, &before}, data;
    *crc = 0;
    if (from == 1)
        return MDB_SUCCESS; /* the cursor is fresh: next is the first */
    int rc = mdb_cursor_get(e->cursor, &key, &data, MDB_SET);
    if (rc == MDB_SUCCESS && data.mv_size < RECORD_BYTES)
        rc = MDB_CORRUPTED;
    if (rc == MDB_SUCCESS)
        *crc = record_chain(data.mv_data);
    return rc;
}

/* One record into *out; MDB_NOTFOUND behind the last. */
static int next(const struct event *e, uint64_t seq, uint32_t *crc, struct record *out)
{
    MDB_val key, data;
    uint64_t at;
    int rc = mdb_cursor_get(e->cursor, &key, &data, MDB_NEXT);
    if (rc != MDB_SUCCESS)
        return rc;
    if (key.mv_size != sizeof at || !record_decode(out, crc, data.mv_data, data.mv_size))
        return MDB_CORRUPTED;
    memcpy(&at, key.mv_data, sizeof at);
    return at == seq && out->seq == seq ? MDB_SUCCESS : MDB_CORRUPTED;
}

static int read_some(struct journal *j, struct event *e, uint64_t from, struct record *out,
                     uint32_t max, uint32_t *count)
{
    uint32_t crc;
    int rc = MDB_SUCCESS;
    *count = 0;
    if (j->lock < 0)
        rc = journal_find_end(j->reader, e);
    if (rc != MDB_SUCCESS || from > e->committed)
        return rc;
    rc = seek(e, from, &crc);
    for (; rc == MDB_SUCCESS && *count < max && from + *count <= e->committed; (*count)++)
        rc = next(e, from + *count, &crc, &out[*count]);
    /* All up to `committed` must be there. */
    return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

int journal_read(struct journal *j, uint32_t event, uint64_t from, struct record *out, uint32_t max,
                 struct fault *f)
{
    struct event *e = event_at(j, event);
    uint32_t count = 0;
    ASSERT(from > 0 && max <= INT32_MAX && thread_role() != THREAD_WORKER);
    if (j->lock >= 0 && from > e->committed)
        return 0;
    int rc = begin_read(j, e);
    if (rc == MDB_SUCCESS) {
        rc = read_some(j, e, from, out, max, &count);
        mdb_txn_reset(j->reader);
    }
    if (rc == MDB_SUCCESS)
        return (int)count;
    (void)fault(f, "journal %s: event %s from record %" PRIu64 " on cannot be read: %s", j->dir,
                e->name, from, mdb_strerror(rc));
    return -1;
}

/* Where the chain stands before a record. */
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

/* A record that the index names: it must be there. */
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
    const struct event *e = event_of(j, event);
    ASSERT(seq <= e->committed && thread_role() != THREAD_WORKER);
    *chain = seq == 0 ? 0 : e->crc;
    if (seq == 0 || seq == e->end)
        return true;
    int rc = renew(j);
    if (rc == MDB_SUCCESS) {
        rc = get_chain(j->reader, e, seq + 1, chain);
        mdb_txn_reset(j->reader);
    }
    return rc == MDB_SUCCESS ||
           fault(f, "journal %s: record %" PRIu64 " of event %s cannot be read: %s", j->dir, seq,
                 e->name, mdb_strerror(rc));
}

static bool is_about(const struct record *r, uint64_t number)
{
    return record_is_order(r) && record_order(r) == number;
}

static int find_order(MDB_txn *txn, const struct event *e, uint64_t number, struct record *grant,
                      struct record *last)
{
    struct index_entry entry;
    int rc = get_entry(txn, e, number, &entry);
    if (rc == MDB_SUCCESS)
        rc = get_record(txn, e, entry.grant, grant);
    if (rc == MDB_SUCCESS && (grant->kind != RECORD_GRANT || grant->number != number))
        rc = MDB_CORRUPTED;
    if (rc != MDB_SUCCESS)
        return rc;
    *last = *grant;
    if (entry.last == entry.grant)
        return MDB_SUCCESS;
    rc = get_record(txn, e, entry.last, last);
    if (rc == MDB_SUCCESS && !is_about(last, number))
        rc = MDB_CORRUPTED;
    return rc;
}

int journal_order(struct journal *j, uint32_t event, uint64_t number, struct record *grant,
                  struct record *last, struct fault *f)
{
    const struct event *e = event_of(j, event);
    int rc = j->failed;
    ASSERT(thread_role() != THREAD_WORKER);
    if (j->poisoned) {
        (void)fault(f, "%s", j->why.text);
        return -1;
    }
    if (e->is_new)
        return 0;
    if (rc == MDB_SUCCESS && j->writer) {
        rc = find_order(j->writer, e, number, grant, last);
    } else if (rc == MDB_SUCCESS && (rc = renew(j)) == MDB_SUCCESS) {
        rc = find_order(j->reader, e, number, grant, last);
        mdb_txn_reset(j->reader);
    }
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
    for (;;) {
        int count = journal_read(j, event, from, j->chunk, WALK_CHUNK, f);
        if (count <= 0)
            return count == 0;
        for (int i = 0; i < count; i++)
            if (!visit(context, &j->chunk[i]))
                return true;
        from += (uint64_t)count;
    }
}
