/*
 * number: figures in five columns, to be read at a glance: 999, 9,999, 99.9k, 1.25M. They change to
 * the next unit where the digits would not fit, rounded first (9.995 is 10.0, 999.95k is 1.00M).
 *
 * Pure. Every function writes into out and returns it.
 */
#ifndef SPIKE_TOP_NUMBER_H
#define SPIKE_TOP_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define NUMBER_BYTES 32

/* UINT64_MAX where the sum would be more: a node may report anything. */
uint64_t number_sum(uint64_t a, uint64_t b);

/* "6,412"; the whole number with commas, however long. */
const char *number_whole(char out[NUMBER_BYTES], uint64_t n);
/* At most five columns: 0 .. 999 whole, 1,000 .. 9,999 with a comma, then 10.0k, 100k, 1.00M ...
 * For figures that are compared to the last ticket. Negative and NAN: "-". */
const char *number_five(char out[NUMBER_BYTES], double n);
/* The same, but in k from 1,000 on: 999, 1.00k, 9.99k, 10.0k. For rates and connections. */
const char *number_rolled(char out[NUMBER_BYTES], double n);
/* number_five() for a rate; one below 1 is 0.1 .. 0.9: a trickle is not 0. */
const char *number_rate(char out[NUMBER_BYTES], double n);
/* A part of a whole, 0 .. 1: "64%"; 0% is nothing, 100% is all, and nothing in between shows as
 * either. */
const char *number_percent(char out[NUMBER_BYTES], double part);
/* Microseconds as milliseconds in at most five columns: 0.31, 41.0, 1,234, 12.3k. */
const char *number_ms(char out[NUMBER_BYTES], uint64_t us);
/* number_ms() of a measured latency; 0 is nothing measured: "-". */
const char *number_latency(char out[NUMBER_BYTES], uint64_t us);
/* "~16s", "~4m", "~2h", "~3d"; each up to 99 before the next. "-" for negative, NAN and no end. */
const char *number_span(char out[NUMBER_BYTES], double seconds);

#endif
