/*
 * journal_dir: see journal_dir.h. Order at the first start: directory; lock; the state `new`,
 * synced; data.mdb with its first commit (synced by LMDB); the state `journal`; then the directory
 * and its parent are synced. Nothing is sold before all of this is done, so dying at any point,
 * also of a full disk, leaves a first start that is repeated, without an operator: the state is
 * `new`, and since the first commit holds names alone, the commit number on page 0, where commit 2
 * belongs, is still 0.
 *
 * The lock file is two lines of fixed length, rewritten in place: the state, and the process.
 */
#include "storage/journal/journal_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/base/limits.h"
#include "storage/journal/layout.h"

#define LOCK_NAME     "lock"
#define STATE_NEW     "spike new    \n"
#define STATE_JOURNAL "spike journal\n"
#define STATE_BYTES   (sizeof STATE_JOURNAL - 1)
#define BLANK_MAX     (2 * 65536) /* LMDB begins with two pages, at most of this size */
#define FIRST_NUMBER  (off_t)(sizeof(struct head) + offsetof(struct meta, txnid))
#define LMDB_LOCK     "lock.mdb"
#define LMDB_HEAD     256 /* of lock.mdb, before its readers, or more */
#define LMDB_SLOT     64  /* of one reader */

_Static_assert(sizeof STATE_NEW == sizeof STATE_JOURNAL, "rewritten in place");

static void path_in(char path[PATH_TEXT_MAX + 16], const char *dir, const char *name)
{
    int n = snprintf(path, PATH_TEXT_MAX + 16, "%s/%s", dir, name);
    ASSERT(n > 0 && n < PATH_TEXT_MAX + 16);
}

static bool write_at(int fd, const char *text, size_t len, off_t at)
{
    errno = ENOSPC; /* what a short write means */
    return pwrite(fd, text, len, at) == (ssize_t)len;
}

/* Writes the state (NULL: leaves it) and this process. */
static bool write_lock(int lock, const char *state)
{
    char text[64];
    int n = snprintf(text, sizeof text, "pid %10ld\n", (long)getpid());
    ASSERT(lock >= 0 && n > 0 && n < (int)sizeof text);
    return (state == NULL || write_at(lock, state, STATE_BYTES, 0)) &&
           write_at(lock, text, (size_t)n, STATE_BYTES);
}

/* The process that the lock file names; 0: none. */
static long holder(int lock)
{
    char text[64] = {0};
    if (pread(lock, text, sizeof text - 1, STATE_BYTES) <= 4 || strncmp(text, "pid ", 4) != 0)
        return 0;
    return strtol(text + 4, NULL, 10);
}

static bool has_state(int lock, const char *state)
{
    char text[STATE_BYTES];
    ASSERT(lock >= 0);
    return pread(lock, text, sizeof text, 0) == (ssize_t)sizeof text &&
           memcmp(text, state, sizeof text) == 0;
}

/* All bytes are zero, and the file is at most as long as an empty journal. */
static bool is_blank(int fd)
{
    unsigned char part[4096];
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size > BLANK_MAX)
        return false;
    for (off_t at = 0; at < st.st_size;) {
        ssize_t n = pread(fd, part, sizeof part, at);
        if (n <= 0)
            return false;
        for (ssize_t i = 0; i < n; i++)
            if (part[i] != 0)
                return false;
        at += n;
    }
    return true;
}

