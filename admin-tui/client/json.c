/*
 * json: see json.h. The text decides, the tokens help: the walk passes a value only if the next
 * token begins at its position, and checks everything between two values byte by byte.
 *
 * Owner: one thread.
 */
#include "admin-tui/client/json.h"

#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#define TOKENS_MAX 4096 /* a full /stats, of 16 events and 64 workers, has about half as many */
#define DEPTH_MAX  16

struct json {
    const char *text;
    size_t len, pos;
    int count, at; /* tokens */
    int depth;
    struct fault *f;
};

static struct json walk;
static jsmntok_t tokens[TOKENS_MAX];

bool json_broken(struct json *j)
{
    return fault(j->f, "not JSON");
}

static void pass_blanks(struct json *j)
{
    ASSERT(j == &walk && j->pos <= j->len);
    while (j->pos < j->len && memchr(" \t\r\n", j->text[j->pos], 4) != NULL)
        j->pos++;
}

static bool accept_byte(struct json *j, char c)
{
    pass_blanks(j);
    if (j->pos >= j->len || j->text[j->pos] != c)
        return false;
    j->pos++;
    return true;
}

/* NULL: the fault is in f. */
static struct json *refuse(struct fault *f, const char *what)
{
    (void)fault(f, "%s", what);
    return NULL;
}

struct json *json_open(const char *text, size_t len, struct fault *f)
{
    jsmn_parser parser;
    struct json *j = &walk;
    ASSERT(text != NULL);
    *j = (struct json){.text = text, .len = len, .f = f};
    pass_blanks(j);
    if (j->pos == len)
        return refuse(f, "empty");
    if (text[j->pos] != '{')
        return refuse(f, "not JSON");
    jsmn_init(&parser);
    j->count = jsmn_parse(&parser, text, len, tokens, TOKENS_MAX);
    if (j->count == JSMN_ERROR_NOMEM)
        return refuse(f, "too many fields");
    if (j->count == JSMN_ERROR_PART)
        return refuse(f, "half a JSON");
    return j->count > 0 ? j : refuse(f, "not JSON");
}

enum json_kind json_here(struct json *j, struct json_span *span)
{
    pass_blanks(j);
    if (j->at >= j->count)
        return JSON_NONE;
    const jsmntok_t *t = &tokens[j->at];
    if ((size_t)t->start - (t->type == JSMN_STRING ? 1 : 0) != j->pos)
        return JSON_NONE;
    if (span != NULL)
        *span = (struct json_span){j->text + t->start, (size_t)(t->end - t->start)};
    switch (t->type) {
    case JSMN_OBJECT:
        return JSON_OBJECT;
    case JSMN_ARRAY:
        return JSON_LIST;
    case JSMN_STRING:
        return JSON_STRING;
    case JSMN_PRIMITIVE:
        return JSON_PLAIN;
    case JSMN_UNDEFINED:
        break;
    }
    return JSON_NONE;
}

bool json_is(const struct json_span *span, const char *text)
{
    return span->len == strlen(text) && memcmp(span->s, text, span->len) == 0;
}

static size_t pass_digits(const struct json_span *n, size_t at)
{
    while (at < n->len && n->s[at] >= '0' && n->s[at] <= '9')
        at++;
    return at;
}

bool json_is_digits(const struct json_span *span)
{
    return span->len > 0 && pass_digits(span, 0) == span->len;
}

bool json_is_number(const struct json_span *n)
{
    size_t first = n->len > 0 && n->s[0] == '-' ? 1 : 0, at = pass_digits(n, first), from;
    if (at == first || (n->s[first] == '0' && at > first + 1))
        return false;
    if (at < n->len && n->s[at] == '.') {
        from = at + 1;
        if ((at = pass_digits(n, from)) == from)
            return false;
    }
    if (at < n->len && (n->s[at] == 'e' || n->s[at] == 'E')) {
        from = at + 1;
        if (from < n->len && (n->s[from] == '+' || n->s[from] == '-'))
            from++;
        if ((at = pass_digits(n, from)) == from)
            return false;
    }
    return at == n->len;
}

static bool has_control(const struct json_span *span)
{
    for (size_t i = 0; i < span->len; i++)
        if ((unsigned char)span->s[i] < 0x20)
            return true;
    return false;
}

static bool pass_simple(struct json *j, enum json_kind kind, const struct json_span *span)
{
    ASSERT(kind == JSON_STRING || kind == JSON_PLAIN);
    if (kind == JSON_STRING && has_control(span))
        return json_broken(j);
    if (kind == JSON_PLAIN && !json_is_number(span) && !json_is(span, "true") &&
        !json_is(span, "false") && !json_is(span, "null"))
        return json_broken(j);
    j->pos += span->len + (kind == JSON_STRING ? 2 : 0);
    j->at++;
    ASSERT(j->pos <= j->len && j->at <= j->count);
    return true;
}

bool json_enter(struct json *j)
{
    ASSERT(j->at < j->count && j->depth >= 0);
    if (++j->depth > DEPTH_MAX)
        return fault(j->f, "nested too deep");
    j->pos++;
    j->at++;
    return true;
}

enum json_step json_next(struct json *j, enum json_kind in, bool first)
{
    ASSERT(in == JSON_OBJECT || in == JSON_LIST);
    if (accept_byte(j, in == JSON_OBJECT ? '}' : ']')) {
        ASSERT(j->depth > 0);
        j->depth--;
        return JSON_END;
    }
    if (first || accept_byte(j, ','))
        return JSON_ONE;
    (void)json_broken(j);
    return JSON_WRONG;
}

bool json_key(struct json *j, struct json_span *key)
{
    if (json_here(j, key) != JSON_STRING)
        return json_broken(j);
    if (!pass_simple(j, JSON_STRING, key))
        return false;
    return accept_byte(j, ':') || json_broken(j);
}

bool json_pass(struct json *j)
{
    struct json_span span;
    enum json_kind kind = json_here(j, &span);
    enum json_step step;
    if (kind == JSON_NONE)
        return json_broken(j);
    if (kind == JSON_STRING || kind == JSON_PLAIN)
        return pass_simple(j, kind, &span);
    if (!json_enter(j))
        return false;
    for (bool first = true; (step = json_next(j, kind, first)) == JSON_ONE; first = false) {
        struct json_span key;
        if ((kind == JSON_OBJECT && !json_key(j, &key)) || !json_pass(j))
            return false;
    }
    return step == JSON_END;
}

bool json_end(struct json *j)
{
    pass_blanks(j);
    return (j->pos == j->len && j->at == j->count) || fault(j->f, "bytes after the JSON");
}
