/*
 * Everything is printed once, at start, by response.c; afterwards an answer is a memcpy, and a
 * "yes" is a memcpy with three values printed by hand into its blanks.
 */
#include "server/http/canned.h"

#include <stdio.h>
#include <string.h>

#define YES_HEAD   "{\"code\":1,\"msg\":\"ok\",\"data\":{\"order\":\""
#define YES_N      "\",\"n\":"
#define YES_PAY    ",\"pay_by\":"
#define YES_TAIL   "}}"
#define PAY_DIGITS 13 /* Unix milliseconds until the year 2286 */

_Static_assert(sizeof(struct canned_answer) == CANNED_MAX, "an answer fills whole cache lines");

static struct canned_answer *ready(const struct canned *a, uint32_t event, enum verdict v,
                                   enum keepalive_mode keepalive)
{
    return &a->ready[(event * VERDICT_SALE_COUNT + (uint32_t)v) * KEEPALIVE_MODES +
                     (uint32_t)keepalive];
}

void canned_plan(struct canned *a, struct arena *arena, const struct conf *conf)
{
    a->event_count = conf->event_count;
    a->pool = arena_plan(arena, "answers",
                         (size_t)conf->event_count * VERDICT_SALE_COUNT * KEEPALIVE_MODES,
                         sizeof(struct canned_answer));
}

static size_t refusal_length(enum verdict v)
{
    int n = snprintf(NULL, 0, "{\"code\":%d,\"msg\":\"%s\",\"data\":null}", verdict_code(v),
                     verdict_message(v));
    ASSERT(n > 0);
    return (size_t)n;
}

/* The longest body that any answer to /buy of this event can have, errors included. */
static size_t longest_body(const struct conf_event *e)
{
    int digits = snprintf(NULL, 0, "%u", e->max_order);
    ASSERT(digits > 0);
    size_t longest =
        strlen(YES_HEAD YES_N YES_PAY YES_TAIL) + ORDERID_TEXT + PAY_DIGITS + (size_t)digits;
    for (int v = VERDICT_SOLD_OUT; v < VERDICT_COUNT; v++)
        if (refusal_length((enum verdict)v) > longest)
            longest = refusal_length((enum verdict)v);
    return longest;
}

static void make(struct canned *a, uint32_t event, enum verdict v, enum keepalive_mode keepalive)
{
    struct canned_answer *to = ready(a, event, v, keepalive);
    struct response r;
    response_open(&r, to->text, sizeof to->text, a->date, keepalive, false);
    response_begin(&r, v, RESPONSE_JSON);
    if (v == VERDICT_YES)
        response_put(&r, "%s", YES_HEAD);
    else
        response_refusal(&r, v);
    response_pad(&r, a->body_length[event]);
    bool fits = response_end(&r);
    ASSERT(fits);
    to->len = (uint16_t)r.len;
    to->body_at = (uint16_t)r.body_at;
    const char *date = memmem(to->text, r.len, a->date, sizeof a->date);
    ASSERT(date != NULL);
    to->date_at = (uint16_t)(date - to->text);
}

void canned_init(struct canned *a, const struct arena *arena, const struct conf *conf,
                 uint64_t wall_ms)
{
    ASSERT(a->event_count == conf->event_count);
    a->ready = arena_block(arena, a->pool);
    response_date(a->date, wall_ms);
    for (uint32_t e = 0; e < conf->event_count; e++) {
        a->body_length[e] = (uint32_t)longest_body(&conf->events[e]);
        for (int v = 0; v < VERDICT_SALE_COUNT; v++)
            for (int f = 0; f < KEEPALIVE_MODES; f++)
                make(a, e, (enum verdict)v, (enum keepalive_mode)f);
    }
}

void canned_date(struct canned *a, uint64_t wall_ms)
{
    response_date(a->date, wall_ms);
    uint32_t count = a->event_count * VERDICT_SALE_COUNT * KEEPALIVE_MODES;
    for (uint32_t i = 0; i < count; i++)
        memcpy(a->ready[i].text + a->ready[i].date_at, a->date, sizeof a->date);
}

size_t canned_put(const struct canned *a, char *out, uint32_t event, enum verdict v,
                  enum keepalive_mode keepalive)
{
    ASSERT(event < a->event_count && v > VERDICT_YES && v < VERDICT_SALE_COUNT);
    const struct canned_answer *from = ready(a, event, v, keepalive);
    memcpy(out, from->text, from->len);
    return from->len;
}

static char *put_text(char *to, const char *text, size_t len)
{
    memcpy(to, text, len);
    return to + len;
}

static char *put_number(char *to, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put_text(to, digits + at, sizeof digits - at);
}

size_t canned_put_yes(const struct canned *a, char *out, uint32_t event,
                      enum keepalive_mode keepalive, const struct orderid *order, uint32_t n,
                      uint64_t pay_by_wall_ms)
{
    ASSERT(event < a->event_count);
    const struct canned_answer *from = ready(a, event, VERDICT_YES, keepalive);
    memcpy(out, from->text, from->len);
    char *to = out + from->body_at + strlen(YES_HEAD);
    orderid_print(to, order);
    to = put_text(to + ORDERID_TEXT, YES_N, strlen(YES_N));
    to = put_number(to, n);
    to = put_text(to, YES_PAY, strlen(YES_PAY));
    to = put_number(to, pay_by_wall_ms);
    to = put_text(to, YES_TAIL, strlen(YES_TAIL));
    ASSERT(to <= out + from->len);
    return from->len;
}
