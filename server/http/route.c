/*
 * route: whose turn is it, and with which parameters.
 *
 *   who may ask (operators) -> path, and the event or order in it, 404 -> method, 405
 *                           -> whose order it is, 421 -> parameters, 400
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

enum names { NAMES_NOTHING, NAMES_EVENT, NAMES_ORDER };

struct path_row {
    struct slice prefix, suffix; /* what the path names stands between them */
    enum names names;
    enum route_side side;
    enum route_kind kind;
    bool get, post; /* methods; buying by GET only with `buy-with-get` */
};

#define TEXT(literal)               \
    {                               \
        literal, sizeof literal - 1 \
    }

static const struct path_row paths[] = {
    {TEXT("/buy/"), TEXT(""), NAMES_EVENT, ROUTE_BUYERS, ROUTE_BUY, true, true},
    {TEXT("/stock/"), TEXT(""), NAMES_EVENT, ROUTE_BUYERS, ROUTE_STOCK, true, false},
    {TEXT("/order/"), TEXT(""), NAMES_ORDER, ROUTE_BUYERS, ROUTE_GET_ORDER, true, false},
    {TEXT("/order/"), TEXT("/cancel"), NAMES_ORDER, ROUTE_BUYERS, ROUTE_CANCEL, false, true},
    {TEXT("/stats"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_STATS, true, false},
    {TEXT("/healthz"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_HEALTHZ, true, false},
    {TEXT("/metrics"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_METRICS, true, false},
    {TEXT("/drain"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_DRAIN, false, true},
    {TEXT("/order/"), TEXT("/pay"), NAMES_ORDER, ROUTE_OPERATORS, ROUTE_PAY, false, true},
    {TEXT("/pause"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_PAUSE, false, true},
    {TEXT("/resume"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_RESUME, false, true},
    {TEXT("/close"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_CLOSE, false, true},
    {TEXT("/restock"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_RESTOCK, false, true},
    {TEXT("/reopen"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_REOPEN, false, true},
    {TEXT("/reclaim"), TEXT(""), NAMES_NOTHING, ROUTE_OPERATORS, ROUTE_RECLAIM, false, true},
};

/* What has been given so far. */
struct params {
    struct route *route;
    const struct conf *conf;
    bool n, buyer, key, event, total, node, journal;
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

static bool is_word(const char *word, const char *text, size_t len)
{
    return strlen(word) == len && memcmp(word, text, len) == 0;
}

static int event_find(const struct conf *conf, const char *name, size_t len)
{
    for (uint32_t i = 0; i < conf->event_count; i++)
        if (is_word(conf->events[i].name, name, len))
            return (int)i;
    return -1;
}

/* Numbers of nodes and of orders begin with 1. */
static bool order_find(struct orderid *id, const char *text, size_t len)
{
    return orderid_parse(text, len, id) && id->node != 0 && id->number != 0;
}

/* Fills event or order. */
static bool path_is(const struct path_row *row, struct route *route, struct slice path,
                    const struct conf *conf)
{
    const struct slice *before = &row->prefix, *after = &row->suffix;
    if (path.len < before->len + after->len || memcmp(path.ptr, before->ptr, before->len) != 0)
        return false;
    if (after->len > 0 && memcmp(path.ptr + path.len - after->len, after->ptr, after->len) != 0)
        return false;
    const char *name = path.ptr + before->len;
    size_t len = path.len - before->len - after->len;
    if (LIKELY(row->names == NAMES_EVENT)) {
        route->event = event_find(conf, name, len);
        return route->event >= 0;
    }
    return row->names == NAMES_ORDER ? order_find(&route->order, name, len) : len == 0;
}

/* NULL: nobody's. */
static const struct path_row *path_find(struct route *route, struct slice path,
                                        const struct conf *conf, enum route_side side)
{
    for (const struct path_row *row = paths; row < paths + ARRAY_LEN(paths); row++)
        if (row->side == side && path_is(row, route, path, conf))
            return row;
    return NULL;
}

int route_buys(struct slice path, const struct conf *conf)
{
    struct route route = {.event = -1};
    if (path.ptr == NULL || path_find(&route, path, conf, ROUTE_BUYERS) != &paths[0])
        return -1;
    return route.event;
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

static bool number_take(uint32_t *out, bool *seen, const char *text, size_t len, uint32_t max)
{
    if (*seen)
        return false;
    *seen = true;
    return number_parse(out, text, len, max);
}

/* An unknown name is no wrong parameter: it is found out, and answered, when all are there. */
static bool event_take(struct params *p, const char *text, size_t len)
{
    if (p->event || len == 0)
        return false;
    p->event = true;
    p->route->event = event_find(p->conf, text, len);
    return true;
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

static bool buy_pair_take(struct params *p, const char *word, size_t word_len, const char *text,
                          size_t len)
{
    struct route *route = p->route;
    if (is_word("n", word, word_len))
        return number_take(&route->n, &p->n, text, len, p->conf->events[route->event].max_order);
    if (is_word("buyer", word, word_len))
        return text_take(route->buyer, &route->buyer_len, &p->buyer, text, len);
    if (is_word("key", word, word_len))
        return text_take(route->key, &route->key_len, &p->key, text, len);
    return true;
}

/* `journal=lost` is the one thing that can be said of it. */
static bool journal_take(struct params *p, const char *text, size_t len)
{
    bool again = p->journal;
    p->journal = p->route->journal_lost = true;
    return !again && is_word("lost", text, len);
}

static bool reclaim_pair_take(struct params *p, const char *word, size_t word_len, const char *text,
                              size_t len)
{
    if (is_word("node", word, word_len))
        return number_take(&p->route->node, &p->node, text, len, NODE_MAX);
    return !is_word("journal", word, word_len) || journal_take(p, text, len);
}

static bool act_pair_take(struct params *p, const char *word, size_t word_len, const char *text,
                          size_t len)
{
    if (p->route->kind == ROUTE_RECLAIM)
        return reclaim_pair_take(p, word, word_len, text, len);
    if (is_word("event", word, word_len))
        return event_take(p, text, len);
    if (is_word("total", word, word_len) && p->route->kind == ROUTE_RESTOCK)
        return number_take(&p->route->total, &p->total, text, len, TICKETS_MAX);
    return true;
}

/* One name=value. Unknown names are ignored, but not their broken escapes. */
static bool pair_take(struct params *p, struct slice name, struct slice value)
{
    char word[8], text[PARAM_MAX + 1];
    size_t word_len, len;
    if (!decode(name, word, sizeof word, &word_len) || !decode(value, text, sizeof text, &len))
        return false;
    if (p->route->kind == ROUTE_BUY)
        return buy_pair_take(p, word, word_len, text, len);
    return p->route->kind < ROUTE_PAUSE || act_pair_take(p, word, word_len, text, len);
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

static bool pairs_take_all(struct params *p, const struct request *r)
{
    if (r->query.len > 0 && !pairs_take(p, r->query, false))
        return false;
    return r->body.len == 0 || (body_is_form(r) && pairs_take(p, r->body, true));
}

static enum verdict buy_params_take(struct params *p, const struct request *r)
{
    if (!headers_take(p, r) || !pairs_take_all(p, r))
        return VERDICT_BAD_REQUEST;
    bool nobody = p->conf->events[p->route->event].limit > 0 && !p->buyer;
    return nobody ? VERDICT_BAD_REQUEST : VERDICT_YES;
}

static enum verdict act_params_take(struct params *p, const struct request *r)
{
    const struct route *route = p->route;
    if (!pairs_take_all(p, r))
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

static enum verdict params_take(struct route *route, const struct request *r,
                                const struct conf *conf)
{
    struct params p = {.route = route, .conf = conf};
    if (LIKELY(route->kind == ROUTE_BUY))
        return buy_params_take(&p, r);
    if (route->kind >= ROUTE_PAUSE)
        return act_params_take(&p, r);
    if (route->kind < ROUTE_CANCEL)
        return VERDICT_YES; /* takes none */
    return pairs_take_all(&p, r) ? VERDICT_YES : VERDICT_BAD_REQUEST;
}

/* -- the whole -- */

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
    const struct path_row *row = path_find(route, r->path, conf, side);
    if (row == NULL)
        return VERDICT_NOT_FOUND;
    route->kind = row->kind;
    if (!method_is_allowed(route, row, r->method, conf))
        return VERDICT_METHOD;
    if (row->names == NAMES_ORDER && route->order.node != conf->node)
        return VERDICT_ELSEWHERE;
    return params_take(route, r, conf);
}
