/*
 * The writer sleeps for a moment, takes the lines out of the rings, writes them with few calls, and
 * sleeps again. So a busy worker does not ring the writer's doorbell, except for the one line that
 * makes its ring half full.
 *
 * When a write fails, the lines in the buffer are lost and counted, and the next ones are written
 * as usual: a disk that has free space again is used again. A line that was written in part is
 * truncated from the file, so that every line in the file is complete and was counted as written. A
 * pipe or a device cannot be truncated: there the partial line is ended before the next one begins.
 * The server's log has one line when writing fails, and one when stat lines are written again. A
 * line "dropped N" is shorter than a stat line and may fit where one was cut, so it does not count
 * as a recovery.
 *
 * If the process dies: the lines in the rings and in the buffer are lost.
 */
#include "server/stat/stat_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/shared/counters.h"
#include "server/shared/doorbell.h"

#define PAUSE_US        50000u
#define LINE_BYTES      160 /* of the longest line */

#define ASSERT_WRITER() ASSERT(thread_role() == THREAD_STAT_LOG)

_Static_assert((STAT_RING_LINES & (STAT_RING_LINES - 1)) == 0, "positions are masked");

/* head and tail run freely; tail - head is the number of lines in the ring. */
struct stat_ring {
    _Alignas(CACHE_LINE) _Atomic uint32_t tail; /* written by the worker */
    uint32_t head_seen;
    _Atomic uint64_t dropped;                   /* the ring was full */
    _Alignas(CACHE_LINE) _Atomic uint32_t head; /* written by the writer */
    _Alignas(CACHE_LINE) struct stat_line *lines;
    struct doorbell *bell;
    size_t pool;
};

struct stat_log {
    const struct conf *conf;
    int fd;
    bool is_failing; /* the last write failed */
    bool is_torn;    /* the file ends in a partial line */
    _Atomic bool stop, reopen;
    struct doorbell *bell;
    _Atomic uint64_t written, lost; /* lines; lost: taken from a ring and not written */
    uint64_t dropped_written;       /* dropped lines that the file reports */
    uint64_t second;                /* the second that `clock` holds */
    char clock[24];
    char text[64 << 10];
    size_t len, count; /* of text: bytes, lines */
    struct stat_ring rings[WORKERS_MAX];
};

struct stat_log *stat_log_plan(const struct conf *conf, struct arena *a)
{
    static struct stat_log stat_log;
    struct stat_log *s = &stat_log;
    ASSERT_MAIN();
    ASSERT(conf->workers <= WORKERS_MAX);
    if (conf->stat_log[0] == '\0')
        return NULL;
    memset(s, 0, sizeof *s);
    s->conf = conf;
    s->fd = -1;
    for (uint32_t i = 0; i < conf->workers; i++)
        s->rings[i].pool = arena_plan(a, "stat log", STAT_RING_LINES, sizeof(struct stat_line));
    return s;
}

/* Without blocking: a pipe without a reader is an error, like a missing folder. */
static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (fd >= 0)
        fcntl(fd, F_SETFL, O_APPEND);
    return fd;
}

bool stat_log_open(struct stat_log *s, const struct arena *a, struct fault *f)
{
    ASSERT_MAIN();
    if (s == NULL)
        return true;
    s->fd = open_file(s->conf->stat_log);
    if (s->fd < 0)
        return fault(f, "stat-log %s: %s", s->conf->stat_log, strerror(errno));
    s->bell = doorbell_open(f);
    for (uint32_t i = 0; i < s->conf->workers; i++) {
        s->rings[i].lines = arena_block(a, s->rings[i].pool);
        s->rings[i].bell = s->bell;
    }
    return s->bell != NULL;
}

struct stat_ring *stat_log_ring(struct stat_log *s, uint32_t worker)
{
    ASSERT_MAIN();
    ASSERT(worker < WORKERS_MAX);
    return s != NULL ? &s->rings[worker] : NULL;
}

