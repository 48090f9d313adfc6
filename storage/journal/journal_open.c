/*
 * journal_open: how a journal is opened and closed; promises in journal.h.
 *
 * Two parts, because a journal that turns out to be another one's copy must stay as it was:
 *
 *   open   lock the directory; verify what is there in a child; finish a commit that lacks its
 *          number alone (which is all that is ever written here); open LMDB; in one write
 *          transaction, which writes nothing, read the names and find each event's end; last, the
 *          reading transaction with a cursor for each event, so that reading allocates nothing. A
 *          write transaction because it alone takes LMDB's own lock, and with it the newest commit,
 *          also when a server died beside a living reader.
 *   begin  in one transaction make what new events need; write the file ahead; mark the directory
 *          and make its names durable.
 *
 * Dying anywhere here leaves a journal that opens the same way again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/log.h"
#include "storage/journal/journal_dir.h"
#include "storage/journal/journal_private.h"

static bool lmdb_fault(const struct journal *j, const char *what, int rc, struct fault *f)
{
    return fault(f, "journal %s: cannot %s: %s", j->dir, what, mdb_strerror(rc));
}

/* LMDB aborts after this. */
static void lmdb_failed(MDB_env *env, const char *message)
{
    (void)env;
    log_line(LOG_ERROR, "the journal's library gives up: %s", message);
}

static struct journal *make(const char *dir, struct fault *f)
{
    struct journal *j = calloc(1, sizeof *j);
    if (j == NULL || strlen(dir) >= sizeof j->dir) {
        (void)fault(f, "journal %s: %s", dir, j ? "the name is too long" : strerror(errno));
        free(j);
        return NULL;
    }
    strcpy(j->dir, dir);
    j->lock = -1;
    return j;
}

/* size 0: as the file says. */
static bool open_env(struct journal *j, uint64_t size, unsigned flags, struct fault *f)
{
    MDB_stat stat;
    int dead;
    if (!journal_dir_reserve(j->dir, READERS_MAX, f))
        return false;
    int rc = mdb_env_create(&j->env);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "make an environment", rc, f);
    (void)mdb_env_set_assert(j->env, lmdb_failed);
    rc = mdb_env_set_maxdbs(j->env, JOURNAL_DBIS_MAX);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxreaders(j->env, READERS_MAX);
    if (rc == MDB_SUCCESS && size > 0)
        rc = mdb_env_set_mapsize(j->env, size);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_open(j->env, j->dir, flags | MDB_NOTLS, 0600);
    if (rc == MDB_SUCCESS)
        rc = mdb_reader_check(j->env, &dead);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_stat(j->env, &stat);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "open it", rc, f);
    j->page_size = stat.ms_psize;
    journal_measure(j);
    return true;
}

static uint64_t round_up(uint64_t size)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

/* A size that leaves no room to work would turn returns away: then the map stays as large as it
 * ever was. */
static bool keep_size(struct journal *j, uint64_t size, uint32_t events, struct fault *f)
{
    uint64_t reserve = journal_reserve_pages(j, events, journal_index_leaves_max(j->used_pages));
    if (j->used_pages + reserve <= j->map_pages)
        return true;
    int rc = mdb_env_set_mapsize(j->env, 0);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "keep its size", rc, f);
    journal_measure(j);
    if (journal_size_bytes(j) > size)
        log_line(LOG_WARN,
                 "journal %s: %" PRIu64 " bytes are used, so it keeps its size of %" PRIu64
                 "; size %" PRIu64 " is too "
                 "small",
                 j->dir, journal_used_bytes(j), journal_size_bytes(j), size);
    return true;
}

/* What a first start has left and is not sound holds nothing: it begins again. */
static bool begin_again(const struct journal *j, struct fault *f)
{
    if (journal_dir_inspect(j->dir) != JOURNAL_DIR_UNFINISHED)
        return false;
    log_line(LOG_WARN, "%s", f->text);
    log_line(LOG_WARN,
             "journal %s: its first start had not ended, and nothing was sold: begun again",
             j->dir);
    return journal_dir_clear(j->dir, f);
}

