/*
 * names: see names.h. Everything is written in the transaction that makes it, together with the
 * event's databases, and never again: a journal that dies before that commit has none of it.
 */
#include "storage/journal/catalog.h"

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

#include "storage/journal/journal_dir.h"

#define KEY_FORMAT   "meta:format"
#define KEY_NODE     "meta:node"
#define PREFIX_SLOT  "slot:"
#define PREFIX_EVENT "event:"
#define PREFIX_INDEX "index:"
#define KEY_TEXT     CATALOG_DBI_TEXT

/* Little-endian in the file, as the records. */
struct number {
    uint8_t value[4], crc[4];
};

static void put32(uint8_t out[4], uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get32(const uint8_t in[4])
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static uint32_t number_crc(struct bytes key, const uint8_t value[4])
{
    return libdeflate_crc32(libdeflate_crc32(0, key.ptr, key.len), value, 4);
}

static bool get_number(struct bytes key, struct bytes data, uint32_t *value)
{
    struct number n;
    if (data.len != sizeof n)
        return false;
    memcpy(&n, data.ptr, sizeof n);
    *value = get32(n.value);
    return get32(n.crc) == number_crc(key, n.value);
}

static struct bytes bytes_of(const MDB_val *v)
{
    return (struct bytes){v->mv_data, v->mv_size};
}

static MDB_val key_of(char text[KEY_TEXT], const char *prefix, const char *name)
{
    int n = snprintf(text, KEY_TEXT, "%s%s", prefix, name);
    ASSERT(n > 0 && n < KEY_TEXT);
    return (MDB_val){(size_t)n, text};
}

static int put_number(MDB_txn *txn, MDB_dbi main, const char *prefix, const char *name,
                      uint32_t value)
{
    char text[KEY_TEXT];
    struct number n;
    MDB_val key = key_of(text, prefix, name), data = {sizeof n, &n};
    put32(n.value, value);
    put32(n.crc, number_crc(bytes_of(&key), n.value));
    return mdb_put(txn, main, &key, &data, MDB_NOOVERWRITE);
}

static bool begins(struct bytes key, const char *prefix)
{
    size_t len = strlen(prefix);
    return key.len >= len && memcmp(key.ptr, prefix, len) == 0;
}

static bool is_key(struct bytes key, const char *name)
{
    return key.len == strlen(name) && begins(key, name);
}

static bool take_slot(struct catalog *n, struct bytes key, uint32_t slot)
{
    size_t len = key.len - strlen(PREFIX_SLOT);
    if (slot >= JOURNAL_SLOTS_MAX || n->events[slot][0] != '\0' || len == 0 || len > EVENT_NAME_MAX)
        return false;
    memcpy(n->events[slot], key.ptr + strlen(PREFIX_SLOT), len);
    n->count++;
    return true;
}

bool catalog_parse(struct catalog *n, struct bytes key, struct bytes data)
{
    uint32_t value;
    if (begins(key, PREFIX_EVENT) || begins(key, PREFIX_INDEX)) {
        n->dbis++;
        return true;
    }
    if (!get_number(key, data, &value))
        return false;
    if (is_key(key, KEY_FORMAT))
        n->format = value;
    else if (is_key(key, KEY_NODE))
        n->node = value;
    else
        return begins(key, PREFIX_SLOT) && take_slot(n, key, value);
    return true;
}

/* Slots without gaps, as many databases as they need, and a node. */
static bool is_complete(const struct catalog *n)
{
    for (uint32_t slot = 0; slot < n->count; slot++)
        if (n->events[slot][0] == '\0')
            return false;
    return n->dbis == 2 * n->count && n->node >= 1 && n->node <= NODE_MAX;
}

bool catalog_check(const struct catalog *n, bool whole, const char *dir, struct fault *f)
{
    /* Another format may have other names: only the number counts. */
    if (n->format != 0 && n->format != JOURNAL_FORMAT)
        return fault(f, "journal %s: has format %u, this program reads format %d; use its own", dir,
                     n->format, JOURNAL_FORMAT);
    if (!whole || n->format == 0 || !is_complete(n))
        return fault(
            f, "journal %s: damaged: the names of its events do not fit together" JOURNAL_ADVICE,
            dir);
    return true;
}

void catalog_dbi_names(const struct catalog *n, uint32_t slot, char records[CATALOG_DBI_TEXT],
                       char index[CATALOG_DBI_TEXT])
{
    ASSERT(slot < n->count);
    (void)key_of(records, PREFIX_EVENT, n->events[slot]);
    (void)key_of(index, PREFIX_INDEX, n->events[slot]);
}

static int take_all(struct catalog *n, MDB_txn *txn, MDB_dbi main)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int rc = mdb_cursor_open(txn, main, &cursor);
    if (rc != MDB_SUCCESS)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == MDB_SUCCESS)
        if (!catalog_parse(n, bytes_of(&key), bytes_of(&data))) {
            rc = MDB_CORRUPTED;
            break;
        }
    mdb_cursor_close(cursor);
    return rc;
}

