/*
 * journal_room: how large the map is, what of it is used, and how many records still fit; promises
 * in journal.h. It reads figures and changes nothing.
 */
#include <sys/statvfs.h>

#include "storage/journal/journal_private.h"

/* What fits: a record of RECORD_BYTES_MAX takes a node with its key and an offset, and if it is a
 * grant, an entry of the index. Appending fills leaves to the end, so less than one node's room is
 * lost in each. Branch pages split in halves, and half a branch of 4096 bytes holds over a hundred
 * leaves. */
#define PAGE_HEAD         16
#define NODE_BYTES        (8 + sizeof(uint64_t) + RECORD_BYTES_MAX + 2)
#define ENTRY_BYTES       (8 + sizeof(uint64_t) + sizeof(struct index_entry) + 2)
#define LEAVES_PER_BRANCH 64

/* What commits need to work in: for each event the paths to the last leaves of its records and of
 * its index, and their entries among the names; for all of them the rest of the names and the tree
 * of free pages, with lists that grow with what a commit frees; and the leaves of the index where
 * orders change, each of them copied; all of it for each commit under way. */
/* Orders that change in a commit; of a batch, those that were paid late. */
#define CHANGES_MAX  (OPS_MAX + EXPIRE_MAX + BATCH_MAX)
#define NAME_PAGES   2
#define COMMON_PAGES 8
#define LIST_PART    64 /* a page lists over five hundred; runs of pages break up */

/* Pages that the disk has for us: those that are free, and those that the file has ready. */
static uint64_t ask_disk(const struct journal *j)
{
    uint64_t ready = j->ready_pages > j->used_pages ? j->ready_pages - j->used_pages : 0;
    struct statvfs fs;
    int fd;
    if (mdb_env_get_fd(j->env, &fd) != MDB_SUCCESS || fstatvfs(fd, &fs) != 0)
        return UINT64_MAX; /* not known: then the map alone decides, and a commit tells */
    return ready + (uint64_t)fs.f_bavail * fs.f_frsize / j->page_size;
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

uint64_t journal_index_leaves(const struct journal *j)
{
    uint64_t leaves = 0;
    for (uint32_t i = 0; i < j->event_count; i++)
        leaves += j->events[i].leaves;
    return leaves;
}

/* From the root to a leaf, of a tree that fills the map, and a page of a split. */
static uint64_t path_pages(const struct journal *j)
{
    uint64_t pages = 2;
    for (uint64_t reach = 1; reach < j->map_pages; reach *= LEAVES_PER_BRANCH)
        pages++;
    return pages;
}

/* What CHANGES_MAX changes copy, wherever they are: leaves, and the branches above them. */
static uint64_t copied_pages(uint64_t leaves)
{
    uint64_t pages = 0;
    for (; leaves > 0; leaves /= LEAVES_PER_BRANCH)
        pages += leaves < CHANGES_MAX ? leaves : CHANGES_MAX;
    return pages;
}

uint64_t journal_reserve_pages(const struct journal *j, uint32_t events, uint64_t leaves)
{
    uint64_t pages =
        COMMON_PAGES + (2 * path_pages(j) + NAME_PAGES) * events + copied_pages(leaves);
    return COMMITS_AT_ONCE * (pages + pages / LIST_PART);
}

static uint64_t records_per_leaf(const struct journal *j)
{
    return (j->page_size - PAGE_HEAD) / NODE_BYTES - 1;
}

static uint64_t entries_per_leaf(const struct journal *j)
{
    return (j->page_size - PAGE_HEAD) / ENTRY_BYTES - 1;
}

/* Records that fit, with an entry of the index each, whose leaves are needed so many times. */
static uint64_t fit(const struct journal *j, uint64_t pages, uint64_t reserve, uint64_t times)
{
    uint64_t records = records_per_leaf(j), entries = entries_per_leaf(j);
    if (pages <= reserve)
        return 0;
    pages -= reserve;
    pages -= pages / LEAVES_PER_BRANCH;
    return pages * records * entries / (entries + times * records);
}

uint64_t journal_pages(const struct journal *j, uint64_t records, uint64_t times)
{
    uint64_t pages = records / records_per_leaf(j) + times * records / entries_per_leaf(j) + 2;
    return pages + pages / (LEAVES_PER_BRANCH - 1) + 1;
}

uint64_t journal_leaves(const struct journal *j, uint64_t orders)
{
    return orders / entries_per_leaf(j) + 1;
}

/* The reserve grows with the index, up to a point. So each record pays for its part of a leaf and
 * for its copies; or else the greatest reserve is kept from now on. Either is enough. */
uint64_t journal_free_records(const struct journal *j)
{
    uint64_t pages = j->map_pages > j->used_pages ? j->map_pages - j->used_pages : 0;
    if (j->disk_pages < pages) {
        uint64_t disk = ask_disk(j);
        pages = disk < pages ? disk : pages;
    }
    if (j->poisoned)
        return 0;
    uint64_t now = journal_reserve_pages(j, j->event_count, journal_index_leaves(j));
    uint64_t most =
        journal_reserve_pages(j, j->event_count, journal_index_leaves_max(j->map_pages));
    uint64_t growing = fit(j, pages, now, 1 + COMMITS_AT_ONCE), grown = fit(j, pages, most, 1);
    uint64_t room = growing > grown ? growing : grown;
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
