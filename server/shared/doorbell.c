#include "server/shared/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct doorbell {
    int fd;
    bool is_open;
    _Alignas(CACHE_LINE) _Atomic int asleep;
};

static struct doorbell bells[DOORBELLS_MAX];

struct doorbell *doorbell_open(struct fault *f)
{
    struct doorbell *d = bells;
    ASSERT_MAIN();
    while (d < bells + DOORBELLS_MAX && d->is_open)
        d++;
    ASSERT(d < bells + DOORBELLS_MAX);
    atomic_init(&d->asleep, 0);
    d->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (d->fd < 0) {
        fault_set(f, "eventfd: %s", strerror(errno));
        return NULL;
    }
    d->is_open = true;
    return d;
}

void doorbell_close(struct doorbell *d)
{
    ASSERT_MAIN();
    ASSERT(d->is_open);
    close(d->fd);
    d->is_open = false;
}

int doorbell_fd(const struct doorbell *d)
{
    ASSERT(d->is_open);
    return d->fd;
}

void doorbell_arm(struct doorbell *d)
{
    atomic_exchange_explicit(&d->asleep, 1, memory_order_acq_rel);
}

void doorbell_disarm(struct doorbell *d)
{
    atomic_exchange_explicit(&d->asleep, 0, memory_order_acq_rel);
}

void doorbell_clear(struct doorbell *d)
{
    uint64_t rings;
    ssize_t ignored = read(d->fd, &rings, sizeof rings);
    (void)ignored; /* EAGAIN: it has not rung, so it is clear */
}

void doorbell_wait(struct doorbell *d, uint64_t timeout_us)
{
    ASSERT(d->is_open);
    struct pollfd p = {.fd = d->fd, .events = POLLIN};
    struct timespec t = {.tv_sec = (time_t)(timeout_us / 1000000),
                         .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    /* A ringer may be preempted between the exchange of the flag and the write, so that the write
     * comes when the owner is long awake. The eventfd is cleared whenever it is readable: otherwise
     * no later wait would sleep. */
    if (ppoll(&p, 1, &t, NULL) > 0)
        doorbell_clear(d);
}

void doorbell_ring(struct doorbell *d)
{
    if (atomic_exchange_explicit(&d->asleep, 0, memory_order_acq_rel) == 0)
        return;
    ASSERT(d->is_open);
    uint64_t one = 1;
    ssize_t ignored = write(d->fd, &one, sizeof one);
    (void)ignored; /* EAGAIN: the counter is full, so the owner is awake anyway */
}
