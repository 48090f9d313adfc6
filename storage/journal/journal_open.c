/*
 * journal_open: how a journal is opened and closed; promises in journal.h.
 *
 * In two parts, because a journal that turns out to be another node's copy must stay as it is:
 *
 *   open   lock the directory; verify what is there in a child process; complete a commit that
 *          lacks only its number (the one thing that is ever written here); open LMDB; in one write
 *          transaction, which writes nothing, read the catalog and find each event's end; last,
 *          open the snapshot with a cursor for each event, so that reading allocates nothing. A
 *          write transaction because it alone takes LMDB's own lock, and with it the newest commit,
 *          even if a server died beside a living reader.
 *   begin  in one transaction create what new events need; preallocate the file; confirm the
 *          directory and make its names durable.
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

/* LMDB aborts the process after this. */
static void lmdb_failed(MDB_env *env, const char *message)
{
    (void)env;
    log_line(LOG_ERROR, "the journal's library gives up: %s", message);
}

static struct journal *make(const char *dir, struct fault *f)
{
    struct journal *j = calloc(1, sizeof *j);
    if (j == NULL || strlen(dir) >= sizeof j->dir || (j->catalog = catalog_new()) == NULL) {
        (void)fault(f, "journal %s: %s", dir,
                    j && strlen(dir) >= sizeof j->dir ? "the name is too long" : strerror(ENOMEM));
        free(j);
        return NULL;
    }
    strcpy(j->dir, dir);
    j->owner = thread_role();
    j->lock = -1;
    return j;
}

/* size 0: as the file says. */
static int open_lmdb(struct journal *j, uint64_t size, unsigned flags)
{
    int cleared;
    int rc = mdb_env_create(&j->env);
    if (rc != MDB_SUCCESS)
        return rc;
    (void)mdb_env_set_assert(j->env, lmdb_failed);
    rc = mdb_env_set_maxdbs(j->env, JOURNAL_DBIS_MAX);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxreaders(j->env, READERS_MAX);
    if (rc == MDB_SUCCESS && size > 0)
        rc = mdb_env_set_mapsize(j->env, size);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_open(j->env, j->dir, flags | MDB_NOTLS, 0600);
    if (rc == MDB_SUCCESS)
        rc = mdb_reader_check(j->env, &cleared);
    return rc;
}

static bool open_env(struct journal *j, uint64_t size, unsigned flags, struct fault *f)
{
    MDB_stat stat;
    if (!journal_dir_reserve(j->dir, READERS_MAX, f))
        return false;
    int rc = open_lmdb(j, size, flags);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_stat(j->env, &stat);
    if (rc == MDB_SUCCESS && (j->capacity = capacity_new(j->env, stat.ms_psize)) == NULL)
        rc = ENOMEM;
    return rc == MDB_SUCCESS || lmdb_fault(j, "open it", rc, f);
}

static uint64_t round_up(uint64_t size)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

/* With a size that is too small to work in, returns could not be recorded: then the map keeps the
 * largest size it ever had. */
static bool keep_size(struct journal *j, uint64_t size, uint32_t events, struct fault *f)
{
    uint64_t used = capacity_used_pages(j->capacity);
    uint64_t reserve = capacity_reserve(j->capacity, events, capacity_index_leaves_max(used));
    if (used + reserve <= capacity_map_pages(j->capacity))
        return true;
    int rc = mdb_env_set_mapsize(j->env, 0);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "keep its size", rc, f);
    capacity_measure(j->capacity);
    if (journal_size_bytes(j) > size)
        log_line(LOG_WARN,
                 "journal %s: %" PRIu64 " bytes are used, so it keeps its size of %" PRIu64
                 "; size %" PRIu64 " is too "
                 "small",
                 j->dir, journal_used_bytes(j), journal_size_bytes(j), size);
    return true;
}

/* A file of an unfinished first start that is not sound holds nothing: remove it. */
static bool restart(const struct journal *j, struct fault *f)
{
    if (journal_dir_inspect(j->dir) != JOURNAL_DIR_UNFINISHED)
        return false;
    log_line(LOG_WARN, "%s", f->text);
    log_line(LOG_WARN,
             "journal %s: its first start had not ended, and nothing was sold: begun again",
             j->dir);
    return journal_dir_clear(j->dir, f);
}

