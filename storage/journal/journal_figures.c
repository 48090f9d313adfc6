/*
 * journal_figures: what a journal says of itself and its events: names, slots, ends, sizes; and how
 * these are read from LMDB. Promises in journal.h and journal_private.h. Nothing here writes.
 */
#include <string.h>

#include "storage/journal/journal_private.h"

static const struct event *event_at(const struct journal *j, uint32_t event)
{
    journal_check(j);
    ASSERT(event < j->event_count);
    return &j->events[event];
}

bool journal_is_new(const struct journal *j)
{
    return catalog_is_empty(j->catalog);
}

uint32_t journal_event_count(const struct journal *j)
{
    return j->event_count;
}

const char *journal_event_name(const struct journal *j, uint32_t event)
{
    return event_at(j, event)->name;
}

uint16_t journal_node(const struct journal *j)
{
    return (uint16_t)catalog_node(j->catalog);
}

uint8_t journal_slot(const struct journal *j, uint32_t event)
{
    return event_at(j, event)->slot;
}

uint64_t journal_end(const struct journal *j, uint32_t event)
{
    const struct event *e = event_at(j, event);
    ASSERT(e->end >= e->committed);
    return e->end;
}

uint64_t journal_committed(const struct journal *j, uint32_t event)
{
    return event_at(j, event)->committed;
}

uint64_t journal_free_records(const struct journal *j)
{
    uint64_t leaves = 0;
    journal_check(j);
    if (j->poisoned)
        return 0;
    for (uint32_t i = 0; i < j->event_count; i++)
        leaves += j->events[i].leaves;
    uint64_t records = capacity_records(j->capacity, j->event_count, leaves);
    uint64_t appended = j->writer ? writer_count(j->writer) : 0;
    return records > appended ? records - appended : 0;
}

uint64_t journal_used_bytes(const struct journal *j)
{
    return capacity_used_pages(j->capacity) * capacity_page_size(j->capacity);
}

uint64_t journal_size_bytes(const struct journal *j)
{
    return capacity_map_pages(j->capacity) * capacity_page_size(j->capacity);
}

int journal_find_end(MDB_txn *txn, struct event *e)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    ASSERT(!e->is_new);
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
