/*
 * The table of nodes: as many columns as fit, the least needed are dropped first; of a node that is
 * down the reason, where its figures would be; the total below.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/view/view.h"

#define NODE_WIDTH_MIN 12 /* mark, number, a short address */
#define NODE_WIDTH_MAX 34
#define SPARK_FROM     110 /* columns of the screen; a sparkline for each node */
#define SPARK_HEAD     "REQ/S 60s"
#define SPARK_SPAN     60
#define SPARK_KEEP     20 /* columns that addresses and wide figures leave to it */

static const struct {
    const char *head;
    int width, wide; /* at least; on a wide screen */
    int rank;        /* the highest is dropped first */
} columns[COLUMN_COUNT] = {
    [COLUMN_NODE] = {"NODE", 0, 0, 0}, [COLUMN_STATE] = {"STATE", 6, 6, 0},
    [COLUMN_REQ] = {"REQ/S", 5, 5, 2}, [COLUMN_SOLD_S] = {"SOLD/S", 6, 6, 1},
    [COLUMN_SOLD] = {"SOLD", 6, 9, 1}, [COLUMN_LEFT] = {"LEFT", 5, 9, 3},
    [COLUMN_P50] = {"P50ms", 5, 5, 9}, [COLUMN_P99] = {"P99ms", 5, 5, 4},
    [COLUMN_CONN] = {"CONN", 5, 7, 8}, [COLUMN_ERR] = {"5XX/S", 5, 5, 5},
    [COLUMN_MEM] = {"MEM", 4, 4, 7},   [COLUMN_REDIS] = {"REDIS", 5, 5, 6},
};

/* Where the columns stand; a width of 0: not shown. */
struct layout {
    int width[COLUMN_COUNT], at[COLUMN_COUNT];
    int spark, spark_at;
};

static int digits_of(const struct model *m)
{
    uint32_t max = 0;
    int digits = 1;
    for (uint32_t i = 0; i < m->node_count; i++)
        max = model_number(&m->nodes[i]) > max ? model_number(&m->nodes[i]) : max;
    for (; max >= 10; max /= 10)
        digits++;
    return digits;
}

int view_node_width(const struct view_context *s, int max)
{
    size_t longest = 0;
    for (uint32_t i = 0; i < s->m->node_count; i++) {
        size_t len = strlen(s->m->nodes[i].address);
        longest = len > longest ? len : longest;
    }
    int wants = 2 + digits_of(s->m) + (int)longest;
    return wants < max ? wants : max;
}

static void drop_columns(struct layout *l, int *spare)
{
    while (*spare < 0) {
        int worst = COLUMN_NODE;
        for (int i = 0; i < COLUMN_COUNT; i++)
            if (l->width[i] > 0 && columns[i].rank > columns[worst].rank)
                worst = i;
        if (worst == COLUMN_NODE)
            return;
        ASSERT(l->width[worst] > 0);
        *spare += l->width[worst] + 1;
        l->width[worst] = 0;
    }
}

/* Gives columns that remain to those that can use them. */
static void spread(struct layout *l, const struct view_context *s, int *spare)
{
    int more = view_node_width(s, NODE_WIDTH_MAX) - NODE_WIDTH_MIN;
    more = more < *spare ? more : *spare;
    l->width[COLUMN_NODE] += more > 0 ? more : 0;
    *spare -= more > 0 ? more : 0;
    for (int i = 1; i < COLUMN_COUNT && 0 < *spare; i++) {
        more = l->width[i] > 0 ? columns[i].wide - columns[i].width : 0;
        more = more < *spare ? more : *spare;
        l->width[i] += more;
        *spare -= more;
    }
}

static void lay_out(struct layout *l, const struct view_context *s, int cols)
{
    int spare = cols - NODE_WIDTH_MIN, x = 0;
    memset(l, 0, sizeof *l);
    l->width[COLUMN_NODE] = NODE_WIDTH_MIN;
    for (int i = 1; i < COLUMN_COUNT; i++) {
        l->width[i] = columns[i].width;
        spare -= columns[i].width + 1;
    }
    drop_columns(l, &spare);
    int kept = cols < SPARK_FROM ? 0 : spare < SPARK_KEEP ? spare : SPARK_KEEP;
    spare -= kept;
    spread(l, s, &spare);
    spare += kept;
    for (int i = 0; i < COLUMN_COUNT; i++) {
        l->at[i] = x;
        x += l->width[i] > 0 ? l->width[i] + 1 : 0;
    }
    l->spark_at = x + 1;
    if (cols >= SPARK_FROM && spare > (int)strlen(SPARK_HEAD) + 2)
        l->spark = spare - 2 < SPARK_SPAN ? spare - 2 : SPARK_SPAN;
}

