/*
 * journal_preallocate: before a server writes to its journal, data.mdb is extended with zeros
 * behind LMDB's last page, as far as the configured sale will need and the map may grow.
 *
 * Why: a sync of a file that has grown, or into blocks that were only reserved, has to commit the
 * file system's own journal as well. Blocks that have been written once are simply written again: a
 * commit takes two thirds of the time. And a disk without space for the sale is found before the
 * first ticket is sold.
 *
 * LMDB, the verifier and `used` ignore the zeros: they go by the last page that the meta pages
 * name, and of the file's length they require only that it reaches that far.
 *
 * Order: the directory is locked, its journal verified, opened and committed to; then the zeros and
 * one sync, then the lock file's confirmation. Dying in the middle leaves a file that is longer;
 * the next start continues where the first block is missing, be that the end or (in a copy that
 * left zeros out) a hole. If the disk is full, the file gets its old length back. Then a journal
 * that has sold nothing yet is refused; one that has must start, to settle and to record returns.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/base/log.h"
#include "storage/journal/journal_private.h"

/* What one start may add: a disk writes that in a second or two. It holds about a million orders;
 * a larger sale lets the file grow after them. */
#define PREALLOCATE_MAX (UINT64_C(256) << 20)
#define WRITE_BYTES     65536
#define SPARE_RECORDS   (2 * BATCH_MAX + 3) /* the ledger keeps two batches free */

/* Records that all orders of an event will still need: each order its grant, and one that is held
 * two more, which stay reserved for what becomes of it. */
static uint64_t records_to_come(const struct journal *j, const struct journal_options *o,
                                uint32_t i)
{
    ASSERT(i < j->event_count);
    uint64_t records = o->orders[i] * (o->holds[i] ? 3 : 1);
    return records > j->events[i].end ? records - j->events[i].end : 0;
}

/* The first page behind the file's target length: journal_free_records() then covers the sale up
 * to its last order, however full the disk has become. Each reserved record may copy a leaf of the
 * index in every commit under way. */
static uint64_t target_pages(const struct journal *j, const struct journal_options *o)
{
    const struct capacity *c = j->capacity;
    uint64_t sold = 0, reserved = 0, leaves = 0;
    for (uint32_t i = 0; i < o->event_count; i++) {
        uint64_t records = records_to_come(j, o, i);
        sold += o->holds[i] ? 0 : records;
        reserved += o->holds[i] ? records : 0;
        leaves += capacity_index_leaves(c, o->orders[i]);
    }
    if (sold + reserved == 0)
        return 0;
    uint64_t pages = capacity_pages(c, sold, 1) +
                     capacity_pages(c, reserved + SPARE_RECORDS, 1 + COMMITS_AT_ONCE) +
                     capacity_reserve(c, o->event_count, leaves);
    uint64_t pages_max = PREALLOCATE_MAX / capacity_page_size(c);
    pages = capacity_used_pages(c) + (pages < pages_max ? pages : pages_max);
    return pages < capacity_map_pages(c) ? pages : capacity_map_pages(c);
}

/* The first byte from `from` on that has no block. */
static uint64_t find_gap(int fd, uint64_t from, uint64_t length)
{
    if (length <= from)
        return from;
    off_t gap = lseek(fd, (off_t)from, SEEK_HOLE);
    return gap < 0 ? length : (uint64_t)gap;
}

static bool write_zeros(int fd, uint64_t from, uint64_t to)
{
    static const unsigned char zeros[WRITE_BYTES];
    ASSERT(from < to);
    while (from < to) {
        size_t part = to - from < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
        ssize_t n = pwrite(fd, zeros, part, (off_t)from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += (uint64_t)n;
    }
    return fsync(fd) == 0;
}

static bool has_records(const struct journal *j)
{
    for (uint32_t i = 0; i < j->event_count; i++)
        if (j->events[i].end > 0)
            return true;
    return false;
}

/* True: the journal holds orders and must start all the same. */
static bool continue_without(const struct journal *j, uint64_t bytes, struct fault *f)
{
    int error = errno;
    (void)fault(f,
                "journal %s: the disk cannot take %" PRIu64
                " more bytes, which the orders to come need: %s; free space there, or lower "
                "local-stock",
                j->dir, bytes, strerror(error));
    if (!has_records(j))
        return false;
    log_line(LOG_WARN, "%s; starting without them, for the journal holds orders", f->text);
    return true;
}

/* Counts only blocks that the file system reports: one that compresses keeps none for zeros. `end`
 * is the first byte without a block. */
static bool note_allocated(struct journal *j, int fd, uint64_t end, struct fault *f)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fault(f, "journal %s: fstat: %s", j->dir, strerror(errno));
    uint64_t blocks = (uint64_t)st.st_blocks * 512;
    capacity_set_allocated(j->capacity, blocks < end ? blocks : end);
    return true;
}

/* The file, its length, and its first byte behind LMDB's last page that has no block. */
static bool measure_file(struct journal *j, int *fd, uint64_t *length, uint64_t *gap,
                         struct fault *f)
{
    struct stat st;
    int rc = mdb_env_get_fd(j->env, fd);
    ASSERT(rc == MDB_SUCCESS);
    if (fstat(*fd, &st) != 0)
        return fault(f, "journal %s: fstat: %s", j->dir, strerror(errno));
    capacity_measure(j->capacity);
    *length = (uint64_t)st.st_size;
    *gap = find_gap(*fd, journal_used_bytes(j), *length);
    return true;
}

bool journal_find_allocated(struct journal *j, struct fault *f)
{
    int fd;
    uint64_t length, gap;
    return measure_file(j, &fd, &length, &gap, f) && note_allocated(j, fd, gap, f);
}

bool journal_preallocate(struct journal *j, struct fault *f)
{
    int fd;
    uint64_t length, gap;
    ASSERT(j->lock >= 0 && !j->begun);
    if (!measure_file(j, &fd, &length, &gap, f))
        return false;
    uint64_t target = target_pages(j, &j->options) * capacity_page_size(j->capacity);
    if (gap < target && !write_zeros(fd, gap, target)) {
        bool good = continue_without(j, target - gap, f);
        if (ftruncate(fd, (off_t)length) != 0)
            log_line(LOG_WARN, "journal %s: ftruncate: %s", j->dir, strerror(errno));
        return good;
    }
    if (gap < target)
        log_line(LOG_INFO, "journal %s: preallocated %" PRIu64 " bytes", j->dir, target - gap);
    return note_allocated(j, fd, gap < target ? target : gap, f);
}
