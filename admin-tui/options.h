/*
 * options: what the operator asked for on the command line. Read once, constant afterwards.
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
    uint64_t rounds;        /* -n, 0: on and on; batch alone */
    bool batch, json;       /* -b; -j, which is a batch too */
    bool readonly;          /* --readonly: no actions */
    bool no_color;          /* -C, or NO_COLOR is set */
    bool blocks;            /* -u: Unicode block characters */
    const char *conf;       /* -c FILE; NULL: none */
    const char *token_file; /* --token-file FILE; NULL: none */
    char **names;           /* the addresses that were named */
    uint32_t name_count;
};

/* Reads them. Does not return for -V and -h (exit 0) and for what cannot be understood (exit 2). */
void options_read(struct top_options *o, int argc, char **argv);
/* How long a node may take to answer when rounds begin every so often: never longer than a round
 * of a second or more, never so short that a busy node looks dead. */
uint64_t options_timeout_us(double interval_s);
/* How long a node that has timed out may take when it is asked once more in the same round; 0: the
 * round has no time for that. */
uint64_t options_again_us(double interval_s);
/* The next longer or shorter interval of those that people expect. */
double options_step(double interval_s, bool longer);

#endif
