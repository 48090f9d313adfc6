/*
 * load_run: sends the load that the command line describes, and prints the result.
 *
 * Owner: the one thread of load.
 */
#ifndef SPIKE_BENCH_LOAD_RUN_H
#define SPIKE_BENCH_LOAD_RUN_H

#include "bench/load_options.h"

/* Returns when the load is over; an error ends the process. */
void load_run(const struct load_options *o);

#endif
