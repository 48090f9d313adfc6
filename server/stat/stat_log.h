/*
 * stat_log: one line per buyer's request, for whoever wants to count by himself:
 *
 *     2026-11-22T07:47:11.454Z code=1 event=ticket sold=12 verdict=yes
 *     2026-11-22T07:47:11.455Z dropped 17
 *
 * A worker leaves what the line says in a ring of fixed size; one thread makes the text and writes
 * it. The file may block, fill up or vanish: then the ring is full, lines are dropped and counted,
 * and the worker has noticed nothing. Lines of one worker are in order; those of two are as they
 * come. If the process is killed, what is in the rings is lost: this is no journal.
 *
 * Owner: a ring's lines: its worker puts, the writer's thread takes; stat_log_reopen, _stop and the
 * figures: any thread; the rest: main, before the threads start and after they have ended.
 */
#ifndef SPIKE_STAT_LOG_H
#define SPIKE_STAT_LOG_H

#include "conf/base/arena.h"
#include "conf/base/conf.h"
#include "conf/base/verdict.h"
#include "server/shared/counters.h"
#include "server/shared/doorbell.h"

#define STAT_RING_BYTES (256u << 10)
#define STAT_NO_EVENT   UINT8_MAX

struct stat_line {
    uint64_t wall_ms;
    uint32_t sold;   /* tickets of this node's orders, sold and held, as the worker saw it */
    uint8_t event;   /* in the configuration, or STAT_NO_EVENT */
    uint8_t verdict; /* enum verdict */
};
_Static_assert(sizeof(struct stat_line) == 16, "as planned");

#define STAT_RING_LINES (STAT_RING_BYTES / sizeof(struct stat_line))

struct stat_ring {
    _Alignas(CACHE_LINE) _Atomic uint32_t tail; /* written by the worker */
    uint32_t head_seen;
    _Atomic uint64_t dropped;                   /* no room in the ring */
    _Alignas(CACHE_LINE) _Atomic uint32_t head; /* written by the writer */
    _Alignas(CACHE_LINE) struct stat_line *lines;
    struct doorbell *bell;
    size_t pool;
};

struct stat_log {
    const struct conf *conf;
    int fd; /* -1: none */
    bool is_failing, is_torn;
    _Atomic bool stop, reopen;
    struct doorbell bell;
    _Atomic uint64_t lines, lost; /* written; taken from a ring and not written */
    uint64_t told;                /* dropped lines that the file tells of */
    uint64_t second;              /* the second that `clock` shows */
    char clock[24];
    char text[64 << 10];
    size_t len, count; /* of text: bytes, lines */
    struct stat_ring rings[WORKERS_MAX];
};

/* Without `stat-log` in the configuration all of these do nothing. */
void stat_log_plan(struct stat_log *s, const struct conf *conf, struct arena *a);
/* Opens the file. */
MUST_CHECK bool stat_log_open(struct stat_log *s, const struct arena *a, struct fault *f);
bool stat_log_is_on(const struct stat_log *s);
/* The worker's ring; NULL: off. */
struct stat_ring *stat_log_ring(struct stat_log *s, uint32_t worker);
/* Never blocks; without room the line is dropped and counted. */
void stat_ring_put(struct stat_ring *r, const struct stat_line *line);
/* The thread's body: returns after stat_log_stop, when the rings are empty. */
void *stat_log_run(void *stat_log);
/* The file was renamed: open it anew. */
void stat_log_reopen(struct stat_log *s);
void stat_log_stop(struct stat_log *s);
uint64_t stat_log_lines(const struct stat_log *s);
uint64_t stat_log_dropped(const struct stat_log *s);

#endif
