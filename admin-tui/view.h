/*
 * view: the pictures of the console. A view is a name, the letter of its keys in keys.def, and a
 * function that draws it from a scene; it changes nothing but where the operator looks.
 *
 * Around each stand the title (the first line) and the hints (the last one), or what has become of
 * an act: that takes as many lines as it needs.
 *
 * Owner: the thread of the screen.
 */
#ifndef SPIKE_TOP_VIEW_H
#define SPIKE_TOP_VIEW_H

#include "admin-tui/draw.h"
#include "admin-tui/keys.h"
#include "admin-tui/number.h"
#include "admin-tui/options.h"
#include "admin-tui/parts.h"
#include "admin-tui/prompt.h"
#include "admin-tui/rows.h"

#define VIEW_COLS_MIN 60
#define VIEW_ROWS_MIN 10
#define VIEW_NOTICE   400

struct scene {
    const struct model *m; /* what is drawn: live, or frozen */
    const struct top_options *options;
    const struct prompt *prompt;
    double interval_s;
    uint64_t now_wall_ms;
    bool frozen;
    char notice[VIEW_NOTICE]; /* what becomes of an act, in place of the hints; "": nothing */
    bool notice_trouble;
    struct look look;
    struct rows rows; /* made anew by view_draw */
    int scroll;       /* lines, of views that are longer than the screen */
    int page;         /* lines of such a view that are seen; set by its drawing */
};

struct view {
    const char *name;
    char keys;
    void (*draw)(const struct canvas *c, struct scene *s);
};

extern const struct view view_main, view_detail, view_event, view_help;

/* Everything: erases, draws title, view, hints and prompt; or says that there is no room. */
void view_draw(struct canvas *c, const struct view *view, struct scene *s);
bool view_fits(const struct canvas *c);

/* The node that the scene has selected; NULL: there is none. */
const struct model_node *view_selected(const struct scene *s);
/* "12:34:56" in local time. */
#define VIEW_CLOCK 16
const char *view_clock(char out[VIEW_CLOCK], uint64_t wall_ms);
/* n with commas if that fits the width, else in five columns; NAN is "-". */
const char *view_count(char out[NUMBER_BYTES], double n, int width);
/* Upper case; repair gets its '!'. */
const char *view_event_state(char out[STATS_WORD + 8], const char *state);
enum style view_state_style(enum model_state s);
/* "web3:3903" in at most width columns: of a number the end, of a name the beginning and the port.
 * A port that all nodes have goes first. */
const char *view_address(char out[MODEL_ADDRESS], const char *address, int width, bool same_port);

/* A view that may be longer than the screen, below a first line of its own: paint draws from line y
 * on and answers the line after its last; it is called twice, first only to be measured. */
typedef int view_paint(const struct canvas *c, struct scene *s, int y);
void view_page(const struct canvas *c, struct scene *s, view_paint *paint);

/* A part of such a view: writes line by line, y moves on. */
struct page {
    const struct canvas *c;
    int y, x, width;
};
void page_head(struct page *p, const char *text);
/* "name         value", which goes on in the next lines if it is long. */
void page_line(struct page *p, const char *name, const char *format, ...) PRINTF(3, 4);

/* view_main.c: whether there is a line above the table that says which nodes it shows. */
bool view_has_info(const struct canvas *c, const struct scene *s);

/* view_table.c: the nodes and their total, at most `height` lines; answers how many it took. */
int view_table(const struct canvas *c, struct scene *s, int y, int height);
/* How many lines the table wants. */
int view_table_wants(const struct scene *s);
/* In the place of rows, where there are none: says why. Answers how many lines it took. */
int view_no_rows(const struct canvas *c, const struct scene *s, int y);
/* The widest node cell ("  3 web3:3903") in at most `most` columns, and drawing one. */
int view_node_width(const struct scene *s, int most);
void view_node_cell(const struct canvas *c, const struct scene *s, int y, int width,
                    const struct model_node *n);

/* view_latency.c: how the latencies of those nodes are spread; NULL: of all that answer. */
void view_latency(const struct canvas *c, int y, int x, int height, int width,
                  const struct model *m, const struct model_node *only);

#endif
