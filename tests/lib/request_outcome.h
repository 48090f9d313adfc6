/*
 * request_outcome: the parser's result for some bytes, parsed in a copy of exactly their length, so
 * that a sanitizer finds a read beyond the end; and whether the result of a prefix agrees with that
 * of the whole.
 */
#ifndef SPIKE_TEST_REQUEST_OUTCOME_H
#define SPIKE_TEST_REQUEST_OUTCOME_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/request.h"

struct outcome {
    enum request_progress progress;
    enum verdict why;
    struct request r;
    char *bytes;
};

static inline struct outcome outcome_of(const char *bytes, size_t len,
                                        const struct request_limits *limits)
{
    struct outcome o = {.why = VERDICT_YES};
    char *copy = malloc(len != 0 ? len : 1);
    ASSERT(copy != NULL);
    memcpy(copy, bytes, len);
    o.progress = request_parse(&o.r, &o.why, copy, len, limits);
    o.bytes = copy;
    return o;
}

static inline void outcome_free(struct outcome *o)
{
    free(o->bytes);
}

static inline bool outcome_slice_is_same(const struct outcome *a, const struct outcome *b,
                                         size_t field)
{
    struct slice x, y;
    memcpy(&x, (const char *)&a->r + field, sizeof x);
    memcpy(&y, (const char *)&b->r + field, sizeof y);
    if (x.ptr == NULL || y.ptr == NULL)
        return x.ptr == y.ptr && x.len == y.len;
    return x.len == y.len && x.ptr - a->bytes == y.ptr - b->bytes;
}

/* Whether two complete requests are the same. */
static inline bool outcome_is_same(const struct outcome *a, const struct outcome *b)
{
    static const size_t fields[] = {
        offsetof(struct request, path),         offsetof(struct request, query),
        offsetof(struct request, body),         offsetof(struct request, host),
        offsetof(struct request, origin),       offsetof(struct request, authorization),
        offsetof(struct request, x_buyer),      offsetof(struct request, idempotency_key),
        offsetof(struct request, content_type),
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!outcome_slice_is_same(a, b, fields[i]))
            return false;
    return a->r.method == b->r.method && a->r.minor == b->r.minor &&
           a->r.keep_alive == b->r.keep_alive && a->r.length == b->r.length;
}

/* The parser may need more than the first len bytes; any other result must be that of the whole.
 * NULL, or how the prefix differs. */
static inline const char *outcome_conflict(const struct outcome *whole,
                                           const struct outcome *prefix, size_t len)
{
    switch (prefix->progress) {
    case REQUEST_MORE:
        return whole->progress == REQUEST_DONE && len >= whole->r.length ? "needs more" : NULL;
    case REQUEST_CONTINUE:
        return whole->progress == REQUEST_WRONG ? "continues" : NULL;
    case REQUEST_DONE:
        return whole->progress == REQUEST_DONE && outcome_is_same(whole, prefix) ? NULL : "is done";
    case REQUEST_WRONG:
        return whole->progress == REQUEST_WRONG && whole->why == prefix->why ? NULL : "is wrong";
    }
    return "returns an unknown result";
}

#endif
