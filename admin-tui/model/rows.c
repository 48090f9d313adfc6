/*
 * rows: see rows.h. Numbers of nodes rise; every other column begins with the highest, which for
 * the state is the worst trouble. A node whose figure is not known comes last in both directions.
 */
#include "admin-tui/model/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool rows_alive(const struct model_node *n)
{
    return n->has_stats && n->state != MODEL_DOWN && n->state != MODEL_NEW &&
           n->state != MODEL_DUPLICATE;
}

bool rows_spent(const struct model *m, const struct model_node *n)
{
    const struct stats_event *e = model_event(m, n, NULL);
    return e != NULL && !isnan(rows_left(n, e)) && model_stock_is_spent(e);
}

double rows_left(const struct model_node *n, const struct stats_event *e)
{
    bool sells = n->state == MODEL_UP || n->state == MODEL_SLOW;
    bool has_ended = strcmp(e->state, "closed") == 0 || strcmp(e->state, "repair") == 0;
    if (!sells || has_ended || e->total + e->left == 0)
        return NAN;
    uint64_t out = e->node_sold + e->node_held;
    uint64_t here = e->local_stock > out ? e->local_stock - out : 0;
    return (double)(e->has_cap && here < e->left ? here : e->left);
}

double rows_fill(const struct stats *s)
{
    double max = NAN;
    ASSERT(s->pool_count <= STATS_POOLS_MAX);
    for (uint32_t i = 0; i < s->pool_count; i++)
        if (s->pools[i].size > 0)
            max = fmax(max, (double)s->pools[i].used / (double)s->pools[i].size);
    return max;
}

static double redis_value(const struct stats *s)
{
    if (strcmp(s->redis, "up") == 0)
        return (double)s->redis_rtt_us;
    return strcmp(s->redis, "down") == 0 ? INFINITY : NAN;
}

/* Figures that are known only of a node that answers. */
static double live_value(const struct model *m, const struct model_node *n, enum column c)
{
    uint32_t index = 0;
    const struct stats_event *e = model_event(m, n, &index);
    ASSERT(index < EVENTS_MAX && c < COLUMN_COUNT);
    switch (c) {
    case COLUMN_REQ:
        return n->has_rates ? n->req_s : NAN;
    case COLUMN_SOLD_S:
        return n->has_rates && e != NULL ? n->sold_s[index] : NAN;
    case COLUMN_LEFT:
        return e != NULL ? rows_left(n, e) : NAN;
    case COLUMN_P50:
        return n->stats.p50_us > 0 ? (double)n->stats.p50_us : NAN;
    case COLUMN_P99:
        return n->stats.p99_us > 0 ? (double)n->stats.p99_us : NAN;
    case COLUMN_CONN:
        return (double)n->stats.connections;
    case COLUMN_ERR:
        return n->has_rates ? n->err_s : NAN;
    case COLUMN_MEM:
        return rows_fill(&n->stats);
    case COLUMN_REDIS:
        return redis_value(&n->stats);
    default:
        return NAN;
    }
}

double rows_value(const struct model *m, const struct model_node *n, enum column c)
{
    if (c == COLUMN_NODE)
        return model_number(n) > 0 ? (double)model_number(n) : (double)NAN;
    if (c == COLUMN_STATE)
        return n->state;
    if (c == COLUMN_SOLD) { /* also of a node that is down: sold tickets stay sold */
        uint32_t index = 0;
        const struct stats_event *e = n->has_stats ? model_event(m, n, &index) : NULL;
        return e != NULL ? (double)e->node_sold : NAN;
    }
    return rows_alive(n) ? live_value(m, n, c) : NAN;
}

static bool passes(const struct model_node *n, const char *filter)
{
    return filter[0] == '\0' || strcasestr(n->address, filter) != NULL ||
           strcasestr(model_state_name(n->state), filter) != NULL;
}

struct entry {
    double value; /* lowest first */
    uint32_t number, node;
};

static int by_value(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (isnan(a->value) != isnan(b->value))
        return isnan(a->value) ? 1 : -1;
    if (!isnan(a->value) && a->value < b->value)
        return -1;
    if (!isnan(a->value) && a->value > b->value)
        return 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

void rows_make(struct rows *rows, const struct model *m, const struct table_view *view)
{
    struct entry entries[MODEL_NODES_MAX];
    bool falling = (view->sort != COLUMN_NODE) != view->reversed;
    rows->count = rows->all = 0;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct model_node *n = &m->nodes[i];
        if (model_is_hidden(n))
            continue;
        rows->all++;
        if (!passes(n, view->filter))
            continue;
        double value = rows_value(m, n, view->sort);
        entries[rows->count++] = (struct entry){falling ? -value : value, model_number(n), i};
    }
    if (rows->count > 1)
        qsort(entries, rows->count, sizeof entries[0], by_value);
    for (uint32_t i = 0; i < rows->count; i++)
        rows->node[i] = entries[i].node;
    ASSERT(rows->count <= rows->all && rows->all <= m->node_count);
}

uint32_t rows_selected(const struct rows *rows, const struct table_view *view)
{
    ASSERT(rows->count <= MODEL_NODES_MAX);
    for (uint32_t i = 0; i < rows->count; i++)
        if (rows->node[i] == view->selected)
            return i;
    return 0;
}

void rows_move(const struct rows *rows, struct table_view *view, int64_t by)
{
    if (rows->count == 0)
        return;
    int64_t row = rows_selected(rows, view) + by;
    if (row >= rows->count)
        row = (int64_t)rows->count - 1;
    view->selected = rows->node[row < 0 ? 0 : row];
}

void rows_scroll(const struct rows *rows, struct table_view *view, uint32_t page)
{
    uint32_t row = rows_selected(rows, view);
    view->page = page;
    if (page == 0 || row < view->first)
        view->first = row;
    else if (row >= view->first + page)
        view->first = row - page + 1;
    if (view->first + page > rows->count)
        view->first = rows->count > page ? rows->count - page : 0;
    ASSERT(view->first == 0 || view->first < rows->count);
}
