/*
 * answer: the head of an HTTP answer, byte by byte: its status, how long the body is, and whether
 * the connection may be used again. Only what spike-server sends is understood (a Content-Length,
 * no chunks); anything else is a failure with a short reason.
 *
 * Pure; never allocates.
 */
#ifndef SPIKE_TOP_ANSWER_H
#define SPIKE_TOP_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/check.h"

#define ANSWER_HEAD_MAX 8192u
#define ANSWER_LINE_MAX 128u /* of a line that means something to us; the rest of it is skipped */

struct answer {
    bool whole; /* the head has ended */
    bool keep;  /* the connection may be used again */
    bool has_length;
    bool cr;         /* the last byte was a carriage return */
    uint32_t status; /* 0: not known yet */
    uint32_t head;   /* bytes so far */
    uint32_t line_len;
    uint64_t length;
    char line[ANSWER_LINE_MAX];
};

void answer_begin(struct answer *a);
/* Takes bytes up to the end of the head; *used: how many of them. NULL, or why it is no answer. */
MUST_CHECK const char *answer_take(struct answer *a, const char *bytes, size_t len, size_t *used);

#endif
