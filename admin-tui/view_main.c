/*
 * The main view: the sale in three lines, the nodes, what has happened last; graphs above the nodes
 * if the screen is large.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/view.h"

#define HEAD        8 /* "Left   " and one blank */
#define CLOCK       9 /* "12:34:56 " */
#define BAR_MOST    100
#define SPARK_SPAN  60
#define LINES_MIN   3  /* events that have their place, whatever the nodes take */
#define LINES_LARGE 8  /* that they get where there are graphs */
#define ROWS_ROOMY  16 /* from here on there is a line for filter and rows */
#define PANEL_ROWS  34 /* from here on there are graphs */
#define PANEL_3     110

static bool is_known(const struct scene *s)
{
    return s->m->totals.known;
}

static void draw_left(const struct canvas *c, const struct scene *s, int y)
{
    const struct model_totals *t = &s->m->totals;
    char left[NUMBER_BYTES], total[NUMBER_BYTES];
    draw_text(c, y, 0, HEAD, STYLE_NAME, "Left");
    if (!is_known(s)) {
        draw_text(c, y, HEAD - 1, c->cols, STYLE_PLAIN,
                  s->m->node_count == 0 ? "-   no node is known"
                  : s->m->rounds == 0   ? "-   asking the nodes"
                  : s->m->totals.heard  ? "-   no node knows the sale yet"
                                        : "-   no node has answered yet");
        return;
    }
    double part = t->total > 0 ? (double)t->left / (double)t->total : 0;
    int x = draw_text(c, y, HEAD - 1, c->cols, STYLE_BOLD, number_whole(left, t->left));
    x = draw_format(c, y, x, STYLE_PLAIN, " of %s", number_whole(total, t->total));
    int width = c->cols - x - 2 - 5;
    x = draw_bar(c, y, x + 2, width < BAR_MOST ? width : BAR_MOST, STYLE_GRAPH, part);
    draw_text(c, y, x + 1, c->cols, STYLE_BOLD, number_percent(left, part));
}

static void draw_parts(const struct canvas *c, int y, int x, struct part *parts,
                       const enum style *styles, int count)
{
    int gap = parts_fit(parts, count, c->cols - x, 3);
    for (int i = 0; i < count; i++)
        if (!parts[i].gone)
            x = draw_text(c, y, x, c->cols, styles[i], parts[i].text) + gap;
}

static void draw_sold(const struct canvas *c, const struct scene *s, int y)
{
    const struct model_totals *t = &s->m->totals;
    char n[NUMBER_BYTES];
    struct part p[7] = {[3] = {.rank = 4}, [4] = {.rank = 2}, [5] = {.rank = 5}, [6] = {.rank = 1}};
    enum style styles[7] = {STYLE_BOLD, STYLE_BOLD, STYLE_PLAIN};
    draw_text(c, y, 0, HEAD, STYLE_NAME, "Sold");
    if (!is_known(s)) {
        draw_text(c, y, HEAD - 1, c->cols, STYLE_PLAIN, "-");
        return;
    }
    snprintf(p[0].text, sizeof p[0].text, "%s", number_whole(n, t->sold));
    snprintf(p[1].text, sizeof p[1].text, "%s/s", view_count(n, t->has_rates ? t->sold_s : NAN, 5));
    snprintf(p[2].text, sizeof p[2].text, "gone in %s", number_span(n, t->gone_in_s));
    if (t->left == 0)
        snprintf(p[2].text, sizeof p[2].text, "all gone");
    snprintf(p[3].text, sizeof p[3].text, "held %s", view_count(n, (double)t->held, 6));
    snprintf(p[4].text, sizeof p[4].text, "refused %s", number_rolled(n, (double)t->refused));
    snprintf(p[5].text, sizeof p[5].text, "%s/s",
             t->has_rates ? number_rolled(n, t->refused_s) : "-");
    snprintf(p[6].text, sizeof p[6].text, "errors %s", view_count(n, (double)t->errors, 5));
    if (t->has_rates && t->err_s > 0)
        styles[6] = STYLE_TROUBLE;
    draw_parts(c, y, HEAD - 1, p, styles, 7);
}

static void draw_requests(const struct canvas *c, const struct scene *s, int y)
{
    const struct model_totals *t = &s->m->totals;
    char now[NUMBER_BYTES], peak[NUMBER_BYTES];
    draw_text(c, y, 0, HEAD, STYLE_NAME, "Req/s");
    int x = draw_text(c, y, HEAD - 1, c->cols, STYLE_BOLD,
                      t->has_rates ? number_rolled(now, t->req_s) : "-");
    x = draw_format(c, y, x + 3, STYLE_PLAIN, "peak %s", number_rolled(peak, t->peak_req_s)) + 3;
    int room = c->cols - x - 5;
    int width = room < SPARK_SPAN ? room : SPARK_SPAN;
    draw_spark(c, y, x, width, s->m->req.at + MODEL_HISTORY - SPARK_SPAN, SPARK_SPAN);
    draw_text(c, y, x + width + 2, 3, STYLE_NAME, "60s");
}

