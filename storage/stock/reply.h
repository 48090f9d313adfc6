/*
 * reply: takes what a script answers apart. Nothing that Redis says is believed before it is looked
 * at: false, or NULL, means that it is not of the expected form.
 *
 * Threads: any; pure.
 */
#ifndef SPIKE_STOCK_REPLY_H
#define SPIKE_STOCK_REPLY_H

#include <hiredis/hiredis.h>

#include "storage/stock/stock.h"

/* The words of enum stock_state. */
extern const char *const stock_state_names[];

/* Element i of an array; NULL: it is no string. */
const char *reply_text(const redisReply *reply, size_t i);
MUST_CHECK bool reply_number(const redisReply *reply, size_t i, uint64_t max, uint64_t *out);
MUST_CHECK bool reply_u32(const redisReply *reply, size_t i, uint32_t *out);
MUST_CHECK bool reply_state(const redisReply *reply, size_t i, enum stock_state *out);
/* "version node time_ms from", or nothing. */
MUST_CHECK bool reply_origin(const char *text, struct stock_origin *o);

#endif
