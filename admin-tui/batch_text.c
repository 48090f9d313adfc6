/*
 * batch_text: a round as plain text of at most 80 columns, in the words of the main view: figures,
 * a line for each node, and a total. Where a line would be wider, columns are hidden, as on the
 * screen. An empty line separates two rounds.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin-tui/batch.h"
#include "admin-tui/model/number.h"
#include "admin-tui/model/rows.h"
#include "admin-tui/view/fit_columns.h"

#define COLUMNS     80
#define WHY_COLUMNS 54 /* behind name and state */

static const char *whole(char out[NUMBER_BYTES], bool is_known, uint64_t n)
{
    return is_known ? number_whole(out, n) : "-";
}

static const char *five(char out[NUMBER_BYTES], bool is_known, uint64_t n)
{
    return is_known ? number_five(out, (double)n) : "-";
}

static const char *rate(char out[NUMBER_BYTES], bool is_known, double n)
{
    return is_known && isfinite(n) ? number_rate(out, n) : "-";
}

/* "OPEN", in the words of the screen */
static const char *upper(char out[STATS_STATE], const char *state)
{
    size_t i = 0;
    if (strcmp(state, "soldout") == 0)
        state = "sold out";
    else if (strcmp(state, "repair") == 0)
        state = "repair!";
    for (; i < STATS_STATE - 1 && state[i] != '\0'; i++)
        out[i] = (char)toupper((unsigned char)state[i]);
    out[i] = '\0';
    ASSERT(i < STATS_STATE);
    return i > 0 ? out : "-";
}

static void put_columns(const char *head, struct fit_column *columns, int count, int wide)
{
    int width = COLUMNS - (int)strlen(head);
    int gap = fit_columns(columns, count, width, wide);
    ASSERT(width > 0);
    fputs(head, stdout);
    for (int i = 0, shown = 0; i < count; i++)
        if (!columns[i].hidden)
            printf("%*s%s", shown++ > 0 ? gap : 0, "", columns[i].text);
    putchar('\n');
}

static void put_head(const struct model *m, uint64_t wall_ms)
{
    const struct model_totals *t = &m->totals;
    char redis[MODEL_LINE_BYTES], clock[16], state[STATS_STATE];
    bool is_fine = !t->has_redis || t->redis_ok;
    struct fit_column p[6] = {
        {.text = "spike-top", .rank = 3}, [4] = {.rank = is_fine ? 2 : 0}, [5] = {.rank = 1}};
    time_t now = (time_t)(wall_ms / 1000);
    struct tm local;
    localtime_r(&now, &local);
    strftime(clock, sizeof clock, "%H:%M:%S", &local);
    model_redis_text(t, redis);
    snprintf(p[1].text, sizeof p[1].text, "%s", m->event[0] != '\0' ? m->event : "-");
    snprintf(p[2].text, sizeof p[2].text, "%s", upper(state, t->state));
    snprintf(p[3].text, sizeof p[3].text, "%u/%u up", (unsigned)t->up, (unsigned)t->nodes);
    snprintf(p[4].text, sizeof p[4].text, "%.40s", redis[0] != '\0' ? redis : "redis -");
    snprintf(p[5].text, sizeof p[5].text, "%s", clock);
    put_columns("", p, 6, 2);
}

/* How many tickets are gone, how fast, and what has become of the other requests. */
static void put_sold(const struct model_totals *t)
{
    char n[NUMBER_BYTES];
    struct fit_column p[6] = {[3] = {.rank = 4}, [4] = {.rank = 2}, [5] = {.rank = 1}};
    snprintf(p[0].text, sizeof p[0].text, "%s", whole(n, t->has_sale, t->sold));
    snprintf(p[1].text, sizeof p[1].text, "%s/s", rate(n, t->has_rates, t->sold_s));
    snprintf(p[2].text, sizeof p[2].text, "gone in %s", number_span(n, t->gone_in_s));
    if (t->has_sale && t->left == 0)
        snprintf(p[2].text, sizeof p[2].text, "all gone");
    snprintf(p[3].text, sizeof p[3].text, "held %s", five(n, t->has_sums, t->held));
    snprintf(p[4].text, sizeof p[4].text, "refused %s", five(n, t->has_sums, t->refused));
    snprintf(p[5].text, sizeof p[5].text, "errors %s", five(n, t->has_sums, t->errors));
    put_columns("Sold   ", p, 6, 3);
}

