/*
 * commands: the commands of spike-log(8), which reads journals and never writes one. Each command
 * is a file of its own; main.c reads the options and runs one of them.
 *
 * Exit status: 0; 1 a promise is broken; 2 everything else that went wrong.
 *
 * Owner: one thread.
 */
#ifndef SPIKE_LOG_COMMANDS_H
#define SPIKE_LOG_COMMANDS_H

#include "storage/log/row.h"
#include "storage/log/source.h"

#define EXIT_BREACH  1
#define EXIT_TROUBLE 2

struct options {
    enum row_format format;
    bool changes;  /* export: a row for each change of an order, not for each order */
    bool refused;  /* export: a row for each late payment that was refused */
    uint64_t last; /* tail: begin with so many changes of each event */
};

/* Each returns the exit status; EXIT_TROUBLE: f says why. */
int export_run(const struct sources *all, const struct options *o, struct fault *f);
int tail_run(const struct sources *all, const struct options *o, struct fault *f);
int stat_run(const struct sources *all, const struct options *o, struct fault *f);
int audit_run(const struct sources *all, const struct options *o, struct fault *f);

#endif
