/*
 * redis_private: the unified stock as its files share it: redis.c (the stock), redis_attach.c,
 * redis_step.c and redis_act.c (one call each: what it says and what its reply means).
 *
 * Owner: the ledger thread.
 */
#ifndef SPIKE_REDIS_PRIVATE_H
#define SPIKE_REDIS_PRIVATE_H

#include "storage/stock/redis_pack.h"
#include "storage/stock/redis_script.h"
#include "storage/stock/stock_private.h"

struct redis {
    struct stock stock;
    struct redis_scripts *scripts;
    struct redis_pack *pack; /* of a step */
};

static inline struct redis *redis_of(struct stock *s)
{
    return (struct redis *)s;
}

enum stock_result redis_examine(struct stock *s, struct stock_attach *at, struct fault *f);
enum stock_result redis_attach(struct stock *s, struct stock_attach *at, struct fault *f);
enum stock_result redis_step(struct stock *s, struct stock_step *st, struct fault *f);
enum stock_result redis_act(struct stock *s, struct stock_act *act, struct fault *f);
enum stock_result redis_reclaim(struct stock *s, struct stock_reclaim *rc, struct fault *f);

#endif
