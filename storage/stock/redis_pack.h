/*
 * redis_pack: the changes and the items of a step as two arguments of a command, in the form that
 * step.lua unpacks (its ARGV 22 and 24). An argument of its own costs both sides more than most
 * fields hold, so all changes go into one, and all items into another.
 *
 * Owner: the ledger thread.
 */
#ifndef SPIKE_REDIS_PACK_H
#define SPIKE_REDIS_PACK_H

#include "storage/stock/stock.h"

#define KEY_HASH_BYTES 8 /* of a key hash, in an argument and in Redis: little-endian */

struct redis_pack;

/* Plans the memory for the largest step; a process has one pack. */
struct redis_pack *redis_pack_plan(struct arena *a);
void redis_pack_init(struct redis_pack *p, const struct arena *a);

/* Packs the step's changes and items in place of those that were packed before. */
void redis_pack_step(struct redis_pack *p, const struct stock_step *st);
/* What was packed; it stays where it is until the next step. */
const char *redis_pack_changes(const struct redis_pack *p, size_t *len);
const char *redis_pack_items(const struct redis_pack *p, size_t *len);

#endif
