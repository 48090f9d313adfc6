/*
 * request: bytes in, a request or a verdict out.
 *
 *   request line -> field lines -> the empty line -> body
 *
 * One pass from left to right, a sequence of steps: each one goes ON, needs MORE bytes, or finds
 * the request WRONG. The first byte that cannot belong to a valid request decides, and the decision
 * does not depend on how many bytes follow it: the result for a prefix holds for the whole. So an
 * error is reported at once, except for the two that only the end of the header shows (no Host; a
 * Transfer-Encoding, which a later Content-Length would turn into an error of its own).
 *
 * The steps see at most max_header bytes: a step that needs more there gets 414 (in the request
 * line) or 431 (in the fields).
 *
 * Owner: the caller's thread. The parser keeps no state and writes only *r and *why.
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
    bool asterisk;    /* its target may be `*` */
    bool has_no_body; /* RFC 9110 9.3.6: the bytes behind a CONNECT are no body of HTTP */
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
    const char *end; /* of the bytes that the steps may read */
    struct request *r;
    enum verdict why;
    const struct method_row *method;
    struct slice authority; /* of a target in absolute form; it overrides Host */
    uint64_t body_len;
    uint32_t max_body;
    enum coding coding;
    bool in_fields; /* the request line is complete */
    bool has_length, close, keep, expects;
};

#define EQUALS(s, literal) \
    ((s).len == sizeof(literal) - 1 && equals_lower((s).ptr, literal, sizeof(literal) - 1))

static inline struct slice slice_of(const char *from, const char *to)
{
    return (struct slice){from, (uint32_t)(to - from)};
}

static enum step reject(struct parse *p, enum verdict why)
{
    ASSERT(why != VERDICT_YES);
    p->why = why;
    return STEP_WRONG;
}

static inline enum step parse_literal(struct parse *p, const char *text, size_t len)
{
    if ((size_t)(p->end - p->at) >= len && memcmp(p->at, text, len) == 0) {
        p->at += len;
        return STEP_ON;
    }
    for (size_t i = 0; i < len; i++) {
        if (p->at == p->end)
            return STEP_MORE;
        if (*p->at != text[i])
            return reject(p, VERDICT_BAD_REQUEST);
        p->at++;
    }
    return STEP_ON;
}

#define LITERAL(p, text) parse_literal(p, text, sizeof(text) - 1)

/* RFC 3986 3.2.2 and 3.2.3: a name or an address, and an optional port. The byte behind it is part
 * of neither (a blank, CR, '/' or '?') and so ends every loop. */
