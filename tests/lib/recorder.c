/* preload */
/*
 * recorder: in which order did the server write its journal, sync it and say "yes"?
 *
 * Put in front of libc it notes, in one shared file, three kinds of events: bytes written to a
 * regular file (with the bytes themselves, and whether the descriptor syncs by itself), a sync that
 * has returned, and an order id about to be written to a socket. A slot in the row is taken with
 * one atomic add: writes and syncs take theirs after the call has returned, a yes before its call
 * begins, so a yes that stands behind a sync in the row was written after it returned.
 *
 * The file is SPIKE_RECORD, made here: a header, EVENTS_MAX events, then BYTES_MAX bytes of data.
 * When it is full the rest is not recorded, and the header says so. test_durability.py reads it.
 *
 * Owner: any thread. If the process dies here, the file ends with the last event.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS_MAX (1u << 20)
#define BYTES_MAX  (512u << 20)
#define ORDER_TEXT 34

enum event_kind { EVENT_NONE, EVENT_WRITE, EVENT_SYNC, EVENT_YES };

struct event {
    uint32_t kind; /* enum event_kind */
    int32_t fd;
    uint32_t self_syncing; /* WRITE: the descriptor is O_DSYNC */
    uint32_t len;          /* of the data */
    uint64_t data;         /* offset in bytes[] */
};

struct record_file {
    _Atomic uint64_t events_used, bytes_used;
    struct event events[EVENTS_MAX];
    unsigned char bytes[BYTES_MAX];
};

static struct record_file *record;

typedef ssize_t write_call(int, const void *, size_t);
typedef ssize_t writev_call(int, const struct iovec *, int);
typedef ssize_t pwrite_call(int, const void *, size_t, off_t);
typedef ssize_t send_call(int, const void *, size_t, int);
typedef ssize_t sendmsg_call(int, const struct msghdr *, int);
typedef int sync_call(int);
typedef int msync_call(void *, size_t, int);

static write_call *real_write;
static writev_call *real_writev;
static pwrite_call *real_pwrite;
static send_call *real_send;
static sendmsg_call *real_sendmsg;
static sync_call *real_fsync, *real_fdatasync;
static msync_call *real_msync;

/* A function pointer out of dlsym's void *, without a cast that ISO C does not have. */
static void find(void *function, const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol)
        abort();
    memcpy(function, &symbol, sizeof symbol);
}

static void open_record(void)
{
    const char *path = getenv("SPIKE_RECORD");
    if (!path)
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)sizeof *record) != 0)
        abort();
    void *map = mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        abort();
    close(fd);
    record = map;
}

__attribute__((constructor)) static void start(void)
{
    find(&real_write, "write");
    find(&real_writev, "writev");
    find(&real_pwrite, "pwrite");
    find(&real_send, "send");
    find(&real_sendmsg, "sendmsg");
    find(&real_fsync, "fsync");
    find(&real_fdatasync, "fdatasync");
    find(&real_msync, "msync");
    open_record();
}

static void note(enum event_kind kind, int fd, bool self_syncing, const void *data, size_t len)
{
    uint64_t at = atomic_fetch_add(&record->bytes_used, len);
    uint64_t slot = atomic_fetch_add(&record->events_used, 1);
    if (slot >= EVENTS_MAX || at + len > BYTES_MAX)
        return;
    if (len > 0)
        memcpy(record->bytes + at, data, len);
    record->events[slot] = (struct event){.kind = (uint32_t)kind,
                                          .fd = fd,
                                          .self_syncing = self_syncing,
                                          .len = (uint32_t)len,
                                          .data = at};
}

static mode_t type_of(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 ? s.st_mode & S_IFMT : 0;
}

/* Before the call: every order id in what is about to be said. */
static void before(int fd, const void *data, size_t len)
{
    static const char mark[] = "\"order\":\"";
    if (!record || type_of(fd) != S_IFSOCK)
        return;
    const char *at = data, *end = at + len;
    while ((at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)) != NULL) {
        at += sizeof mark - 1;
        size_t rest = (size_t)(end - at);
        note(EVENT_YES, fd, false, at, rest < ORDER_TEXT ? rest : ORDER_TEXT);
    }
}

/* After it: what went to a file. */
static void after(int fd, const void *data, ssize_t len)
{
    if (!record || len <= 0 || type_of(fd) != S_IFREG)
        return;
    note(EVENT_WRITE, fd, (fcntl(fd, F_GETFL) & O_DSYNC) != 0, data, (size_t)len);
}

static void after_vector(int fd, const struct iovec *iov, int count, ssize_t len)
{
    for (int i = 0; i < count && len > 0; i++) {
        ssize_t part = (ssize_t)iov[i].iov_len < len ? (ssize_t)iov[i].iov_len : len;
        after(fd, iov[i].iov_base, part);
        len -= part;
    }
}

static int synced(int fd, int result)
{
    if (record && result == 0)
        note(EVENT_SYNC, fd, false, NULL, 0);
    return result;
}

ssize_t write(int fd, const void *data, size_t len)
{
    before(fd, data, len);
    ssize_t done = real_write(fd, data, len);
    after(fd, data, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    for (int i = 0; i < count; i++)
        before(fd, iov[i].iov_base, iov[i].iov_len);
    ssize_t done = real_writev(fd, iov, count);
    after_vector(fd, iov, count, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    ssize_t done = real_pwrite(fd, data, len, offset);
    after(fd, data, done);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return pwrite(fd, data, len, offset);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    before(fd, data, len);
    return real_send(fd, data, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    for (size_t i = 0; i < message->msg_iovlen; i++)
        before(fd, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
    return real_sendmsg(fd, message, flags);
}

int fsync(int fd)
{
    return synced(fd, real_fsync(fd));
}

int fdatasync(int fd)
{
    return synced(fd, real_fdatasync(fd));
}

int msync(void *start_of, size_t len, int flags)
{
    return synced(-1, real_msync(start_of, len, flags));
}
