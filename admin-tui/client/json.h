/*
 * json: a strict walk over a JSON text, one value after the other.
 *
 * jsmn splits the text into tokens, in an array of fixed size. The walk validates: jsmn accepts
 * much that is not JSON (missing commas, keys without values), so every byte between two tokens is
 * checked here. Strings are returned as they are in the text, with their escapes.
 *
 * Owner: one thread, and one text at a time: the walk and its tokens are static. Never allocates.
 */
#ifndef SPIKE_TOP_JSON_H
#define SPIKE_TOP_JSON_H

#include "conf/base/fault.h"

enum json_kind { JSON_NONE, JSON_OBJECT, JSON_LIST, JSON_STRING, JSON_PLAIN };
enum json_step { JSON_ONE, JSON_END, JSON_WRONG };

struct json; /* the walk */

/* A part of the text. */
struct json_span {
    const char *s;
    size_t len;
};

/* Begins the walk; one that is under way is given up. The text must be one object and outlive the
 * walk; every function below that returns false or JSON_WRONG has filled f. NULL: not JSON. */
MUST_CHECK struct json *json_open(const char *text, size_t len, struct fault *f);
/* The kind of the value that begins here; JSON_NONE: there is no value. *span: its content (without
 * quotes), unless span is NULL. JSON_PLAIN is validated only by json_pass(). */
enum json_kind json_here(struct json *j, struct json_span *span);
/* Moves behind the value that begins here. */
MUST_CHECK bool json_pass(struct json *j);
/* Moves into the object or list that begins here. Then call json_next(); after each JSON_ONE there
 * is one value, in an object after its json_key(). */
MUST_CHECK bool json_enter(struct json *j);
enum json_step json_next(struct json *j, enum json_kind in, bool first);
MUST_CHECK bool json_key(struct json *j, struct json_span *key);
/* False: something other than blanks follows. */
MUST_CHECK bool json_end(struct json *j);

bool json_is(const struct json_span *span, const char *text);
/* By the grammar: -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? */
bool json_is_number(const struct json_span *span);
bool json_is_digits(const struct json_span *span);
/* Fills f with "not JSON"; always false. */
bool json_broken(struct json *j);

#endif