static int open_data(const char *dir)
{
    char path[PATH_TEXT_MAX + 16];
    path_in(path, dir, JOURNAL_DIR_DATA);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static bool has_data(const char *dir)
{
    int data = open_data(dir);
    bool has = data < 0 ? errno != ENOENT : !is_blank(data);
    if (data >= 0)
        close(data);
    return has;
}

/* The commit number on page 0 is 0, or the file ends before it. */
static bool is_unfinished(const char *dir)
{
    uint64_t number = 0;
    int data = open_data(dir);
    bool unfinished =
        data >= 0 && pread(data, &number, sizeof number, FIRST_NUMBER) >= 0 && number == 0;
    if (data >= 0)
        close(data);
    return unfinished;
}

enum journal_dir_content journal_dir_inspect(const char *dir)
{
    char path[PATH_TEXT_MAX + 16];
    bool data = has_data(dir);
    path_in(path, dir, LOCK_NAME);
    int lock = open(path, O_RDONLY | O_CLOEXEC);
    bool is_journal = lock >= 0 && has_state(lock, STATE_JOURNAL);
    bool is_new = lock >= 0 && has_state(lock, STATE_NEW);
    if (lock >= 0)
        close(lock);
    if (data)
        return is_new && is_unfinished(dir) ? JOURNAL_DIR_UNFINISHED : JOURNAL_DIR_JOURNAL;
    return is_journal ? JOURNAL_DIR_LOST : JOURNAL_DIR_BLANK;
}

static bool sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = fsync(fd) == 0;
    close(fd);
    return good;
}

/* The first state of a lock file depends on the data file beside it. A first start is recorded, and
 * synced, before it begins: a data.mdb without that record is a journal. */
static bool set_first_state(const char *dir, int lock)
{
    if (has_state(lock, STATE_JOURNAL) || has_state(lock, STATE_NEW))
        return write_lock(lock, NULL);
    if (has_data(dir))
        return write_lock(lock, STATE_JOURNAL);
    return write_lock(lock, STATE_NEW) && fsync(lock) == 0 && sync_directory(dir);
}

int journal_dir_lock(const char *dir, struct fault *f)
{
    char path[PATH_TEXT_MAX + 16];
    ASSERT_MAIN();
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        (void)fault(f, "journal %s: cannot make it: %s; does its parent exist?", dir,
                    strerror(errno));
        return -1;
    }
    path_in(path, dir, LOCK_NAME);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) {
        (void)fault(f, "journal %s: cannot open %s: %s", dir, path, strerror(errno));
        return -1;
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0)
        (void)fault(f,
                    errno == EWOULDBLOCK ? "journal %s: in use by another spike-server (pid %ld)"
                                         : "journal %s: cannot be locked (last used by pid %ld)",
                    dir, holder(lock));
    else if (!set_first_state(dir, lock))
        (void)fault(f, "journal %s: cannot write %s: %s", dir, path, strerror(errno));
    else
        return lock;
    close(lock);
    return -1;
}

bool journal_dir_clear(const char *dir, struct fault *f)
{
    static const char *const names[] = {JOURNAL_DIR_DATA, LMDB_LOCK};
    char path[PATH_TEXT_MAX + 16];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        path_in(path, dir, names[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            return fault(f, "journal %s: cannot remove the empty %s: %s", dir, path,
                         strerror(errno));
    }
    return true;
}

/* Where the file system or the system call policy does not know fallocate(), LMDB does without. */
static bool can_do_without(int error)
{
    return error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

bool journal_dir_reserve(const char *dir, uint64_t readers, struct fault *f)
{
    char path[PATH_TEXT_MAX + 16];
    off_t bytes = (off_t)(LMDB_HEAD + readers * LMDB_SLOT);
    ASSERT(readers > 0);
    path_in(path, dir, LMDB_LOCK);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return true; /* LMDB reports it, or needs no such file */
    /* The length stays: it tells LMDB that the file must be initialized. */
    bool good = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0 || can_do_without(errno);
    int error = errno;
    close(fd);
    return good ||
           fault(f, "journal %s: no space for the %ld bytes of %s: %s; free space on the disk", dir,
                 (long)bytes, path, strerror(error));
}

bool journal_dir_confirm(const char *dir, int lock, struct fault *f)
{
    char path[PATH_TEXT_MAX + 16];
    if (!write_lock(lock, STATE_JOURNAL) || fsync(lock) != 0 || !sync_directory(dir))
        return fault(f, "journal %s: cannot be synced: %s", dir, strerror(errno));
    path_in(path, dir, "");
    path[strlen(path) - 1] = '\0';
    /* A parent that this process may not read was not created by it, nor was the directory, most
     * likely. */
    if (!sync_directory(dirname(path)) && errno != EACCES)
        return fault(f, "journal %s: its parent cannot be synced: %s", dir, strerror(errno));
    return true;
}
