/*
 * disk_faults: a disk that fails at the Nth call, for the files below one directory.
 *
 * These functions replace those of libc (in a preload library, diskfault.c, or in a test that
 * includes this). The calls that change or sync a file count those that concern the directory, each
 * kind separately. At the Nth call alone, or from it on, they fail in one of these ways:
 *
 *   EIO, ENOSPC   nothing is done
 *   short         half the bytes are written and reported; a call that writes no bytes fails with
 *                 ENOSPC
 *   late          everything is done, and EIO reported: so fails a write through a descriptor that
 *                 syncs, and then the page cache holds what the disk may not have
 *   kill          the calling process is killed before anything is done
 *
 * Owner: any thread. Dying here has the effect of dying in the real call.
 */
#ifndef SPIKE_DISK_FAULTS_H
#define SPIKE_DISK_FAULTS_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum disk_call {
    CALL_NONE,
    CALL_WRITE,
    CALL_PWRITE,
    CALL_WRITEV,
    CALL_PWRITEV,
    CALL_FDATASYNC,
    CALL_FSYNC,
    CALL_FTRUNCATE,
    CALL_MSYNC,
    CALL_FALLOCATE,
    CALLS,
};

enum disk_failure { FAIL_EIO, FAIL_ENOSPC, FAIL_SHORT, FAIL_LATE, FAIL_KILL, FAILURES };

static const char *const disk_call_names[CALLS] = {"none",    "write",     "pwrite", "writev",
                                                   "pwritev", "fdatasync", "fsync",  "ftruncate",
                                                   "msync",   "fallocate"};
static const char *const disk_failure_names[FAILURES] = {"EIO", "ENOSPC", "short", "late", "kill"};

/* Set before the calls; `seen` counts them. */
static struct {
    char dir[PATH_MAX];
    enum disk_call call;
    enum disk_failure how;
    unsigned nth; /* from 1 */
    bool stays;   /* fails from there on */
    atomic_uint seen;
} disk_fault;

