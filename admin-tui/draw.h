/*
 * draw: what the views are made of: text, figures at the right, bars, sparklines, graphs. The one
 * place, with term.c, that sees ncurses.
 *
 * Nothing is ever drawn outside of the canvas or of its clip, so that a view need not know how
 * small the window has become. Text is cut to its width, and then ends in '~'; every byte that is
 * not printable ASCII is shown as '?': it is never interpreted.
 *
 * Owner: the thread of the screen.
 */
#ifndef SPIKE_TOP_DRAW_H
#define SPIKE_TOP_DRAW_H

#include "conf/base/check.h"

struct canvas {
    void *window;    /* a WINDOW of ncurses */
    int rows, cols;  /* of the window */
    int top, bottom; /* the clip: rows from top to the one before bottom */
    bool blocks;     /* block characters; else ASCII */
};

/* What a text is for; the terminal decides how it looks. Words carry the meaning, never these. */
enum style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_TITLE,    /* the first and the last line, heads of tables */
    STYLE_GOOD,     /* up, open */
    STYLE_WARN,     /* slow, paused */
    STYLE_TROUBLE,  /* down */
    STYLE_GRAPH,    /* bars, sparklines, graphs */
    STYLE_NAME,     /* what a figure is called */
    STYLE_SELECTED, /* the row that is chosen */
    STYLE_COUNT
};

/* Once, when ncurses runs: the colours, if the terminal has any and they are wanted. */
void draw_begin(bool colour);

/* A canvas over the whole of a window. */
struct canvas canvas_of(void *window, bool blocks);
void canvas_erase(struct canvas *c);

/* All of these answer the column after the last one they own. A width below 1 draws nothing. */
int draw_text(const struct canvas *c, int y, int x, int width, enum style s, const char *text);
int draw_right(const struct canvas *c, int y, int x, int width, enum style s, const char *text);
/* To the end of the line. */
int draw_format(const struct canvas *c, int y, int x, enum style s, const char *format, ...)
    PRINTF(5, 6);
/* In lines of that width, broken at blanks; answers how many. Without a canvas it only counts. */
int draw_wrapped(const struct canvas *c, int y, int x, int width, enum style s, const char *text);
/* Blanks in a style. */
int draw_fill(const struct canvas *c, int y, int x, int width, enum style s);
/* "[||||||    ]" of that width, brackets included; fraction 0 .. 1. */
int draw_bar(const struct canvas *c, int y, int x, int width, enum style s, double fraction);

/* The last `count` of values, squeezed into at most `width` columns (the highest of each share),
 * the newest at the right; as high as the highest. NAN is a blank. */
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

/* Changes how a part of a line looks, not what it says. */
void draw_restyle(const struct canvas *c, int y, int x, int width, enum style s);

#endif
