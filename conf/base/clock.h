/*
 * clock: three kinds of time, three names. *_mono_us: microseconds of the monotonic clock, for
 * timeouts; *_wall_ms: Unix milliseconds, for the journal and for people; *_ms: durations in
 * milliseconds. Pure functions never read a clock: time is their argument.
 *
 * Threads: any.
 */
#ifndef SPIKE_CLOCK_H
#define SPIKE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static inline uint64_t clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

#endif
