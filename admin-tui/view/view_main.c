/*
 * The main view: the sale in three lines, the nodes, the latest lines of what has happened; graphs
 * above the nodes if the screen is large.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/view/view.h"

#define HEAD        8 /* "Left   " and one blank */
#define CLOCK       9 /* "12:34:56 " */
#define BAR_MAX     100
#define SPARK_SPAN  60
#define LINES_MIN   3  /* of what has happened, however many nodes there are */
#define LINES_LARGE 8  /* of it where there are graphs */
#define ROWS_ROOMY  16 /* from here on a screen has space to spare */
#define PANEL_ROWS  34 /* from here on there are graphs */
#define PANEL_3     110

static bool is_known(const struct view_context *s)
{
    return s->m->totals.has_sale;
}

static void draw_left(const struct canvas *c, const struct view_context *s, int y)
{
    const struct model_totals *t = &s->m->totals;
    char left[NUMBER_BYTES], total[NUMBER_BYTES];
    ASSERT(!t->has_sale || t->total > 0);
    draw_text(c, y, 0, HEAD, STYLE_NAME, "Left");
    if (!is_known(s)) {
        draw_text(c, y, HEAD - 1, c->cols, STYLE_PLAIN,
                  s->m->node_count == 0   ? "-   no node is known"
                  : s->m->rounds == 0     ? "-   asking the nodes"
                  : s->m->totals.has_sums ? "-   no node knows the sale yet"
                                          : "-   no node has answered yet");
        return;
    }
    double part = t->total > 0 ? (double)t->left / (double)t->total : 0;
    int x = draw_text(c, y, HEAD - 1, c->cols, STYLE_BOLD, number_whole(left, t->left));
    x = draw_format(c, y, x, STYLE_PLAIN, " of %s", number_whole(total, t->total));
    int width = c->cols - x - 2 - 5;
    x = draw_bar(c, y, x + 2, width < BAR_MAX ? width : BAR_MAX, STYLE_GRAPH, part);
    draw_text(c, y, x + 1, c->cols, STYLE_BOLD, number_percent(left, part));
}

static void draw_columns(const struct canvas *c, int y, int x, struct fit_column *columns,
                         const enum style *styles, int count)
{
    int gap = fit_columns(columns, count, c->cols - x, 3);
    for (int i = 0; i < count; i++)
        if (!columns[i].hidden)
            x = draw_text(c, y, x, c->cols, styles[i], columns[i].text) + gap;
}

static void draw_sold(const struct canvas *c, const struct view_context *s, int y)
{
    const struct model_totals *t = &s->m->totals;
    char n[NUMBER_BYTES];
    struct fit_column p[7] = {
        [3] = {.rank = 4}, [4] = {.rank = 2}, [5] = {.rank = 5}, [6] = {.rank = 1}};
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
    draw_columns(c, y, HEAD - 1, p, styles, 7);
}

static void draw_requests(const struct canvas *c, const struct view_context *s, int y)
{
    const struct model_totals *t = &s->m->totals;
    char now[NUMBER_BYTES], peak[NUMBER_BYTES];
    draw_text(c, y, 0, HEAD, STYLE_NAME, "Req/s");
    int x = draw_text(c, y, HEAD - 1, c->cols, STYLE_BOLD,
                      t->has_rates ? number_rolled(now, t->req_s) : "-");
    x = draw_format(c, y, x + 3, STYLE_PLAIN, "peak %s", number_rolled(peak, t->peak_req_s)) + 3;
    int width = c->cols - x - 5 < SPARK_SPAN ? c->cols - x - 5 : SPARK_SPAN;
    draw_spark(c, y, x, width, s->m->req.at + MODEL_HISTORY - SPARK_SPAN, SPARK_SPAN);
    draw_text(c, y, x + width + 2, 3, STYLE_NAME, "60s");
}

/* The filter, and the rows that are visible if those are not all. */
static void draw_info(const struct canvas *c, const struct view_context *s, int y, int page)
{
    const struct table_view *table = &s->table;
    if (table->filter[0] != '\0')
        draw_format(c, y, 1, STYLE_WARN, "filter \"%s\": %u of %u nodes", table->filter,
                    s->rows.count, s->rows.all);
    if ((int)s->rows.count <= page)
        return;
    char text[64];
    snprintf(text, sizeof text, "rows %u-%u of %u", table->first + 1, table->first + (uint32_t)page,
             s->rows.count);
    draw_right(c, y, 0, c->cols, STYLE_NAME, text);
}