static bool at_left(enum column i)
{
    return i == COLUMN_NODE || i == COLUMN_STATE;
}

/* "NODE", or "NODE 1-2/3" where nothing else shows that there are more. */
static const char *node_head(char out[32], const struct canvas *c, const struct view_context *s,
                             int width)
{
    const struct table_view *table = &s->table;
    ASSERT(width > 0);
    const char *head = columns[COLUMN_NODE].head;
    if (view_has_info(c, s) || table->page >= s->rows.count)
        return head;
    snprintf(out, 32, "%s %u-%u/%u", head, table->first + 1, table->first + table->page,
             s->rows.count);
    return (int)strlen(out) < width ? out : out + strlen(head) + 1;
}

/* The column that sorts has a mark before its head: v the highest first, ^ the lowest. */
static void draw_head(const struct canvas *c, const struct view_context *s, const struct layout *l,
                      int y)
{
    char more[32];
    const struct table_view *table = &s->table;
    bool falling = (table->sort != COLUMN_NODE) != table->reversed;
    draw_fill(c, y, 0, c->cols, STYLE_TITLE);
    for (int i = 0; i < COLUMN_COUNT; i++) {
        const char *head = i == COLUMN_NODE ? node_head(more, c, s, l->width[i]) : columns[i].head;
        int len = (int)strlen(head), x = l->at[i] + (i == COLUMN_NODE ? 1 : 0);
        if (l->width[i] == 0)
            continue;
        x += at_left((enum column)i) ? 0 : l->width[i] - len;
        draw_text(c, y, x, len, STYLE_TITLE, head);
        if ((int)table->sort == i)
            draw_text(c, y, x - 1, 1, STYLE_TITLE, falling ? "v" : "^");
    }
    if (l->spark > 0)
        draw_text(c, y, l->spark_at, l->spark, STYLE_TITLE, SPARK_HEAD);
}

static bool have_same_port(const struct model *m)
{
    const char *first = NULL;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const char *port = strrchr(m->nodes[i].address, ':');
        if (m->nodes[i].absent)
            continue;
        if (port == NULL || (first != NULL && strcmp(first, port) != 0))
            return false;
        first = port;
    }
    return m->node_count > 1;
}

void view_node_cell(const struct canvas *c, const struct view_context *s, int y, int width,
                    const struct model_node *n)
{
    char cut[MODEL_ADDRESS], number[16] = "?";
    int digits = digits_of(s->m);
    if (model_number(n) > 0)
        snprintf(number, sizeof number, "%u", model_number(n));
    if (n == view_selected(s))
        draw_text(c, y, 0, 1, STYLE_BOLD, ">");
    draw_right(c, y, 1, digits, STYLE_PLAIN, number);
    int free_width = width - digits - 2;
    draw_text(c, y, digits + 2, free_width, STYLE_PLAIN,
              view_address(cut, n->address, free_width, have_same_port(s->m)));
}

static const char *cell(char out[NUMBER_BYTES], enum column i, double value, int width)
{
    ASSERT(i > COLUMN_STATE && i < COLUMN_COUNT);
    if (isnan(value))
        return "-";
    switch (i) {
    case COLUMN_REQ:
        return number_rolled(out, value);
    case COLUMN_P50:
    case COLUMN_P99:
        return number_ms(out, (uint64_t)value);
    case COLUMN_MEM:
        return number_percent(out, value);
    case COLUMN_REDIS:
        return isinf(value) ? "DOWN!" : number_ms(out, (uint64_t)value);
    case COLUMN_CONN:
        return number_rolled(out, value);
    default:
        return view_count(out, value, width);
    }
}

static void draw_figures(const struct canvas *c, const struct view_context *s,
                         const struct layout *l, int y, const struct model_node *n)
{
    char text[NUMBER_BYTES];
    for (int i = COLUMN_REQ; i < COLUMN_COUNT; i++) {
        if (l->width[i] == 0)
            continue;
        const char *figure =
            cell(text, (enum column)i, rows_value(s->m, n, (enum column)i), l->width[i]);
        if (i == COLUMN_REDIS && rows_alive(n) && strcmp(n->stats.redis, "off") == 0)
            figure = "off";
        if (i == COLUMN_LEFT && rows_spent(s->m, n))
            figure = "0!";
        draw_right(c, y, l->at[i], l->width[i], STYLE_PLAIN, figure);
    }
}

