/*
 * catalog: see catalog.h. An event's names are written in the transaction that creates its
 * databases, and never again: a journal that dies before that commit has none of them.
 */
#include "storage/journal/catalog.h"

#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/journal/journal_dir.h"

#define KEY_FORMAT   "meta:format"
#define KEY_NODE     "meta:node"
#define PREFIX_SLOT  "slot:"
#define PREFIX_EVENT "event:"
#define PREFIX_INDEX "index:"
#define KEY_TEXT     CATALOG_DBI_TEXT

struct catalog {
    uint32_t format; /* 0: the catalog is empty */
    uint32_t node;
    uint32_t count;                                     /* slots 0 .. count - 1 are in use */
    uint32_t dbis;                                      /* databases of events, both kinds */
    char events[JOURNAL_SLOTS_MAX][EVENT_NAME_MAX + 1]; /* by slot */
};

/* As stored, little-endian. */
struct number {
    uint8_t value[4], crc[4];
};

struct catalog *catalog_new(void)
{
    return calloc(1, sizeof(struct catalog));
}

void catalog_free(struct catalog *c)
{
    free(c);
}

bool catalog_is_empty(const struct catalog *c)
{
    ASSERT(c->format != 0 || c->count == 0);
    return c->format == 0;
}

uint32_t catalog_node(const struct catalog *c)
{
    return c->node;
}

uint32_t catalog_count(const struct catalog *c)
{
    ASSERT(c->count <= JOURNAL_SLOTS_MAX);
    return c->count;
}

const char *catalog_event(const struct catalog *c, uint32_t slot)
{
    ASSERT(slot < c->count);
    return c->events[slot];
}

int catalog_find(const struct catalog *c, const char *event)
{
    for (uint32_t slot = 0; slot < c->count; slot++)
        if (strcmp(c->events[slot], event) == 0)
            return (int)slot;
    return -1;
}

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

static bool parse_slot(struct catalog *c, struct bytes key, uint32_t slot)
{
    ASSERT(key.len >= strlen(PREFIX_SLOT));
    size_t len = key.len - strlen(PREFIX_SLOT);
    if (slot >= JOURNAL_SLOTS_MAX || c->events[slot][0] != '\0' || len == 0 || len > EVENT_NAME_MAX)
        return false;
    memcpy(c->events[slot], key.ptr + strlen(PREFIX_SLOT), len);
    c->count++;
    return true;
}

bool catalog_parse(struct catalog *c, struct bytes key, struct bytes data)
{
    uint32_t value;
    if (begins(key, PREFIX_EVENT) || begins(key, PREFIX_INDEX)) {
        c->dbis++;
        return true;
    }
    if (!get_number(key, data, &value))
        return false;
    if (is_key(key, KEY_FORMAT))
        c->format = value;
    else if (is_key(key, KEY_NODE))
        c->node = value;
    else
        return begins(key, PREFIX_SLOT) && parse_slot(c, key, value);
    return true;
}

/* Slots without gaps, two databases for each, and a node. */
static bool is_complete(const struct catalog *c)
{
    for (uint32_t slot = 0; slot < c->count; slot++)
        if (c->events[slot][0] == '\0')
            return false;
    return c->dbis == 2 * c->count && c->node >= 1 && c->node <= NODE_MAX;
}

bool catalog_check(const struct catalog *c, bool whole, const char *dir, struct fault *f)
{
    ASSERT(c->count <= JOURNAL_SLOTS_MAX);
    /* Another format may have other names; so its number decides alone. */
    if (c->format != 0 && c->format != JOURNAL_FORMAT)
        return fault(f, "journal %s: has format %u, this program reads format %d; use its own", dir,
                     c->format, JOURNAL_FORMAT);
    if (!whole || c->format == 0 || !is_complete(c))
        return fault(
            f, "journal %s: damaged: the names of its events do not fit together" JOURNAL_ADVICE,
            dir);
    return true;
}

