/*
 * A pile: each block has its size in front; only the topmost can grow, shrink or be given back in
 * place. ev_alloc_grow() therefore grows one table after the other, each while it is on top, and a
 * table that is replaced later leaves a hole that stays: the plan counts each table twice.
 *
 * libev's tables (libev 4.33) and what makes them grow:
 *     anfds           16 bytes a descriptor        watching a high descriptor
 *     fdchanges        4 bytes a changed one       starting many watchers in one turn
 *     pendings        16 bytes a pending event     feeding many events in one turn
 *     epoll_events    12 bytes an event            a turn in which as many are ready as fit;
 *                                                  doubles, so up to 24 bytes
 */
#include "server/net/ev_alloc.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES_LOOP       (64u << 10)      /* the loop itself, and its small tables, a page each */
#define BYTES_DESCRIPTOR (2u * (16 + 4))  /* anfds, fdchanges; a table may be twice what it must */
#define BYTES_READY      (2u * (16 + 24)) /* pendings, epoll_events */
#define SPARE_EVENTS     64u              /* timers, bells, listeners: beside the connections */
#define FEW              8u               /* timers; watchers of high priority */

struct block {
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

/* One region for the process, because ev_set_allocator knows no loop. */
static struct {
    size_t size, pool;
    unsigned char *base;
    _Atomic size_t used;
    _Atomic int sealed;
    _Atomic uint64_t late;
} mem;

void ev_alloc_plan(struct arena *a, uint32_t loops, uint32_t descriptors, uint32_t ready)
{
    mem.size = loops * (BYTES_LOOP + (size_t)descriptors * BYTES_DESCRIPTOR +
                        (size_t)SPARE_EVENTS * BYTES_READY) +
               (size_t)ready * BYTES_READY;
    mem.pool = arena_plan(a, "libev", 1, mem.size);
}

static size_t rounded(size_t size)
{
    return sizeof(struct block) + (size + 15) / 16 * 16;
}

static bool is_top(const struct block *b)
{
    return (const unsigned char *)b + rounded(b->size) == mem.base + atomic_load(&mem.used);
}

static void *take(size_t size)
{
    size_t at = atomic_fetch_add(&mem.used, rounded(size));
    ASSERT(at + rounded(size) <= mem.size);
    struct block *b = (struct block *)(void *)(mem.base + at);
    b->size = size;
    return b->bytes;
}

static void *replace(struct block *old, size_t size)
{
    if (!atomic_load(&mem.sealed) && is_top(old)) { /* one thread so far: in place */
        atomic_fetch_sub(&mem.used, rounded(old->size));
        return take(size);
    }
    if (size <= old->size)
        return old->bytes;
    return memcpy(take(size), old->bytes, old->size);
}

/* realloc as libev means it: size 0 frees. */
static void *allocate(void *ptr, long size)
{
    struct block *old =
        ptr == NULL
            ? NULL
            : (struct block *)(void *)((unsigned char *)ptr - offsetof(struct block, bytes));
    if (size == 0) {
        if (old != NULL && !atomic_load(&mem.sealed) && is_top(old))
            atomic_fetch_sub(&mem.used, rounded(old->size));
        return NULL;
    }
    if (atomic_load(&mem.sealed))
        atomic_fetch_add(&mem.late, 1);
    return old == NULL ? take((size_t)size) : replace(old, (size_t)size);
}

void ev_alloc_init(const struct arena *a)
{
    ASSERT(mem.size > 0);
    mem.base = arena_block(a, mem.pool);
    ev_set_allocator(allocate);
}

void ev_alloc_seal(void)
{
    atomic_store(&mem.sealed, 1);
}

uint64_t ev_alloc_late(void)
{
    return atomic_load(&mem.late);
}

static void nothing(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop;
    (void)io;
    (void)revents;
}

/* Starting and stopping at once leaves only a note that the descriptor changed: the kernel is
 * not asked, so it need not even be open. The highest goes first: one allocation, not a dozen. */
static void grow_descriptors(struct ev_loop *loop, uint32_t descriptors)
{
    ev_io io;
    for (uint32_t fd = descriptors; fd-- > 0;) {
        ev_io_init(&io, nothing, (int)fd, EV_READ);
        ev_io_start(loop, &io);
        ev_io_stop(loop, &io);
    }
}

static void grow_pending(struct ev_loop *loop, int priority, uint32_t events)
{
    ev_io io;
    ev_init(&io, nothing);
    ev_set_priority(&io, priority);
    for (uint32_t i = 0; i < events; i++) {
        ev_feed_event(loop, &io, EV_CUSTOM);
        ev_clear_pending(loop, &io); /* its place in the table stays taken until the next turn */
    }
}

static void no_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop;
    (void)timer;
    (void)revents;
}

/* Timers that are due at once fill the heap, and the list of those that are due. */
static void grow_timers(struct ev_loop *loop)
{
    ev_timer timers[FEW];
    for (size_t i = 0; i < FEW; i++) {
        ev_timer_init(&timers[i], no_time, -1., 0.);
        ev_timer_start(loop, &timers[i]);
    }
    ev_run(loop, EVRUN_NOWAIT);
    for (size_t i = 0; i < FEW; i++)
        ev_timer_stop(loop, &timers[i]);
}

/* Opens copies of one readable descriptor and watches them all. */
static bool watch_ready(struct ev_loop *loop, ev_io *ios, uint32_t ready, struct fault *f)
{
    int first = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    for (uint32_t i = 0; i < ready; i++) {
        int fd = i == 0 || first < 0 ? first : fcntl(first, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return fault(f,
                         "descriptor %u of %u: %s; raise the limit (ulimit -n) or lower "
                         "`connections`",
                         i + 1, ready, strerror(errno));
        ev_io_init(&ios[i], nothing, fd, EV_READ);
        ev_io_start(loop, &ios[i]);
    }
    return true;
}

/* All copies are closed, so the kernel forgets them; libev takes them off its list. */
static void unwatch(struct ev_loop *loop, ev_io *ios, uint32_t ready)
{
    for (uint32_t i = 0; i < ready && ev_is_active(&ios[i]); i++) {
        ev_io_stop(loop, &ios[i]);
        close(ios[i].fd);
    }
    ev_run(loop, EVRUN_NOWAIT);
}

/* libev doubles the table of ready descriptors whenever a turn has filled it. */
static bool grow_events(struct ev_loop *loop, uint32_t ready, struct fault *f)
{
    size_t bytes = ready * sizeof(ev_io);
    ev_io *ios = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ios == MAP_FAILED)
        return fault(f, "memory: cannot map %zu bytes: %s", bytes, strerror(errno));
    bool ok = watch_ready(loop, ios, ready, f);
    for (uint32_t fits = 64; ok && fits <= 2 * ready; fits *= 2)
        ev_run(loop, EVRUN_NOWAIT);
    unwatch(loop, ios, ready);
    munmap(ios, bytes);
    return ok;
}

bool ev_alloc_grow(struct ev_loop *loop, uint32_t descriptors, uint32_t ready, struct fault *f)
{
    grow_descriptors(loop, descriptors);
    grow_pending(loop, 0, ready + SPARE_EVENTS);
    grow_pending(loop, EV_MAXPRI, FEW);
    grow_timers(loop);
    return grow_events(loop, ready, f);
}