static const struct model_line *line_at(const struct view_context *s, uint64_t ago)
{
    const struct model *m = s->m;
    uint64_t kept = m->line_count < MODEL_LINES ? m->line_count : MODEL_LINES;
    return ago < kept ? &m->lines[(m->line_count - 1 - ago) % MODEL_LINES] : NULL;
}

/* How many lines of the screen it takes: its text stands right of the clock. */
static int height_of(const struct canvas *c, const struct model_line *line)
{
    int lines = draw_wrapped(NULL, 0, 0, c->cols - CLOCK, STYLE_PLAIN, line->text);
    ASSERT(lines >= 0);
    return lines > 1 ? lines : 1;
}

/* The latest line must be readable in whole, also on a small screen. */
static int lines_min(const struct canvas *c, const struct view_context *s)
{
    const struct model_line *last = line_at(s, 0);
    int min = c->rows >= ROWS_ROOMY ? LINES_MIN : 1;
    int max = c->rows >= ROWS_ROOMY ? LINES_MIN + 1 : 2;
    int wants = last != NULL ? height_of(c, last) : 0;
    return wants < min ? min : wants < max ? wants : max;
}

static void draw_line(const struct canvas *c, const struct model_line *line, int y)
{
    char clock[VIEW_CLOCK];
    draw_text(c, y, 0, VIEW_CLOCK, STYLE_NAME, view_clock(clock, line->wall_ms));
    draw_wrapped(c, y, CLOCK, c->cols - CLOCK, line->trouble ? STYLE_TROUBLE : STYLE_PLAIN,
                 line->text);
}

/* The newest at the bottom, as many as fit, each in whole. */
static void draw_lines(const struct canvas *whole, const struct view_context *s, int y, int height)
{
    struct canvas c = *whole;
    const struct model_line *line;
    uint64_t shown = 0;
    int used = 0;
    c.bottom = y + height;
    while ((line = line_at(s, shown)) != NULL && used + height_of(&c, line) <= height) {
        used += height_of(&c, line);
        shown++;
    }
    ASSERT(shown <= MODEL_LINES);
    if (shown == 0 && line != NULL && height > 0) { /* a single line is too long */
        draw_line(&c, line, y);
        draw_text(&c, c.bottom - 1, c.cols - 1, 1, STYLE_PLAIN, "~");
    }
    for (; shown > 0; y += height_of(&c, line)) {
        line = line_at(s, --shown);
        draw_line(&c, line, y);
    }
}

static void draw_panels(const struct canvas *c, const struct view_context *s, int y, int height)
{
    struct graph req = {"requests/s", s->m->req.at, MODEL_HISTORY};
    struct graph sold = {"sold/s", s->m->sold.at, MODEL_HISTORY};
    int count = c->cols >= PANEL_3 ? 3 : 2, width = c->cols / count;
    ASSERT(height > 0 && width > 2);
    draw_graph(c, y, 0, height, width - 2, &req);
    draw_graph(c, y, width, height, width - 2, &sold);
    if (count == 3)
        view_latency(c, y, 2 * width, height, c->cols - 2 * width, s->m, NULL);
}

/* A quarter of the screen, and more if the nodes do not need it. */
static int panel_height(const struct canvas *c, const struct view_context *s)
{
    int min = c->rows / 4 + 1;
    int spare = c->rows - 7 - view_table_height(s) - LINES_LARGE;
    return spare < min ? min : spare < 2 * min ? spare : 2 * min;
}

/* A small screen has only nodes, a large one graphs, too. */
static void draw_main(const struct canvas *c, struct view_context *s)
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
    int free_rows = end - y - lines_min(c, s), wants = view_table_height(s);
    int page = (wants < free_rows ? wants : free_rows) - 2;
    y += view_table(c, s, y, page + 2);
    if (view_has_info(c, s))
        draw_info(c, s, info, page);
    if (end - y > LINES_LARGE) /* a blank line fits */
        y++;
    draw_lines(c, s, y, end - y);
}

const struct view view_main = {"main", 'm', draw_main};
