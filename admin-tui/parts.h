/*
 * parts: a line of figures that stand in one order and go in another: where there is no room for
 * all, the least needed go first, and those that stay are whole.
 *
 * Pure.
 */
#ifndef SPIKE_TOP_PARTS_H
#define SPIKE_TOP_PARTS_H

#include <stdbool.h>

#define PARTS_RANK_MAX 9

struct part {
    char text[48];
    int rank;  /* the highest goes first; 0: it stays */
    bool gone; /* set by parts_fit */
};

/* Answers how many blanks stand between two: `wide`, or 2 if that does not fit. */
int parts_fit(struct part *parts, int count, int room, int wide);

#endif
