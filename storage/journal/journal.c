/*
 * journal: appends, commits and reads; promises in journal.h. Opening is in journal_open.c.
 *
 * Order of a commit: all records of the step are in one LMDB transaction; LMDB writes its pages and
 * syncs them, then writes one meta page through a synced descriptor, and only then returns. Dying
 * before that meta page is written leaves the commit before; dying after it, this one. Nothing in
 * between can be seen.
 *
 * Reading uses one transaction that is reset after every call and renewed by the next, so no call
 * leaves a snapshot behind that would keep old pages from being used again.
 */
#include "storage/journal/journal.h"

#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>

#include "storage/journal/inside.h"

/* A reader that was killed keeps its snapshot until somebody looks; look now and then. */
#define COMMITS_BETWEEN_LOOKS 64

/* What fits: a record of RECORD_BYTES_MAX takes a node with its key and an offset. Appending fills
 * leaves to the end, so less than one record's room is lost in each. Branch pages split in halves,
 * and half a branch of 4096 bytes holds over a hundred leaves. */
#define PAGE_HEAD         16
#define NODE_BYTES        (8 + sizeof(uint64_t) + RECORD_BYTES_MAX + 2)
#define LEAVES_PER_BRANCH 64

/* What commits need to work in: for each event the path from its root to the last leaf (five
 * levels and a split), for all the names and the list of free pages. What a commit leaves behind
 * can be used by the second one after it, so three commits' worth are under way. */
#define PATH_PAGES      6
#define COMMON_PAGES    8
#define COMMITS_AT_ONCE 3

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
    return (uint16_t)j->names.node;
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

static int put(struct journal *j, const struct event *e, uint64_t seq, unsigned char *bytes,
               size_t len)
{
    MDB_val key = {sizeof seq, &seq}, data = {len, bytes};
    if (j->writer == NULL) {
        int rc = mdb_txn_begin(j->env, NULL, 0, &j->writer);
        if (rc != MDB_SUCCESS)
            return rc;
    }
    return mdb_put(j->writer, e->dbi, &key, &data, MDB_APPEND);
}

void journal_append(struct journal *j, uint32_t event, struct record *r, uint64_t now_wall_ms)
{
    struct event *e = event_at(j, event);
    unsigned char bytes[RECORD_BYTES_MAX];
    ASSERT(j->lock >= 0 && thread_role() != THREAD_WORKER);
    r->seq = ++e->end;
    r->time_wall_ms = now_wall_ms;
    size_t len = record_encode(r, &e->crc, bytes);
    j->appended++;
    if (j->failed == MDB_SUCCESS && !j->poisoned)
        j->failed = put(j, e, r->seq, bytes, len);
}

static int finish(struct journal *j)
{
    int rc = j->failed;
    if (rc == MDB_SUCCESS)
        rc = mdb_txn_commit(j->writer);
    else if (j->writer)
        mdb_txn_abort(j->writer);
    j->writer = NULL;
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
                    "journal %s: commit of %" PRIu64 " records failed: %s; nobody was told of "
                    "them; see to the disk and start again",
                    j->dir, j->appended, mdb_strerror(rc));
    }
    return !j->poisoned || fault(f, "%s", j->why.text);
}

int journal_find_end(MDB_txn *txn, struct event *e)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int rc = mdb_cursor_open(txn, e->dbi, &cursor);
    if (rc != MDB_SUCCESS)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &data, MDB_LAST);
    if (rc == MDB_SUCCESS && (key.mv_size != sizeof e->end || data.mv_size < RECORD_BYTES))
        rc = MDB_CORRUPTED;
    if (rc == MDB_SUCCESS) {
        memcpy(&e->end, key.mv_data, sizeof e->end);
        e->crc = record_chain(data.mv_data);
    }
    mdb_cursor_close(cursor);
    e->committed = e->end;
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
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

static int begin_read(struct journal *j, const struct event *e)
{
    int rc = j->lock < 0 ? renew_beside_a_writer(j) : mdb_txn_renew(j->reader);
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

static uint64_t ask_disk(const struct journal *j)
{
    struct statvfs fs;
    int fd;
    if (mdb_env_get_fd(j->env, &fd) != MDB_SUCCESS || fstatvfs(fd, &fs) != 0)
        return UINT64_MAX; /* not known: then the map alone decides, and a commit tells */
    return (uint64_t)fs.f_bavail * fs.f_frsize / j->page_size;
}

void journal_measure(struct journal *j)
{
    MDB_envinfo info;
    int rc = mdb_env_info(j->env, &info);
    ASSERT(rc == MDB_SUCCESS);
    j->map_pages = info.me_mapsize / j->page_size;
    j->used_pages = info.me_last_pgno + 1;
    j->disk_pages = ask_disk(j);
}

uint64_t journal_reserve_pages(uint32_t events)
{
    return COMMITS_AT_ONCE * (COMMON_PAGES + (uint64_t)PATH_PAGES * events);
}

uint64_t journal_room(const struct journal *j)
{
    uint64_t pages = j->map_pages > j->used_pages ? j->map_pages - j->used_pages : 0;
    uint64_t reserve = journal_reserve_pages(j->event_count);
    if (j->disk_pages < pages) {
        uint64_t disk = ask_disk(j);
        pages = disk < pages ? disk : pages;
    }
    if (j->poisoned || pages <= reserve)
        return 0;
    pages -= reserve;
    pages -= pages / LEAVES_PER_BRANCH;
    uint64_t room = pages * ((j->page_size - PAGE_HEAD) / NODE_BYTES - 1);
    return room > j->appended ? room - j->appended : 0;
}

uint64_t journal_used_bytes(const struct journal *j)
{
    return j->used_pages * j->page_size;
}

uint64_t journal_size_bytes(const struct journal *j)
{
    return j->map_pages * j->page_size;
}
