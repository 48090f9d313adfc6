/*
 * stat: what is in each journal, as lines of a name and a value, event by event; the acts of
 * operators, which are few, in a second walk.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/log/inside.h"
#include "storage/stock/stock.h"

#define TIME_TEXT 40

static bool fold(void *context, const struct record *r)
{
    return account_fold(context, r);
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

static int by_number(const void *a, const void *b)
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
    memcpy(known, t->known, sizeof known);
    qsort(known, t->known_count, sizeof known[0], by_number);
    for (uint32_t i = 0; i < t->known_count; i++)
        printf(" %u", (unsigned)known[i]);
    putchar('\n');
}

static void print_event(const char *event, const struct account *a)
{
    printf("event %s\n", event);
    print_sale(&a->tally);
    print_number("epoch", a->tally.epoch);
    print_nodes(&a->tally);
    print_number("records", a->tally.end);
    print_number("orders", a->tally.orders.granted);
    for (int state = ORDER_HELD; state <= ORDER_EXPIRED; state++)
        print_number(order_state_name((enum order_state)state), a->in_state[state]);
    printf("  %-9s %" PRIu64 " granted, %u held, %u sold\n", "tickets", a->tickets, a->tally.held,
           a->tally.sold);
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

static void print_change_of_event(const struct record *r)
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
    static const char *const hows[] = {
        [RECLAIM_NODE] = "", [RECLAIM_LOST] = " with its journal", [RECLAIM_REOPEN] = " to reopen"};
    char text[TIME_TEXT];
    printf("  %-9s %s node %u given up%s, its tickets: %u stay counted, %u came back", "act",
           time_text(text, r->time_wall_ms), (unsigned)r->node, hows[r->state], r->gone, r->back);
}

/* When and what, and by whose operator, from where. */
static bool print_act(void *context, const struct record *r)
{
    (void)context;
    if (r->kind == RECORD_ADMIN)
        print_change_of_event(r);
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
    struct account a = {0};
    const char *name = journal_event_name(s->journal, event);
    if (!source_end(s, event, &a.order_max, f))
        return false;
    a.orders = calloc(a.order_max + 1, sizeof *a.orders);
    if (a.orders == NULL)
        return fault(f, "no memory for %" PRIu64 " orders", a.order_max);
    bool good = source_walk(s, event, 1, a.order_max, fold, &a, f);
    free(a.orders);
    if (good && a.wrong != NULL)
        good = fault(f, "journal %s: damaged: record %" PRIu64 " of event %s: %s", s->conf.journal,
                     a.wrong_seq, name, a.wrong);
    if (good)
        print_event(name, &a);
    if (good && a.acts > 0)
        good = source_walk(s, event, a.first_act, a.tally.end, print_act, NULL, f);
    return good;
}

static void print_journal(const struct source *s)
{
    printf("journal %s\n", s->conf.journal);
    print_number("node", journal_node(s->journal));
    printf("  %-9s %" PRIu64 " of %" PRIu64 " bytes\n", "used", journal_used_bytes(s->journal),
           journal_size_bytes(s->journal));
    printf("  %-9s %s\n", "server", s->running ? "running" : "none");
}

int stat_run(const struct sources *all, const struct options *o, struct fault *f)
{
    (void)o;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct source *s = &all->at[i];
        print_journal(s);
        for (uint32_t k = 0; k < journal_event_count(s->journal); k++)
            if (!stat_event(s, k, f))
                return EXIT_TROUBLE;
    }
    return 0;
}
