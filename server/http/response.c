/*
 * The header is closed lazily: by the first byte of the body, or by response_end(). Until then
 * response_header() may add fields. No call writes past `size`; once `failed` is set, every later
 * call does nothing.
 */
#include "server/http/response.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LENGTH_DIGITS 6 /* a body has at most 999,999 bytes */

void response_date(char date[RESPONSE_DATE], uint64_t wall_ms)
{
    char text[RESPONSE_DATE + 1];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    /* The server never leaves the C locale, so the names are the English ones. */
    size_t len = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    ASSERT(len == RESPONSE_DATE);
    memcpy(date, text, RESPONSE_DATE);
}

static void put_v(struct response *r, const char *format, va_list arguments) PRINTF(2, 0);
static void put_v(struct response *r, const char *format, va_list arguments)
{
    if (r->failed)
        return;
    ASSERT(r->len < r->size);
    size_t free_bytes = r->size - r->len;
    int n = vsnprintf(r->buf + r->len, free_bytes, format, arguments);
    if (n < 0 || (size_t)n >= free_bytes)
        r->failed = true;
    else
        r->len += (size_t)n;
}

static void put(struct response *r, const char *format, ...) PRINTF(2, 3);
static void put(struct response *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_v(r, format, arguments);
    va_end(arguments);
}

void response_open(struct response *r, char *buf, size_t size, const char *date,
                   enum keepalive_mode keepalive, bool without_body)
{
    ASSERT(size > 0 && keepalive < KEEPALIVE_MODES);
    *r = (struct response){.buf = buf,
                           .size = size,
                           .date = date,
                           .keepalive = keepalive,
                           .without_body = without_body};
}

void response_begin(struct response *r, enum verdict status, const char *content_type)
{
    static const char *const fields[KEEPALIVE_MODES] = {
        [KEEPALIVE_HTTP11] = "",
        [KEEPALIVE_HTTP10] = "Connection: keep-alive\r\n",
        [KEEPALIVE_CLOSE] = "Connection: close\r\n",
    };
    ASSERT(r->len == 0 && r->status == 0);
    r->status = verdict_status(status);
    r->verdict = status;
    put(r, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: ", r->status,
        verdict_reason(status), content_type);
    r->length_at = r->len;
    put(r, "%*s\r\nDate: %.*s\r\n", LENGTH_DIGITS, "", RESPONSE_DATE, r->date);
    if (r->status == 503)
        put(r, "Retry-After: %" PRIu32 "\r\n", r->retry_after_s > 0 ? r->retry_after_s : 1);
    put(r, "%s", fields[r->keepalive]);
}

void response_header(struct response *r, const char *name, const char *value)
{
    ASSERT(r->status != 0 && r->body_at == 0);
    put(r, "%s: %s\r\n", name, value);
}

static void close_header(struct response *r)
{
    ASSERT(r->status != 0);
    if (r->body_at != 0)
        return;
    put(r, "\r\n");
    r->body_at = r->len;
}

void response_put(struct response *r, const char *format, ...)
{
    va_list arguments;
    close_header(r);
    va_start(arguments, format);
    put_v(r, format, arguments);
    va_end(arguments);
}

void response_pad(struct response *r, size_t length)
{
    close_header(r);
    size_t body = r->len - r->body_at;
    ASSERT(length <= INT_MAX);
    if (!r->failed && body < length)
        put(r, "%*s", (int)(length - body), "");
}

/* Writes the digits into the blanks that are reserved for them and closes the gap. */
static void fill_length(struct response *r, const char *digits, size_t n)
{
    char *at = r->buf + r->length_at;
    size_t gap = LENGTH_DIGITS - n;
    ASSERT(n >= 1 && n <= LENGTH_DIGITS);
    ASSERT(r->length_at + LENGTH_DIGITS < r->body_at && r->body_at <= r->len);
    memcpy(at, digits, n);
    memmove(at + n, at + LENGTH_DIGITS, r->len - r->length_at - LENGTH_DIGITS);
    r->len -= gap;
    r->body_at -= gap;
}

bool response_end(struct response *r)
{
    close_header(r);
    if (r->failed)
        return false;
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%zu", r->len - r->body_at);
    if (n < 1 || n > LENGTH_DIGITS)
        return false;
    fill_length(r, digits, (size_t)n);
    if (r->without_body)
        r->len = r->body_at;
    return true;
}

void response_refusal(struct response *r, enum verdict v)
{
    response_put(r, "{\"code\":%d,\"msg\":\"%s\",\"data\":null}", verdict_code(v),
                 verdict_message(v));
}
