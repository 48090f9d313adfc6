/*
 * stat: what is in each journal, as lines of a name and a value, event by event. The acts of
 * operators, which are few, take a second walk.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/log/audit_totals.h"
#include "storage/log/commands.h"
#include "storage/stock/stock.h"

#define TIME_TEXT 40

static bool fold(void *context, const struct record *r)
{
    return audit_totals_fold(context, r);
}

static const char *time_text(char text[TIME_TEXT], uint64_t wall_ms)
{
    snprintf(text, TIME_TEXT, "-");
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    if (wall_ms > 0 && gmtime_r(&seconds, &utc) != NULL) {
        size_t len = strftime(text, TIME_TEXT - 8, "%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(text + len, TIME_TEXT - len, ".%03uZ", (unsigned)(wall_ms % 1000));
    }
    return text;
}

static void print_time(const char *name, uint64_t wall_ms)
{
    char text[TIME_TEXT];
    printf("  %-9s %s\n", name, time_text(text, wall_ms));
}

static void print_number(const char *name, uint64_t value)
{
    printf("  %-9s %" PRIu64 "\n", name, value);
}

static void print_sale(const struct node_totals *t)
{
    if (!t->has_sale) {
        puts("  sale      none yet");
        return;
    }
    printf("  sale      ");
    for (int i = 0; i < 4; i++)
        printf("%02x", t->sale[i]);
    printf(" %s\n", t->unified ? "unified" : "standalone");
    print_number("total", t->total);
    print_number("version", t->version);
}

static int compare_nodes(const void *a, const void *b)
{
    uint16_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x - y;
}

static void print_nodes(const struct node_totals *t)
{
    uint16_t known[NODES_MAX];
    printf("  nodes    ");
    ASSERT(t->known_count <= NODES_MAX);
    memcpy(known, t->known, sizeof known);
    qsort(known, t->known_count, sizeof known[0], compare_nodes);
    for (uint32_t i = 0; i < t->known_count; i++)
        printf(" %u", (unsigned)known[i]);
    putchar('\n');
}

static void print_event(const char *event, const struct audit_totals *a)
{
    ASSERT(a->wrong == NULL);
    printf("event %s\n", event);
    print_sale(&a->node);
    print_number("epoch", a->node.epoch);
    print_nodes(&a->node);
    print_number("records", a->node.end);
    print_number("orders", a->node.orders.granted);
    for (int state = ORDER_HELD; state <= ORDER_EXPIRED; state++)
        print_number(order_state_name((enum order_state)state), a->in_state[state]);
    printf("  %-9s %" PRIu64 " granted, %u held, %u sold\n", "tickets", a->tickets, a->node.held,
           a->node.sold);
    printf("  %-9s %" PRIu64 " sold again, %" PRIu64 " refused%s\n", "late", a->late, a->refused,
           a->refused > 0 ? ", to be refunded: export --refused lists them" : "");
    print_time("first", a->first_wall_ms);
    print_time("last", a->last_wall_ms);
    print_number("acts", a->acts);
}

static char printable(char c)
{
    return c >= 0x20 && c < 0x7f ? c : '?';
}

static void print_admin(const struct record *r)
{
    static const char *const states[] = {
        [STOCK_OPEN] = "open", [STOCK_PAUSED] = "paused", [STOCK_CLOSED] = "closed"};
    char text[TIME_TEXT];
    printf("  %-9s %s %s, total %u, version %u, ", "act",
           time_text(text, r->node > 0 ? r->acted_wall_ms : r->time_wall_ms),
           r->state < ARRAY_LEN(states) ? states[r->state] : "?", r->total, r->version);
    if (r->node > 0)
        printf("by node %u", (unsigned)r->node);
    else
        fputs("by somebody unknown", stdout);
}

static void print_reclaim(const struct record *r)
{
    static const char *const suffixes[] = {
        [RECLAIM_NODE] = "", [RECLAIM_LOST] = " with its journal", [RECLAIM_REOPEN] = " to reopen"};
    char text[TIME_TEXT];
    printf("  %-9s %s node %u given up%s, its tickets: %u stay counted, %u came back", "act",
           time_text(text, r->time_wall_ms), (unsigned)r->node, suffixes[r->state], r->gone,
           r->back);
}

/* When, what, on which node, and from where. */
static bool print_act(void *context, const struct record *r)
{
    (void)context;
    if (r->kind == RECORD_ADMIN)
        print_admin(r);
    else if (r->kind == RECORD_RECLAIM)
        print_reclaim(r);
    else
        return true;
    fputs(r->buyer_len > 0 ? ", from " : "", stdout);
    for (int i = 0; i < r->buyer_len; i++)
        putchar(printable(r->buyer[i]));
    putchar('\n');
    return true;
}

static bool stat_event(const struct source *s, uint32_t event, struct fault *f)
{
    struct audit_totals a = {0};
    uint64_t end;
    const char *name = source_event_name(s, event);
    if (!source_end(s, event, &end, f))
        return false;
    if (!audit_totals_begin(&a, end))
        return fault(f, "no memory for %" PRIu64 " orders", end);
    bool good = source_walk(s, event, 1, end, fold, &a, f);
    audit_totals_end(&a);
    if (good && a.wrong != NULL)
        good = fault(f, "journal %s: damaged: record %" PRIu64 " of event %s: %s", source_path(s),
                     a.wrong_seq, name, a.wrong);
    ASSERT(!good || a.node.end == end);
    if (good)
        print_event(name, &a);
    if (good && a.acts > 0)
        good = source_walk(s, event, a.first_act, a.node.end, print_act, NULL, f);
    return good;
}

static void print_journal(const struct source *s)
{
    printf("journal %s\n", source_path(s));
    print_number("node", source_node(s));
    printf("  %-9s %" PRIu64 " of %" PRIu64 " bytes\n", "used", source_used_bytes(s),
           source_size_bytes(s));
    printf("  %-9s %s\n", "server", source_is_running(s) ? "running" : "none");
}

int stat_run(const struct sources *all, const struct options *o, struct fault *f)
{
    (void)o;
    for (uint32_t i = 0; i < sources_count(all); i++) {
        const struct source *s = sources_at(all, i);
        print_journal(s);
        for (uint32_t k = 0; k < source_event_count(s); k++)
            if (!stat_event(s, k, f))
                return EXIT_TROUBLE;
    }
    return 0;
}
