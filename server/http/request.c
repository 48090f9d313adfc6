/*
 * request: bytes in, a request or a verdict out.
 *
 *   request line -> field lines -> the empty line -> body
 *
 * One pass from left to right; a line of steps, each of which goes ON, wants MORE bytes, or is
 * WRONG. The first byte that cannot belong to a good request decides, and it decides the same
 * whether or not more bytes have come by then: what a prefix is told holds for the whole. That
 * is why an error is never put off, except for the two that only the end of the header shows (no
 * Host; a Transfer-Encoding, which a Content-Length further down would make worse).
 *
 * The header limit is simply where the bytes end for the steps: a step that wants more there gets
 * 414 (still in the request line) or 431.
 *
 * Owner: the caller's thread; nothing is kept, nothing is written but *r and *why.
 */
#include "server/http/request.h"

#include <string.h>

#include "server/http/scan.h"

enum step { STEP_ON, STEP_MORE, STEP_WRONG };

enum coding { CODING_NONE, CODING_CHUNKED, CODING_OTHER };

struct method_row {
    const char *name;
    uint8_t len;
    uint8_t method;   /* enum method */
    bool asterisk;    /* may ask `*` */
    bool has_no_body; /* RFC 9110 9.3.6: what follows a CONNECT is no body of HTTP */
};

static const struct method_row methods[] = {
    {"GET", 3, METHOD_GET, false, false},      {"POST", 4, METHOD_POST, false, false},
    {"HEAD", 4, METHOD_HEAD, false, false},    {"PUT", 3, METHOD_OTHER, false, false},
    {"DELETE", 6, METHOD_OTHER, false, false}, {"OPTIONS", 7, METHOD_OTHER, true, false},
    {"PATCH", 5, METHOD_OTHER, false, false},  {"TRACE", 5, METHOD_OTHER, false, false},
    {"CONNECT", 7, METHOD_OTHER, false, true},
};

struct parse {
    const char *at;  /* the next byte */
    const char *end; /* of what the steps may see */
    struct request *r;
    enum verdict why;
    const struct method_row *method;
    struct slice authority; /* of a target in absolute form; it goes before Host */
    uint64_t body_len;
    uint32_t max_body;
    enum coding coding;
    bool in_fields; /* the request line is complete */
    bool has_length, close, keep, expects;
};

#define SAME(s, literal) \
    ((s).len == sizeof(literal) - 1 && same((s).ptr, literal, sizeof(literal) - 1))

static inline struct slice slice_of(const char *from, const char *to)
{
    return (struct slice){from, (uint32_t)(to - from)};
}

static enum step wrong(struct parse *p, enum verdict why)
{
    p->why = why;
    return STEP_WRONG;
}

static inline enum step literal(struct parse *p, const char *text, size_t len)
{
    if ((size_t)(p->end - p->at) >= len && memcmp(p->at, text, len) == 0) {
        p->at += len;
        return STEP_ON;
    }
    for (size_t i = 0; i < len; i++) {
        if (p->at == p->end)
            return STEP_MORE;
        if (*p->at != text[i])
            return wrong(p, VERDICT_BAD_REQUEST);
        p->at++;
    }
    return STEP_ON;
}

#define LITERAL(p, text) literal(p, text, sizeof(text) - 1)

/* RFC 3986 3.2.2 and 3.2.3: a name or an address, and perhaps a port. Behind it stands a byte that
 * belongs to neither (a blank, CR, '/' or '?') and ends every loop. */
static bool host_is_good(struct slice s)
{
    const char *at = s.ptr, *end = at + s.len;
    if (*at == '[') {
        for (at++; is(*at, HEX) || *at == ':' || *at == '.'; at++)
            ;
        if (at - s.ptr < 3 || *at++ != ']')
            return false;
    } else {
        for (;; at += 3) {
            while (is(*at, HOST))
                at++;
            if (*at != '%' || end - at < 3 || !is(at[1], HEX) || !is(at[2], HEX))
                break;
        }
    }
    if (at == end)
        return true;
    if (*at != ':' || at == s.ptr || end - at > 6)
        return false;
    for (at++; *at >= '0' && *at <= '9'; at++)
        ;
    return at == end;
}

/* -- the request line -- */

/* RFC 9112 2.2: one empty line before a request is forgiven. */
static enum step empty_line(struct parse *p)
{
    return p->at < p->end && *p->at == '\r' ? LITERAL(p, "\r\n") : STEP_ON;
}

static enum step method(struct parse *p)
{
    const char *from = p->at;
    if (p->end - from >= 4 && memcmp(from, "GET ", 4) == 0) { /* as nearly all do */
        p->method = &methods[0];
        p->r->method = METHOD_GET;
        p->at += 4;
        return STEP_ON;
    }
    p->at = scan(p->at, p->end, TOKEN);
    if (p->at == p->end)
        return STEP_MORE;
    if (*p->at != ' ' || p->at == from)
        return wrong(p, VERDICT_BAD_REQUEST);
    size_t len = (size_t)(p->at++ - from);
    for (const struct method_row *m = methods; m < methods + ARRAY_LEN(methods); m++)
        if (m->len == len && memcmp(from, m->name, len) == 0) {
            p->method = m;
            p->r->method = (enum method)m->method;
            return STEP_ON;
        }
    return STEP_ON; /* said when it is known for what: target() */
}

