/*
 * snapshot: see snapshot.h. It writes nothing but its slot in LMDB's table of readers, which LMDB
 * clears when the process is gone.
 */
#include "storage/journal/snapshot.h"

#include <errno.h>
#include <stdlib.h>

#include "storage/journal/catalog.h"

struct snapshot {
    MDB_env *env;
    MDB_txn *txn;                           /* reset unless `active` */
    bool beside_writer;                     /* another process writes */
    bool active;                            /* between begin and end */
    MDB_cursor *cursors[JOURNAL_SLOTS_MAX]; /* by event; NULL: the event has no databases yet */
};

int snapshot_open(struct snapshot **out, MDB_env *env, bool beside_writer)
{
    struct snapshot *s = calloc(1, sizeof *s);
    *out = s;
    if (s == NULL)
        return ENOMEM;
    s->env = env;
    s->beside_writer = beside_writer;
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &s->txn);
    if (rc == MDB_SUCCESS)
        mdb_txn_reset(s->txn);
    return rc;
}

void snapshot_close(struct snapshot *s)
{
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < ARRAY_LEN(s->cursors); i++)
        if (s->cursors[i])
            mdb_cursor_close(s->cursors[i]);
    if (s->txn)
        mdb_txn_abort(s->txn);
    free(s);
}

int snapshot_add(struct snapshot *s, uint32_t event, MDB_dbi records)
{
    MDB_txn *txn;
    ASSERT(event < ARRAY_LEN(s->cursors) && s->cursors[event] == NULL);
    int rc = snapshot_begin(s, &txn);
    if (rc != MDB_SUCCESS)
        return rc;
    rc = mdb_cursor_open(txn, records, &s->cursors[event]);
    snapshot_end(s);
    return rc;
}

/* A reader that is preempted while it renews may find that its meta page has been written again, by
 * a commit whose sync has not returned: it would see that commit now, and an older one next. */
static bool is_overtaken(const struct snapshot *s)
{
    MDB_envinfo info;
    return mdb_env_info(s->env, &info) == MDB_SUCCESS &&
           info.me_last_txnid > mdb_txn_id(s->txn) + 1;
}

/* A server that was started with a larger size has outgrown this reader's map: map it again. */
static int renew_beside_writer(struct snapshot *s)
{
    int rc = mdb_txn_renew(s->txn);
    if (rc == MDB_MAP_RESIZED) {
        rc = mdb_env_set_mapsize(s->env, 0);
        if (rc == MDB_SUCCESS)
            rc = mdb_txn_renew(s->txn);
    }
    while (rc == MDB_SUCCESS && is_overtaken(s)) {
        mdb_txn_reset(s->txn);
        rc = mdb_txn_renew(s->txn);
    }
    return rc;
}

int snapshot_begin(struct snapshot *s, MDB_txn **txn)
{
    ASSERT(!s->active);
    int rc = s->beside_writer ? renew_beside_writer(s) : mdb_txn_renew(s->txn);
    s->active = rc == MDB_SUCCESS;
    *txn = s->txn;
    return rc;
}

void snapshot_end(struct snapshot *s)
{
    ASSERT(s->active);
    mdb_txn_reset(s->txn);
    s->active = false;
}

int snapshot_cursor(struct snapshot *s, uint32_t event, MDB_cursor **cursor)
{
    ASSERT(s->active);
    ASSERT(event < ARRAY_LEN(s->cursors) && s->cursors[event] != NULL);
    *cursor = s->cursors[event];
    return mdb_cursor_renew(s->txn, *cursor);
}
