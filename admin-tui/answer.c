/*
 * answer: see answer.h. Lines are gathered one at a time, each cut to what can matter; so it makes
 * no difference in which pieces the bytes arrive. If this dies, nothing has happened.
 */
#include "admin-tui/answer.h"

#include <string.h>
#include <strings.h>

static const char garbage[] = "garbage";

void answer_begin(struct answer *a)
{
    memset(a, 0, offsetof(struct answer, line));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK" */
static const char *take_status(struct answer *a)
{
    const char *l = a->line;
    if (a->line_len < 12 || memcmp(l, "HTTP/1.", 7) != 0 || (l[7] != '0' && l[7] != '1') ||
        l[8] != ' ' || !is_digit(l[9]) || !is_digit(l[10]) || !is_digit(l[11]))
        return garbage;
    if (a->line_len > 12 && l[12] != ' ')
        return garbage;
    a->status = (uint32_t)((l[9] - '0') * 100 + (l[10] - '0') * 10 + (l[11] - '0'));
    a->keep = l[7] == '1';
    return a->status < 200 || a->status == 204 || a->status == 304 ? garbage : NULL;
}

static const char *take_length(struct answer *a, const char *text, size_t len)
{
    if (a->has_length || len == 0)
        return garbage;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]))
            return garbage;
        if (i >= 18)
            return "too long";
        a->length = a->length * 10 + (uint64_t)(text[i] - '0');
    }
    a->has_length = true;
    return NULL;
}

static bool is_name(const char *line, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(line, name, len) == 0;
}

static const char *take_field(struct answer *a)
{
    const char *colon = memchr(a->line, ':', a->line_len);
    if (colon == NULL)
        return a->line_len == ANSWER_LINE_MAX ? NULL : garbage;
    size_t name_len = (size_t)(colon - a->line);
    const char *value = colon + 1, *end = a->line + a->line_len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t len = (size_t)(end - value);
    if (is_name(a->line, name_len, "Content-Length"))
        return a->line_len == ANSWER_LINE_MAX ? garbage : take_length(a, value, len);
    if (is_name(a->line, name_len, "Transfer-Encoding"))
        return "garbage: chunked";
    if (is_name(a->line, name_len, "Connection"))
        a->keep = a->keep && !is_name(value, len, "close");
    return NULL;
}

static const char *take_line(struct answer *a)
{
    const char *why;
    if (a->status == 0)
        why = take_status(a);
    else if (a->line_len > 0)
        why = take_field(a);
    else {
        a->whole = true;
        why = a->has_length ? NULL : "garbage: no length";
    }
    a->line_len = 0;
    return why;
}

/* A carriage return stands before a line feed and nowhere else; a NUL stands nowhere. */
static const char *take_byte(struct answer *a, char c)
{
    if (++a->head > ANSWER_HEAD_MAX)
        return "too long";
    if (a->cr != (c == '\n') || c == '\0')
        return garbage;
    a->cr = c == '\r';
    if (c == '\n')
        return take_line(a);
    if (!a->cr && a->line_len < ANSWER_LINE_MAX)
        a->line[a->line_len++] = c;
    return NULL;
}

const char *answer_take(struct answer *a, const char *bytes, size_t len, size_t *used)
{
    ASSERT(!a->whole);
    for (*used = 0; *used < len && !a->whole;) {
        const char *why = take_byte(a, bytes[(*used)++]);
        if (why != NULL)
            return why;
        /* What does not begin like an answer is not waited for. */
        if (a->status == 0 && a->line_len <= 5 && memcmp(a->line, "HTTP/", a->line_len) != 0)
            return garbage;
    }
    return NULL;
}
