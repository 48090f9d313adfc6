/*
 * route_request: what the tests of the router share: a configuration, and the route of a request
 * given as text.
 */
#ifndef SPIKE_TESTS_ROUTE_REQUEST_H
#define SPIKE_TESTS_ROUTE_REQUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/http/route.h"

enum { TICKET, VIP, LIMITED };

static struct conf conf = {
    .node = 0x2a,
    .buy_with_get = true,
    .event_count = 3,
    .events = {{.name = "ticket", .max_order = 4, .stock_max = 20000},
               {.name = "v-i_p-name-of-thirty-two-bytes-0", .max_order = 100000000},
               {.name = "limited", .max_order = 1, .limit = 2}},
};

#define FORM      "application/x-www-form-urlencoded"
#define FORM_TYPE "Content-Type: " FORM "\r\n"

/* Parses a copy of exactly len bytes, so that a sanitizer finds a read beyond the end. */
static inline enum verdict route_of(struct route *route, const char *text, size_t len,
                                    enum route_side side)
{
    static const struct request_limits limits = {8192, 4096};
    struct request r;
    enum verdict why = VERDICT_YES;
    char *bytes = malloc(len);
    assert_non_null(bytes);
    memcpy(bytes, text, len);
    if (request_parse(&r, &why, bytes, len, &limits) != REQUEST_DONE)
        fail_msg("%s: not parsed: %d", text, verdict_code(why));
    why = route_find(route, &r, &conf, side);
    free(bytes);
    return why;
}

/* The route of a request with `header` lines and, unless NULL, a body. */
static inline enum verdict find_route(struct route *route, const char *line, const char *header,
                                      const char *body, enum route_side side)
{
    static char text[4096];
    char length[64] = "";
    if (body != NULL)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
    int len = snprintf(text, sizeof text, "%s HTTP/1.0\r\n%s%s\r\n%s", line, header, length,
                       body != NULL ? body : "");
    assert_in_range(len, 1, sizeof text - 1);
    return route_of(route, text, (size_t)len, side);
}

#define TEXT_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static inline void check_side(enum verdict expected, enum route_side side, const char *line,
                              const char *header, const char *body)
{
    struct route route;
    enum verdict actual = find_route(&route, line, header, body, side);
    if (actual != expected)
        fail_msg("%s, %s%s: %d instead of %d", line, header, body != NULL ? body : "",
                 verdict_code(actual), verdict_code(expected));
}

static inline void check_allow(const char *line, enum route_side side, const char *allow)
{
    struct route route;
    assert_int_equal(find_route(&route, line, "", NULL, side), VERDICT_METHOD);
    assert_string_equal(route.allow, allow);
}

#endif
