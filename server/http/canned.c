/*
 * response.c prints every answer once, at start. Afterwards a refusal is one memcpy, and a grant is
 * a memcpy of its template, with the order, the number of tickets and the deadline written over the
 * blanks.
 */
#include "server/http/canned.h"

#include <stdio.h>
#include <string.h>

#define YES_HEAD   "{\"code\":1,\"msg\":\"ok\",\"data\":{\"order\":\""
#define YES_N      "\",\"n\":"
#define YES_PAY    ",\"pay_by\":"
#define YES_TAIL   "}}"
#define PAY_DIGITS 13 /* Unix milliseconds until the year 2286 */

struct canned_answer {
    uint16_t len;
    uint16_t date_at, body_at;
    char text[CANNED_MAX - 6];
};

_Static_assert(sizeof(struct canned_answer) == CANNED_MAX, "an answer fills whole cache lines");

struct canned {
    char date[RESPONSE_DATE];
    uint32_t event_count;
    uint32_t body_length[EVENTS_MAX];
    struct canned_answer *answers; /* [event][verdict][keepalive]; VERDICT_YES: the template */
    size_t pool;
};

static struct canned sets[CANNED_SETS_MAX];
static uint32_t set_count;

static struct canned_answer *answer_of(const struct canned *c, uint32_t event, enum verdict v,
                                       enum keepalive_mode keepalive)
{
    return &c->answers[(event * VERDICT_SALE_COUNT + (uint32_t)v) * KEEPALIVE_MODES +
                       (uint32_t)keepalive];
}

static uint32_t answer_count(const struct canned *c)
{
    return c->event_count * VERDICT_SALE_COUNT * KEEPALIVE_MODES;
}

struct canned *canned_plan(struct arena *arena, const struct conf *conf)
{
    ASSERT(set_count < CANNED_SETS_MAX);
    ASSERT(conf->event_count <= EVENTS_MAX);
    struct canned *c = &sets[set_count++];
    c->event_count = conf->event_count;
    c->pool = arena_plan(arena, "answers", answer_count(c), sizeof(struct canned_answer));
    return c;
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

static void print_answer(struct canned *c, uint32_t event, enum verdict v,
                         enum keepalive_mode keepalive)
{
    struct canned_answer *to = answer_of(c, event, v, keepalive);
    struct response r;
    response_open(&r, to->text, sizeof to->text, c->date, keepalive, false);
    response_begin(&r, v, RESPONSE_JSON);
    if (v == VERDICT_YES)
        response_put(&r, "%s", YES_HEAD);
    else
        response_refusal(&r, v);
    response_pad(&r, c->body_length[event]);
    bool fits = response_end(&r);
    ASSERT(fits);
    ASSERT(r.len - r.body_at == c->body_length[event]);
    to->len = (uint16_t)r.len;
    to->body_at = (uint16_t)r.body_at;
    const char *date = memmem(to->text, r.len, c->date, sizeof c->date);
    ASSERT(date != NULL);
    to->date_at = (uint16_t)(date - to->text);
}

void canned_init(struct canned *c, const struct arena *arena, const struct conf *conf,
                 uint64_t wall_ms)
{
    ASSERT(c->event_count == conf->event_count);
    c->answers = arena_block(arena, c->pool);
    response_date(c->date, wall_ms);
    for (uint32_t e = 0; e < conf->event_count; e++) {
        c->body_length[e] = (uint32_t)longest_body(&conf->events[e]);
        for (int v = 0; v < VERDICT_SALE_COUNT; v++)
            for (int k = 0; k < KEEPALIVE_MODES; k++)
                print_answer(c, e, (enum verdict)v, (enum keepalive_mode)k);
    }
}

void canned_set_date(struct canned *c, uint64_t wall_ms)
{
    ASSERT(c->answers != NULL);
    response_date(c->date, wall_ms);
    uint32_t count = answer_count(c);
    for (uint32_t i = 0; i < count; i++)
        memcpy(c->answers[i].text + c->answers[i].date_at, c->date, sizeof c->date);
}

const char *canned_date(const struct canned *c)
{
    return c->date;
}

uint32_t canned_body_length(const struct canned *c, uint32_t event)
{
    ASSERT(event < c->event_count);
    return c->body_length[event];
}

size_t canned_put(const struct canned *c, char *out, uint32_t event, enum verdict v,
                  enum keepalive_mode keepalive)
{
    ASSERT(event < c->event_count && v > VERDICT_YES && v < VERDICT_SALE_COUNT);
    const struct canned_answer *from = answer_of(c, event, v, keepalive);
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

size_t canned_put_yes(const struct canned *c, char *out, uint32_t event,
                      enum keepalive_mode keepalive, const struct orderid *order, uint32_t n,
                      uint64_t pay_by_wall_ms)
{
    ASSERT(event < c->event_count);
    const struct canned_answer *from = answer_of(c, event, VERDICT_YES, keepalive);
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
