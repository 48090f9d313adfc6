/*
 * draw: the primitives of the views: text, figures at the right, bars, sparklines, graphs. Only
 * this file and term.c see ncurses.
 *
 * Nothing is ever drawn outside of the canvas or of its clip, so a view need not know how small the
 * window has become. Text is cut to its width, and then ends in '~'; every byte that is not
 * printable ASCII is shown as '?' and never interpreted.
 *
 * Owner: the thread of the screen.
 */
#ifndef SPIKE_TOP_DRAW_H
#define SPIKE_TOP_DRAW_H

#include "conf/base/check.h"

struct canvas {
    void *window;    /* a WINDOW of ncurses */
    int rows, cols;  /* of the window */
    int top, bottom; /* the clip: rows top .. bottom - 1 */
    bool blocks;     /* block characters; else ASCII */
};

/* The purpose of a text; the terminal decides on colours. Words carry the meaning, never a style.
 */
enum style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_TITLE,    /* the first and the last line, heads of tables */
    STYLE_GOOD,     /* up, open */
    STYLE_WARN,     /* slow, paused */
    STYLE_TROUBLE,  /* down */
    STYLE_GRAPH,    /* bars, sparklines, graphs */
    STYLE_NAME,     /* the name of a figure */
    STYLE_SELECTED, /* the chosen row */
    STYLE_COUNT
};

/* Once, when ncurses runs: sets up colours, if the terminal has any and they are wanted. */
void draw_begin(bool colour);

/* A canvas over the whole of a window. */
struct canvas canvas_of(void *window, bool blocks);
void canvas_erase(struct canvas *c);

/* Each returns the column behind what it has drawn. A width below 1 draws nothing. */
int draw_text(const struct canvas *c, int y, int x, int width, enum style s, const char *text);
int draw_right(const struct canvas *c, int y, int x, int width, enum style s, const char *text);
/* To the end of the line. */
int draw_format(const struct canvas *c, int y, int x, enum style s, const char *format, ...)
    PRINTF(5, 6);
/* In lines of that width, broken at blanks; returns how many. Without a canvas it only counts. */
int draw_wrapped(const struct canvas *c, int y, int x, int width, enum style s, const char *text);
/* Blanks in a style. */
int draw_fill(const struct canvas *c, int y, int x, int width, enum style s);
/* "[||||||    ]" of that width, brackets included; fraction 0 .. 1. */
int draw_bar(const struct canvas *c, int y, int x, int width, enum style s, double fraction);

/* `count` values in at most `width` columns (of values that share a column the highest), the newest
 * at the right, scaled to the highest. NAN is a blank. */
int draw_spark(const struct canvas *c, int y, int x, int width, const float *values, int count);

struct graph {
    const char *title;
    const float *values; /* a value a second, the newest last; NAN: not known */
    int count;
};
/* A title, an axis with numbers at the left, a line with the time below. */
void draw_graph(const struct canvas *c, int y, int x, int height, int width, const struct graph *g);

/* A frame, empty inside. */
void draw_box(const struct canvas *c, int y, int x, int height, int width);

/* Changes the style of a part of a line, not its text. */
void draw_restyle(const struct canvas *c, int y, int x, int width, enum style s);

#endif
