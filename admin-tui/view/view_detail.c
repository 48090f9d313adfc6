/*
 * The detail view: one node with its workers, pools and their fill, journal, Redis, memory plan and
 * latencies, in as many columns as fit.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/view/view.h"

#define COLUMN     40
#define NAME_WIDTH 15 /* "redis arguments" */

/* A column of the page: lines are added at y. */
struct column_page {
    const struct canvas *c;
    int y, x, width;
};

static void page_head(struct column_page *p, const char *text)
{
    draw_text(p->c, p->y++, p->x, p->width, STYLE_BOLD, text);
}

/* "name         value"; a long value goes on in the next lines. */
static void PRINTF(3, 4) page_line(struct column_page *p, const char *name, const char *format, ...)
{
    char text[256];
    va_list arguments;
    ASSERT(p->c != NULL);
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    draw_text(p->c, p->y, p->x + 1, NAME_WIDTH, STYLE_NAME, name);
    int lines = draw_wrapped(p->c, p->y, p->x + 2 + NAME_WIDTH, p->width - NAME_WIDTH - 2,
                             STYLE_PLAIN, text);
    p->y += lines > 1 ? lines : 1;
}

static const char *bytes(char out[NUMBER_BYTES], uint64_t n)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double size = (double)n / 1024;
    size_t unit = 0;
    while (size >= 999.5 && unit + 1 < ARRAY_LEN(units)) {
        size /= 1024;
        unit++;
    }
    ASSERT(unit < ARRAY_LEN(units));
    snprintf(out, NUMBER_BYTES,
             size < 9.995   ? "%.2f %s"
             : size < 99.95 ? "%.1f %s"
                            : "%.0f %s",
             size, units[unit]);
    return out;
}

static const char *uptime(char out[NUMBER_BYTES], uint64_t s)
{
    snprintf(out, NUMBER_BYTES, "%" PRIu64 "d %02u:%02u:%02u", s / 86400, (unsigned)(s / 3600 % 24),
             (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    return out;
}

static void block_node(struct column_page *p, const struct view_context *s,
                       const struct model_node *n)
{
    const struct stats *t = &n->stats;
    char a[NUMBER_BYTES], b[NUMBER_BYTES], d[NUMBER_BYTES];
    (void)s;
    page_head(p, "Node");
    if (n->why[0] != '\0')
        page_line(p, "why", "%s", n->why);
    page_line(p, "says", "%s, version %s", t->state, t->version);
    page_line(p, "runs for", "%s", uptime(a, t->uptime_s));
    page_line(p, "requests", "%s, %s/s", number_five(a, (double)t->requests),
              n->has_rates ? number_rolled(b, n->req_s) : "-");
    page_line(p, "2xx 4xx 5xx", "%s %s %s", number_five(a, (double)t->answers_2xx),
              number_five(b, (double)t->answers_4xx), number_five(d, (double)t->answers_5xx));
    page_line(p, "connections", "%s of %s", number_whole(a, t->connections),
              number_whole(b, t->connections_max));
    page_line(p, "answers in", "%s ms", number_ms(a, n->rtt_us));
}

static void block_latency(struct column_page *p, const struct view_context *s,
                          const struct model_node *n)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES], d[NUMBER_BYTES];
    (void)s;
    page_head(p, "Latency of /buy, ms, last 10 s");
    page_line(p, "p50 p99 max", "%s  %s  %s", number_latency(a, n->stats.p50_us),
              number_latency(b, n->stats.p99_us), number_latency(d, n->stats.max_us));
}

static void block_redis(struct column_page *p, const struct view_context *s,
                        const struct model_node *n)
{
    char a[NUMBER_BYTES];
    (void)s;
    page_head(p, "Redis");
    page_line(p, "state", "%s",
              strcmp(n->stats.redis, "down") == 0 ? "DOWN!"
              : n->stats.redis[0] != '\0'         ? n->stats.redis
                                                  : "-");
    page_line(p, "a call takes", "%s ms", number_latency(a, n->stats.redis_rtt_us));
    page_line(p, "reconnects", "%s", number_whole(a, n->stats.redis_reconnects));
}

