/*
 * home: see home.h. Order at the first start: directory, lock, data.mdb with its first commit
 * (synced by LMDB), then the mark, then the directory and its parent are synced. Nobody is promised
 * anything before all of this is done, so dying at any point leaves a beginning that starts over.
 *
 * The lock file is two lines of fixed length, rewritten in place: the mark, and the process.
 */
#include "storage/journal/home.h"

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

#define LOCK_NAME  "lock"
#define MARK_NEW   "spike new    \n"
#define MARK_MADE  "spike journal\n"
#define MARK_BYTES (sizeof MARK_MADE - 1)
#define BLANK_MAX  (2 * 65536) /* LMDB begins with two pages, at most of this size */

_Static_assert(sizeof MARK_NEW == sizeof MARK_MADE, "rewritten in place");

static void path_in(char path[PATH_TEXT_MAX + 16], const char *dir, const char *name)
{
    int n = snprintf(path, PATH_TEXT_MAX + 16, "%s/%s", dir, name);
    ASSERT(n > 0 && n < PATH_TEXT_MAX + 16);
}

/* Writes the mark (as it is when NULL) and this process. */
static bool write_lock(int lock, const char *mark)
{
    char text[64];
    int n = snprintf(text, sizeof text, "pid %10ld\n", (long)getpid());
    ASSERT(n > 0 && n < (int)sizeof text);
    if (mark && pwrite(lock, mark, MARK_BYTES, 0) != (ssize_t)MARK_BYTES)
        return false;
    return pwrite(lock, text, (size_t)n, MARK_BYTES) == n;
}

static long holder(int lock)
{
    char text[64] = {0};
    if (pread(lock, text, sizeof text - 1, MARK_BYTES) <= 4 || strncmp(text, "pid ", 4) != 0)
        return 0;
    return strtol(text + 4, NULL, 10);
}

static bool is_made(int lock)
{
    char text[MARK_BYTES];
    return pread(lock, text, sizeof text, 0) == (ssize_t)sizeof text &&
           memcmp(text, MARK_MADE, sizeof text) == 0;
}

int home_lock(const char *dir, struct fault *f)
{
    char path[PATH_TEXT_MAX + 16];
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
    else if (!write_lock(lock, is_made(lock) ? NULL : MARK_NEW))
        (void)fault(f, "journal %s: cannot write %s: %s", dir, path, strerror(errno));
    else
        return lock;
    close(lock);
    return -1;
}

/* No byte of it is anything but zero, and it is no longer than an empty journal. */
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

enum home_content home_look(const char *dir)
{
    char path[PATH_TEXT_MAX + 16];
    path_in(path, dir, HOME_DATA);
    int data = open(path, O_RDONLY | O_CLOEXEC);
    bool blank = data < 0 ? errno == ENOENT : is_blank(data);
    if (data >= 0)
        close(data);
    if (!blank)
        return HOME_JOURNAL;
    path_in(path, dir, LOCK_NAME);
    int lock = open(path, O_RDONLY | O_CLOEXEC);
    bool made = lock >= 0 && is_made(lock);
    if (lock >= 0)
        close(lock);
    return made ? HOME_LOST : HOME_BLANK;
}

bool home_clear(const char *dir, struct fault *f)
{
    char path[PATH_TEXT_MAX + 16];
    path_in(path, dir, HOME_DATA);
    if (unlink(path) != 0 && errno != ENOENT)
        return fault(f, "journal %s: cannot remove the empty %s: %s", dir, path, strerror(errno));
    return true;
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

bool home_mark(const char *dir, int lock, struct fault *f)
{
    char path[PATH_TEXT_MAX + 16];
    if (!write_lock(lock, MARK_MADE) || fsync(lock) != 0 || !sync_directory(dir))
        return fault(f, "journal %s: cannot be synced: %s", dir, strerror(errno));
    path_in(path, dir, "");
    path[strlen(path) - 1] = '\0';
    /* A parent that may not be read was not made by us, nor, most likely, was the directory. */
    if (!sync_directory(dirname(path)) && errno != EACCES)
        return fault(f, "journal %s: its parent cannot be synced: %s", dir, strerror(errno));
    return true;
}
