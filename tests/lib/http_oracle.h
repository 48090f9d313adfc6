/*
 * http_oracle: the result of another parser (Debian's http-parser) for the same bytes. Ours may be
 * stricter, never looser; and when both accept a request, they must agree where it ends. That keeps
 * a proxy and the server behind it in step.
 */
#ifndef SPIKE_TEST_HTTP_ORACLE_H
#define SPIKE_TEST_HTTP_ORACLE_H

#include <http_parser.h>
#include <stdbool.h>
#include <string.h>

#include "server/http/request.h"

struct oracle {
    bool refused;  /* an error before the first request was complete */
    bool done;     /* the first request is complete */
    size_t length; /* where it ends */
    size_t body;   /* bytes of its body */
    bool keep_alive;
    unsigned method, minor;
};

static int oracle_body(http_parser *p, const char *at, size_t len)
{
    struct oracle *o = p->data;
    (void)at;
    o->body += len;
    return 0;
}

static int oracle_done(http_parser *p)
{
    struct oracle *o = p->data;
    o->done = true;
    o->keep_alive = http_should_keep_alive(p) != 0;
    o->method = p->method;
    o->minor = p->http_minor;
    http_parser_pause(p, 1);
    return 0;
}

/* Byte by byte, since http-parser counts differently when it pauses with and without a body. */
static struct oracle oracle_parse(const char *buf, size_t len)
{
    struct oracle o = {0};
    http_parser parser;
    http_parser_settings settings;
    http_parser_settings_init(&settings);
    settings.on_body = oracle_body;
    settings.on_message_complete = oracle_done;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &o;
    for (size_t i = 0; i < len && !o.done && !o.refused; i++) {
        http_parser_execute(&parser, &settings, buf + i, 1);
        o.length = i + 1;
        o.refused = !o.done && HTTP_PARSER_ERRNO(&parser) != HPE_OK;
    }
    return o;
}

static bool oracle_knows_method(const struct oracle *o, enum method m)
{
    switch (m) {
    case METHOD_GET:
        return o->method == HTTP_GET;
    case METHOD_POST:
        return o->method == HTTP_POST;
    case METHOD_HEAD:
        return o->method == HTTP_HEAD;
    default:
        return o->method != HTTP_GET && o->method != HTTP_POST && o->method != HTTP_HEAD;
    }
}

/* http-parser reads `Transfer-Encodings:` as `Transfer-Encoding:` and then refuses the request. */
static bool oracle_is_mistaken(const char *buf, size_t len)
{
    static const char name[] = "\ntransfer-encoding";
    const size_t name_len = sizeof name - 1;
    for (const char *at = buf; len > name_len && at < buf + len - name_len; at++)
        /* The loop ends before at[name_len] would be past the end; the analyzer does not see it:
         * NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
        if (strncasecmp(at, name, name_len) == 0 && at[name_len] != ':')
            return true;
    return false;
}

/* NULL: our parser is as strict as the oracle or stricter. Otherwise the difference. */
static inline const char *oracle_conflict(enum request_progress progress, const struct request *r,
                                          const char *buf, size_t len)
{
    struct oracle o = oracle_parse(buf, len);
    if (progress == REQUEST_WRONG)
        return NULL;
    if (progress != REQUEST_DONE)
        return o.done ? "ours needs more, the oracle is done" : NULL;
    if (o.refused && oracle_is_mistaken(buf, r->length))
        return NULL;
    if (!o.done)
        return o.refused ? "ours is done, the oracle refuses"
                         : "ours is done, the oracle needs more";
    if (o.length != r->length)
        return "the request ends elsewhere";
    if (o.body != r->body.len)
        return "the body is longer or shorter";
    if (!oracle_knows_method(&o, r->method) || o.minor != r->minor)
        return "another method or version";
    /* With HTTP/1.0 the oracle misses a keep-alive behind an empty element (", keep-alive"). */
    return r->minor == 1 && r->keep_alive && !o.keep_alive
               ? "ours keeps the connection, the oracle closes it"
               : NULL;
}

#endif
