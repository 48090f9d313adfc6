/*
 * response: writes one HTTP/1.1 answer into a fixed buffer.
 *
 * Sticky failure: a write that does not fit marks the answer as failed, and response_end() reports
 * it once. The header comes before the body, so the digits of Content-Length are blank until
 * response_end() fills them in and closes the gap.
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

/* What happens to the connection after the answer, and how the header says it. */
enum keepalive_mode {
    KEEPALIVE_HTTP11, /* stays open, the default of HTTP/1.1: no Connection field */
    KEEPALIVE_HTTP10, /* stays open: HTTP/1.0 needs `Connection: keep-alive` */
    KEEPALIVE_CLOSE,  /* is closed: `Connection: close` */
    KEEPALIVE_MODES
};

struct response {
    char *buf;
    size_t size, len;
    size_t length_at, body_at; /* offsets of the digits of Content-Length and of the body */
    const char *date;          /* RESPONSE_DATE bytes */
    enum keepalive_mode keepalive;
    bool without_body; /* HEAD: Content-Length is that of the body, which is not sent */
    bool failed;
    uint32_t retry_after_s; /* Retry-After of a 503; 0: one second */
    int status;             /* 0 until response_begin() */
    enum verdict verdict;
};

/* Prints the time as an IMF-fixdate (RFC 9110), without a NUL. */
void response_date(char date[RESPONSE_DATE], uint64_t wall_ms);
/* The answer goes to buf, at most size bytes. */
void response_open(struct response *r, char *buf, size_t size, const char *date,
                   enum keepalive_mode keepalive, bool without_body);
/* Status and reason are those of the verdict; the body is the caller's. */
void response_begin(struct response *r, enum verdict status, const char *content_type);
/* Adds a field to the header; before the first byte of the body. */
void response_header(struct response *r, const char *name, const char *value);
void response_put(struct response *r, const char *format, ...) PRINTF(2, 3);
/* Pads the body with blanks to `length` bytes. */
void response_pad(struct response *r, size_t length);
/* Completes the answer: r->len bytes of r->buf. False: it did not fit. */
MUST_CHECK bool response_end(struct response *r);

/* {"code":…,"msg":"…","data":null}: the whole body of a refusal. */
void response_refusal(struct response *r, enum verdict v);

#endif
