/*
 * batch_text: a round as plain text of at most 80 columns, in the words of the main view: figures,
 * a line for each node, and a total. Rounds are kept apart by an empty line.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin-tui/batch.h"
#include "admin-tui/number.h"
#include "admin-tui/rows.h"

#define FAIL_COLUMNS 66

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
static const char *upper(char out[STATS_WORD], const char *word)
{
    size_t i = 0;
    if (strcmp(word, "soldout") == 0)
        word = "sold out";
    else if (strcmp(word, "repair") == 0)
        word = "repair!";
    for (; i < STATS_WORD - 1 && word[i] != '\0'; i++)
        out[i] = (char)toupper((unsigned char)word[i]);
    out[i] = '\0';
    return i > 0 ? out : "-";
}

static void put_head(const struct model *m, uint64_t wall_ms)
{
    const struct model_totals *t = &m->totals;
    char rtt[NUMBER_BYTES], clock[16], state[STATS_WORD];
    time_t now = (time_t)(wall_ms / 1000);
    struct tm local;
    localtime_r(&now, &local);
    strftime(clock, sizeof clock, "%H:%M:%S", &local);
    printf("spike-top  %s  %s  %u/%u up  ", m->event[0] != '\0' ? m->event : "-",
           upper(state, t->state), (unsigned)t->up, (unsigned)t->nodes);
    if (!t->has_redis)
        fputs(t->answering > 0 ? "redis off" : "redis -", stdout);
    else if (t->redis_ok)
        printf("redis ok %sms", number_ms(rtt, t->redis_rtt_us));
    else
        fputs("redis DOWN!", stdout);
    printf("  %s\n", clock);
}

static void put_figures(const struct model_totals *t)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES], c[NUMBER_BYTES], d[NUMBER_BYTES], e[NUMBER_BYTES];
    if (t->known)
        printf("Left   %s of %s  %s\n", number_whole(a, t->left), number_whole(b, t->total),
               number_percent(c, (double)t->left / (double)t->total));
    else
        puts("Left   -");
    printf("Sold   %s   %s/s   gone in %s   held %s   refused %s", whole(a, t->known, t->sold),
           rate(b, t->has_rates, t->sold_s), number_span(c, t->gone_in_s),
           five(d, t->heard, t->held), five(e, t->heard, t->refused));
    printf("   errors %s\n", five(a, t->heard, t->errors));
    printf("Req/s  %s   peak %s   refused/s %s\n", rate(a, t->has_rates, t->req_s),
           rate(b, t->has_rates, t->peak_req_s), rate(c, t->has_rates, t->refused_s));
}

static void put_title(void)
{
    printf("%-18s %-6s %5s %6s %6s %6s %6s %6s %5s %5s\n", "NODE", "STATE", "REQ/S", "SOLD/S",
           "SOLD", "LEFT", "P50ms", "P99ms", "CONN", "5XX/S");
}

/* "1 web1:3901"; an address that is too long loses its beginning: its end tells nodes apart. */
static void put_name(const struct model_node *n)
{
    char number[16] = "-", name[48];
    size_t len = strlen(n->address);
    if (n->number != 0)
        snprintf(number, sizeof number, "%u", (unsigned)n->number);
    size_t room = 17 - strlen(number);
    bool is_cut = len > room;
    const char *address = is_cut ? n->address + len - (room - 1) : n->address;
    snprintf(name, sizeof name, "%s %s%.16s", number, is_cut ? "~" : "", address);
    printf("%-18s ", name);
}

/* What this node may still sell by itself; "0!": nothing, though tickets are left. */
static const char *left_here(char out[NUMBER_BYTES], const struct stats_event *e)
{
    if (e == NULL || e->total == 0)
        return "-";
    return model_spent(e) ? "0!" : number_five(out, rows_left(e));
}

static void put_node(const struct model *m, const struct model_node *n)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES];
    const struct stats *s = &n->stats;
    uint32_t i = 0;
    const struct stats_event *e = model_event(m, n, &i);
    put_name(n);
    if (!rows_alive(n)) {
        printf("%-6s %.*s\n", model_state_word(n->state), FAIL_COLUMNS - 12, n->why);
        return;
    }
    printf("%-6s %5s %6s ", model_state_word(n->state), rate(a, n->has_rates, n->req_s),
           rate(b, n->has_rates && e != NULL, e != NULL ? n->sold_s[i] : 0));
    printf("%6s %6s ", five(a, e != NULL, e != NULL ? e->node_sold : 0), left_here(b, e));
    printf("%6s %6s ", number_latency(a, s->p50_us), number_latency(b, s->p99_us));
    printf("%5s %5s\n", number_five(a, (double)s->connections), rate(b, n->has_rates, n->err_s));
}

static void put_total(const struct model_totals *t)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES], up[16];
    snprintf(up, sizeof up, "%u/%u", (unsigned)t->up, (unsigned)t->nodes);
    printf("%-18s %-6s %5s %6s ", "TOTAL", up, rate(a, t->has_rates, t->req_s),
           rate(b, t->has_rates, t->sold_s));
    printf("%6s %6s ", five(a, t->heard, t->node_sold), five(b, t->known, t->left));
    printf("%6s %6s ", number_latency(a, t->p50_us), number_latency(b, t->p99_us));
    printf("%5s %5s\n", five(a, t->answering > 0, t->connections), rate(b, t->has_rates, t->err_s));
}

void batch_print_text(const struct model *m, uint64_t wall_ms)
{
    if (m->rounds > 1)
        putchar('\n');
    put_head(m, wall_ms);
    put_figures(&m->totals);
    put_title();
    for (uint32_t i = 0; i < m->node_count; i++)
        put_node(m, &m->nodes[i]);
    put_total(&m->totals);
}
