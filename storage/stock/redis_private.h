/*
 * redis_private: the calls of the unified stock, for redis.c: the arguments of their scripts, and
 * the replies. redis_attach.c has examine and attach, redis_step.c step, redis_act.c the others.
 * They take the arguments of stock.h, while there is a connection.
 *
 * Owner: the ledger thread.
 */
#ifndef SPIKE_REDIS_PRIVATE_H
#define SPIKE_REDIS_PRIVATE_H

#include "storage/stock/redis_pack.h"
#include "storage/stock/redis_script.h"

MUST_CHECK enum stock_result redis_examine(struct redis_scripts *s, struct stock_attach *at,
                                           struct fault *f);
MUST_CHECK enum stock_result redis_attach(struct redis_scripts *s, struct stock_attach *at,
                                          struct fault *f);
MUST_CHECK enum stock_result redis_step(struct redis_scripts *s, struct redis_pack *pack,
                                        struct stock_step *st, struct fault *f);
MUST_CHECK enum stock_result redis_act(struct redis_scripts *s, struct stock_act *act,
                                       struct fault *f);
MUST_CHECK enum stock_result redis_reclaim(struct redis_scripts *s, struct stock_reclaim *rc,
                                           struct fault *f);

#endif