void catalog_dbi_names(const struct catalog *c, uint32_t slot, char records[CATALOG_DBI_TEXT],
                       char index[CATALOG_DBI_TEXT])
{
    ASSERT(slot < c->count);
    (void)key_of(records, PREFIX_EVENT, c->events[slot]);
    (void)key_of(index, PREFIX_INDEX, c->events[slot]);
}

static int parse_all(struct catalog *c, MDB_txn *txn, MDB_dbi main)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    int rc = mdb_cursor_open(txn, main, &cursor);
    if (rc != MDB_SUCCESS)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == MDB_SUCCESS)
        if (!catalog_parse(c, bytes_of(&key), bytes_of(&data))) {
            rc = MDB_CORRUPTED;
            break;
        }
    mdb_cursor_close(cursor);
    return rc;
}

static bool has_dbis(const struct catalog *c, MDB_txn *txn, MDB_dbi main)
{
    char text[2][CATALOG_DBI_TEXT];
    for (uint32_t slot = 0; slot < c->count; slot++) {
        catalog_dbi_names(c, slot, text[0], text[1]);
        for (int i = 0; i < 2; i++) {
            MDB_val key = {strlen(text[i]), text[i]}, data;
            if (mdb_get(txn, main, &key, &data) != MDB_SUCCESS)
                return false;
        }
    }
    return true;
}

bool catalog_read(struct catalog *c, MDB_txn *txn, const char *dir, struct fault *f)
{
    MDB_dbi main;
    MDB_stat stat;
    memset(c, 0, sizeof *c);
    int rc = mdb_dbi_open(txn, NULL, 0, &main);
    if (rc == MDB_SUCCESS)
        rc = mdb_stat(txn, main, &stat);
    if (rc != MDB_SUCCESS)
        return fault(f, "journal %s: its names cannot be read: %s", dir, mdb_strerror(rc));
    if (stat.ms_entries == 0)
        return true;
    bool whole = parse_all(c, txn, main) == MDB_NOTFOUND && has_dbis(c, txn, main);
    return catalog_check(c, whole, dir, f);
}

int catalog_create(struct catalog *c, MDB_txn *txn, uint16_t node)
{
    MDB_dbi main;
    ASSERT(catalog_is_empty(c) && node >= 1);
    c->format = JOURNAL_FORMAT;
    c->node = node;
    int rc = mdb_dbi_open(txn, NULL, 0, &main);
    if (rc == MDB_SUCCESS)
        rc = put_number(txn, main, KEY_FORMAT, "", c->format);
    return rc != MDB_SUCCESS ? rc : put_number(txn, main, KEY_NODE, "", c->node);
}

static int open_dbis(MDB_txn *txn, const char *event, unsigned flags, struct dbis *dbis)
{
    char text[KEY_TEXT];
    ASSERT((flags & ~(unsigned)MDB_CREATE) == 0);
    (void)key_of(text, PREFIX_EVENT, event);
    int rc = mdb_dbi_open(txn, text, MDB_INTEGERKEY | flags, &dbis->records);
    if (rc != MDB_SUCCESS)
        return rc;
    (void)key_of(text, PREFIX_INDEX, event);
    return mdb_dbi_open(txn, text, MDB_INTEGERKEY | flags, &dbis->index);
}

int catalog_open(const struct catalog *c, MDB_txn *txn, uint32_t slot, struct dbis *dbis)
{
    ASSERT(slot < c->count);
    return open_dbis(txn, c->events[slot], 0, dbis);
}

int catalog_add(struct catalog *c, MDB_txn *txn, const char *event, struct dbis *dbis)
{
    MDB_dbi main;
    ASSERT(c->count < JOURNAL_SLOTS_MAX && strlen(event) <= EVENT_NAME_MAX);
    ASSERT(catalog_find(c, event) < 0);
    int rc = mdb_dbi_open(txn, NULL, 0, &main);
    if (rc == MDB_SUCCESS)
        rc = put_number(txn, main, PREFIX_SLOT, event, c->count);
    if (rc != MDB_SUCCESS)
        return rc;
    strcpy(c->events[c->count++], event);
    return open_dbis(txn, event, MDB_CREATE, dbis);
}