static bool host_is_good(struct slice s)
{
    const char *at = s.ptr, *end = at + s.len;
    if (*at == '[') {
        for (at++; is_in(*at, HEX) || *at == ':' || *at == '.'; at++)
            ;
        if (at - s.ptr < 3 || *at++ != ']')
            return false;
    } else {
        for (;; at += 3) {
            while (is_in(*at, HOST))
                at++;
            if (*at != '%' || end - at < 3 || !is_in(at[1], HEX) || !is_in(at[2], HEX))
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

/* RFC 9112 2.2: one empty line before a request is ignored. */
static enum step skip_empty_line(struct parse *p)
{
    return p->at < p->end && *p->at == '\r' ? LITERAL(p, "\r\n") : STEP_ON;
}

static enum step parse_method(struct parse *p)
{
    const char *from = p->at;
    if (p->end - from >= 4 && memcmp(from, "GET ", 4) == 0) { /* the common case */
        p->method = &methods[0];
        p->r->method = METHOD_GET;
        p->at += 4;
        return STEP_ON;
    }
    p->at = scan(p->at, p->end, TOKEN);
    if (p->at == p->end)
        return STEP_MORE;
    if (*p->at != ' ' || p->at == from)
        return reject(p, VERDICT_BAD_REQUEST);
    size_t len = (size_t)(p->at++ - from);
    for (const struct method_row *m = methods; m < methods + ARRAY_LEN(methods); m++)
        if (m->len == len && memcmp(from, m->name, len) == 0) {
            p->method = m;
            p->r->method = (enum method)m->method;
            return STEP_ON;
        }
    return STEP_ON; /* parse_target() rejects it, once the target is known to be valid */
}

/* http://authority/path: RFC 9112 3.2.2 requires every server to accept it. */
static bool split_absolute_form(struct parse *p)
{
    struct request *r = p->r;
    const char *end = r->path.ptr + r->path.len;
    ASSERT(p->authority.ptr == NULL && r->host.ptr == NULL);
    if (r->path.len < 7 || !equals_lower(r->path.ptr, "http://", 7))
        return false;
    const char *from = r->path.ptr + 7, *at = from;
    while (at < end && *at != '/')
        at++;
    p->authority = slice_of(from, at);
    /* An absent path is '/': it points to the last '/' of "http://". */
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
    return split_absolute_form(p);
}

static enum step parse_target(struct parse *p)
{
    const char *from = p->at;
    if (from == p->end)
        return STEP_MORE;
    if (*from != '/' && *from != '*' && (*from | 0x20) != 'h')
        return reject(p, VERDICT_BAD_REQUEST);
    p->at = scan_target(p->at, p->end, PATH);
    p->r->path = slice_of(from, p->at);
    if (p->at < p->end && *p->at == '?') {
        from = ++p->at;
        p->at = scan_target(p->at, p->end, PATH | QUESTION);
        p->r->query = slice_of(from, p->at);
    }
    if (p->at == p->end)
        return STEP_MORE;
    if (*p->at != ' ' || !target_is_good(p))
        return reject(p, VERDICT_BAD_REQUEST);
    if (p->method == NULL)
        return reject(p, VERDICT_NOT_IMPLEMENTED);
    p->at++;
    return STEP_ON;
}

static enum step parse_version(struct parse *p)
{
    if (p->end - p->at >= 10 && memcmp(p->at, "HTTP/1.1\r\n", 10) == 0) { /* the common case */
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
        return reject(p, VERDICT_BAD_REQUEST);
    p->r->minor = (uint8_t)(*p->at++ - '0');
    return LITERAL(p, "\r\n");
}

static enum step parse_request_line(struct parse *p)
{
    enum step s = skip_empty_line(p);
    if (s == STEP_ON)
        s = parse_method(p);
    if (s == STEP_ON)
        s = parse_target(p);
    if (s == STEP_ON)
        s = parse_version(p);
    p->in_fields = s == STEP_ON;
    return s;
}

/* -- the fields -- */

/* A field that may occur once. */
static enum step store_once(struct parse *p, struct slice *field, struct slice value)
{
    if (field->ptr != NULL)
        return reject(p, VERDICT_BAD_REQUEST);
    *field = value;
    return STEP_ON;
}

static enum step parse_host(struct parse *p, struct slice value)
{
    if (!host_is_good(value))
        return reject(p, VERDICT_BAD_REQUEST);
    return store_once(p, &p->r->host, value);
}

static enum step parse_content_length(struct parse *p, struct slice value)
{
    ASSERT(p->method != NULL);
    /* 19 digits always fit in 64 bits. */
    if (p->has_length || p->coding != CODING_NONE || value.len == 0 || value.len > 19)
        return reject(p, VERDICT_BAD_REQUEST);
    for (uint32_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return reject(p, VERDICT_BAD_REQUEST);
        p->body_len = p->body_len * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    /* The blanks behind the value end at a CR. RFC 9110 allows a tab among them, other parsers
     * refuse it; two parsers must never disagree about the end of a body. */
    for (const char *at = value.ptr + value.len; *at != '\r'; at++)
        if (*at == '\t')
            return reject(p, VERDICT_BAD_REQUEST);
    p->has_length = true;
    if (p->body_len > 0 && p->method->has_no_body)
        return reject(p, VERDICT_BAD_REQUEST);
    return p->body_len > p->max_body ? reject(p, VERDICT_BODY_TOO_LARGE) : STEP_ON;
}

/* The end of the header decides between its two verdicts: end_header(). */
static enum step parse_transfer_encoding(struct parse *p, struct slice value)
{
    if (p->r->minor == 0 || p->has_length)
        return reject(p, VERDICT_BAD_REQUEST);
    bool chunked = p->coding == CODING_NONE && EQUALS(value, "chunked");
    p->coding = chunked ? CODING_CHUNKED : CODING_OTHER;
    return STEP_ON;
}

static enum step parse_connection(struct parse *p, struct slice value)
{
    const char *at = value.ptr, *end = at + value.len;
    while (at < end) {
        while (at < end && (*at == ',' || *at == ' ' || *at == '\t'))
            at++;
        const char *from = at;
        while (at < end && is_in(*at, TOKEN))
            at++;
        struct slice option = slice_of(from, at);
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (at < end && *at != ',')
            return reject(p, VERDICT_BAD_REQUEST);
        p->close |= EQUALS(option, "close");
        p->keep |= EQUALS(option, "keep-alive");
    }
    return STEP_ON;
}

static enum step parse_expect(struct parse *p, struct slice value)
{
    if (!EQUALS(value, "100-continue"))
        return reject(p, VERDICT_EXPECTATION);
    p->expects = p->r->minor == 1; /* RFC 9110 10.1.1: ignored in HTTP/1.0 */
    return STEP_ON;
}

static enum step parse_field(struct parse *p, struct slice name, struct slice value)
{
    struct request *r = p->r;
    switch (name.len) {
    case 4:
        return EQUALS(name, "host") ? parse_host(p, value) : STEP_ON;
    case 6:
        if (EQUALS(name, "origin"))
            return store_once(p, &r->origin, value);
        return EQUALS(name, "expect") ? parse_expect(p, value) : STEP_ON;
    case 7:
        return EQUALS(name, "x-buyer") ? store_once(p, &r->x_buyer, value) : STEP_ON;
    case 10:
        return EQUALS(name, "connection") ? parse_connection(p, value) : STEP_ON;
    case 12:
        return EQUALS(name, "content-type") ? store_once(p, &r->content_type, value) : STEP_ON;
    case 13:
        return EQUALS(name, "authorization") ? store_once(p, &r->authorization, value) : STEP_ON;
    case 14:
        return EQUALS(name, "content-length") ? parse_content_length(p, value) : STEP_ON;
    case 15:
        return EQUALS(name, "idempotency-key") ? store_once(p, &r->idempotency_key, value)
                                               : STEP_ON;
    case 17:
        return EQUALS(name, "transfer-encoding") ? parse_transfer_encoding(p, value) : STEP_ON;
    default:
        return STEP_ON;
    }
}

/* A folded line begins with a blank, and a blank may precede a colon: neither is part of a token,
 * so both are rejected here. */
static enum step parse_field_line(struct parse *p)
{
    const char *from = p->at;
    p->at = scan(p->at, p->end, TOKEN);
    if (p->at == p->end)
        return STEP_MORE;
    if (*p->at != ':' || p->at == from)
        return reject(p, VERDICT_BAD_REQUEST);
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
    return parse_field(p, name, slice_of(from, to));
}

static enum step end_header(struct parse *p)
{
    struct request *r = p->r;
    ASSERT(p->coding == CODING_NONE || !p->has_length);
    if (r->host.ptr == NULL && r->minor == 1)
        return reject(p, VERDICT_BAD_REQUEST);
    if (p->coding != CODING_NONE)
        return reject(p, p->coding == CODING_CHUNKED ? VERDICT_NO_LENGTH : VERDICT_NOT_IMPLEMENTED);
    if (p->authority.ptr != NULL)
        r->host = p->authority;
    r->keep_alive = !p->close && (r->minor == 1 || p->keep) && !p->method->has_no_body;
    return STEP_ON;
}

static enum step parse_fields(struct parse *p)
{
    while (p->at < p->end && *p->at != '\r') {
        enum step s = parse_field_line(p);
        if (s != STEP_ON)
            return s;
    }
    enum step s = LITERAL(p, "\r\n");
    return s == STEP_ON ? end_header(p) : s;
}

/* -- the whole -- */

static enum request_progress parse_body(const struct parse *p, const char *buf, size_t len)
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
    size_t visible = len < limits->max_header ? len : limits->max_header;
    struct parse p = {.at = buf, .end = buf + visible, .r = r, .max_body = limits->max_body};
    static const struct request empty; /* copied: gcc would clear *r by `rep stos`, slow to start */
    *r = empty;

    enum step s = parse_request_line(&p);
    if (s == STEP_ON)
        s = parse_fields(&p);
    if (s == STEP_ON)
        return parse_body(&p, buf, len);
    if (s == STEP_MORE && len < limits->max_header)
        return REQUEST_MORE;
    if (s == STEP_MORE)
        p.why = p.in_fields ? VERDICT_HEADER_TOO_LARGE : VERDICT_TARGET_TOO_LONG;
    *why = p.why;
    return REQUEST_WRONG;
}