/* http://authority/path: RFC 9112 3.2.2 has every server take it. */
static bool absolute_form(struct parse *p)
{
    struct request *r = p->r;
    const char *end = r->path.ptr + r->path.len;
    if (r->path.len < 7 || !same(r->path.ptr, "http://", 7))
        return false;
    const char *from = r->path.ptr + 7, *at = from;
    while (at < end && *at != '/')
        at++;
    p->authority = slice_of(from, at);
    /* An absent path is '/': the last one of "http://" serves. */
    r->path = at < end ? slice_of(at, end) : slice_of(from - 1, from);
    return p->authority.len > 0 && host_is_good(p->authority);
}

static bool target_is_good(struct parse *p)
{
    const struct request *r = p->r;
    if (r->path.ptr[0] == '/')
        return true;
    if (r->path.ptr[0] == '*')
        return (p->method == NULL || p->method->asterisk) && r->path.len == 1 &&
               r->query.ptr == NULL;
    return absolute_form(p);
}

static enum step target(struct parse *p)
{
    const char *from = p->at;
    if (from == p->end)
        return STEP_MORE;
    if (*from != '/' && *from != '*' && (*from | 0x20) != 'h')
        return wrong(p, VERDICT_BAD_REQUEST);
    p->at = scan_target(p->at, p->end, PATH);
    p->r->path = slice_of(from, p->at);
    if (p->at < p->end && *p->at == '?') {
        from = ++p->at;
        p->at = scan_target(p->at, p->end, PATH | MARK);
        p->r->query = slice_of(from, p->at);
    }
    if (p->at == p->end)
        return STEP_MORE;
    if (*p->at != ' ' || !target_is_good(p))
        return wrong(p, VERDICT_BAD_REQUEST);
    if (p->method == NULL)
        return wrong(p, VERDICT_NOT_IMPLEMENTED);
    p->at++;
    return STEP_ON;
}

static enum step version(struct parse *p)
{
    if (p->end - p->at >= 10 && memcmp(p->at, "HTTP/1.1\r\n", 10) == 0) { /* as nearly all do */
        p->r->minor = 1;
        p->at += 10;
        return STEP_ON;
    }
    enum step s = LITERAL(p, "HTTP/1.");
    if (s != STEP_ON)
        return s;
    if (p->at == p->end)
        return STEP_MORE;
    if (*p->at != '0' && *p->at != '1')
        return wrong(p, VERDICT_BAD_REQUEST);
    p->r->minor = (uint8_t)(*p->at++ - '0');
    return LITERAL(p, "\r\n");
}

static enum step request_line(struct parse *p)
{
    enum step s = empty_line(p);
    if (s == STEP_ON)
        s = method(p);
    if (s == STEP_ON)
        s = target(p);
    if (s == STEP_ON)
        s = version(p);
    p->in_fields = s == STEP_ON;
    return s;
}

/* -- the fields -- */

static enum step take_once(struct parse *p, struct slice *place, struct slice value)
{
    if (place->ptr != NULL)
        return wrong(p, VERDICT_BAD_REQUEST);
    *place = value;
    return STEP_ON;
}

static enum step take_host(struct parse *p, struct slice value)
{
    if (!host_is_good(value))
        return wrong(p, VERDICT_BAD_REQUEST);
    return take_once(p, &p->r->host, value);
}

