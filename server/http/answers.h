/*
 * answers: what /buy tells a buyer, ready made: for every event, every verdict of the sale and
 * every farewell one whole answer, head and body, of which only the Date changes, once a second.
 *
 * All answers to /buy of one event have one body length: the longest of any verdict
 * and of any "yes". Blanks after the closing brace fill the others up.
 *
 * Owner: one thread; each worker has its own copy, because each writes the Date into it.
 */
#ifndef SPIKE_ANSWERS_H
#define SPIKE_ANSWERS_H

#include "conf/base/conf.h"
#include "conf/base/orderid.h"
#include "server/http/response.h"
#include "server/mem/arena.h"

#define ANSWER_MAX 384 /* bytes of the longest ready-made answer, head and body */

struct answer {
    uint16_t len;
    uint16_t date_at, body_at;
    char text[ANSWER_MAX - 6];
};

struct answers {
    char date[RESPONSE_DATE];
    uint32_t event_count;
    uint32_t body_length[EVENTS_MAX];
    struct answer *ready; /* [event][verdict][farewell]; YES: a template */
    size_t pool;
};

void answers_plan(struct answers *a, struct arena *arena, const struct conf *conf);
void answers_init(struct answers *a, const struct arena *arena, const struct conf *conf,
                  uint64_t wall_ms);
/* Writes the time into every answer. */
void answers_date(struct answers *a, uint64_t wall_ms);
/* Copies the answer to out (room for ANSWER_MAX bytes) and says how long it is. Not for YES. */
size_t answers_put(const struct answers *a, char *out, uint32_t event, enum verdict v,
                   enum farewell farewell);
size_t answers_put_yes(const struct answers *a, char *out, uint32_t event, enum farewell farewell,
                       const struct orderid *order, uint32_t n, uint64_t pay_by_wall_ms);

#endif