/* ---- the worker's end ----------------------------------------------------------------------- */

void stat_ring_put(struct stat_ring *r, const struct stat_line *line)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail - r->head_seen == STAT_RING_LINES)
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    if (tail - r->head_seen == STAT_RING_LINES) {
        COUNT(r->dropped, 1);
        return;
    }
    ASSERT(tail - r->head_seen < STAT_RING_LINES);
    r->lines[tail & (STAT_RING_LINES - 1)] = *line;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    if (tail - r->head_seen == STAT_RING_LINES / 2) {
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
        if (tail - r->head_seen >= STAT_RING_LINES / 2)
            doorbell_ring(r->bell);
    }
}

/* ---- the writer's end ----------------------------------------------------------------------- */

static void update_clock(struct stat_log *s, uint64_t wall_ms)
{
    struct tm utc;
    time_t second = (time_t)(wall_ms / 1000);
    if ((uint64_t)second == s->second)
        return;
    s->second = (uint64_t)second;
    gmtime_r(&second, &utc);
    strftime(s->clock, sizeof s->clock, "%Y-%m-%dT%H:%M:%S", &utc);
}

static void add_line(struct stat_log *s, const struct stat_line *line)
{
    char *to = s->text + s->len;
    size_t capacity = sizeof s->text - s->len;
    int code = verdict_code((enum verdict)line->verdict);
    char verdict[VERDICT_NAME_BYTES], sold[16] = "-";
    const char *event = "-";
    ASSERT(capacity >= LINE_BYTES);
    update_clock(s, line->wall_ms);
    verdict_name((enum verdict)line->verdict, verdict);
    if (line->event != STAT_NO_EVENT) {
        ASSERT(line->event < s->conf->event_count);
        event = s->conf->events[line->event].name;
        snprintf(sold, sizeof sold, "%" PRIu32, line->sold);
    }
    int n = snprintf(to, capacity, "%s.%03uZ code=%d event=%s sold=%s verdict=%s\n", s->clock,
                     (unsigned)(line->wall_ms % 1000), code, event, sold, verdict);
    ASSERT(n > 0 && n < LINE_BYTES);
    s->len += (size_t)n;
    s->count++;
}

static size_t count_lines(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += text[i] == '\n';
    return count;
}

