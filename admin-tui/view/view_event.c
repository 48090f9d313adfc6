/*
 * The event view: where the tickets of the chosen event are, and what has become of its orders,
 * node by node.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/view/view.h"

#define NODE_WIDTH_MAX 24
#define COLUMN         26
#define FIGURE_LINES   7
#define GRAPH_ROWS     30 /* from here on there is a graph */
#define GRAPH_HEIGHT   12

/* The columns of a node, and of the total. */
static const struct {
    const char *head;
    int width;
} columns[] = {{"SOLD", 7},       {"HELD", 7},    {"GRANTED", 8}, {"PAID", 7},
               {"CANCELLED", 10}, {"EXPIRED", 8}, {"LATE", 6},    {"REFUSED", 8}};

static void values_of(uint64_t v[ARRAY_LEN(columns)], const struct stats_event *e)
{
    const uint64_t all[] = {e->node_sold, e->node_held, e->granted, e->paid,
                            e->cancelled, e->expired,   e->late,    e->late_refused};
    memcpy(v, all, sizeof all);
}

/* A figure that is not known is a dash. */
static void figure(const struct canvas *c, int y, int x, const char *name, bool is_known,
                   uint64_t n)
{
    char text[NUMBER_BYTES];
    draw_text(c, y, x, 14, STYLE_NAME, name);
    draw_right(c, y, x + 13, COLUMN - 15, STYLE_BOLD, is_known ? number_whole(text, n) : "-");
}

/* Tickets that are gone and neither held nor sold by a known node: foreign, or of a node that has
 * never answered. */
static uint64_t elsewhere(const struct model_totals *t)
{
    uint64_t known = t->held + t->node_sold;
    return t->sold > known ? t->sold - known : 0;
}

static void draw_figures(const struct canvas *c, const struct model_totals *t, int y)
{
    int two = 1 + COLUMN, three = 1 + 2 * COLUMN;
    draw_text(c, y, 1, COLUMN, STYLE_BOLD, "Tickets");
    figure(c, y + 1, 1, "total", t->has_sale, t->total);
    figure(c, y + 2, 1, "left", t->has_sale, t->left);
    figure(c, y + 3, 1, "gone", t->has_sale, t->sold);
    figure(c, y + 4, 1, "refused", t->has_sums, t->refused);
    draw_text(c, y, two, COLUMN, STYLE_BOLD, "Gone");
    figure(c, y + 1, two, "sold", t->has_sums, t->node_sold);
    figure(c, y + 2, two, "held", t->has_sums, t->held);
    figure(c, y + 3, two, "elsewhere", t->has_sale, elsewhere(t));
    draw_text(c, y, three, COLUMN, STYLE_BOLD, "Orders");
    figure(c, y + 1, three, "granted", t->has_sums, t->granted);
    figure(c, y + 2, three, "paid", t->has_sums, t->paid);
    figure(c, y + 3, three, "cancelled", t->has_sums, t->cancelled);
    figure(c, y + 4, three, "expired", t->has_sums, t->expired);
    figure(c, y + 5, three, "paid late", t->has_sums, t->late);
    figure(c, y + 6, three, "late, refused", t->has_sums, t->late_refused);
}

static void draw_row(const struct canvas *c, int y, int x, const uint64_t *v, enum style style)
{
    char text[NUMBER_BYTES];
    ASSERT(x > 0);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        if (x + columns[i].width > c->cols)
            return;
        x = draw_right(c, y, x, columns[i].width, style,
                       view_count(text, (double)v[i], columns[i].width - 1));
    }
}

static void draw_head(const struct canvas *c, int y, int x)
{
    ASSERT(x > 0);
    draw_fill(c, y, 0, c->cols, STYLE_TITLE);
    draw_text(c, y, 1, 4, STYLE_TITLE, "NODE");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        if (x + columns[i].width > c->cols)
            return;
        x = draw_right(c, y, x, columns[i].width, STYLE_TITLE, columns[i].head);
    }
}

static void draw_node(const struct canvas *c, const struct view_context *s, int y, int width,
                      const struct model_node *n)
{
    uint64_t v[ARRAY_LEN(columns)];
    uint32_t index = 0;
    const struct stats_event *e = n->has_stats ? model_event(s->m, n, &index) : NULL;
    view_node_cell(c, s, y, width, n);
    if (e == NULL) {
        draw_text(c, y, width + 3, c->cols, view_state_style(n->state), "-");
    } else {
        values_of(v, e);
        draw_row(c, y, width + 1, v, STYLE_PLAIN);
    }
    if (n == view_selected(s))
        draw_restyle(c, y, 0, c->cols, STYLE_SELECTED);
}

static void draw_total(const struct canvas *c, const struct model_totals *t, int y, int width)
{
    const uint64_t v[] = {t->node_sold, t->held,    t->granted, t->paid,
                          t->cancelled, t->expired, t->late,    t->late_refused};
    draw_text(c, y, 1, width, STYLE_BOLD, "TOTAL");
    if (t->has_sums)
        draw_row(c, y, width + 1, v, STYLE_BOLD);
    else
        draw_text(c, y, width + 3, 1, STYLE_BOLD, "-");
}

static void draw_nodes(const struct canvas *c, struct view_context *s, int y, int page)
{
    int width = view_node_width(s, c->cols < 90 ? 16 : NODE_WIDTH_MAX);
    width = width < 6 ? 6 : width;
    if (page < 1)
        return;
    ASSERT(s->rows.count <= s->m->node_count);
    rows_scroll(&s->rows, &s->table, (uint32_t)page);
    draw_head(c, y++, width + 1);
    for (int i = 0; i < page && s->table.first + (uint32_t)i < s->rows.count; i++)
        draw_node(c, s, y++, width, &s->m->nodes[s->rows.node[s->table.first + (uint32_t)i]]);
    if (s->rows.count == 0)
        y += view_no_rows(c, s, y);
    draw_total(c, &s->m->totals, y, width);
}

static void draw_event(const struct canvas *c, struct view_context *s)
{
    const struct model_totals *t = &s->m->totals;
    char state[STATS_STATE + 8];
    int y = 2, end = c->rows - 1;
    int x =
        draw_format(c, 1, 0, STYLE_BOLD, "event %s  %s", s->m->event[0] != '\0' ? s->m->event : "-",
                    view_event_state(state, t->state));
    if (t->has_sale)
        draw_bar(c, 1, x + 2, c->cols - x - 2, STYLE_GRAPH, (double)t->left / (double)t->total);
    if (c->rows >= 16) {
        draw_figures(c, t, y);
        y += FIGURE_LINES + 1;
    }
    if (c->rows >= GRAPH_ROWS) {
        struct graph sold = {"sold/s", s->m->sold.at, MODEL_HISTORY};
        draw_graph(c, y, 0, GRAPH_HEIGHT, c->cols - 2, &sold);
        y += GRAPH_HEIGHT + 1;
    }
    draw_nodes(c, s, y, end - y - 2);
}

const struct view view_event = {"event", 'e', draw_event};