static void put_figures(const struct model_totals *t)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES], c[NUMBER_BYTES];
    if (t->has_sale)
        printf("Left   %s of %s  %s\n", number_whole(a, t->left), number_whole(b, t->total),
               number_percent(c, (double)t->left / (double)t->total));
    else
        puts("Left   -");
    put_sold(t);
    printf("Req/s  %s   peak %s   refused/s %s\n", rate(a, t->has_rates, t->req_s),
           rate(b, t->has_rates, t->peak_req_s), rate(c, t->has_rates, t->refused_s));
}

static void put_title(void)
{
    printf("%-18s %-6s %5s %6s %6s %6s %6s %6s %5s %5s\n", "NODE", "STATE", "REQ/S", "SOLD/S",
           "SOLD", "LEFT", "P50ms", "P99ms", "CONN", "5XX/S");
}

/* "1 web1:3901"; an address that is too long loses its beginning: nodes differ in the end. */
static void put_name(const struct model_node *n)
{
    char number[16] = "-", name[48];
    size_t len = strlen(n->address);
    if (model_number(n) != 0)
        snprintf(number, sizeof number, "%u", (unsigned)model_number(n));
    ASSERT(strlen(number) < 16);
    size_t max = 17 - strlen(number);
    bool is_cut = len > max;
    const char *address = is_cut ? n->address + len - (max - 1) : n->address;
    snprintf(name, sizeof name, "%s %s%.16s", number, is_cut ? "~" : "", address);
    printf("%-18s ", name);
}

/* How many tickets this node may still sell; "0!": none, though tickets are left. */
static const char *left_here(char out[NUMBER_BYTES], const struct model_node *n,
                             const struct stats_event *e)
{
    if (e == NULL || isnan(rows_left(n, e)))
        return "-";
    return model_stock_is_spent(e) ? "0!" : number_five(out, rows_left(n, e));
}

/* A reason that was cut ends in '~'. */
static void put_why(const struct model_node *n)
{
    bool is_cut = strlen(n->why) > WHY_COLUMNS;
    ASSERT(!rows_alive(n));
    printf("%-6s %.*s%s\n", model_state_name(n->state), WHY_COLUMNS - (is_cut ? 1 : 0), n->why,
           is_cut ? "~" : "");
}

static void put_node(const struct model *m, const struct model_node *n)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES];
    const struct stats *s = &n->stats;
    uint32_t i = 0;
    const struct stats_event *e = model_event(m, n, &i);
    ASSERT(i < EVENTS_MAX);
    put_name(n);
    if (!rows_alive(n)) {
        put_why(n);
        return;
    }
    printf("%-6s %5s %6s ", model_state_name(n->state), rate(a, n->has_rates, n->req_s),
           rate(b, n->has_rates && e != NULL, e != NULL ? n->sold_s[i] : 0));
    printf("%6s %6s ", five(a, e != NULL, e != NULL ? e->node_sold : 0), left_here(b, n, e));
    printf("%6s %6s ", number_latency(a, s->p50_us), number_latency(b, s->p99_us));
    printf("%5s %5s\n", number_five(a, (double)s->connections), rate(b, n->has_rates, n->err_s));
}

static void put_total(const struct model_totals *t)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES], up[16];
    snprintf(up, sizeof up, "%u/%u", (unsigned)t->up, (unsigned)t->nodes);
    int shift = strlen(up) > 6 ? 1 : 0; /* "100/100" */
    ASSERT(strlen(up) <= 7 && t->up <= t->nodes);
    printf("%-*s %-6s %5s %6s ", 18 - shift, "TOTAL", up, rate(a, t->has_rates, t->req_s),
           rate(b, t->has_rates, t->sold_s));
    printf("%6s %6s ", five(a, t->has_sums, t->node_sold), five(b, t->has_sale, t->left));
    printf("%6s %6s ", number_latency(a, t->p50_us), number_latency(b, t->p99_us));
    printf("%5s %5s\n", five(a, t->answering > 0, t->connections), rate(b, t->has_rates, t->err_s));
}

void batch_print_text(const struct model *m, uint64_t wall_ms)
{
    ASSERT(m->rounds > 0);
    if (m->rounds > 1)
        putchar('\n');
    put_head(m, wall_ms);
    put_figures(&m->totals);
    put_title();
    for (uint32_t i = 0; i < m->node_count; i++)
        if (!model_is_hidden(&m->nodes[i]))
            put_node(m, &m->nodes[i]);
    put_total(&m->totals);
}