/* Returns the bytes written; fewer than len: the write failed, see errno. */
static size_t write_all(int fd, const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t n = write(fd, text + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    return at;
}

static void warn_once(struct stat_log *s, int error)
{
    if (!s->is_failing)
        log_line(LOG_WARN, "stat-log %s: %s; lines are dropped until it can be written",
                 s->conf->stat_log, strerror(error));
    s->is_failing = true;
}

/* Truncates the last `part` bytes that were written. False: not a file, or another process has
 * written behind them. */
static bool truncate_tail(int fd, size_t part)
{
    ASSERT(part > 0);
    struct stat now;
    off_t end = lseek(fd, 0, SEEK_CUR);
    if (end < (off_t)part || fstat(fd, &now) != 0 || now.st_size != end)
        return false;
    return ftruncate(fd, end - (off_t)part) == 0;
}

/* Bytes behind the last complete line. */
static size_t partial_line(const char *text, size_t len)
{
    size_t whole = len;
    while (whole > 0 && text[whole - 1] != '\n')
        whole--;
    return len - whole;
}

/* *out: bytes of text that stay in the file. */
static bool write_text(struct stat_log *s, const char *text, size_t len, size_t *out)
{
    ASSERT_WRITER();
    *out = 0;
    if (s->is_torn && write_all(s->fd, "\n", 1) == 0) {
        warn_once(s, errno);
        return false;
    }
    s->is_torn = false;
    *out = write_all(s->fd, text, len);
    if (*out == len)
        return true;
    warn_once(s, errno);
    size_t part = partial_line(text, *out);
    s->is_torn = part > 0 && !truncate_tail(s->fd, part);
    return false;
}

/* Reports the lines that were dropped since the last report, in the file. */
static void write_dropped(struct stat_log *s)
{
    char text[LINE_BYTES];
    size_t out;
    uint64_t dropped = stat_log_dropped(s), now_ms = clock_wall_ms();
    if (dropped == s->dropped_written)
        return;
    update_clock(s, now_ms);
    int n = snprintf(text, sizeof text, "%s.%03uZ dropped %" PRIu64 "\n", s->clock,
                     (unsigned)(now_ms % 1000), dropped - s->dropped_written);
    if (write_text(s, text, (size_t)n, &out))
        s->dropped_written = dropped;
}

static void write_lines(struct stat_log *s)
{
    size_t out;
    if (s->len == 0)
        return;
    bool good = write_text(s, s->text, s->len, &out);
    if (good && s->is_failing) {
        log_line(LOG_INFO, "stat-log %s: is written again", s->conf->stat_log);
        s->is_failing = false;
    }
    size_t lines = good ? s->count : count_lines(s->text, out);
    COUNT(s->written, lines);
    ASSERT(lines <= s->count);
    COUNT(s->lost, s->count - lines);
    s->len = s->count = 0;
}

static void drain_ring(struct stat_log *s, struct stat_ring *r)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    ASSERT(tail - head <= STAT_RING_LINES);
    while (head != tail) {
        if (sizeof s->text - s->len < LINE_BYTES) {
            atomic_store_explicit(&r->head, head, memory_order_release); /* frees what is copied */
            write_lines(s);
        }
        add_line(s, &r->lines[head++ & (STAT_RING_LINES - 1)]);
    }
    atomic_store_explicit(&r->head, head, memory_order_release);
}

static void drain_rings(struct stat_log *s)
{
    for (uint32_t i = 0; i < s->conf->workers; i++)
        drain_ring(s, &s->rings[i]);
    write_lines(s);
    write_dropped(s);
}

static void reopen_file(struct stat_log *s)
{
    ASSERT_WRITER();
    int fd = open_file(s->conf->stat_log);
    if (fd < 0) {
        log_line(LOG_ERROR, "stat-log %s: %s; the open file stays in use", s->conf->stat_log,
                 strerror(errno));
        return;
    }
    close(s->fd);
    s->fd = fd;
    s->is_torn = false;
    log_line(LOG_INFO, "stat-log %s: opened again", s->conf->stat_log);
}

void *stat_log_run(void *stat_log)
{
    struct stat_log *s = stat_log;
    ASSERT(s != NULL && s->fd >= 0);
    thread_set_role(THREAD_STAT_LOG, "stat-log");
    for (bool stop = false; !stop;) {
        doorbell_arm(s->bell);
        stop = atomic_load(&s->stop); /* lines that were put before are drained below */
        bool reopen = atomic_exchange(&s->reopen, false);
        if (!stop && !reopen)
            doorbell_wait(s->bell, PAUSE_US);
        doorbell_disarm(s->bell);
        drain_rings(s);
        if (reopen)
            reopen_file(s);
    }
    close(s->fd);
    return NULL;
}

void stat_log_reopen(struct stat_log *s)
{
    atomic_store(&s->reopen, true);
    doorbell_ring(s->bell);
}

void stat_log_stop(struct stat_log *s)
{
    atomic_store(&s->stop, true);
    doorbell_ring(s->bell);
}

uint64_t stat_log_lines(const struct stat_log *s)
{
    return atomic_load_explicit(&s->written, memory_order_relaxed);
}

uint64_t stat_log_dropped(const struct stat_log *s)
{
    uint64_t dropped = atomic_load_explicit(&s->lost, memory_order_relaxed);
    for (uint32_t i = 0; i < s->conf->workers; i++)
        dropped += atomic_load_explicit(&s->rings[i].dropped, memory_order_relaxed);
    return dropped;
}
