/*
 * Why: the parser and the router read bytes from any client of the network. No input may make them
 * read beyond its end, return another result when it arrives in pieces, or accept a request that
 * http-parser refuses.
 *
 * Input: the limits, a request of the table (0: none), the offset of a splice, the number of bytes
 * to leave out there, then the bytes to insert. So a few random bytes reach deep into the header.
 */
/* needs: server/http/request.c server/http/route.c conf/base/check.c conf/base/orderid.c
   conf/base/verdict.c -lhttp_parser -lsodium */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/route.h"
#include "tests/lib/http_oracle.h"
#include "tests/lib/request_outcome.h"

#define TEXT_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *bytes;
    size_t len;
} rows[] = {
    {"", 0},
#define GOOD(name, bytes)           {bytes, sizeof(bytes) - 1},
#define WRONG(verdict, name, bytes) {bytes, sizeof(bytes) - 1},
#include "tests/lib/requests.def"
#undef GOOD
#undef WRONG
};

static const struct request_limits limits[] = {{8192, 4096}, {64, 16}, {100, 0}, {8192, 2}};

static const struct conf conf = {
    .node = 1,
    .buy_with_get = true,
    .event_count = 2,
    .events = {{.name = "ticket", .max_order = 4, .stock_max = 50},
               {.name = "vip", .max_order = 99, .limit = 1}},
};

static void expect_none(const char *conflict)
{
    if (conflict == NULL)
        return;
    fprintf(stderr, "%s\n", conflict);
    abort();
}

/* At the offset that the input names; returns the length. */
static size_t splice(char *text, const uint8_t *data, size_t size)
{
    size_t row = data[1] % ARRAY_LEN(rows);
    size_t from = rows[row].len != 0 ? data[2] % (rows[row].len + 1) : 0;
    size_t to = from + data[3] < rows[row].len ? from + data[3] : rows[row].len;
    size_t len = 0;
    memcpy(text, rows[row].bytes, from);
    len += from;
    memcpy(text + len, data + 4, size - 4);
    len += size - 4;
    memcpy(text + len, rows[row].bytes + to, rows[row].len - to);
    return len + rows[row].len - to;
}

static void check_prefixes(const struct outcome *whole, size_t len, const struct request_limits *l)
{
    size_t stride = len > 400 ? 1 + len / 97 : 1;
    for (size_t i = 0; i < len; i += stride) {
        struct outcome prefix = outcome_of(whole->bytes, i, l);
        expect_none(outcome_conflict(whole, &prefix, i));
        outcome_free(&prefix);
    }
}

static void check_buy(const struct route *route)
{
    ASSERT(route->n >= 1 && route->n <= conf.events[route->event].max_order);
    ASSERT(route->buyer_len <= PARAM_MAX && route->key_len <= PARAM_MAX);
    ASSERT(route->buyer_len > 0 || conf.events[route->event].limit == 0);
}

static void check_kind(const struct route *route, enum route_side side)
{
    switch (route->kind) {
    case ROUTE_BUY:
        check_buy(route);
        break;
    case ROUTE_GET_ORDER:
    case ROUTE_CANCEL:
    case ROUTE_PAY:
        ASSERT(route->order.node == conf.node && route->order.number > 0);
        ASSERT((route->kind == ROUTE_PAY) == (side == ROUTE_OPERATORS));
        break;
    case ROUTE_RESTOCK:
        ASSERT(route->event >= 0 && side == ROUTE_OPERATORS);
        ASSERT(route->total >= 1 && route->total <= conf.events[route->event].stock_max);
        break;
    default:
        ASSERT(route->kind < ROUTE_PAUSE || (route->event >= 0 && side == ROUTE_OPERATORS));
    }
}

static void check_route(const struct request *r)
{
    struct route route;
    for (int side = ROUTE_BUYERS; side <= ROUTE_OPERATORS; side++) {
        enum verdict v = route_find(&route, r, &conf, (enum route_side)side);
        ASSERT(route.event < (int)conf.event_count);
        ASSERT(v != VERDICT_METHOD || route.allow != NULL);
        ASSERT(v != VERDICT_ELSEWHERE || (route.order.node != 0 && route.order.node != conf.node));
        if (v == VERDICT_YES)
            check_kind(&route, (enum route_side)side);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX];
    if (size < 4 || size > TEXT_MAX / 2)
        return 0;
    const struct request_limits *l = &limits[data[0] % ARRAY_LEN(limits)];
    size_t len = splice(text, data, size);
    struct outcome o = outcome_of(text, len, l);
    check_prefixes(&o, len, l);
    expect_none(oracle_conflict(o.progress, &o.r, o.bytes, len));
    if (o.progress == REQUEST_DONE) {
        ASSERT(o.r.length <= len && o.r.length <= l->max_header + l->max_body);
        check_route(&o.r);
    }
    if (o.progress != REQUEST_DONE && o.progress != REQUEST_WRONG)
        ASSERT(len < l->max_header + l->max_body);
    outcome_free(&o);
    return 0;
}
