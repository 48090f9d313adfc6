/*
 * CSV is that of RFC 4180, but lines end in a newline alone, as is usual on this system. Lines are
 * put together by hand in a buffer, because printf() is slow: a million rows take a second.
 */
#include "storage/log/row.h"

#include <stdio.h>
#include <string.h>

#define HEADER "seq,time_ms,order,event,state,n,buyer,key,pay_by\n"

struct row {
    char *at;
    enum row_format format;
};

static void put_bytes(struct row *row, const char *text, size_t len)
{
    memcpy(row->at, text, len);
    row->at += len;
}

static void put_char(struct row *row, char c)
{
    *row->at++ = c;
}

/* What comes before a value: a separator, and in JSON its name. */
static void put_name(struct row *row, const char *name, bool first)
{
    ASSERT(row->format == ROW_CSV || row->format == ROW_JSON);
    if (row->format == ROW_JSON)
        put_char(row, first ? '{' : ',');
    else if (!first)
        put_char(row, ',');
    if (row->format == ROW_CSV)
        return;
    put_char(row, '"');
    put_bytes(row, name, strlen(name));
    put_bytes(row, "\":", 2);
}

static void put_number(struct row *row, const char *name, uint64_t value)
{
    char digits[20];
    size_t len = 0;
    put_name(row, name, strcmp(name, "seq") == 0);
    do {
        digits[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (len > 0)
        put_char(row, digits[--len]);
}

/* The server accepts only 0x21 to 0x7e, so other bytes do not occur. If a journal has them all the
 * same, a line must stay one line. */
static char printable(char c)
{
    return c >= 0x20 && c < 0x7f ? c : '?';
}

static void put_json_text(struct row *row, const char *text, size_t len)
{
    put_char(row, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            put_char(row, '\\');
        put_char(row, printable(text[i]));
    }
    put_char(row, '"');
}

static void put_csv_text(struct row *row, const char *text, size_t len)
{
    bool quoted = memchr(text, ',', len) != NULL || memchr(text, '"', len) != NULL;
    if (quoted)
        put_char(row, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            put_char(row, '"');
        put_char(row, printable(text[i]));
    }
    if (quoted)
        put_char(row, '"');
}

static void put_text(struct row *row, const char *name, const char *text, size_t len)
{
    put_name(row, name, false);
    if (row->format == ROW_JSON)
        put_json_text(row, text, len);
    else
        put_csv_text(row, text, len);
}

bool row_is_order(const struct record *r)
{
    return record_is_order(r) && r->kind != RECORD_REFUSAL;
}

struct row_from row_from_event(const struct source *s, uint32_t event, enum row_format format)
{
    return (struct row_from){.format = format,
                             .event = source_event_name(s, event),
                             .node = source_node(s),
                             .slot = source_slot(s, event)};
}

void row_learn(struct row_from *from, const struct record *r)
{
    if (r->kind == RECORD_SALE)
        memcpy(from->secret, r->secret, sizeof from->secret);
}

void row_order(char *out, const struct row_from *from, const struct record *r)
{
    ASSERT(record_is_order(r));
    struct orderid id = {.node = from->node, .slot = from->slot, .number = record_order(r)};
    id.tag = orderid_tag(id.node, id.slot, id.number, from->secret);
    orderid_print(out, &id);
}

size_t row_print(char out[ROW_BYTES], const struct row_from *from, const struct record *r)
{
    struct row row = {.at = out, .format = from->format};
    const char *state = order_state_name((enum order_state)r->state);
    char order[ORDERID_TEXT];
    ASSERT(r->buyer_len <= PARAM_MAX && r->key_len <= PARAM_MAX);
    row_order(order, from, r);
    put_number(&row, "seq", r->seq);
    put_number(&row, "time_ms", r->time_wall_ms);
    put_text(&row, "order", order, sizeof order);
    put_text(&row, "event", from->event, strlen(from->event));
    put_text(&row, "state", state, strlen(state));
    put_number(&row, "n", r->n);
    put_text(&row, "buyer", r->buyer, r->buyer_len);
    put_text(&row, "key", r->key, r->key_len);
    put_number(&row, "pay_by", r->pay_by_wall_ms);
    if (row.format == ROW_JSON)
        put_char(&row, '}');
    put_char(&row, '\n');
    ASSERT(row.at <= out + ROW_BYTES);
    return (size_t)(row.at - out);
}

void row_header(enum row_format format)
{
    if (format == ROW_CSV)
        fputs(HEADER, stdout);
}
