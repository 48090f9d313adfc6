/*
 * The writer sleeps a moment, takes what the rings hold, writes it with as few calls as it can, and
 * sleeps again: so a busy worker rings nobody, but for the one line that makes its ring half full.
 *
 * When a write fails the lines in hand are lost and counted, and the next ones are tried as if
 * nothing had been: a disk that has room again is used again. Of a line that was cut what stands in
 * the file is taken back, so that every line there is whole and was counted as written. What is no
 * file cannot take back: there the cut line is ended before the next one begins. The operator is
 * told once, in the server's log, and again when lines go out: "dropped N" alone is no sign of
 * that, for it is shorter than a line, and finds room where a line was cut.
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

#define PAUSE_US  50000u
#define LINE_ROOM 160 /* bytes of the longest line */

_Static_assert((STAT_RING_LINES & (STAT_RING_LINES - 1)) == 0, "positions are masked");

bool stat_log_is_on(const struct stat_log *s)
{
    return s->conf != NULL && s->conf->stat_log[0] != '\0';
}

void stat_log_plan(struct stat_log *s, const struct conf *conf, struct arena *a)
{
    s->conf = conf;
    s->fd = -1;
    if (!stat_log_is_on(s))
        return;
    for (uint32_t i = 0; i < conf->workers; i++)
        s->rings[i].pool = arena_plan(a, "stat log", STAT_RING_LINES, sizeof(struct stat_line));
}

/* Not waited for: a pipe that nobody reads is refused, like a folder that is not there. */
static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (fd >= 0)
        fcntl(fd, F_SETFL, O_APPEND);
    return fd;
}

bool stat_log_open(struct stat_log *s, const struct arena *a, struct fault *f)
{
    if (!stat_log_is_on(s))
        return true;
    for (uint32_t i = 0; i < s->conf->workers; i++) {
        s->rings[i].lines = arena_block(a, s->rings[i].pool);
        s->rings[i].bell = &s->bell;
    }
    s->fd = open_file(s->conf->stat_log);
    if (s->fd < 0)
        return fault(f, "stat-log %s: %s", s->conf->stat_log, strerror(errno));
    return doorbell_open(&s->bell, f);
}

struct stat_ring *stat_log_ring(struct stat_log *s, uint32_t worker)
{
    ASSERT(worker < WORKERS_MAX);
    return stat_log_is_on(s) ? &s->rings[worker] : NULL;
}

/* ---- the worker's side ---------------------------------------------------------------------- */

void stat_ring_put(struct stat_ring *r, const struct stat_line *line)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail - r->head_seen == STAT_RING_LINES)
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    if (tail - r->head_seen == STAT_RING_LINES) {
        COUNT(r->dropped, 1);
        return;
    }
    r->lines[tail & (STAT_RING_LINES - 1)] = *line;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    if (tail - r->head_seen == STAT_RING_LINES / 2) {
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
        if (tail - r->head_seen >= STAT_RING_LINES / 2)
            doorbell_ring(r->bell);
    }
}

/* ---- the writer's side ---------------------------------------------------------------------- */

static void show_time(struct stat_log *s, uint64_t wall_ms)
{
    struct tm utc;
    time_t second = (time_t)(wall_ms / 1000);
    if ((uint64_t)second == s->second)
        return;
    s->second = (uint64_t)second;
    gmtime_r(&second, &utc);
    strftime(s->clock, sizeof s->clock, "%Y-%m-%dT%H:%M:%S", &utc);
}

