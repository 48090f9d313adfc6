/*
 * json: walks over a JSON text, strictly, one value after the other.
 *
 * jsmn finds the tokens, in an array of fixed size. The walk is the judge: jsmn takes much that is
 * no JSON (missing commas, keys without values), so every byte between two tokens is looked at
 * here. Strings are handed out as they stand, escapes and all.
 *
 * Owner: one thread, and one text at a time, for the array is static. Never allocates.
 */
#ifndef SPIKE_TOP_JSON_H
#define SPIKE_TOP_JSON_H

#include "conf/base/fault.h"

enum json_kind { JSON_NONE, JSON_OBJECT, JSON_LIST, JSON_STRING, JSON_PLAIN };
enum json_step { JSON_ONE, JSON_END, JSON_WRONG };

struct json {
    const char *text;
    size_t len, pos;
    int count, at; /* tokens */
    int depth;
    struct fault *f; /* filled by whatever returns false or JSON_WRONG */
};

struct json_span {
    const char *s;
    size_t len;
};

/* The text must be one object and outlive the walk. */
MUST_CHECK bool json_open(struct json *j, const char *text, size_t len, struct fault *f);
/* What begins here; JSON_NONE: no value. *span: what is in it (without quotes), unless it is NULL.
 * JSON_PLAIN is looked at only by json_pass(): it may be no JSON yet. */
enum json_kind json_here(struct json *j, struct json_span *span);
/* Over the value that is here. */
MUST_CHECK bool json_pass(struct json *j);
/* Into the object or list that is here. Then json_next(), and behind each JSON_ONE one value, in an
 * object after its json_key(). */
MUST_CHECK bool json_enter(struct json *j);
enum json_step json_next(struct json *j, enum json_kind in, bool first);
MUST_CHECK bool json_key(struct json *j, struct json_span *key);
/* Nothing but blanks is left. */
MUST_CHECK bool json_end(struct json *j);

bool json_is(const struct json_span *span, const char *word);
/* By the grammar: -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? */
bool json_is_number(const struct json_span *span);
bool json_is_digits(const struct json_span *span);
bool json_broken(struct json *j); /* "not JSON"; false, always */

#endif
