/*
 * route: whose turn is it, and with which parameters.
 *
 *   who may ask (operators) -> path and event, 404 -> method, 405 -> parameters, 400
 *
 * in this order, so that an unknown path is 404 with any method, and the answer to a known one
 * does not depend on parameters that were never looked at. A parameter may come from a header,
 * the query or the form, but from one place only: two that agree today are a bug in the client
 * that will disagree tomorrow.
 *
 * Owner: the caller's thread; decoded values are copied into *route, nothing else is kept.
 */
#include "server/http/route.h"

#include <arpa/inet.h>
#include <string.h>

struct path_row {
    const char *text;
    size_t len;
    enum route_side side;
    enum route_kind kind;
    bool names_event; /* the text is a prefix, an event's name follows */
};

static const struct path_row paths[] = {
    {"/buy/", 5, ROUTE_BUYERS, ROUTE_BUY, true},
    {"/stock/", 7, ROUTE_BUYERS, ROUTE_STOCK, true},
    {"/stats", 6, ROUTE_OPERATORS, ROUTE_STATS, false},
    {"/healthz", 8, ROUTE_OPERATORS, ROUTE_HEALTHZ, false},
};

/* What a buy has been given so far. */
struct params {
    struct route *route;
    uint32_t max_order;
    bool n, buyer, key;
};

/* -- who may ask -- */

static bool is_address(int family, const char *text, size_t len)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(family, copy, &address) == 1;
}

/* A name other than localhost may have been made to point here by somebody else's DNS, to borrow
 * an operator's browser. An address cannot. */
static bool host_is_foreign(struct slice host)
{
    if (host.len == 0)
        return false;
    const char *end = host.ptr + host.len;
    if (host.ptr[0] == '[') {
        const char *close = memchr(host.ptr, ']', host.len);
        return close == NULL || !is_address(AF_INET6, host.ptr + 1, (size_t)(close - host.ptr - 1));
    }
    const char *colon = memchr(host.ptr, ':', host.len);
    size_t len = (size_t)((colon != NULL ? colon : end) - host.ptr);
    bool localhost = len == 9 && strncasecmp(host.ptr, "localhost", 9) == 0;
    return !localhost && !is_address(AF_INET, host.ptr, len);
}

/* -- path -- */

static int event_find(const struct conf *conf, const char *name, size_t len)
{
    if (len == 0 || len > EVENT_NAME_MAX)
        return -1;
    for (uint32_t i = 0; i < conf->event_count; i++) {
        const char *event = conf->events[i].name;
        if (memcmp(event, name, len) == 0 && event[len] == '\0')
            return (int)i;
    }
    return -1;
}

/* Fills kind and event. */
static bool path_find(struct route *route, struct slice path, const struct conf *conf,
                      enum route_side side)
{
    for (const struct path_row *row = paths; row < paths + ARRAY_LEN(paths); row++) {
        if (row->side != side || path.len < row->len || memcmp(path.ptr, row->text, row->len) != 0)
            continue;
        if (!row->names_event && path.len != row->len)
            continue;
        route->kind = row->kind;
        if (row->names_event)
            route->event = event_find(conf, path.ptr + row->len, path.len - row->len);
        return !row->names_event || route->event >= 0;
    }
    return false;
}

/* -- parameters -- */

