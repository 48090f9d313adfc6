/*
 * request: a strict, stateless parser of one HTTP/1.x request in a fixed buffer (RFC 9112; stricter
 * where two readings of the same bytes would let a request be smuggled). While it returns MORE, the
 * caller reads more bytes and calls again; it keeps nothing between calls and never writes to the
 * buffer.
 *
 * Threads: any; pure; never allocates.
 */
#ifndef SPIKE_REQUEST_H
#define SPIKE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/check.h"
#include "conf/base/verdict.h"

/* A part of the buffer that was parsed. ptr NULL: absent. */
struct slice {
    const char *ptr;
    uint32_t len;
};

enum method {
    METHOD_GET,
    METHOD_POST,
    METHOD_HEAD,
    METHOD_OTHER /* a method of RFC 9110 that no path here allows */
};

struct request {
    enum method method;
    struct slice path;  /* undecoded, without the query; begins with '/' (or `*` of OPTIONS) */
    struct slice query; /* undecoded, without the '?' */
    struct slice body;  /* absent without Content-Length */
    /* Field values, trimmed; present with length 0 if the field is empty. A target in absolute form
     * sets the host, whatever the Host field holds. */
    struct slice host, origin, authorization, idempotency_key, x_buyer;
    struct slice content_type;
    uint8_t minor;         /* HTTP/1.0: 0, HTTP/1.1: 1 */
    bool keep_alive;       /* the connection may carry another request */
    bool expects_continue; /* Expect: 100-continue, and the body has not begun to arrive */
    uint32_t length;       /* bytes of the whole request, valid with DONE */
};

struct request_limits {
    uint32_t max_header; /* bytes of request line and header together, final CRLF included */
    uint32_t max_body;
};

enum request_progress {
    REQUEST_MORE,     /* valid so far, and incomplete */
    REQUEST_CONTINUE, /* the header is complete; the client waits for `100 Continue` */
    REQUEST_DONE,     /* *r is filled; the request has r->length bytes */
    REQUEST_WRONG,    /* *why is the verdict to answer with; then the connection must be closed */
};

MUST_CHECK enum request_progress request_parse(struct request *r, enum verdict *why,
                                               const char *buf, size_t len,
                                               const struct request_limits *limits);

/* A buffer of max_header + max_body bytes always suffices to reach DONE or WRONG. */

#endif
