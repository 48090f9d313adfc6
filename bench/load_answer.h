/*
 * load_answer: parses one HTTP answer and checks it against what the command line expects.
 *
 * Owner: the one thread of load.
 */
#ifndef SPIKE_BENCH_LOAD_ANSWER_H
#define SPIKE_BENCH_LOAD_ANSWER_H

#include <stddef.h>

#include "bench/load_options.h"

enum answer_kind {
    ANSWER_EXPECTED,
    ANSWER_OTHER, /* -E */
    ANSWER_BUSY,  /* -b: status 503 */
};

/* The bytes of the answer at the beginning of `bytes`; 0: it is incomplete. An answer that is not
 * valid ends the process. `bytes` ends in a NUL behind `len`. */
size_t answer_parse(const struct load_options *o, const char *bytes, size_t len,
                    enum answer_kind *kind);

/* The error of an answer: prints why, and the beginning of `bytes`, and ends the process. */
_Noreturn void answer_fail(const char *why, const char *bytes, size_t len);

#endif
