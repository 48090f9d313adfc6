/*
 * route: the checks of a request, in the order of their verdicts:
 *
 *   origin and host (operators), 403 -> path, and the event or order in it, 404 -> method, 405
 *                                    -> node of the order, 421 -> parameters, 400
 *
 * So an unknown path is 404 with any method, and the answers 404, 405 and 421 do not depend on the
 * parameters. A parameter may be given in a header field, in the query or in the form, but only
 * once: two values that agree today come from a bug in the client, and disagree tomorrow.
 *
 * Owner: the caller's thread. Decoded values are copied into *route; no other state is kept.
 */
#include "server/http/route.h"

#include <arpa/inet.h>
#include <string.h>

enum path_argument { ARGUMENT_NONE, ARGUMENT_EVENT, ARGUMENT_ORDER };

struct path_row {
    struct slice prefix, suffix; /* the argument is between them */
    enum path_argument argument;
    enum route_side side;
    enum route_kind kind;
    bool get, post; /* methods; buying by GET only with `buy-with-get` */
};

#define TEXT(literal)               \
    {                               \
        literal, sizeof literal - 1 \
    }

static const struct path_row paths[] = {
    {TEXT("/buy/"), TEXT(""), ARGUMENT_EVENT, ROUTE_BUYERS, ROUTE_BUY, true, true},
    {TEXT("/stock/"), TEXT(""), ARGUMENT_EVENT, ROUTE_BUYERS, ROUTE_STOCK, true, false},
    {TEXT("/order/"), TEXT(""), ARGUMENT_ORDER, ROUTE_BUYERS, ROUTE_GET_ORDER, true, false},
    {TEXT("/order/"), TEXT("/cancel"), ARGUMENT_ORDER, ROUTE_BUYERS, ROUTE_CANCEL, false, true},
    {TEXT("/stats"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_STATS, true, false},
    {TEXT("/healthz"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_HEALTHZ, true, false},
    {TEXT("/metrics"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_METRICS, true, false},
    {TEXT("/drain"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_DRAIN, false, true},
    {TEXT("/order/"), TEXT("/pay"), ARGUMENT_ORDER, ROUTE_OPERATORS, ROUTE_PAY, false, true},
    {TEXT("/pause"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_PAUSE, false, true},
    {TEXT("/resume"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_RESUME, false, true},
    {TEXT("/close"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_CLOSE, false, true},
    {TEXT("/restock"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_RESTOCK, false, true},
    {TEXT("/reopen"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_REOPEN, false, true},
    {TEXT("/reclaim"), TEXT(""), ARGUMENT_NONE, ROUTE_OPERATORS, ROUTE_RECLAIM, false, true},
};

/* The parameters that the request has given so far. */
struct params {
    struct route *route;
    const struct conf *conf;
    bool n, buyer, key, event, total, node, journal;
};

/* -- origin and host -- */

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

/* DNS rebinding: a foreign name may resolve to this host, so that a page of that name sends
 * requests from an operator's browser. Only addresses and `localhost` cannot be redirected like
 * that. */
static bool host_is_foreign(struct slice host)
{
    if (host.len == 0)
        return false;
    ASSERT(host.ptr != NULL);
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

static bool is_token(const char *token, const char *text, size_t len)
{
    return strlen(token) == len && memcmp(token, text, len) == 0;
}

static int find_event(const struct conf *conf, const char *name, size_t len)
{
    for (uint32_t i = 0; i < conf->event_count; i++)
        if (is_token(conf->events[i].name, name, len))
            return (int)i;
    return -1;
}

/* The numbers of nodes and of orders start at 1. */
static bool parse_order(struct orderid *id, const char *text, size_t len)
{
    return orderid_parse(text, len, id) && id->node != 0 && id->number != 0;
}

/* Fills route->event or route->order. */
static bool match_path(const struct path_row *row, struct route *route, struct slice path,
                       const struct conf *conf)
{
    const struct slice *before = &row->prefix, *after = &row->suffix;
    if (path.len < before->len + after->len || memcmp(path.ptr, before->ptr, before->len) != 0)
        return false;
    if (after->len > 0 && memcmp(path.ptr + path.len - after->len, after->ptr, after->len) != 0)
        return false;
    const char *name = path.ptr + before->len;
    size_t len = path.len - before->len - after->len;
    if (LIKELY(row->argument == ARGUMENT_EVENT)) {
        route->event = find_event(conf, name, len);
        return route->event >= 0;
    }
    return row->argument == ARGUMENT_ORDER ? parse_order(&route->order, name, len) : len == 0;
}

/* NULL: this side has no such path. */
static const struct path_row *find_path(struct route *route, struct slice path,
                                        const struct conf *conf, enum route_side side)
{
    ASSERT(path.ptr != NULL);
    for (const struct path_row *row = paths; row < paths + ARRAY_LEN(paths); row++)
        if (row->side == side && match_path(row, route, path, conf))
            return row;
    return NULL;
}

int route_buy_event(struct slice path, const struct conf *conf)
{
    struct route route = {.event = -1};
    if (path.ptr == NULL || find_path(&route, path, conf, ROUTE_BUYERS) != &paths[0])
        return -1;
    return route.event;
}

/* -- parameters -- */

/* -1: not a hexadecimal digit. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Writes the first `capacity` decoded bytes and counts all of them in *len. False: a broken escape.
 */
static bool decode(struct slice in, char *out, size_t capacity, size_t *len)
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
        if (*len < capacity)
            out[*len] = c;
        ++*len;
    }
    return true;
}

/* 1 .. max without sign and leading zeros. Nine digits fit in 32 bits. */
static bool parse_digits(uint32_t *n, const char *text, size_t len, uint32_t max)
{
    ASSERT(max > 0);
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

static bool parse_text(char out[PARAM_MAX], uint8_t *out_len, bool *given, const char *text,
                       size_t len)
{
    if (*given || len == 0 || len > PARAM_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x21 || text[i] > 0x7e)
            return false;
    memcpy(out, text, len);
    *out_len = (uint8_t)len;
    *given = true;
    return true;
}

static bool parse_number(uint32_t *out, bool *given, const char *text, size_t len, uint32_t max)
{
    if (*given)
        return false;
    *given = true;
    return parse_digits(out, text, len, max);
}

/* An unknown event is not a malformed parameter: parse_act_params() answers it with 404, after all
 * parameters are parsed. */
static bool parse_event(struct params *p, const char *text, size_t len)
{
    if (p->event || len == 0)
        return false;
    p->event = true;
    p->route->event = find_event(p->conf, text, len);
    return true;
}

static bool parse_headers(struct params *p, const struct request *r)
{
    struct route *route = p->route;
    if (r->x_buyer.ptr != NULL &&
        !parse_text(route->buyer, &route->buyer_len, &p->buyer, r->x_buyer.ptr, r->x_buyer.len))
        return false;
    return r->idempotency_key.ptr == NULL ||
           parse_text(route->key, &route->key_len, &p->key, r->idempotency_key.ptr,
                      r->idempotency_key.len);
}

static bool parse_buy_pair(struct params *p, const char *name, size_t name_len, const char *text,
                           size_t len)
{
    struct route *route = p->route;
    ASSERT(route->event >= 0);
    if (is_token("n", name, name_len))
        return parse_number(&route->n, &p->n, text, len, p->conf->events[route->event].max_order);
    if (is_token("buyer", name, name_len))
        return parse_text(route->buyer, &route->buyer_len, &p->buyer, text, len);
    if (is_token("key", name, name_len))
        return parse_text(route->key, &route->key_len, &p->key, text, len);
    return true;
}

/* `journal=lost` is the only valid value. */
static bool parse_journal(struct params *p, const char *text, size_t len)
{
    bool again = p->journal;
    p->journal = p->route->journal_lost = true;
    return !again && is_token("lost", text, len);
}

static bool parse_reclaim_pair(struct params *p, const char *name, size_t name_len,
                               const char *text, size_t len)
{
    ASSERT(p->route->kind == ROUTE_RECLAIM);
    if (is_token("node", name, name_len))
        return parse_number(&p->route->node, &p->node, text, len, NODE_MAX);
    return !is_token("journal", name, name_len) || parse_journal(p, text, len);
}

static bool parse_act_pair(struct params *p, const char *name, size_t name_len, const char *text,
                           size_t len)
{
    if (p->route->kind == ROUTE_RECLAIM)
        return parse_reclaim_pair(p, name, name_len, text, len);
    if (is_token("event", name, name_len))
        return parse_event(p, text, len);
    if (is_token("total", name, name_len) && p->route->kind == ROUTE_RESTOCK)
        return parse_number(&p->route->total, &p->total, text, len, TICKETS_MAX);
    return true;
}

/* One name=value. Unknown names are ignored; a broken escape in them is an error. */
static bool parse_pair(struct params *p, struct slice encoded_name, struct slice encoded_value)
{
    char name[8], text[PARAM_MAX + 1];
    size_t name_len, len;
    if (!decode(encoded_name, name, sizeof name, &name_len) ||
        !decode(encoded_value, text, sizeof text, &len))
        return false;
    if (p->route->kind == ROUTE_BUY)
        return parse_buy_pair(p, name, name_len, text, len);
    return p->route->kind < ROUTE_PAUSE || parse_act_pair(p, name, name_len, text, len);
}

/* name=value&name=value. In a query a name without `=` has an empty value (`?debug`); in a body it
 * means that the body is not a form. */
static bool parse_pairs(struct params *p, struct slice form, bool is_body)
{
    ASSERT(form.ptr != NULL);
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
        if (!parse_pair(p, name, value))
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
        return true; /* RFC 9110 8.3: the recipient may then examine the bytes */
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

static bool parse_all_pairs(struct params *p, const struct request *r)
{
    if (r->query.len > 0 && !parse_pairs(p, r->query, false))
        return false;
    return r->body.len == 0 || (body_is_form(r) && parse_pairs(p, r->body, true));
}

static enum verdict parse_buy_params(struct params *p, const struct request *r)
{
    if (!parse_headers(p, r) || !parse_all_pairs(p, r))
        return VERDICT_BAD_REQUEST;
    ASSERT(p->route->n >= 1);
    bool lacks_buyer = p->conf->events[p->route->event].limit > 0 && !p->buyer;
    return lacks_buyer ? VERDICT_BAD_REQUEST : VERDICT_YES;
}

static enum verdict parse_act_params(struct params *p, const struct request *r)
{
    const struct route *route = p->route;
    ASSERT(route->kind >= ROUTE_PAUSE && route->event < 0);
    if (!parse_all_pairs(p, r))
        return VERDICT_BAD_REQUEST;
    if (route->kind == ROUTE_RECLAIM)
        return p->node ? VERDICT_YES : VERDICT_BAD_REQUEST;
    if (!p->event || (route->kind == ROUTE_RESTOCK && !p->total))
        return VERDICT_BAD_REQUEST;
    if (route->event < 0)
        return VERDICT_NOT_FOUND;
    bool too_many =
        route->kind == ROUTE_RESTOCK && route->total > p->conf->events[route->event].stock_max;
    return too_many ? VERDICT_BAD_REQUEST : VERDICT_YES;
}

static enum verdict parse_params(struct route *route, const struct request *r,
                                 const struct conf *conf)
{
    struct params p = {.route = route, .conf = conf};
    if (LIKELY(route->kind == ROUTE_BUY))
        return parse_buy_params(&p, r);
    if (route->kind >= ROUTE_PAUSE)
        return parse_act_params(&p, r);
    if (route->kind < ROUTE_CANCEL)
        return VERDICT_YES; /* has no parameters */
    return parse_all_pairs(&p, r) ? VERDICT_YES : VERDICT_BAD_REQUEST;
}

/* -- entry -- */

static bool method_is_allowed(struct route *route, const struct path_row *row, enum method method,
                              const struct conf *conf)
{
    bool get = row->get && (row->kind != ROUTE_BUY || conf->buy_with_get);
    route->allow = !get ? "POST" : row->post ? "GET, POST" : "GET";
    return (method == METHOD_GET && get) || (method == METHOD_POST && row->post);
}

enum verdict route_find(struct route *route, const struct request *r, const struct conf *conf,
                        enum route_side side)
{
    route->kind = ROUTE_BUY;
    route->event = -1;
    route->allow = NULL;
    route->n = 1;
    route->buyer_len = route->key_len = 0;
    route->journal_lost = false;

    if (side == ROUTE_OPERATORS && (r->origin.ptr != NULL || host_is_foreign(r->host)))
        return VERDICT_FORBIDDEN;
    const struct path_row *row = find_path(route, r->path, conf, side);
    if (row == NULL)
        return VERDICT_NOT_FOUND;
    route->kind = row->kind;
    if (!method_is_allowed(route, row, r->method, conf))
        return VERDICT_METHOD;
    if (row->argument == ARGUMENT_ORDER && route->order.node != conf->node)
        return VERDICT_ELSEWHERE;
    return parse_params(route, r, conf);
}
