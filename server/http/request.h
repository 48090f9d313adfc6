/*
 * request: one strict, stateless parser of an HTTP/1.x request over a fixed buffer (RFC 9112;
 * stricter where a second reading could smuggle). Call it again with more bytes until it says
 * anything but MORE; it remembers nothing between calls and never writes to the buffer.
 *
 * Threads: any; pure; never allocates.
 */
#ifndef SPIKE_REQUEST_H
#define SPIKE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/check.h"
#include "conf/base/verdict.h"

/* A piece of the buffer that was parsed. ptr NULL: not there. */
struct slice {
    const char *ptr;
    uint32_t len;
};

enum method {
    METHOD_GET,
    METHOD_POST,
    METHOD_HEAD,
    METHOD_OTHER /* known to RFC 9110, served by nobody here */
};

struct request {
    enum method method;
    struct slice path;  /* undecoded, without the query; begins with '/' (or `*` of OPTIONS) */
    struct slice query; /* undecoded, without the '?' */
    struct slice body;  /* without Content-Length: not there */
    /* Header values, trimmed; there and of no length if the line was empty. The host is that of a
     * target in absolute form, if it has one. */
    struct slice host, origin, authorization, idempotency_key, x_buyer;
    struct slice content_type;
    uint8_t minor;         /* 0 or 1 of HTTP/1.x */
    bool keep_alive;       /* the connection may carry another request */
    bool expects_continue; /* Expect: 100-continue, and the body has not begun to arrive */
    uint32_t length;       /* bytes of the whole request, valid with DONE */
};

struct request_limits {
    uint32_t max_header; /* bytes of request line and header together, final CRLF included */
    uint32_t max_body;
};

enum request_progress {
    REQUEST_MORE,     /* incomplete so far, nothing wrong yet */
    REQUEST_CONTINUE, /* header complete and good, body awaited, `100 Continue` was asked for */
    REQUEST_DONE,     /* *r is filled; r->length bytes are consumed */
    REQUEST_WRONG,    /* *why says which answer; then the connection is to be closed */
};

MUST_CHECK enum request_progress request_parse(struct request *r, enum verdict *why,
                                               const char *buf, size_t len,
                                               const struct request_limits *limits);

/* Which limit an unfinished request of len bytes would break next is the parser's business: a
 * buffer of max_header + max_body bytes always suffices to reach DONE or WRONG. */

#endif
