/*
 * http_head: see http_head.h. The parser collects one line at a time and cuts it to the part that
 * can matter; so the result does not depend on how the bytes are split into packets.
 */
#include "admin-tui/client/http_head.h"

#include <string.h>
#include <strings.h>

static const char garbage[] = "garbage";

void http_head_begin(struct http_head *h)
{
    memset(h, 0, offsetof(struct http_head, line));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK" */
static const char *parse_status(struct http_head *h)
{
    const char *l = h->line;
    if (h->line_len < 12 || memcmp(l, "HTTP/1.", 7) != 0 || (l[7] != '0' && l[7] != '1') ||
        l[8] != ' ' || !is_digit(l[9]) || !is_digit(l[10]) || !is_digit(l[11]))
        return garbage;
    if (h->line_len > 12 && l[12] != ' ')
        return garbage;
    h->status = (uint32_t)((l[9] - '0') * 100 + (l[10] - '0') * 10 + (l[11] - '0'));
    h->keep_alive = l[7] == '1';
    return h->status < 200 || h->status == 204 || h->status == 304 ? garbage : NULL;
}

static const char *parse_length(struct http_head *h, const char *text, size_t len)
{
    if (h->has_length || len == 0)
        return garbage;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]))
            return garbage;
        if (i >= 18)
            return "too long";
        h->length = h->length * 10 + (uint64_t)(text[i] - '0');
    }
    h->has_length = true;
    return NULL;
}

static bool is_name(const char *line, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(line, name, len) == 0;
}

static const char *parse_field(struct http_head *h)
{
    ASSERT(h->line_len > 0 && h->line_len <= HTTP_LINE_MAX);
    const char *colon = memchr(h->line, ':', h->line_len);
    if (colon == NULL)
        return h->line_len == HTTP_LINE_MAX ? NULL : garbage;
    size_t name_len = (size_t)(colon - h->line);
    const char *value = colon + 1, *end = h->line + h->line_len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t len = (size_t)(end - value);
    if (is_name(h->line, name_len, "Content-Length"))
        return h->line_len == HTTP_LINE_MAX ? garbage : parse_length(h, value, len);
    if (is_name(h->line, name_len, "Transfer-Encoding"))
        return "garbage: chunked";
    if (is_name(h->line, name_len, "Connection"))
        h->keep_alive = h->keep_alive && !is_name(value, len, "close");
    return NULL;
}

static const char *parse_line(struct http_head *h)
{
    const char *why;
    ASSERT(!h->complete);
    if (h->status == 0)
        why = parse_status(h);
    else if (h->line_len > 0)
        why = parse_field(h);
    else {
        h->complete = true;
        why = h->has_length ? NULL : "garbage: no length";
    }
    h->line_len = 0;
    return why;
}

/* A carriage return is valid only before a line feed, and a NUL nowhere. */
static const char *parse_byte(struct http_head *h, char c)
{
    if (++h->bytes > HTTP_HEAD_MAX)
        return "too long";
    if (h->cr != (c == '\n') || c == '\0')
        return garbage;
    h->cr = c == '\r';
    if (c == '\n')
        return parse_line(h);
    if (!h->cr && h->line_len < HTTP_LINE_MAX)
        h->line[h->line_len++] = c;
    return NULL;
}

const char *http_head_parse(struct http_head *h, const char *bytes, size_t len, size_t *used)
{
    ASSERT(!h->complete && h->line_len <= HTTP_LINE_MAX);
    for (*used = 0; *used < len && !h->complete;) {
        const char *why = parse_byte(h, bytes[(*used)++]);
        if (why != NULL)
            return why;
        /* Bytes that do not begin like a response fail at once, without waiting for a line. */
        if (h->status == 0 && h->line_len <= 5 && memcmp(h->line, "HTTP/", h->line_len) != 0)
            return garbage;
    }
    return NULL;
}
