/*
 * load_base: what every file of load needs: a clock, and the end of the process.
 */
#ifndef SPIKE_BENCH_LOAD_BASE_H
#define SPIKE_BENCH_LOAD_BASE_H

#include <stdint.h>

#include "conf/base/check.h"

#define SECOND_NS UINT64_C(1000000000)

/* Prints the error and ends the process with exit status 1. */
_Noreturn void fail(const char *format, ...) PRINTF(1, 2);

/* The monotonic clock. */
uint64_t now_ns(void);

#endif
