/*
 * stat_log: one line per request of a buyer, for operators' own statistics:
 *
 *     2026-11-22T07:47:11.454Z code=1 event=ticket sold=12 verdict=yes
 *     2026-11-22T07:47:11.455Z dropped 17
 *
 * A worker puts the figures of a line into a ring of fixed size; one thread, the writer, formats
 * and writes them. When the file blocks, is full or vanishes, the ring fills up: lines are dropped
 * and counted, and the worker is never delayed. The lines of one worker are in order; those of two
 * workers are interleaved. If the process is killed, the lines in the rings are lost: this is no
 * journal.
 *
 * Owner: a ring: its worker puts, the writer takes. stat_log_reopen, stat_log_stop and the figures:
 * any thread. The rest: main, before the threads start and after they have ended.
 */
#ifndef SPIKE_STAT_LOG_H
#define SPIKE_STAT_LOG_H

#include "conf/base/arena.h"
#include "conf/base/conf.h"
#include "conf/base/verdict.h"

#define STAT_RING_BYTES (256u << 10)
#define STAT_NO_EVENT   UINT8_MAX

struct stat_line {
    uint64_t wall_ms;
    uint32_t sold;   /* tickets of this node's orders, sold and held, as the worker saw it */
    uint8_t event;   /* index in the configuration, or STAT_NO_EVENT */
    uint8_t verdict; /* enum verdict */
};
_Static_assert(sizeof(struct stat_line) == 16, "as planned");

#define STAT_RING_LINES (STAT_RING_BYTES / sizeof(struct stat_line))

struct stat_log;
struct stat_ring;

/* The log of this process; NULL without `stat-log` in the configuration: the log is off. */
struct stat_log *stat_log_plan(const struct conf *conf, struct arena *a);
/* Takes the memory and opens the file. True also when the log is off. */
MUST_CHECK bool stat_log_open(struct stat_log *s, const struct arena *a, struct fault *f);
/* The worker's ring; NULL: the log is off. */
struct stat_ring *stat_log_ring(struct stat_log *s, uint32_t worker);
/* Never blocks: if the ring is full, the line is dropped and counted. */
void stat_ring_put(struct stat_ring *r, const struct stat_line *line);

/* All below: only if the log is on. */

/* The writer's thread: returns after stat_log_stop(), when the rings are empty. */
void *stat_log_run(void *stat_log);
/* Opens the file anew, after it was renamed. */
void stat_log_reopen(struct stat_log *s);
void stat_log_stop(struct stat_log *s);
/* Lines written; lines lost, because a ring was full or a write failed. */
uint64_t stat_log_lines(const struct stat_log *s);
uint64_t stat_log_dropped(const struct stat_log *s);

#endif
