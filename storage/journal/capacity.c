/*
 * capacity: see capacity.h. Pure arithmetic over three figures: the pages of the map, the pages in
 * use, and the pages that the disk can still give.
 */
#include "storage/journal/capacity.h"

#include <stdlib.h>
#include <sys/statvfs.h>

#include "conf/base/limits.h"
#include "storage/journal/catalog.h"
#include "storage/journal/order_index.h"
#include "storage/journal/record.h"

/* What fits: a record of RECORD_BYTES_MAX takes a node with its key and an offset and, if it is a
 * grant, an entry of the index. Appending fills each leaf until the next node does not fit. Branch
 * pages split in halves, and half a branch of 4096 bytes refers to over a hundred leaves. */
#define PAGE_HEAD         16
#define NODE_BYTES        (8 + sizeof(uint64_t) + RECORD_BYTES_MAX + 2)
#define ENTRY_BYTES       (8 + sizeof(uint64_t) + ORDER_INDEX_ENTRY_BYTES + 2)
#define LEAVES_PER_BRANCH 64

/* What one commit needs to work in: for each event the paths to the last leaves of its records and
 * of its index, and their entries among the names; for all events together the other names, and the
 * tree of free pages with lists that grow with what a commit frees; and the leaves of the index
 * where orders change, each of which is copied. Orders that change in one commit include those of a
 * batch that were paid late. */
#define CHANGES_MAX  (OPS_MAX + EXPIRE_MAX + BATCH_MAX)
#define NAME_PAGES   2
#define COMMON_PAGES 8
#define LIST_PART    64 /* a page lists over five hundred, but runs of pages fragment */

struct capacity {
    MDB_env *env;
    uint64_t page_size; /* bytes */
    uint64_t map_pages, used_pages;
    uint64_t allocated_pages; /* whose blocks exist, counted from the start of the file; or 0 */
    uint64_t disk_pages;      /* what the disk could give at the last commit */
};

/* Free pages of the disk, and pages of the file whose blocks exist and are not in use. */
static uint64_t measure_disk(const struct capacity *c)
{
    uint64_t allocated =
        c->allocated_pages > c->used_pages ? c->allocated_pages - c->used_pages : 0;
    struct statvfs fs;
    int fd;
    if (mdb_env_get_fd(c->env, &fd) != MDB_SUCCESS || fstatvfs(fd, &fs) != 0)
        return UINT64_MAX; /* unknown: the map alone decides, and a full disk fails the commit */
    return allocated + (uint64_t)fs.f_bavail * fs.f_frsize / c->page_size;
}

void capacity_measure(struct capacity *c)
{
    MDB_envinfo info;
    int rc = mdb_env_info(c->env, &info);
    ASSERT(rc == MDB_SUCCESS);
    c->map_pages = info.me_mapsize / c->page_size;
    c->used_pages = info.me_last_pgno + 1;
    c->disk_pages = measure_disk(c);
}

struct capacity *capacity_new(MDB_env *env, uint64_t page_size)
{
    struct capacity *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->env = env;
    c->page_size = page_size;
    capacity_measure(c);
    return c;
}

void capacity_free(struct capacity *c)
{
    free(c);
}

void capacity_set_allocated(struct capacity *c, uint64_t bytes)
{
    c->allocated_pages = bytes / c->page_size;
}

uint64_t capacity_page_size(const struct capacity *c)
{
    return c->page_size;
}

uint64_t capacity_map_pages(const struct capacity *c)
{
    return c->map_pages;
}

uint64_t capacity_used_pages(const struct capacity *c)
{
    return c->used_pages;
}

/* From the root to a leaf of a tree that fills the map, and the new page of a split. */
static uint64_t path_pages(const struct capacity *c)
{
    uint64_t pages = 2;
    for (uint64_t reach = 1; reach < c->map_pages; reach *= LEAVES_PER_BRANCH)
        pages++;
    return pages;
}

/* Pages that CHANGES_MAX changes anywhere in the index copy: leaves, and the branches above. */
static uint64_t copied_pages(uint64_t leaves)
{
    uint64_t pages = 0;
    for (; leaves > 0; leaves /= LEAVES_PER_BRANCH)
        pages += leaves < CHANGES_MAX ? leaves : CHANGES_MAX;
    return pages;
}

uint64_t capacity_reserve(const struct capacity *c, uint32_t events, uint64_t leaves)
{
    ASSERT(events <= JOURNAL_SLOTS_MAX);
    uint64_t pages =
        COMMON_PAGES + (2 * path_pages(c) + NAME_PAGES) * events + copied_pages(leaves);
    return COMMITS_AT_ONCE * (pages + pages / LIST_PART);
}

uint64_t capacity_index_leaves_max(uint64_t pages)
{
    return pages / 3;
}

static uint64_t records_per_leaf(const struct capacity *c)
{
    ASSERT(c->page_size >= PAGE_HEAD + 2 * NODE_BYTES); /* metas.c accepts none below 512 */
    return (c->page_size - PAGE_HEAD) / NODE_BYTES - 1;
}

static uint64_t entries_per_leaf(const struct capacity *c)
{
    return (c->page_size - PAGE_HEAD) / ENTRY_BYTES - 1;
}

uint64_t capacity_index_leaves(const struct capacity *c, uint64_t orders)
{
    return orders / entries_per_leaf(c) + 1;
}

uint64_t capacity_pages(const struct capacity *c, uint64_t records, uint64_t copies)
{
    ASSERT(copies >= 1);
    uint64_t pages = records / records_per_leaf(c) + copies * records / entries_per_leaf(c) + 2;
    return pages + pages / (LEAVES_PER_BRANCH - 1) + 1;
}

/* Records that fit into the pages beside the reserve, each with an entry of the index whose leaf is
 * written `copies` times. */
static uint64_t fit(const struct capacity *c, uint64_t pages, uint64_t reserve, uint64_t copies)
{
    uint64_t records = records_per_leaf(c), entries = entries_per_leaf(c);
    ASSERT(copies >= 1);
    if (pages <= reserve)
        return 0;
    pages -= reserve;
    pages -= pages / LEAVES_PER_BRANCH;
    return pages * records * entries / (entries + copies * records);
}

/* The reserve grows with the index, up to a maximum. So either each record pays for its share of a
 * leaf and for the copies of that; or the maximum is reserved from now on. Both suffice: the larger
 * result is the answer. */
uint64_t capacity_records(const struct capacity *c, uint32_t events, uint64_t leaves)
{
    uint64_t pages = c->map_pages > c->used_pages ? c->map_pages - c->used_pages : 0;
    if (c->disk_pages < pages) {
        uint64_t disk = measure_disk(c);
        pages = disk < pages ? disk : pages;
    }
    uint64_t leaves_max = capacity_index_leaves_max(c->map_pages);
    uint64_t growing = fit(c, pages, capacity_reserve(c, events, leaves), 1 + COMMITS_AT_ONCE);
    uint64_t grown = fit(c, pages, capacity_reserve(c, events, leaves_max), 1);
    return growing > grown ? growing : grown;
}