static bool open_home(struct journal *j, struct fault *f)
{
    struct leftover l;
    j->lock = journal_dir_lock(j->dir, f);
    if (j->lock < 0)
        return false;
    if (!journal_verify(j->dir, &l, f))
        return begin_again(j, f);
    if (journal_dir_inspect(j->dir) == JOURNAL_DIR_BLANK)
        return journal_dir_clear(j->dir, f);
    j->mended = l.txnid;
    return l.records == 0 || journal_mend(j->dir, &l, f);
}

static bool check_names(struct journal *j, MDB_txn *txn, uint16_t node, struct fault *f)
{
    if (!catalog_read(&j->catalog, txn, j->dir, f))
        return false;
    if (!journal_is_new(j) && j->catalog.node != node)
        return fault(f,
                     "journal %s: belongs to node %u and this is node %u; every node has a "
                     "directory of its own",
                     j->dir, j->catalog.node, node);
    return true;
}

int journal_find_end(MDB_txn *txn, struct event *e)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int rc = mdb_cursor_open(txn, e->dbis.records, &cursor);
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

int journal_count_leaves(MDB_txn *txn, struct event *e)
{
    MDB_stat stat;
    int rc = mdb_stat(txn, e->dbis.index, &stat);
    if (rc == MDB_SUCCESS)
        e->leaves = stat.ms_leaf_pages;
    return rc;
}

/* The event at a slot becomes the next of ours. */
static bool open_event(struct journal *j, MDB_txn *txn, uint32_t slot, struct fault *f)
{
    struct event *e = &j->events[j->event_count++];
    e->name = j->catalog.events[slot];
    e->slot = (uint8_t)slot;
    int rc = catalog_open(&j->catalog, txn, slot, &e->dbis);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "open an event", rc, f);
    rc = journal_find_end(txn, e);
    if (rc == MDB_SUCCESS)
        rc = journal_count_leaves(txn, e);
    return rc == MDB_SUCCESS || lmdb_fault(j, "find its end", rc, f);
}

/* An event that is new gets the slot that journal_begin() will give it. */
static bool open_named(struct journal *j, MDB_txn *txn, const char *name, uint32_t *slots,
                       struct fault *f)
{
    int slot = catalog_find(&j->catalog, name);
    if (slot >= 0)
        return open_event(j, txn, (uint32_t)slot, f);
    if (*slots == JOURNAL_SLOTS_MAX)
        return fault(f, "journal %s: event %s is one too many: %d have been on sale here", j->dir,
                     name, JOURNAL_SLOTS_MAX);
    j->events[j->event_count++] =
        (struct event){.name = name, .slot = (uint8_t)(*slots)++, .is_new = true};
    return true;
}

static bool open_events(struct journal *j, const struct journal_options *o, struct fault *f)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(j->env, NULL, 0, &txn);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "write to it", rc, f);
    bool good = (j->mended == 0 || mdb_txn_id(txn) == j->mended + 1 ||
                 fault(f, "journal %s: LMDB does not go on from its last commit", j->dir)) &&
                check_names(j, txn, o->node, f);
    uint32_t slots = j->catalog.count;
    for (uint32_t i = 0; good && i < o->event_count; i++)
        good = open_named(j, txn, o->events[i], &slots, f);
    if (!good) {
        mdb_txn_abort(txn);
        return false;
    }
    rc = mdb_txn_commit(txn);
    return rc == MDB_SUCCESS || lmdb_fault(j, "write to it", rc, f);
}

static bool open_all_events(struct journal *j, struct fault *f)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(j->env, NULL, MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "read it", rc, f);
    bool good = catalog_read(&j->catalog, txn, j->dir, f);
    if (good && j->catalog.format == 0)
        good = fault(f, "journal %s: there is no journal yet", j->dir);
    for (uint32_t slot = 0; good && slot < j->catalog.count; slot++)
        good = open_event(j, txn, slot, f);
    /* An abort would close the databases again. */
    rc = mdb_txn_commit(txn);
    return good && (rc == MDB_SUCCESS || lmdb_fault(j, "read it", rc, f));
}

static int open_cursors(struct journal *j)
{
    int rc = MDB_SUCCESS;
    for (uint32_t i = 0; rc == MDB_SUCCESS && i < j->event_count; i++)
        if (j->events[i].cursor == NULL && !j->events[i].is_new)
            rc = mdb_cursor_open(j->reader, j->events[i].dbis.records, &j->events[i].cursor);
    return rc;
}