/* A bar and a text: how full something is. */
static void line_fill(struct column_page *p, const char *name, uint64_t used, uint64_t size,
                      const char *text)
{
    double part = size > 0 ? (double)used / (double)size : 0;
    ASSERT(p->width > NAME_WIDTH);
    int x = p->x + 17, bar = p->width - 17 - 15;
    draw_text(p->c, p->y, p->x + 1, 15, STYLE_NAME, name);
    if (bar >= 5)
        x = draw_bar(p->c, p->y, x, bar, part > 0.9 ? STYLE_TROUBLE : STYLE_GRAPH, part) + 1;
    draw_text(p->c, p->y++, x, p->x + p->width - x, part > 0.9 ? STYLE_BOLD : STYLE_PLAIN, text);
}

static void block_journal(struct column_page *p, const struct view_context *s,
                          const struct model_node *n)
{
    const struct stats *t = &n->stats;
    char a[NUMBER_BYTES], b[NUMBER_BYTES];
    double part = t->journal_size_bytes > 0
                      ? (double)t->journal_used_bytes / (double)t->journal_size_bytes
                      : 0;
    (void)s;
    page_head(p, "Journal");
    page_line(p, "records", "%s", number_whole(a, t->journal_records));
    page_line(p, "used", "%s of %s", bytes(a, t->journal_used_bytes),
              bytes(b, t->journal_size_bytes));
    line_fill(p, "full", t->journal_used_bytes, t->journal_size_bytes, number_percent(a, part));
    page_line(p, "commit p99", "%s ms", number_latency(a, t->commit_p99_us));
}

static void block_events(struct column_page *p, const struct view_context *s,
                         const struct model_node *n)
{
    (void)s;
    ASSERT(n->stats.event_count <= EVENTS_MAX);
    page_head(p, "Events    STATE      SOLD  HELD  LEFT");
    for (uint32_t i = 0; i < n->stats.event_count; i++) {
        const struct stats_event *e = &n->stats.events[i];
        char a[NUMBER_BYTES], state[STATS_STATE + 8];
        int x = p->x + 18;
        draw_text(p->c, p->y, p->x + 10, 8, STYLE_PLAIN, view_event_state(state, e->state));
        draw_text(p->c, p->y, p->x, 9, STYLE_NAME, e->name);
        x = draw_right(p->c, p->y, x, 7, STYLE_PLAIN, view_count(a, (double)e->node_sold, 6));
        x = draw_right(p->c, p->y, x, 6, STYLE_PLAIN, view_count(a, (double)e->node_held, 5));
        draw_right(p->c, p->y++, x, 6, STYLE_PLAIN, view_count(a, rows_left(n, e), 5));
    }
}

static void block_workers(struct column_page *p, const struct view_context *s,
                          const struct model_node *n)
{
    (void)s;
    ASSERT(n->stats.worker_count <= WORKERS_MAX);
    page_head(p, "Workers    REQS  CONN P50ms P99ms   MAX");
    for (uint32_t i = 0; i < n->stats.worker_count; i++) {
        const struct stats_worker *w = &n->stats.workers[i];
        char a[NUMBER_BYTES];
        int x = p->x + 10;
        draw_text(p->c, p->y, p->x, 9, STYLE_NAME, w->name);
        x = draw_right(p->c, p->y, x, 5, STYLE_PLAIN, number_rolled(a, (double)w->requests));
        x = draw_right(p->c, p->y, x, 6, STYLE_PLAIN, number_rolled(a, (double)w->connections));
        x = draw_right(p->c, p->y, x, 6, STYLE_PLAIN, number_latency(a, w->p50_us));
        x = draw_right(p->c, p->y, x, 6, STYLE_PLAIN, number_latency(a, w->p99_us));
        draw_right(p->c, p->y++, x, 6, STYLE_PLAIN, number_latency(a, w->max_us));
    }
}