static bool has_dbis(const struct catalog *n, MDB_txn *txn, MDB_dbi main)
{
    char text[2][CATALOG_DBI_TEXT];
    for (uint32_t slot = 0; slot < n->count; slot++) {
        catalog_dbi_names(n, slot, text[0], text[1]);
        for (int i = 0; i < 2; i++) {
            MDB_val key = {strlen(text[i]), text[i]}, data;
            if (mdb_get(txn, main, &key, &data) != MDB_SUCCESS)
                return false;
        }
    }
    return true;
}

bool catalog_read(struct catalog *n, MDB_txn *txn, const char *dir, struct fault *f)
{
    MDB_dbi main;
    MDB_stat stat;
    memset(n, 0, sizeof *n);
    int rc = mdb_dbi_open(txn, NULL, 0, &main);
    if (rc == MDB_SUCCESS)
        rc = mdb_stat(txn, main, &stat);
    if (rc != MDB_SUCCESS)
        return fault(f, "journal %s: its names cannot be read: %s", dir, mdb_strerror(rc));
    if (stat.ms_entries == 0)
        return true;
    bool whole = take_all(n, txn, main) == MDB_NOTFOUND && has_dbis(n, txn, main);
    return catalog_check(n, whole, dir, f);
}

int catalog_create(struct catalog *n, MDB_txn *txn, uint16_t node)
{
    MDB_dbi main;
    ASSERT(n->format == 0 && n->count == 0);
    n->format = JOURNAL_FORMAT;
    n->node = node;
    int rc = mdb_dbi_open(txn, NULL, 0, &main);
    if (rc == MDB_SUCCESS)
        rc = put_number(txn, main, KEY_FORMAT, "", n->format);
    return rc != MDB_SUCCESS ? rc : put_number(txn, main, KEY_NODE, "", n->node);
}

int catalog_find(const struct catalog *n, const char *event)
{
    for (uint32_t slot = 0; slot < n->count; slot++)
        if (strcmp(n->events[slot], event) == 0)
            return (int)slot;
    return -1;
}

static int open_dbis(MDB_txn *txn, const char *event, unsigned flags, struct dbis *dbis)
{
    char text[KEY_TEXT];
    (void)key_of(text, PREFIX_EVENT, event);
    int rc = mdb_dbi_open(txn, text, MDB_INTEGERKEY | flags, &dbis->records);
    if (rc != MDB_SUCCESS)
        return rc;
    (void)key_of(text, PREFIX_INDEX, event);
    return mdb_dbi_open(txn, text, MDB_INTEGERKEY | flags, &dbis->index);
}

int catalog_open(const struct catalog *n, MDB_txn *txn, uint32_t slot, struct dbis *dbis)
{
    ASSERT(slot < n->count);
    return open_dbis(txn, n->events[slot], 0, dbis);
}

int catalog_add(struct catalog *n, MDB_txn *txn, const char *event, struct dbis *dbis)
{
    MDB_dbi main;
    ASSERT(n->count < JOURNAL_SLOTS_MAX && strlen(event) <= EVENT_NAME_MAX);
    int rc = mdb_dbi_open(txn, NULL, 0, &main);
    if (rc == MDB_SUCCESS)
        rc = put_number(txn, main, PREFIX_SLOT, event, n->count);
    if (rc != MDB_SUCCESS)
        return rc;
    strcpy(n->events[n->count++], event);
    return open_dbis(txn, event, MDB_CREATE, dbis);
}