/* Where latencies and pools would be: from the first such column on. */
static void draw_why(const struct canvas *c, const struct layout *l, int y, const char *why)
{
    for (int i = COLUMN_P50; i < COLUMN_COUNT; i++) {
        if (l->width[i] == 0)
            continue;
        int width = l->spark > 0 ? l->spark_at + l->spark - l->at[i] : c->cols - l->at[i];
        draw_fill(c, y, l->at[i], width, STYLE_PLAIN);
        draw_text(c, y, l->at[i] + 1, width - 1, STYLE_TROUBLE, why);
        return;
    }
}

static void draw_node(const struct canvas *c, const struct view_context *s, const struct layout *l,
                      int y, const struct model_node *n)
{
    view_node_cell(c, s, y, l->width[COLUMN_NODE], n);
    draw_text(c, y, l->at[COLUMN_STATE], l->width[COLUMN_STATE], view_state_style(n->state),
              model_state_name(n->state));
    draw_figures(c, s, l, y, n);
    if (n->why[0] != '\0')
        draw_why(c, l, y, n->why);
    else if (l->spark > 0)
        draw_spark(c, y, l->spark_at, l->spark, n->req.at + MODEL_HISTORY - SPARK_SPAN, SPARK_SPAN);
    if (n == view_selected(s))
        draw_restyle(c, y, 0, c->cols, STYLE_SELECTED);
}

static double total_of(const struct model_totals *t, enum column i)
{
    switch (i) {
    case COLUMN_REQ:
        return t->has_rates ? t->req_s : NAN;
    case COLUMN_SOLD_S:
        return t->has_rates ? t->sold_s : NAN;
    case COLUMN_SOLD:
        return t->has_sums ? (double)t->node_sold : (double)NAN;
    case COLUMN_LEFT:
        return t->has_sale ? (double)t->left : NAN;
    case COLUMN_P50:
        return t->p50_us > 0 ? (double)t->p50_us : (double)NAN;
    case COLUMN_P99:
        return t->p99_us > 0 ? (double)t->p99_us : (double)NAN;
    case COLUMN_CONN:
        return t->answering > 0 ? (double)t->connections : (double)NAN;
    default:
        return t->has_rates ? t->err_s : NAN;
    }
}

static void draw_total(const struct canvas *c, const struct view_context *s, const struct layout *l,
                       int y)
{
    const struct model_totals *t = &s->m->totals;
    char text[NUMBER_BYTES], up[32];
    snprintf(up, sizeof up, "%u/%u", t->up, t->nodes);
    draw_text(c, y, 1, 5, STYLE_BOLD, "TOTAL");
    draw_text(c, y, l->at[COLUMN_STATE] - (strlen(up) > 6), 7, STYLE_BOLD, up);
    for (int i = COLUMN_REQ; i <= COLUMN_ERR; i++)
        if (l->width[i] > 0)
            draw_right(c, y, l->at[i], l->width[i], STYLE_BOLD,
                       cell(text, (enum column)i, total_of(t, (enum column)i), l->width[i]));
}

int view_no_rows(const struct canvas *c, const struct view_context *s, int y)
{
    draw_text(c, y, 1, c->cols, STYLE_WARN,
              s->table.filter[0] != '\0' ? "no node matches" : "no node is known");
    return 1;
}

int view_table_height(const struct view_context *s)
{
    return (s->rows.count > 0 ? (int)s->rows.count : 1) + 2;
}

int view_table(const struct canvas *c, struct view_context *s, int y, int height)
{
    struct layout l;
    int page = height - 2;
    if (page < 1)
        return 0;
    lay_out(&l, s, c->cols);
    rows_scroll(&s->rows, &s->table, (uint32_t)page);
    draw_head(c, s, &l, y);
    int shown = 0;
    for (; shown < page && s->table.first + (uint32_t)shown < s->rows.count; shown++) {
        uint32_t node = s->rows.node[s->table.first + (uint32_t)shown];
        draw_node(c, s, &l, y + 1 + shown, &s->m->nodes[node]);
    }
    if (shown == 0)
        shown += view_no_rows(c, s, y + 1);
    draw_total(c, s, &l, y + 1 + shown);
    ASSERT(shown + 2 <= height);
    return shown + 2;
}