/* Converts dlsym's void * to a function pointer without a cast, which ISO C does not have. */
#define REAL(name, type)                         \
    static type real;                            \
    if (real == NULL) {                          \
        void *symbol_ = dlsym(RTLD_NEXT, #name); \
        if (symbol_ == NULL)                     \
            abort();                             \
        memcpy(&real, &symbol_, sizeof real);    \
    }

typedef ssize_t (*disk_write)(int, const void *, size_t);
typedef ssize_t (*disk_pwrite)(int, const void *, size_t, off_t);
typedef ssize_t (*disk_writev)(int, const struct iovec *, int);
typedef ssize_t (*disk_pwritev)(int, const struct iovec *, int, off_t);
typedef int (*disk_sync)(int);
typedef int (*disk_truncate)(int, off_t);
typedef int (*disk_msync)(void *, size_t, int);
typedef int (*disk_fallocate)(int, int, off_t, off_t);

static bool disk_concerns(int fd)
{
    char link[64], path[PATH_MAX];
    size_t len = strlen(disk_fault.dir);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    return len > 0 && n > (ssize_t)len && memcmp(path, disk_fault.dir, len) == 0 &&
           path[len] == '/';
}

/* Must this call fail? fd -1: a call without a file. */
static bool disk_fails(enum disk_call call, int fd)
{
    int error = errno;
    bool fails = false;
    if (call == disk_fault.call && (fd < 0 || disk_concerns(fd))) {
        unsigned at = 1 + atomic_fetch_add(&disk_fault.seen, 1);
        fails = disk_fault.stays ? at >= disk_fault.nth : at == disk_fault.nth;
    }
    if (fails && disk_fault.how == FAIL_KILL)
        raise(SIGKILL);
    errno = error;
    return fails;
}

static int disk_error(void)
{
    errno = disk_fault.how == FAIL_EIO || disk_fault.how == FAIL_LATE ? EIO : ENOSPC;
    return -1;
}

/* The first half of the vector's bytes; out has as many elements. */
static int disk_half(const struct iovec *iov, int count, struct iovec *out)
{
    size_t all = 0;
    int n = 0;
    for (int i = 0; i < count; i++)
        all += iov[i].iov_len;
    for (all /= 2; all > 0; n++) {
        out[n] = iov[n];
        out[n].iov_len = iov[n].iov_len < all ? iov[n].iov_len : all;
        all -= out[n].iov_len;
    }
    return n;
}

ssize_t write(int fd, const void *data, size_t len)
{
    REAL(write, disk_write)
    if (!disk_fails(CALL_WRITE, fd))
        return real(fd, data, len);
    if (disk_fault.how == FAIL_SHORT)
        return real(fd, data, len / 2);
    if (disk_fault.how == FAIL_LATE && real(fd, data, len) < 0)
        return -1;
    return disk_error();
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    REAL(pwrite, disk_pwrite)
    if (!disk_fails(CALL_PWRITE, fd))
        return real(fd, data, len, offset);
    if (disk_fault.how == FAIL_SHORT)
        return real(fd, data, len / 2, offset);
    if (disk_fault.how == FAIL_LATE && real(fd, data, len, offset) < 0)
        return -1;
    return disk_error();
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return pwrite(fd, data, len, offset);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    REAL(writev, disk_writev)
    struct iovec half[IOV_MAX];
    if (!disk_fails(CALL_WRITEV, fd))
        return real(fd, iov, count);
    if (disk_fault.how == FAIL_SHORT)
        return real(fd, half, disk_half(iov, count, half));
    if (disk_fault.how == FAIL_LATE && real(fd, iov, count) < 0)
        return -1;
    return disk_error();
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    REAL(pwritev, disk_pwritev)
    struct iovec half[IOV_MAX];
    if (!disk_fails(CALL_PWRITEV, fd))
        return real(fd, iov, count, offset);
    if (disk_fault.how == FAIL_SHORT)
        return real(fd, half, disk_half(iov, count, half), offset);
    if (disk_fault.how == FAIL_LATE && real(fd, iov, count, offset) < 0)
        return -1;
    return disk_error();
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
{
    return pwritev(fd, iov, count, offset);
}

int fdatasync(int fd)
{
    REAL(fdatasync, disk_sync)
    bool fails = disk_fails(CALL_FDATASYNC, fd);
    if (fails && disk_fault.how != FAIL_LATE)
        return disk_error();
    int rc = real(fd);
    return fails ? disk_error() : rc;
}

int fsync(int fd)
{
    REAL(fsync, disk_sync)
    bool fails = disk_fails(CALL_FSYNC, fd);
    if (fails && disk_fault.how != FAIL_LATE)
        return disk_error();
    int rc = real(fd);
    return fails ? disk_error() : rc;
}

int ftruncate(int fd, off_t length)
{
    REAL(ftruncate, disk_truncate)
    bool fails = disk_fails(CALL_FTRUNCATE, fd);
    if (fails && disk_fault.how != FAIL_LATE)
        return disk_error();
    int rc = real(fd, length);
    return fails ? disk_error() : rc;
}

int ftruncate64(int fd, off64_t length)
{
    return ftruncate(fd, length);
}

int msync(void *start, size_t len, int flags)
{
    REAL(msync, disk_msync)
    bool fails = disk_fails(CALL_MSYNC, -1);
    if (fails && disk_fault.how != FAIL_LATE)
        return disk_error();
    int rc = real(start, len, flags);
    return fails ? disk_error() : rc;
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    REAL(fallocate, disk_fallocate)
    bool fails = disk_fails(CALL_FALLOCATE, fd);
    if (fails && disk_fault.how != FAIL_LATE)
        return disk_error();
    int rc = real(fd, mode, offset, len);
    return fails ? disk_error() : rc;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    return fallocate(fd, mode, offset, len);
}

#endif
