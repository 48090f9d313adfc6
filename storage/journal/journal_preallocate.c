/*
 * journal_ahead: before a server writes to its journal, data.mdb is written ahead: zeros behind
 * LMDB's last page, as far as the sale that is configured will need and the map may grow.
 *
 * Why: a sync of a file that has grown, or into blocks that were only set aside, has to commit the
 * file system's own journal as well. Blocks that have been written once are simply written again:
 * a commit takes two thirds of the time. And a disk on which the sale has no room is found before
 * the first ticket is sold.
 *
 * To LMDB, to the verifier and to `used` the zeros are nothing: they go by the last page that the
 * meta pages name, and ask of the file's length only that it reaches so far.
 *
 * Order: the directory is locked, what is there verified, opened and committed; then the zeros, one
 * sync, then the mark. Dying in the middle leaves a file that is longer; the next start goes on
 * where the first block is missing, be that the end or (in a copy that left them out) a hole. When
 * the disk is full, the file gets its old length back. A journal that has sold nothing yet is then
 * refused; one that has must start, to settle and to take returns.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/base/log.h"
#include "storage/journal/journal_private.h"

/* What a start may add: a disk writes that in a second or two. Whoever sells more orders than it
 * holds, about a million, goes on as if there were none. */
#define PREALLOCATE_MAX (UINT64_C(256) << 20)
#define WRITE_BYTES     65536
#define SPARE_RECORDS   (2 * BATCH_MAX + 3) /* the ledger keeps two batches free besides */

/* Records for which the journal must have room so that all orders of an event can be made: each its
 * own, and of those that are held, two more that stay reserved for what becomes of it. */
static uint64_t records_left(const struct journal *j, const struct journal_options *o, uint32_t i)
{
    uint64_t records = o->orders[i] * (o->holds[i] ? 3 : 1);
    return records > j->events[i].end ? records - j->events[i].end : 0;
}

/* Where the file has to end, so that journal_free_records() goes on saying yes to the last order,
 * however full the disk has become. Of what is reserved each record may copy a leaf of the index in
 * each commit under way. */
static uint64_t pages_needed(const struct journal *j, const struct journal_options *o)
{
    uint64_t sold = 0, reserved = 0, leaves = 0;
    for (uint32_t i = 0; i < o->event_count; i++) {
        uint64_t left = records_left(j, o, i);
        sold += o->holds[i] ? 0 : left;
        reserved += o->holds[i] ? left : 0;
        leaves += journal_leaves(j, o->orders[i]);
    }
    if (sold + reserved == 0)
        return 0;
    uint64_t pages = journal_pages(j, sold, 1) +
                     journal_pages(j, reserved + SPARE_RECORDS, 1 + COMMITS_AT_ONCE) +
                     journal_reserve_pages(j, o->event_count, leaves);
    uint64_t most = PREALLOCATE_MAX / j->page_size;
    pages = j->used_pages + (pages < most ? pages : most);
    return pages < j->map_pages ? pages : j->map_pages;
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

/* The disk would not have it. */
static bool do_without(const struct journal *j, uint64_t bytes, struct fault *f)
{
    int error = errno;
    (void)fault(f,
                "journal %s: the disk cannot take %" PRIu64
                " more bytes, which the orders to come need: %s; make room there, or lower "
                "local-stock",
                j->dir, bytes, strerror(error));
    if (!has_records(j))
        return false;
    log_line(LOG_WARN, "%s; going on, for it holds orders", f->text);
    return true;
}

/* Counts only what the file system says it has: one that compresses keeps no block for zeros. */
static bool take_ready(struct journal *j, int fd, uint64_t end, struct fault *f)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fault(f, "journal %s: fstat: %s", j->dir, strerror(errno));
    uint64_t has = (uint64_t)st.st_blocks * 512;
    j->ready_pages = (has < end ? has : end) / j->page_size;
    return true;
}

/* The file, its length, and where its first block is missing. */
static bool look_at_file(struct journal *j, int *fd, uint64_t *length, uint64_t *gap,
                         struct fault *f)
{
    struct stat st;
    int rc = mdb_env_get_fd(j->env, fd);
    ASSERT(rc == MDB_SUCCESS);
    if (fstat(*fd, &st) != 0)
        return fault(f, "journal %s: fstat: %s", j->dir, strerror(errno));
    journal_measure(j);
    *length = (uint64_t)st.st_size;
    *gap = find_gap(*fd, journal_used_bytes(j), *length);
    return true;
}

bool journal_find_ready(struct journal *j, struct fault *f)
{
    int fd;
    uint64_t length, gap;
    return look_at_file(j, &fd, &length, &gap, f) && take_ready(j, fd, gap, f);
}

bool journal_preallocate(struct journal *j, struct fault *f)
{
    int fd;
    uint64_t length, gap;
    if (!look_at_file(j, &fd, &length, &gap, f))
        return false;
    uint64_t to = pages_needed(j, &j->options) * j->page_size;
    if (gap < to && !write_zeros(fd, gap, to)) {
        bool good = do_without(j, to - gap, f);
        if (ftruncate(fd, (off_t)length) != 0)
            log_line(LOG_WARN, "journal %s: ftruncate: %s", j->dir, strerror(errno));
        return good;
    }
    if (gap < to)
        log_line(LOG_INFO, "journal %s: written ahead by %" PRIu64 " bytes", j->dir, to - gap);
    return take_ready(j, fd, gap < to ? to : gap, f);
}
