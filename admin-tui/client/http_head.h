/*
 * http_head: parser of the head of an HTTP response, byte by byte: its status, the length of the
 * body, and whether the connection may be reused. It accepts only what spike-server sends (a
 * Content-Length, no chunks); anything else is a failure with a short reason.
 *
 * Pure; never allocates.
 */
#ifndef SPIKE_TOP_HTTP_HEAD_H
#define SPIKE_TOP_HTTP_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/check.h"

#define HTTP_HEAD_MAX 8192u
#define HTTP_LINE_MAX 128u /* bytes kept of a line: enough for every field that is parsed */

struct http_head {
    bool complete;   /* the head has ended */
    bool keep_alive; /* the connection may be reused */
    bool has_length;
    bool cr;         /* the last byte was a carriage return */
    uint32_t status; /* 0: not known yet */
    uint32_t bytes;  /* of the head so far */
    uint32_t line_len;
    uint64_t length;
    char line[HTTP_LINE_MAX];
};

void http_head_begin(struct http_head *h);
/* Parses bytes up to the end of the head, which must not be complete; *used: how many were parsed.
 * NULL, or why this is not a response. */
MUST_CHECK const char *http_head_parse(struct http_head *h, const char *bytes, size_t len,
                                       size_t *used);

#endif
