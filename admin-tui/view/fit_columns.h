/*
 * fit_columns: a line of figures that fits its width: where there is no space for all of them, the
 * least needed are hidden first, and those that stay are whole.
 *
 * Pure.
 */
#ifndef SPIKE_TOP_FIT_COLUMNS_H
#define SPIKE_TOP_FIT_COLUMNS_H

#include <stdbool.h>

#define FIT_RANK_MAX 9

struct fit_column {
    char text[48];
    int rank;    /* 0 .. FIT_RANK_MAX: the highest is hidden first; 0: never */
    bool hidden; /* set by fit_columns() */
};

/* Hides columns until the line fits `width`. The blanks between two columns: `gap`, or 2 if that
 * does not fit. */
int fit_columns(struct fit_column *columns, int count, int width, int gap);

#endif
