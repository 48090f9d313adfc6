/*
 * The unified stock: every call is a script in Redis (redis_script.c), which all nodes of the sale
 * run. This file puts the parts together; redis_attach.c, redis_step.c and redis_act.c hold the
 * calls.
 */
#include "storage/stock/redis_private.h"
#include "storage/stock/stock_private.h"

struct redis {
    struct stock stock;
    struct redis_scripts *scripts;
    struct redis_pack *pack; /* of a step */
};

static struct redis *redis_of(struct stock *s)
{
    return (struct redis *)s;
}

static void init(struct stock *s, const struct arena *a)
{
    redis_scripts_init(redis_of(s)->scripts, a);
    redis_pack_init(redis_of(s)->pack, a);
}

static enum stock_result open_connection(struct stock *s, struct fault *f)
{
    return redis_scripts_connect(redis_of(s)->scripts, f);
}

static enum stock_result examine(struct stock *s, struct stock_attach *at, struct fault *f)
{
    return redis_examine(redis_of(s)->scripts, at, f);
}

static enum stock_result attach(struct stock *s, struct stock_attach *at, struct fault *f)
{
    return redis_attach(redis_of(s)->scripts, at, f);
}

static enum stock_result step(struct stock *s, struct stock_step *st, struct fault *f)
{
    return redis_step(redis_of(s)->scripts, redis_of(s)->pack, st, f);
}

static enum stock_result act_on_event(struct stock *s, struct stock_act *act, struct fault *f)
{
    return redis_act(redis_of(s)->scripts, act, f);
}

static enum stock_result reclaim(struct stock *s, struct stock_reclaim *rc, struct fault *f)
{
    return redis_reclaim(redis_of(s)->scripts, rc, f);
}

static void disconnect(struct stock *s)
{
    redis_scripts_disconnect(redis_of(s)->scripts);
}

static void set_timeout(struct stock *s, uint64_t timeout_ms)
{
    redis_scripts_set_timeout(redis_of(s)->scripts, timeout_ms);
}

static const struct stock_ops redis_ops = {
    .init = init,
    .connect = open_connection,
    .examine = examine,
    .attach = attach,
    .step = step,
    .act = act_on_event,
    .reclaim = reclaim,
    .disconnect = disconnect,
    .set_timeout = set_timeout,
};

struct stock *stock_redis_plan(const struct conf *conf, struct arena *a)
{
    static struct redis redis;
    ASSERT(conf->redis.len > 0);
    redis = (struct redis){.stock = {.ops = &redis_ops, .conf = conf}};
    redis.scripts = redis_scripts_plan(conf, a);
    redis.pack = redis_pack_plan(a);
    return &redis.stock;
}
