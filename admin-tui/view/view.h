/*
 * view: the pictures of the console. A view is a name, the letter of its keys in keys.def, and a
 * function that draws it from a view_context; drawing changes nothing there but positions.
 *
 * Around each view stand the title (the first line) and the hints (the last one), or the outcome of
 * an act: that takes as many lines as it needs.
 *
 * Owner: the thread of the screen.
 */
#ifndef SPIKE_TOP_VIEW_H
#define SPIKE_TOP_VIEW_H

#include "admin-tui/model/number.h"
#include "admin-tui/model/rows.h"
#include "admin-tui/view/draw.h"
#include "admin-tui/view/fit_columns.h"
#include "admin-tui/view/keys.h"
#include "admin-tui/view/prompt.h"

#define VIEW_COLS_MIN 60
#define VIEW_ROWS_MIN 10
#define VIEW_NOTICE   400

/* What a view is drawn from. */
struct view_context {
    const struct model *m; /* live, or frozen */
    const struct prompt *prompt;
    bool readonly; /* no keys that change the sale */
    double interval_s;
    uint64_t now_wall_ms;
    bool frozen;
    char notice[VIEW_NOTICE]; /* the outcome of an act, in place of the hints; "": none */
    bool notice_trouble;
    struct table_view table;
    struct rows rows; /* made anew by view_draw() */
    int scroll;       /* first line, of views that are longer than the screen */
    int page;         /* lines of such a view that are visible; set by its drawing */
};

struct view {
    const char *name;
    char keys;
    void (*draw)(const struct canvas *c, struct view_context *s);
};

extern const struct view view_main, view_detail, view_event, view_help;

/* Erases, then draws title, view, hints and prompt; or only that the screen is too small. */
void view_draw(struct canvas *c, const struct view *view, struct view_context *s);
/* The screen is large enough for a view. */
bool view_fits(const struct canvas *c);
/* There is a line above the table for the filter and the rows that are visible. */
bool view_has_info(const struct canvas *c, const struct view_context *s);

/* The selected node; NULL: there is none. */
const struct model_node *view_selected(const struct view_context *s);
#define VIEW_CLOCK 16
/* "12:34:56" in local time. */
const char *view_clock(char out[VIEW_CLOCK], uint64_t wall_ms);
/* n with commas if that fits the width, else in five columns; NAN and negative are "-". */
const char *view_count(char out[NUMBER_BYTES], double n, int width);
/* "OPEN", "SOLD OUT", "REPAIR!". */
const char *view_event_state(char out[STATS_STATE + 8], const char *state);
enum style view_state_style(enum model_state s);
/* "web3:3903" in at most width columns: the end of a numeric address, the beginning and the port of
 * a name. A port that all nodes have is dropped first. */
const char *view_address(char out[MODEL_ADDRESS], const char *address, int width, bool same_port);

/* A view that may be longer than the screen, below a first line of its own. paint draws from line y
 * on and returns the line after its last; it is called twice, first only to be measured. */
typedef int view_paint(const struct canvas *c, struct view_context *s, int y);
void view_page(const struct canvas *c, struct view_context *s, view_paint *paint);

/* view_table.c: the nodes and their total, in at most `height` lines; returns how many. */
int view_table(const struct canvas *c, struct view_context *s, int y, int height);
/* How many lines the whole table has. */
int view_table_height(const struct view_context *s);
/* In place of rows, where there are none: why. Returns how many lines it took. */
int view_no_rows(const struct canvas *c, const struct view_context *s, int y);
/* The width of the widest node cell ("  3 web3:3903"), at most `max`. */
int view_node_width(const struct view_context *s, int max);
/* Draws the cell of one node. */
void view_node_cell(const struct canvas *c, const struct view_context *s, int y, int width,
                    const struct model_node *n);

/* view_latency.c: the latency histogram of that node; NULL: of all that answer. */
void view_latency(const struct canvas *c, int y, int x, int height, int width,
                  const struct model *m, const struct model_node *only);

#endif