static void block_pools(struct column_page *p, const struct view_context *s,
                        const struct model_node *n)
{
    (void)s;
    ASSERT(n->stats.pool_count <= STATS_POOLS_MAX);
    page_head(p, "Pools");
    for (uint32_t i = 0; i < n->stats.pool_count; i++) {
        const struct stats_pool *pool = &n->stats.pools[i];
        char a[NUMBER_BYTES], b[NUMBER_BYTES], text[80];
        snprintf(text, sizeof text, "%s of %s", number_five(a, (double)pool->used),
                 number_five(b, (double)pool->size));
        line_fill(p, pool->name, pool->used, pool->size, text);
    }
}

static void block_plan(struct column_page *p, const struct view_context *s,
                       const struct model_node *n)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES];
    (void)s;
    ASSERT(n->stats.plan_count <= STATS_POOLS_MAX);
    page_head(p, "Memory plan");
    for (uint32_t i = 0; i < n->stats.plan_count; i++)
        page_line(p, n->stats.plan[i].name, "%s", bytes(a, n->stats.plan[i].size));
    page_line(p, "reserved", "%s", bytes(a, n->stats.arena_bytes));
    page_line(p, "resident", "%s", bytes(b, n->stats.rss_bytes));
}

static void block_spread(struct column_page *p, const struct view_context *s,
                         const struct model_node *n)
{
    view_latency(p->c, p->y, p->x, 12, p->width, s->m, n);
    p->y += 12;
}

/* The column of each block, when there are one, two or three columns. */
static const struct {
    void (*draw)(struct column_page *p, const struct view_context *s, const struct model_node *n);
    int column[3];
} blocks[] = {
    {block_node, {0, 0, 0}},    {block_latency, {0, 0, 0}}, {block_redis, {0, 0, 0}},
    {block_journal, {0, 0, 0}}, {block_workers, {0, 1, 1}}, {block_pools, {0, 1, 1}},
    {block_events, {0, 0, 0}},  {block_plan, {0, 1, 2}},    {block_spread, {0, 1, 2}},
};

static int paint_detail(const struct canvas *c, struct view_context *s, int y)
{
    const struct model_node *n = view_selected(s);
    int columns = c->cols / COLUMN, last = y;
    struct column_page pages[3];
    if (n == NULL || !n->has_stats)
        return y;
    columns = columns < 1 ? 1 : columns > 3 ? 3 : columns;
    for (int i = 0; i < columns; i++)
        pages[i] = (struct column_page){c, y, i * (c->cols / columns), c->cols / columns - 1};
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        struct column_page *p = &pages[blocks[i].column[columns - 1]];
        ASSERT(p < pages + columns);
        blocks[i].draw(p, s, n);
        last = p->y > last ? p->y : last;
        p->y++; /* a blank line between two */
    }
    return last;
}

static void draw_detail(const struct canvas *c, struct view_context *s)
{
    const struct model_node *n = view_selected(s);
    if (n == NULL) {
        draw_text(c, 1, 1, c->cols, STYLE_PLAIN, "no node is selected");
        return;
    }
    char number[16] = "?", cut[MODEL_ADDRESS];
    if (model_number(n) > 0)
        snprintf(number, sizeof number, "%" PRIu32, model_number(n));
    view_page(c, s, paint_detail);
    int x = draw_format(c, 1, 0, STYLE_BOLD, "node %s  %s", number,
                        view_address(cut, n->address, c->cols - 40, false));
    x = draw_text(c, 1, x + 2, 8, view_state_style(n->state), model_state_name(n->state));
    if (n->why[0] != '\0')
        draw_text(c, 1, x + 2, c->cols - x - 22, STYLE_TROUBLE, n->why);
    if (!n->has_stats)
        draw_text(c, 3, 1, c->cols, STYLE_PLAIN, "It has not answered yet.");
    if (!n->has_stats)
        draw_wrapped(c, 4, 1, c->cols - 2, STYLE_TROUBLE, n->why);
}

const struct view view_detail = {"detail", 'd', draw_detail};