static enum step take_length(struct parse *p, struct slice value)
{
    /* 19 digits always fit in 64 bits. */
    if (p->has_length || p->coding != CODING_NONE || value.len == 0 || value.len > 19)
        return wrong(p, VERDICT_BAD_REQUEST);
    for (uint32_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return wrong(p, VERDICT_BAD_REQUEST);
        p->body_len = p->body_len * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    /* The trimmed bytes end at a CR. A tab among them is good by the RFC and refused by others;
     * where a body ends, nobody may have two opinions. */
    for (const char *at = value.ptr + value.len; *at != '\r'; at++)
        if (*at == '\t')
            return wrong(p, VERDICT_BAD_REQUEST);
    p->has_length = true;
    if (p->body_len > 0 && p->method->has_no_body)
        return wrong(p, VERDICT_BAD_REQUEST);
    return p->body_len > p->max_body ? wrong(p, VERDICT_BODY_TOO_LARGE) : STEP_ON;
}

/* Which of its two answers it gets, the end of the header shows. */
static enum step take_coding(struct parse *p, struct slice value)
{
    if (p->r->minor == 0 || p->has_length)
        return wrong(p, VERDICT_BAD_REQUEST);
    bool chunked = p->coding == CODING_NONE && SAME(value, "chunked");
    p->coding = chunked ? CODING_CHUNKED : CODING_OTHER;
    return STEP_ON;
}

static enum step take_connection(struct parse *p, struct slice value)
{
    const char *at = value.ptr, *end = at + value.len;
    while (at < end) {
        while (at < end && (*at == ',' || *at == ' ' || *at == '\t'))
            at++;
        const char *from = at;
        while (at < end && is(*at, TOKEN))
            at++;
        struct slice option = slice_of(from, at);
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (at < end && *at != ',')
            return wrong(p, VERDICT_BAD_REQUEST);
        p->close |= SAME(option, "close");
        p->keep |= SAME(option, "keep-alive");
    }
    return STEP_ON;
}

static enum step take_expect(struct parse *p, struct slice value)
{
    if (!SAME(value, "100-continue"))
        return wrong(p, VERDICT_EXPECTATION);
    p->expects = p->r->minor == 1; /* RFC 9110 10.1.1: HTTP/1.0 cannot mean it */
    return STEP_ON;
}

static enum step take_field(struct parse *p, struct slice name, struct slice value)
{
    struct request *r = p->r;
    switch (name.len) {
    case 4:
        return SAME(name, "host") ? take_host(p, value) : STEP_ON;
    case 6:
        if (SAME(name, "origin"))
            return take_once(p, &r->origin, value);
        return SAME(name, "expect") ? take_expect(p, value) : STEP_ON;
    case 7:
        return SAME(name, "x-buyer") ? take_once(p, &r->x_buyer, value) : STEP_ON;
    case 10:
        return SAME(name, "connection") ? take_connection(p, value) : STEP_ON;
    case 12:
        return SAME(name, "content-type") ? take_once(p, &r->content_type, value) : STEP_ON;
    case 13:
        return SAME(name, "authorization") ? take_once(p, &r->authorization, value) : STEP_ON;
    case 14:
        return SAME(name, "content-length") ? take_length(p, value) : STEP_ON;
    case 15:
        return SAME(name, "idempotency-key") ? take_once(p, &r->idempotency_key, value) : STEP_ON;
    case 17:
        return SAME(name, "transfer-encoding") ? take_coding(p, value) : STEP_ON;
    default:
        return STEP_ON;
    }
}

/* A folded line begins with a blank, which is no token, as is the blank before a colon. */
static enum step field_line(struct parse *p)
{
    const char *from = p->at;
    p->at = scan(p->at, p->end, TOKEN);
    if (p->at == p->end)
        return STEP_MORE;
    if (*p->at != ':' || p->at == from)
        return wrong(p, VERDICT_BAD_REQUEST);
    struct slice name = slice_of(from, p->at++);
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t'))
        p->at++;
    from = p->at;
    p->at = scan_value(p->at, p->end);
    const char *to = p->at;
    enum step s = LITERAL(p, "\r\n");
    if (s != STEP_ON)
        return s;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    return take_field(p, name, slice_of(from, to));
}

static enum step header_end(struct parse *p)
{
    struct request *r = p->r;
    if (r->host.ptr == NULL && r->minor == 1)
        return wrong(p, VERDICT_BAD_REQUEST);
    if (p->coding != CODING_NONE)
        return wrong(p, p->coding == CODING_CHUNKED ? VERDICT_NO_LENGTH : VERDICT_NOT_IMPLEMENTED);
    if (p->authority.ptr != NULL)
        r->host = p->authority;
    r->keep_alive = !p->close && (r->minor == 1 || p->keep) && !p->method->has_no_body;
    return STEP_ON;
}

static enum step fields(struct parse *p)
{
    while (p->at < p->end && *p->at != '\r') {
        enum step s = field_line(p);
        if (s != STEP_ON)
            return s;
    }
    enum step s = LITERAL(p, "\r\n");
    return s == STEP_ON ? header_end(p) : s;
}

/* -- the whole -- */

static enum request_progress body(const struct parse *p, const char *buf, size_t len)
{
    struct request *r = p->r;
    size_t header = (size_t)(p->at - buf);
    ASSERT(header <= len && p->body_len <= p->max_body);
    if (len - header < p->body_len) {
        r->expects_continue = p->expects && len == header;
        return r->expects_continue ? REQUEST_CONTINUE : REQUEST_MORE;
    }
    if (p->has_length)
        r->body = (struct slice){p->at, (uint32_t)p->body_len};
    r->length = (uint32_t)(header + p->body_len);
    return REQUEST_DONE;
}

enum request_progress request_parse(struct request *r, enum verdict *why, const char *buf,
                                    size_t len, const struct request_limits *limits)
{
    ASSERT(limits->max_header > 0 && limits->max_body <= UINT32_MAX - limits->max_header);
    size_t seen = len < limits->max_header ? len : limits->max_header;
    struct parse p = {.at = buf, .end = buf + seen, .r = r, .max_body = limits->max_body};
    static const struct request
        nothing; /* a copy: gcc would clear *r by `rep stos`, slow to begin */
    *r = nothing;

    enum step s = request_line(&p);
    if (s == STEP_ON)
        s = fields(&p);
    if (s == STEP_ON)
        return body(&p, buf, len);
    if (s == STEP_MORE && len < limits->max_header)
        return REQUEST_MORE;
    if (s == STEP_MORE)
        p.why = p.in_fields ? VERDICT_HEADER_TOO_LARGE : VERDICT_TARGET_TOO_LONG;
    *why = p.why;
    return REQUEST_WRONG;
}