/* There is room for one. */
static void add_line(struct stat_log *s, const struct stat_line *line)
{
    char *to = s->text + s->len;
    size_t room = sizeof s->text - s->len;
    int code = verdict_code((enum verdict)line->verdict);
    char word[VERDICT_NAME_BYTES], sold[16] = "-";
    const char *event = "-";
    show_time(s, line->wall_ms);
    verdict_name((enum verdict)line->verdict, word);
    if (line->event != STAT_NO_EVENT) {
        event = s->conf->events[line->event].name;
        snprintf(sold, sizeof sold, "%" PRIu32, line->sold);
    }
    int n = snprintf(to, room, "%s.%03uZ code=%d event=%s sold=%s verdict=%s\n", s->clock,
                     (unsigned)(line->wall_ms % 1000), code, event, sold, word);
    ASSERT(n > 0 && n < LINE_ROOM);
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

/* How many bytes went out; less than len: the file takes no more, and errno says why. */
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

static void complain(struct stat_log *s, int error)
{
    if (!s->is_failing)
        log_line(LOG_WARN, "stat-log %s: %s; lines are dropped until it can be written",
                 s->conf->stat_log, strerror(error));
    s->is_failing = true;
}

/* Takes the end of the file back, `part` bytes that we wrote last. False: it is no file, or
 * somebody else has written behind them. */
static bool take_back(int fd, size_t part)
{
    struct stat now;
    off_t end = lseek(fd, 0, SEEK_CUR);
    if (end < (off_t)part || fstat(fd, &now) != 0 || now.st_size != end)
        return false;
    return ftruncate(fd, end - (off_t)part) == 0;
}

/* Bytes behind the last line that is whole. */
static size_t cut_part(const char *text, size_t len)
{
    size_t whole = len;
    while (whole > 0 && text[whole - 1] != '\n')
        whole--;
    return len - whole;
}

static bool put_text(struct stat_log *s, const char *text, size_t len, size_t *out)
{
    *out = 0;
    if (s->is_torn && write_all(s->fd, "\n", 1) == 0) {
        complain(s, errno);
        return false;
    }
    s->is_torn = false;
    *out = write_all(s->fd, text, len);
    if (*out == len)
        return true;
    complain(s, errno);
    size_t part = cut_part(text, *out);
    s->is_torn = part > 0 && !take_back(s->fd, part);
    return false;
}

static void tell_dropped(struct stat_log *s)
{
    char text[LINE_ROOM];
    size_t out;
    uint64_t dropped = stat_log_dropped(s), now_ms = clock_wall_ms();
    if (dropped == s->told)
        return;
    show_time(s, now_ms);
    int n = snprintf(text, sizeof text, "%s.%03uZ dropped %" PRIu64 "\n", s->clock,
                     (unsigned)(now_ms % 1000), dropped - s->told);
    if (put_text(s, text, (size_t)n, &out))
        s->told = dropped;
}

static void put_lines(struct stat_log *s)
{
    size_t out;
    if (s->len == 0)
        return;
    bool good = put_text(s, s->text, s->len, &out);
    if (good && s->is_failing) {
        log_line(LOG_INFO, "stat-log %s: is written again", s->conf->stat_log);
        s->is_failing = false;
    }
    size_t lines = good ? s->count : count_lines(s->text, out);
    COUNT(s->lines, lines);
    COUNT(s->lost, s->count - lines);
    s->len = s->count = 0;
}

static void take_ring(struct stat_log *s, struct stat_ring *r)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    while (head != tail) {
        if (sizeof s->text - s->len < LINE_ROOM) {
            atomic_store_explicit(&r->head, head, memory_order_release); /* room, while we write */
            put_lines(s);
        }
        add_line(s, &r->lines[head++ & (STAT_RING_LINES - 1)]);
    }
    atomic_store_explicit(&r->head, head, memory_order_release);
}

static void take_all(struct stat_log *s)
{
    for (uint32_t i = 0; i < s->conf->workers; i++)
        take_ring(s, &s->rings[i]);
    put_lines(s);
    tell_dropped(s);
}

static void open_again(struct stat_log *s)
{
    int fd = open_file(s->conf->stat_log);
    if (fd < 0) {
        log_line(LOG_ERROR, "stat-log %s: %s; going on with the file that is open",
                 s->conf->stat_log, strerror(errno));
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
    thread_set_role(THREAD_STAT_LOG, "stat-log");
    for (bool stop = false; !stop;) {
        doorbell_arm(&s->bell);
        stop = atomic_load(&s->stop); /* what was put before that is taken below */
        bool reopen = atomic_exchange(&s->reopen, false);
        if (!stop && !reopen)
            doorbell_wait(&s->bell, PAUSE_US);
        doorbell_disarm(&s->bell);
        take_all(s);
        if (reopen)
            open_again(s);
    }
    close(s->fd);
    return NULL;
}

void stat_log_reopen(struct stat_log *s)
{
    atomic_store(&s->reopen, true);
    doorbell_ring(&s->bell);
}

void stat_log_stop(struct stat_log *s)
{
    atomic_store(&s->stop, true);
    doorbell_ring(&s->bell);
}

uint64_t stat_log_lines(const struct stat_log *s)
{
    return atomic_load_explicit(&s->lines, memory_order_relaxed);
}

uint64_t stat_log_dropped(const struct stat_log *s)
{
    uint64_t dropped = atomic_load_explicit(&s->lost, memory_order_relaxed);
    for (uint32_t i = 0; i < s->conf->workers; i++)
        dropped += atomic_load_explicit(&s->rings[i].dropped, memory_order_relaxed);
    return dropped;
}