static bool open_dir(struct journal *j, struct fault *f)
{
    struct leftover l;
    j->lock = journal_dir_lock(j->dir, f);
    if (j->lock < 0)
        return false;
    if (!journal_verify(j->dir, &l, f))
        return restart(j, f);
    if (journal_dir_inspect(j->dir) == JOURNAL_DIR_BLANK)
        return journal_dir_clear(j->dir, f);
    j->mended = l.txnid;
    return l.records == 0 || journal_mend(j->dir, &l, f);
}

static bool check_catalog(struct journal *j, MDB_txn *txn, uint16_t node, struct fault *f)
{
    if (!catalog_read(j->catalog, txn, j->dir, f))
        return false;
    if (!journal_is_new(j) && catalog_node(j->catalog) != node)
        return fault(f,
                     "journal %s: belongs to node %u and this is node %u; every node has a "
                     "directory of its own",
                     j->dir, catalog_node(j->catalog), node);
    return true;
}

static struct event *add_event(struct journal *j, const char *name, uint32_t slot)
{
    ASSERT(j->event_count < ARRAY_LEN(j->events) && slot < JOURNAL_SLOTS_MAX);
    struct event *e = &j->events[j->event_count++];
    *e = (struct event){.name = name, .slot = (uint8_t)slot};
    return e;
}

/* The event at a slot becomes the next of this journal's. */
static bool open_event(struct journal *j, MDB_txn *txn, uint32_t slot, struct fault *f)
{
    struct event *e = add_event(j, catalog_event(j->catalog, slot), slot);
    int rc = catalog_open(j->catalog, txn, slot, &e->dbis);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "open an event", rc, f);
    rc = journal_find_end(txn, e);
    if (rc == MDB_SUCCESS)
        rc = journal_count_leaves(txn, e);
    return rc == MDB_SUCCESS || lmdb_fault(j, "find its end", rc, f);
}

/* A new event gets the slot that journal_begin() will give it. */
static bool open_named(struct journal *j, MDB_txn *txn, const char *name, uint32_t *slots,
                       struct fault *f)
{
    int slot = catalog_find(j->catalog, name);
    if (slot >= 0)
        return open_event(j, txn, (uint32_t)slot, f);
    if (*slots == JOURNAL_SLOTS_MAX)
        return fault(f, "journal %s: event %s is one too many: %d have been on sale here", j->dir,
                     name, JOURNAL_SLOTS_MAX);
    add_event(j, name, (*slots)++)->is_new = true;
    return true;
}

static bool open_events(struct journal *j, const struct journal_options *o, struct fault *f)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(j->env, NULL, 0, &txn);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "write to it", rc, f);
    bool good = (j->mended == 0 || mdb_txn_id(txn) == j->mended + 1 ||
                 fault(f, "journal %s: LMDB does not continue from its last commit", j->dir)) &&
                check_catalog(j, txn, o->node, f);
    uint32_t slots = catalog_count(j->catalog);
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
    bool good = catalog_read(j->catalog, txn, j->dir, f);
    if (good && journal_is_new(j))
        good = fault(f, "journal %s: there is no journal yet", j->dir);
    for (uint32_t slot = 0; good && slot < catalog_count(j->catalog); slot++)
        good = open_event(j, txn, slot, f);
    /* Not aborted: that would close the databases again. */
    rc = mdb_txn_commit(txn);
    return good && (rc == MDB_SUCCESS || lmdb_fault(j, "read it", rc, f));
}

/* A cursor for each event whose databases were just opened, or (only_new) just created. */
static int add_cursors(struct journal *j, bool only_new)
{
    int rc = MDB_SUCCESS;
    for (uint32_t i = 0; rc == MDB_SUCCESS && i < j->event_count; i++)
        if (j->events[i].is_new == only_new)
            rc = snapshot_add(j->snapshot, i, j->events[i].dbis.records);
    return rc;
}

static bool start_reading(struct journal *j, bool beside_writer, struct fault *f)
{
    int rc = snapshot_open(&j->snapshot, j->env, beside_writer);
    if (rc == MDB_SUCCESS)
        rc = add_cursors(j, false);
    return rc == MDB_SUCCESS || lmdb_fault(j, "read it", rc, f);
}

