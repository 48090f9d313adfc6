/*
 * redis_inspect_hash: parses the hash and the registry of an event; for redis_inspect.c alone. The
 * fields are those that attach.lua and step.lua write.
 *
 * Threads: any; pure.
 */
#ifndef SPIKE_REDIS_INSPECT_HASH_H
#define SPIKE_REDIS_INSPECT_HASH_H

#include <hiredis/hiredis.h>

#include "storage/stock/redis_inspect.h"

/* From the replies to two HGETALL. False: they are not of the expected form. */
MUST_CHECK bool inspect_parse_event(const redisReply *hash, const redisReply *registry,
                                    const char *event, struct inspect_event *out);
/* Is it a list of names and values, all of them strings? */
bool inspect_is_pairs(const redisReply *list);
/* A number of the hash; 0 for one below 0: a total of -1 means that it is parked. */
uint64_t inspect_number(const char *text);

#endif
