/*
 * load_result: the result of a run: how many answers came, and how long each one took.
 *
 * Owner: the one thread of load.
 */
#ifndef SPIKE_BENCH_LOAD_RESULT_H
#define SPIKE_BENCH_LOAD_RESULT_H

#include <stdbool.h>
#include <stdint.h>

/* Counts an answer that took so long; other: with the body of -E. */
void result_add(uint64_t took_us, bool other);
/* Counts an answer of status 503. */
void result_add_busy(void);
/* Answers, without those of status 503. */
uint64_t result_count(void);
/* Prints the line of the result and, unless file is NULL, writes the distribution to it. */
void result_report(uint64_t took_ns, const char *file);

#endif
