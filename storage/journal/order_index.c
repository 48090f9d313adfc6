/*
 * order_index: entries of the index and their bytes. A record and its entry are written in one
 * transaction, so no crash separates them.
 */
#include "storage/journal/order_index.h"

#include <string.h>

/* As stored, little-endian. */
struct index_entry {
    uint64_t grant, last; /* seq of the order's grant, of the last record that refers to it */
};

_Static_assert(sizeof(struct index_entry) == ORDER_INDEX_ENTRY_BYTES, "as it is stored");

bool order_index_parse(struct bytes data, uint64_t *grant, uint64_t *last)
{
    struct index_entry entry;
    if (data.len != sizeof entry)
        return false;
    memcpy(&entry, data.ptr, sizeof entry);
    *grant = entry.grant;
    *last = entry.last;
    return true;
}

int order_index_find(MDB_txn *txn, MDB_dbi index, uint64_t number, uint64_t *grant, uint64_t *last)
{
    MDB_val key = {sizeof number, &number}, data;
    int rc = mdb_get(txn, index, &key, &data);
    if (rc != MDB_SUCCESS)
        return rc;
    struct bytes bytes = {data.mv_data, data.mv_size};
    return order_index_parse(bytes, grant, last) ? MDB_SUCCESS : MDB_CORRUPTED;
}

int order_index_add(MDB_cursor *cursor, uint64_t number, uint64_t seq)
{
    struct index_entry entry = {seq, seq};
    MDB_val key = {sizeof number, &number}, data = {sizeof entry, &entry};
    ASSERT(number > 0 && seq > 0);
    return mdb_cursor_put(cursor, &key, &data, MDB_APPEND);
}

/* The caller found the order through this index, or the verifier did. If the entry is missing now,
 * the file or the memory has changed since: a disk can do that, so it fails the commit, with a
 * message, and is no assertion. */
int order_index_update(MDB_txn *txn, MDB_dbi index, uint64_t number, uint64_t seq)
{
    struct index_entry entry = {0, seq};
    uint64_t before;
    MDB_val key = {sizeof number, &number}, data = {sizeof entry, &entry};
    ASSERT(number > 0 && seq > 0);
    int rc = order_index_find(txn, index, number, &entry.grant, &before);
    if (rc != MDB_SUCCESS)
        return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
    return mdb_put(txn, index, &key, &data, 0);
}
