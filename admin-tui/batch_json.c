/*
 * batch_json: a round as one JSON object in one line. The answer of a node is copied as it came,
 * but only if it was parsed as JSON to the last byte and is UTF-8: one node must not spoil the line
 * for the others. A rate or a figure that is not known is null.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "admin-tui/batch.h"

/* The text with its quotes; bytes that are not visible ASCII become '?'. */
static void put_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text < ' ' || *text > '~' ? '?' : *text);
    }
    putchar('"');
}

/* How many bytes the first character has; 0: it is not UTF-8. */
static size_t utf8_len(const unsigned char *text, size_t len)
{
    static const uint32_t min[] = {0, 0, 0x80, 0x800, 0x10000};
    ASSERT(len > 0);
    if (text[0] < 0x80)
        return 1;
    size_t want = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4 || len < want)
        return 0;
    uint32_t c = text[0] & (0x7fu >> want);
    for (size_t i = 1; i < want; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (text[i] & 0x3fu);
    }
    bool is_surrogate = c >= 0xd800 && c <= 0xdfff;
    return c >= min[want] && c <= 0x10ffff && !is_surrogate ? want : 0;
}

static bool is_utf8(const char *text, size_t len)
{
    for (size_t at = 0, step; at < len; at += step)
        if ((step = utf8_len((const unsigned char *)text + at, len - at)) == 0)
            return false;
    return true;
}

static const char *state_name(enum model_state s)
{
    static const char *const names[] = {
        [MODEL_NEW] = "asked",         [MODEL_UP] = "up",         [MODEL_STARTING] = "starting",
        [MODEL_REPAIR] = "repair",     [MODEL_SLOW] = "slow",     [MODEL_DOWN] = "down",
        [MODEL_DRAINING] = "draining", [MODEL_UNKNOWN] = "other", [MODEL_DUPLICATE] = "same",
        [MODEL_NO_REDIS] = "redis",
    };
    ASSERT((size_t)s < ARRAY_LEN(names) && names[s] != NULL);
    return names[s];
}

static void put_rate(const char *name, bool is_known, double rate)
{
    if (is_known && isfinite(rate))
        printf(",\"%s\":%.1f", name, rate);
    else
        printf(",\"%s\":null", name);
}

static void put_count(const char *name, bool is_known, uint64_t count)
{
    if (is_known)
        printf(",\"%s\":%" PRIu64, name, count);
    else
        printf(",\"%s\":null", name);
}

static void put_name(const char *name)
{
    if (name[0] != '\0')
        put_text(name);
    else
        fputs("null", stdout);
}

/* Line ends stand between tokens only, where a blank does as well. */
static void put_stats(struct poll *p, const struct model_node *n)
{
    size_t len = 0;
    const char *text = poll_text(p, n, &len);
    fputs(",\"stats\":", stdout);
    if (text == NULL || !is_utf8(text, len)) {
        fputs("null}", stdout);
        return;
    }
    for (size_t i = 0; i < len; i++)
        putchar(text[i] == '\n' || text[i] == '\r' ? ' ' : text[i]);
    putchar('}');
}

static void put_node(const struct model *m, struct poll *p, const struct model_node *n)
{
    uint32_t index = 0;
    bool sells = model_event(m, n, &index) != NULL;
    ASSERT(index < EVENTS_MAX);
    fputs("{\"address\":", stdout);
    put_name(n->absent ? "" : n->address);
    put_count("node", model_number(n) != 0, model_number(n));
    printf(",\"state\":\"%s\"", state_name(n->state));
    put_rate("req_s", n->has_rates, n->req_s);
    put_rate("sold_s", n->has_rates && sells, sells ? n->sold_s[index] : 0);
    put_stats(p, n);
}

static void put_total(const struct model_totals *t, const char *event)
{
    fputs("{\"event\":", stdout);
    put_name(event);
    fputs(",\"state\":", stdout);
    put_name(t->state);
    put_count("nodes", true, t->nodes);
    put_count("up", true, t->up);
    put_count("total", t->has_sale, t->total);
    put_count("sold", t->has_sale, t->sold);
    put_count("left", t->has_sale, t->left);
    put_count("held", t->has_sums, t->held);
    put_count("refused", t->has_sums, t->refused);
    put_count("errors", t->has_sums, t->errors);
    put_rate("req_s", t->has_rates, t->req_s);
    put_rate("sold_s", t->has_rates, t->sold_s);
    put_rate("refused_s", t->has_rates, t->refused_s);
    put_rate("gone_in_s", t->gone_in_s >= 0, t->gone_in_s);
    putchar('}');
}

void batch_print_json(const struct model *m, struct poll *p, uint64_t wall_ms)
{
    ASSERT(m->node_count <= MODEL_NODES_MAX && m->rounds > 0);
    printf("{\"time_ms\":%" PRIu64 ",\"nodes\":[", wall_ms);
    for (uint32_t i = 0, shown = 0; i < m->node_count; i++) {
        if (model_is_hidden(&m->nodes[i]))
            continue;
        if (shown++ > 0)
            putchar(',');
        put_node(m, p, &m->nodes[i]);
    }
    fputs("],\"total\":", stdout);
    put_total(&m->totals, m->event);
    fputs("}\n", stdout);
}