/* -1 for what is no hexadecimal digit. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Writes the first `room` decoded bytes and counts them all. False: a broken escape. */
static bool decode(struct slice in, char *out, size_t room, size_t *len)
{
    *len = 0;
    for (uint32_t i = 0; i < in.len; i++) {
        char c = in.ptr[i] == '+' ? ' ' : in.ptr[i];
        if (c == '%') {
            int high = in.len - i > 2 ? hex_digit(in.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(in.ptr[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (*len < room)
            out[*len] = c;
        ++*len;
    }
    return true;
}

/* 1 .. max without sign and leading zeros. Nine digits fit in 32 bits. */
static bool number_parse(uint32_t *n, const char *text, size_t len, uint32_t max)
{
    if (len == 0 || len > 9 || text[0] == '0')
        return false;
    *n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *n = *n * 10 + (uint32_t)(text[i] - '0');
    }
    return *n <= max;
}

static bool text_take(char out[PARAM_MAX], uint8_t *out_len, bool *seen, const char *text,
                      size_t len)
{
    if (*seen || len == 0 || len > PARAM_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x21 || text[i] > 0x7e)
            return false;
    memcpy(out, text, len);
    *out_len = (uint8_t)len;
    *seen = true;
    return true;
}

static bool n_take(struct params *p, const char *text, size_t len)
{
    if (p->n)
        return false;
    p->n = true;
    return number_parse(&p->route->n, text, len, p->max_order);
}

static bool headers_take(struct params *p, const struct request *r)
{
    struct route *route = p->route;
    if (r->x_buyer.ptr != NULL &&
        !text_take(route->buyer, &route->buyer_len, &p->buyer, r->x_buyer.ptr, r->x_buyer.len))
        return false;
    return r->idempotency_key.ptr == NULL ||
           text_take(route->key, &route->key_len, &p->key, r->idempotency_key.ptr,
                     r->idempotency_key.len);
}

/* One name=value. Unknown names are ignored, but not their broken escapes. */
static bool pair_take(struct params *p, struct slice name, struct slice value)
{
    char word[8], text[PARAM_MAX + 1];
    size_t word_len, len;
    if (!decode(name, word, sizeof word, &word_len) || !decode(value, text, sizeof text, &len))
        return false;
    if (word_len == 1 && word[0] == 'n')
        return n_take(p, text, len);
    if (word_len == 5 && memcmp(word, "buyer", 5) == 0)
        return text_take(p->route->buyer, &p->route->buyer_len, &p->buyer, text, len);
    if (word_len == 3 && memcmp(word, "key", 3) == 0)
        return text_take(p->route->key, &p->route->key_len, &p->key, text, len);
    return true;
}

/* name=value&name=value. A name alone has an empty value in a query (`?debug`); in a body it
 * shows that this is no form. */
static bool pairs_take(struct params *p, struct slice form, bool is_body)
{
    const char *at = form.ptr, *end = form.ptr + form.len;
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop != NULL ? stop : end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        if (equals == NULL && is_body && stop > at)
            return false;
        struct slice name = {at, (uint32_t)((equals != NULL ? equals : stop) - at)};
        struct slice value = {stop, 0};
        if (equals != NULL)
            value = (struct slice){equals + 1, (uint32_t)(stop - equals - 1)};
        if (!pair_take(p, name, value))
            return false;
        at = stop < end ? stop + 1 : end;
    }
    return true;
}

static bool type_is_form(struct slice type)
{
    static const char form[] = "application/x-www-form-urlencoded";
    const uint32_t len = sizeof form - 1;
    if (type.ptr == NULL)
        return true; /* RFC 9110 8.3: then the bytes themselves have to show it */
    if (type.len < len || strncasecmp(type.ptr, form, len) != 0)
        return false;
    const char *rest = type.ptr + len, *end = type.ptr + type.len;
    while (rest < end && (*rest == ' ' || *rest == '\t'))
        rest++;
    return rest == end || *rest == ';';
}

static bool body_is_form(const struct request *r)
{
    if (!type_is_form(r->content_type))
        return false;
    for (uint32_t i = 0; i < r->body.len; i++)
        if (r->body.ptr[i] < 0x21 || r->body.ptr[i] > 0x7e)
            return false;
    return true;
}

static bool params_take(struct route *route, const struct request *r,
                        const struct conf_event *event)
{
    struct params p = {.route = route, .max_order = event->max_order};
    if (!headers_take(&p, r) || (r->query.len > 0 && !pairs_take(&p, r->query, false)))
        return false;
    if (r->method == METHOD_POST && r->body.len > 0 &&
        !(body_is_form(r) && pairs_take(&p, r->body, true)))
        return false;
    return event->limit == 0 || p.buyer;
}

/* -- the whole -- */

static bool method_is_allowed(struct route *route, enum method method, const struct conf *conf)
{
    if (route->kind != ROUTE_BUY) {
        route->allow = "GET";
        return method == METHOD_GET;
    }
    route->allow = conf->buy_with_get ? "GET, POST" : "POST";
    return method == METHOD_POST || (method == METHOD_GET && conf->buy_with_get);
}

enum verdict route_find(struct route *route, const struct request *r, const struct conf *conf,
                        enum route_side side)
{
    route->kind = ROUTE_BUY;
    route->event = -1;
    route->allow = NULL;
    route->n = 1;
    route->buyer_len = route->key_len = 0;

    if (side == ROUTE_OPERATORS && (r->origin.ptr != NULL || host_is_foreign(r->host)))
        return VERDICT_FORBIDDEN;
    if (!path_find(route, r->path, conf, side))
        return VERDICT_NOT_FOUND;
    if (!method_is_allowed(route, r->method, conf))
        return VERDICT_METHOD;
    if (route->kind == ROUTE_BUY && !params_take(route, r, &conf->events[route->event]))
        return VERDICT_BAD_REQUEST;
    return VERDICT_YES;
}
