/*
 * options: the command line of spike-top. Parsed once by main's thread, constant afterwards.
 */
#ifndef SPIKE_TOP_OPTIONS_H
#define SPIKE_TOP_OPTIONS_H

#include <stdint.h>

#include "conf/base/fault.h"
#include "conf/base/limits.h"

#define INTERVAL_MIN_S 0.1
#define INTERVAL_MAX_S 60.0

struct top_options {
    double interval_s;      /* -d, INTERVAL_MIN_S .. INTERVAL_MAX_S */
    uint64_t rounds;        /* -n, 0: no end; batch only */
    bool batch, json;       /* -b; -j, which implies batch */
    bool readonly;          /* --readonly: no actions */
    bool no_color;          /* -C, or NO_COLOR is set */
    bool blocks;            /* -u: Unicode block characters */
    const char *conf;       /* -c FILE; NULL: none */
    const char *token_file; /* --token-file FILE; NULL: none */
    char **names;           /* the addresses of nodes */
    uint32_t name_count;
};

/* Parses them. Does not return for -V and -h (exit 0) and for wrong options (exit 2). */
void options_read(struct top_options *o, int argc, char **argv);
/* How long a node may take to answer, if rounds begin at that interval: never longer than a round
 * of a second or more, never so short that a busy node seems dead. */
uint64_t options_timeout_us(double interval_s);
/* How long a node that has timed out may take at a second attempt in the same round; 0: the round
 * has no time for one. */
uint64_t options_retry_us(double interval_s);
/* The next longer or shorter interval of the usual ones. */
double options_step(double interval_s, bool longer);

#endif