static bool start_writing(struct journal *j, struct fault *f)
{
    j->writer = writer_new(j->env);
    return j->writer != NULL || lmdb_fault(j, "write to it", ENOMEM, f);
}

static void warn_if_full(const struct journal *j)
{
    uint64_t leaves = 0;
    if (journal_free_records(j) > 0)
        return;
    for (uint32_t i = 0; i < j->event_count; i++)
        leaves += j->events[i].leaves;
    log_line(
        LOG_WARN,
        "journal %s: no space for sales: %" PRIu64 " of %" PRIu64 " bytes are used and %" PRIu64
        " are reserved for commits to work in; raise its size, or free space on the disk",
        j->dir, journal_used_bytes(j), journal_size_bytes(j),
        capacity_reserve(j->capacity, j->event_count, leaves) * capacity_page_size(j->capacity));
}

struct journal *journal_open(const struct journal_options *o, struct fault *f)
{
    ASSERT_MAIN(); /* it forks */
    ASSERT(o->event_count <= EVENTS_MAX && o->node >= 1);
    uint64_t size = round_up(o->size);
    struct journal *j = make(o->dir, f);
    if (j == NULL)
        return NULL;
    j->options = *o;
    if (open_dir(j, f) && open_env(j, size, 0, f) && keep_size(j, size, o->event_count, f) &&
        start_writing(j, f) && open_events(j, o, f) && journal_find_allocated(j, f) &&
        start_reading(j, false, f) && (!journal_is_new(j) || journal_begin(j, f))) {
        capacity_measure(j->capacity);
        warn_if_full(j);
        return j;
    }
    journal_close(j);
    return NULL;
}

/* ---- begin ---------------------------------------------------------------------------------- */

static int create_event(struct journal *j, MDB_txn *txn, struct event *e)
{
    ASSERT(e->is_new && e->slot == catalog_count(j->catalog));
    int rc = catalog_add(j->catalog, txn, e->name, &e->dbis);
    if (rc == MDB_SUCCESS)
        rc = journal_count_leaves(txn, e);
    return rc;
}

static int create_all(struct journal *j)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(j->env, NULL, 0, &txn);
    if (rc != MDB_SUCCESS)
        return rc;
    if (journal_is_new(j))
        rc = catalog_create(j->catalog, txn, j->options.node);
    for (uint32_t i = 0; rc == MDB_SUCCESS && i < j->event_count; i++)
        if (j->events[i].is_new)
            rc = create_event(j, txn, &j->events[i]);
    if (rc == MDB_SUCCESS)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

/* The snapshot gets cursors over the new databases. */
static int read_new_events(struct journal *j)
{
    int rc = add_cursors(j, true);
    for (uint32_t i = 0; i < j->event_count; i++)
        j->events[i].is_new = false;
    return rc;
}

bool journal_begin(struct journal *j, struct fault *f)
{
    journal_check(j);
    ASSERT(j->writer != NULL && writer_txn(j->writer) == NULL);
    if (j->begun)
        return true;
    int rc = create_all(j);
    if (rc == MDB_SUCCESS)
        rc = read_new_events(j);
    if (rc != MDB_SUCCESS)
        return lmdb_fault(j, "begin it", rc, f);
    j->begun = journal_preallocate(j, f) && journal_dir_confirm(j->dir, j->lock, f);
    capacity_measure(j->capacity);
    return j->begun;
}

void journal_hand_over(struct journal *j, enum thread_role owner)
{
    journal_check(j);
    ASSERT(owner != THREAD_WORKER);
    j->owner = owner;
}

struct journal *journal_open_reader(const char *dir, struct fault *f)
{
    struct journal *j = make(dir, f);
    if (j == NULL)
        return NULL;
    if (open_env(j, 0, MDB_RDONLY, f) && open_all_events(j, f) && start_reading(j, true, f))
        return j;
    journal_close(j);
    return NULL;
}

void journal_close(struct journal *j)
{
    ASSERT(thread_role() == j->owner || thread_role() == THREAD_MAIN);
    writer_free(j->writer);
    snapshot_close(j->snapshot);
    capacity_free(j->capacity);
    if (j->env)
        mdb_env_close(j->env);
    if (j->lock >= 0)
        close(j->lock);
    catalog_free(j->catalog);
    free(j);
}
