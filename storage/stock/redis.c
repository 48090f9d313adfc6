/*
 * The unified stock: every call is a script in Redis (redis_script.c), which all nodes of the sale
 * run. This file puts the parts together; redis_attach.c, redis_step.c and redis_act.c hold the
 * calls.
 */
#include "storage/stock/redis_private.h"

static void redis_init(struct stock *s, const struct arena *a)
{
    redis_scripts_init(redis_of(s)->scripts, a);
    redis_pack_init(redis_of(s)->pack, a);
}

static enum stock_result redis_connect(struct stock *s, struct fault *f)
{
    return redis_scripts_connect(redis_of(s)->scripts, f);
}

static void redis_disconnect(struct stock *s)
{
    redis_scripts_disconnect(redis_of(s)->scripts);
}

static void redis_set_timeout(struct stock *s, uint64_t timeout_ms)
{
    redis_scripts_set_timeout(redis_of(s)->scripts, timeout_ms);
}

static const struct stock_ops redis_ops = {
    .init = redis_init,
    .connect = redis_connect,
    .examine = redis_examine,
    .attach = redis_attach,
    .step = redis_step,
    .act = redis_act,
    .reclaim = redis_reclaim,
    .disconnect = redis_disconnect,
    .set_timeout = redis_set_timeout,
};

struct stock *stock_redis_plan(const struct conf *conf, struct arena *a)
{
    static struct redis redis;
    redis = (struct redis){.stock = {.ops = &redis_ops, .conf = conf}};
    redis.scripts = redis_scripts_plan(conf, a);
    redis.pack = redis_pack_plan(a);
    return &redis.stock;
}
