/*
 * answers: what /buy tells a buyer, ready made: for every event, every verdict of the sale and
 * every keepalive one whole answer, head and body, of which only the Date changes, once a second.
 *
 * All answers to /buy of one event have one body length: the longest of any verdict
 * and of any "yes". Blanks after the closing brace fill the others up.
 *
 * Owner: one thread; each worker has its own copy, because each writes the Date into it.
 */
#ifndef SPIKE_CANNED_H
#define SPIKE_CANNED_H

#include "conf/base/arena.h"
#include "conf/base/conf.h"
#include "conf/base/orderid.h"
#include "server/http/response.h"

#define CANNED_MAX 384 /* bytes of the longest ready-made answer, head and body */

struct canned_answer {
    uint16_t len;
    uint16_t date_at, body_at;
    char text[CANNED_MAX - 6];
};

struct canned {
    char date[RESPONSE_DATE];
    uint32_t event_count;
    uint32_t body_length[EVENTS_MAX];
    struct canned_answer *ready; /* [event][verdict][keepalive]; YES: a template */
    size_t pool;
};

void canned_plan(struct canned *a, struct arena *arena, const struct conf *conf);
void canned_init(struct canned *a, const struct arena *arena, const struct conf *conf,
                 uint64_t wall_ms);
/* Writes the time into every answer. */
void canned_date(struct canned *a, uint64_t wall_ms);
/* Copies the answer to out (room for CANNED_MAX bytes) and says how long it is. Not for YES. */
size_t canned_put(const struct canned *a, char *out, uint32_t event, enum verdict v,
                  enum keepalive_mode keepalive);
size_t canned_put_yes(const struct canned *a, char *out, uint32_t event,
                      enum keepalive_mode keepalive, const struct orderid *order, uint32_t n,
                      uint64_t pay_by_wall_ms);

#endif