/* What is shown of the nodes, if not all of them. */
static void draw_info(const struct canvas *c, const struct scene *s, int y, int page)
{
    const struct look *look = &s->look;
    if (look->filter[0] != '\0')
        draw_format(c, y, 1, STYLE_WARN, "filter \"%s\": %u of %u nodes", look->filter,
                    s->rows.count, s->rows.all);
    if ((int)s->rows.count <= page)
        return;
    char text[64];
    snprintf(text, sizeof text, "rows %u-%u of %u", look->first + 1, look->first + (uint32_t)page,
             s->rows.count);
    draw_right(c, y, 0, c->cols, STYLE_NAME, text);
}

static const struct model_line *line_at(const struct scene *s, uint64_t ago)
{
    const struct model *m = s->m;
    uint64_t known = m->line_count < MODEL_LINES ? m->line_count : MODEL_LINES;
    return ago < known ? &m->lines[(m->line_count - 1 - ago) % MODEL_LINES] : NULL;
}

/* How many lines of the screen it takes: what it says stands right of the clock. */
static int height_of(const struct canvas *c, const struct model_line *line)
{
    int lines = draw_wrapped(NULL, 0, 0, c->cols - CLOCK, STYLE_PLAIN, line->text);
    return lines > 1 ? lines : 1;
}

/* What has happened last must be read whole, also where there is little room. */
static int lines_least(const struct canvas *c, const struct scene *s)
{
    const struct model_line *last = line_at(s, 0);
    int least = c->rows >= ROWS_ROOMY ? LINES_MIN : 1;
    int most = c->rows >= ROWS_ROOMY ? LINES_MIN + 1 : 2;
    int wants = last != NULL ? height_of(c, last) : 0;
    return wants < least ? least : wants < most ? wants : most;
}

static void draw_line(const struct canvas *c, const struct model_line *line, int y)
{
    char clock[VIEW_CLOCK];
    draw_text(c, y, 0, VIEW_CLOCK, STYLE_NAME, view_clock(clock, line->wall_ms));
    draw_wrapped(c, y, CLOCK, c->cols - CLOCK, line->trouble ? STYLE_TROUBLE : STYLE_PLAIN,
                 line->text);
}

/* The newest at the bottom, as many as there is room for, each whole. */
static void draw_lines(const struct canvas *whole, const struct scene *s, int y, int height)
{
    struct canvas c = *whole;
    const struct model_line *line;
    uint64_t shown = 0;
    int taken = 0;
    c.bottom = y + height;
    while ((line = line_at(s, shown)) != NULL && taken + height_of(&c, line) <= height) {
        taken += height_of(&c, line);
        shown++;
    }
    if (shown == 0 && line != NULL && height > 0) { /* too long by itself */
        draw_line(&c, line, y);
        draw_text(&c, c.bottom - 1, c.cols - 1, 1, STYLE_PLAIN, "~");
    }
    for (; shown > 0; y += height_of(&c, line)) {
        line = line_at(s, --shown);
        draw_line(&c, line, y);
    }
}

static void draw_panels(const struct canvas *c, const struct scene *s, int y, int height)
{
    struct graph req = {"requests/s", s->m->req.at, MODEL_HISTORY};
    struct graph sold = {"sold/s", s->m->sold.at, MODEL_HISTORY};
    int count = c->cols >= PANEL_3 ? 3 : 2, width = c->cols / count;
    draw_graph(c, y, 0, height, width - 2, &req);
    draw_graph(c, y, width, height, width - 2, &sold);
    if (count == 3)
        view_latency(c, y, 2 * width, height, c->cols - 2 * width, s->m, NULL);
}

/* A quarter of the screen, and more if the nodes leave it. */
static int panel_height(const struct canvas *c, const struct scene *s)
{
    int least = c->rows / 4 + 1;
    int spare = c->rows - 7 - view_table_wants(s) - LINES_LARGE;
    return spare < least ? least : spare < 2 * least ? spare : 2 * least;
}

bool view_has_info(const struct canvas *c, const struct scene *s)
{
    return c->rows >= ROWS_ROOMY || s->look.filter[0] != '\0';
}

/* A small screen gives its lines to the nodes, a large one to graphs. */
static void draw_main(const struct canvas *c, struct scene *s)
{
    int y = 4, end = c->rows - 1;
    draw_left(c, s, 1);
    draw_sold(c, s, 2);
    draw_requests(c, s, 3);
    if (c->rows >= PANEL_ROWS) {
        int height = panel_height(c, s);
        draw_panels(c, s, y + 1, height);
        y += height + 1;
    }
    int info = y;
    y += view_has_info(c, s) ? 1 : 0;
    int room = end - y - lines_least(c, s), wants = view_table_wants(s);
    int page = (wants < room ? wants : room) - 2;
    y += view_table(c, s, y, page + 2);
    if (view_has_info(c, s))
        draw_info(c, s, info, page);
    if (end - y > LINES_LARGE) /* there is room for a blank */
        y++;
    draw_lines(c, s, y, end - y);
}

const struct view view_main = {"main", 'm', draw_main};