static bool start_reading(struct journal *j, struct fault *f)
{
    int rc = mdb_txn_begin(j->env, NULL, MDB_RDONLY, &j->reader);
    if (rc == MDB_SUCCESS)
        rc = open_cursors(j);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "read it", rc, f);
    mdb_txn_reset(j->reader);
    return true;
}

/* Ready to sell, as far as room goes? */
static struct journal *opened(struct journal *j)
{
    journal_measure(j);
    if (journal_free_records(j) == 0)
        log_line(LOG_WARN,
                 "journal %s: no room for sales: %" PRIu64 " of %" PRIu64
                 " bytes are used and %" PRIu64 " are kept for "
                 "commits to work in; raise its size, or make room on the disk",
                 j->dir, journal_used_bytes(j), journal_size_bytes(j),
                 journal_reserve_pages(j, j->event_count, journal_index_leaves(j)) * j->page_size);
    return j;
}

struct journal *journal_open(const struct journal_options *o, struct fault *f)
{
    ASSERT(o->event_count <= EVENTS_MAX);
    uint64_t size = round_up(o->size);
    struct journal *j = make(o->dir, f);
    if (j == NULL)
        return NULL;
    j->options = *o;
    if (open_home(j, f) && open_env(j, size, 0, f) && keep_size(j, size, o->event_count, f) &&
        open_events(j, o, f) && journal_find_ready(j, f) && start_reading(j, f) &&
        (!journal_is_new(j) || journal_begin(j, f)))
        return opened(j);
    journal_close(j);
    return NULL;
}

bool journal_is_new(const struct journal *j)
{
    return j->catalog.format == 0;
}

/* ---- begin ---------------------------------------------------------------------------------- */

static int add_event(struct journal *j, MDB_txn *txn, struct event *e)
{
    ASSERT(e->slot == j->catalog.count);
    int rc = catalog_add(&j->catalog, txn, e->name, &e->dbis);
    if (rc == MDB_SUCCESS)
        rc = journal_count_leaves(txn, e);
    return rc;
}

static int add_names(struct journal *j)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(j->env, NULL, 0, &txn);
    if (rc != MDB_SUCCESS)
        return rc;
    if (journal_is_new(j))
        rc = catalog_create(&j->catalog, txn, j->options.node);
    for (uint32_t i = 0; rc == MDB_SUCCESS && i < j->event_count; i++)
        if (j->events[i].is_new)
            rc = add_event(j, txn, &j->events[i]);
    if (rc == MDB_SUCCESS)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

/* The reader takes up the new databases. */
static int read_new_events(struct journal *j)
{
    for (uint32_t i = 0; i < j->event_count; i++)
        j->events[i].is_new = false;
    int rc = mdb_txn_renew(j->reader);
    if (rc == MDB_SUCCESS)
        rc = open_cursors(j);
    mdb_txn_reset(j->reader);
    return rc;
}

bool journal_begin(struct journal *j, struct fault *f)
{
    ASSERT(j->lock >= 0 && thread_role() != THREAD_WORKER);
    if (j->begun)
        return true;
    int rc = add_names(j);
    if (rc == MDB_SUCCESS)
        rc = read_new_events(j);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "begin it", rc, f);
    j->begun = journal_preallocate(j, f) && journal_dir_confirm(j->dir, j->lock, f);
    journal_measure(j);
    return j->begun;
}

struct journal *journal_open_reader(const char *dir, struct fault *f)
{
    struct journal *j = make(dir, f);
    if (j == NULL)
        return NULL;
    if (open_env(j, 0, MDB_RDONLY, f) && open_all_events(j, f) && start_reading(j, f))
        return j;
    journal_close(j);
    return NULL;
}

void journal_close(struct journal *j)
{
    if (j->writer)
        mdb_txn_abort(j->writer);
    for (uint32_t i = 0; i < j->event_count; i++)
        if (j->events[i].cursor)
            mdb_cursor_close(j->events[i].cursor);
    if (j->reader)
        mdb_txn_abort(j->reader);
    if (j->env)
        mdb_env_close(j->env);
    if (j->lock >= 0)
        close(j->lock);
    free(j);
}
