/*
 * response: writes one HTTP/1.1 answer into a fixed buffer.
 *
 * Sticky failure: what does not fit is remembered, and response_end() says so once. The header
 * comes first, so the length gets a place that response_end() fills in and closes.
 *
 *     response_begin(r, VERDICT_YES, RESPONSE_JSON);
 *     response_put(r, "{\"code\":%d", 1);
 *     if (!response_end(r)) ...
 *
 * Threads: any; a struct response belongs to its caller. Never allocates.
 */
#ifndef SPIKE_RESPONSE_H
#define SPIKE_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/check.h"
#include "conf/base/verdict.h"

#define RESPONSE_JSON "application/json"
#define RESPONSE_DATE 29 /* bytes of "Sun, 06 Nov 1994 08:49:37 GMT" */

/* What an answer says about the connection it travels on. */
enum keepalive_mode {
    KEEPALIVE_HTTP11, /* HTTP/1.1 stays open without a word */
    KEEPALIVE_HTTP10, /* HTTP/1.0 has to be told */
    KEEPALIVE_CLOSE,
    KEEPALIVE_MODES
};

struct response {
    char *buf;
    size_t size, len;
    size_t length_at, body_at; /* of the Content-Length's digits, of the body */
    const char *date;          /* RESPONSE_DATE bytes */
    enum keepalive_mode keepalive;
    bool without_body; /* HEAD: the length is told, the body is not sent */
    bool failed;
    uint32_t retry_after_s; /* of a 503; 0: one */
    int status;             /* as begun */
    enum verdict verdict;
};

/* Writes the time as RFC 9110 wants it (IMF-fixdate). */
void response_date(char date[RESPONSE_DATE], uint64_t wall_ms);
/* The answer goes to buf and never past size bytes. */
void response_open(struct response *r, char *buf, size_t size, const char *date,
                   enum keepalive_mode keepalive, bool without_body);
/* Status and reason are the verdict's; the body may say something else. */
void response_begin(struct response *r, enum verdict status, const char *content_type);
/* A field of its own, before the first byte of the body. */
void response_header(struct response *r, const char *name, const char *value);
void response_put(struct response *r, const char *format, ...) PRINTF(2, 3);
/* Blanks up to a body of `length` bytes. */
void response_pad(struct response *r, size_t length);
MUST_CHECK bool response_end(struct response *r);

/* {"code":…,"msg":"…","data":null}: the whole body of a refusal. */
void response_refusal(struct response *r, enum verdict v);

#endif
