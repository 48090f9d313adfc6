/*
 * canned: the answers to /buy, printed in advance. For every event, verdict of the sale and
 * keepalive mode there is one complete answer, head and body; only its Date changes, once a second.
 *
 * All answers to /buy of one event have the same body length: that of the longest refusal or grant.
 * Blanks after the closing brace pad the shorter ones.
 *
 * Owner: one thread. Each worker has a set of its own, because each writes the Date into it.
 */
#ifndef SPIKE_CANNED_H
#define SPIKE_CANNED_H

#include "conf/base/arena.h"
#include "conf/base/conf.h"
#include "conf/base/orderid.h"
#include "server/http/response.h"

#define CANNED_MAX 384 /* bytes of the longest canned answer, head and body */

struct canned;

/* Reserves a set of answers, at most CANNED_SETS_MAX in a process; its memory is in the arena. */
struct canned *canned_plan(struct arena *arena, const struct conf *conf);
#define CANNED_SETS_MAX (WORKERS_MAX + 1) /* the workers and the admin worker */
/* Prints all answers; the configuration is the one of canned_plan(). */
void canned_init(struct canned *c, const struct arena *arena, const struct conf *conf,
                 uint64_t wall_ms);
/* Writes the time into every answer. */
void canned_set_date(struct canned *c, uint64_t wall_ms);
/* The current Date, RESPONSE_DATE bytes without a NUL, for answers that are not canned. */
const char *canned_date(const struct canned *c);
/* Bytes of the body of every answer to /buy of this event. */
uint32_t canned_body_length(const struct canned *c, uint32_t event);
/* Copies a refusal to `out`, which holds CANNED_MAX bytes; returns its length. Not VERDICT_YES. */
size_t canned_put(const struct canned *c, char *out, uint32_t event, enum verdict v,
                  enum keepalive_mode keepalive);
/* The same for a grant of `n` tickets. */
size_t canned_put_yes(const struct canned *c, char *out, uint32_t event,
                      enum keepalive_mode keepalive, const struct orderid *order, uint32_t n,
                      uint64_t pay_by_wall_ms);

#endif
