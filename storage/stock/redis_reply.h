/*
 * redis_reply: reads the fields of a script's reply. Every field is checked before its value is
 * used: false, or NULL, means that the field is missing or not of the expected form.
 *
 * Threads: any; pure.
 */
#ifndef SPIKE_REDIS_REPLY_H
#define SPIKE_REDIS_REPLY_H

#include <hiredis/hiredis.h>

#include "storage/stock/stock.h"

/* The names of enum stock_state in the scripts. */
extern const char *const stock_state_names[];

/* Element i of an array; NULL: it is not a string. */
const char *reply_text(const redisReply *reply, size_t i);
/* Element i, an integer of 0 .. max. */
MUST_CHECK bool reply_number(const redisReply *reply, size_t i, uint64_t max, uint64_t *out);
MUST_CHECK bool reply_u32(const redisReply *reply, size_t i, uint32_t *out);
MUST_CHECK bool reply_state(const redisReply *reply, size_t i, enum stock_state *out);
/* "version node time_ms from", or "" if there was no act. */
MUST_CHECK bool reply_origin(const char *text, struct stock_origin *o);
/* Two elements from i on: the tickets gone from the unified stock, and those that nodes of the sale
 * have sold; the rest is foreign. */
MUST_CHECK bool reply_gone(const redisReply *reply, size_t i, struct stock_figures *g);

#endif
