/*
 * redis_script: calls the four scripts that define the unified stock. It owns the connection to
 * Redis, and knows the SHA1 of the scripts and their common arguments. The other arguments of a
 * call, and the meaning of its reply, are left to redis_attach.c, redis_step.c and redis_act.c.
 *
 * One call: redis_script_begin() puts the common arguments together and returns the connection, to
 * which the caller adds the others; redis_script_finish() sends them, waits, and has the reply
 * parsed. Arguments must stay where they are until then.
 *
 * Owner: the ledger thread.
 */
#ifndef SPIKE_REDIS_SCRIPT_H
#define SPIKE_REDIS_SCRIPT_H

#include "storage/stock/redis_conn.h"
#include "storage/stock/stock.h"

enum script { SCRIPT_ATTACH, SCRIPT_STEP, SCRIPT_ACT, SCRIPT_RECLAIM, SCRIPT_COUNT };

struct redis_scripts;

/* False: the reply is not of the expected form. */
typedef bool redis_script_parse(const redisReply *reply, void *into);

/* A process has one; `conf` must outlive it. */
struct redis_scripts *redis_scripts_plan(const struct conf *conf, struct arena *a);
void redis_scripts_init(struct redis_scripts *s, const struct arena *a);
/* How long one exchange with Redis may take. */
void redis_scripts_set_timeout(struct redis_scripts *s, uint64_t timeout_ms);

/* Connects, if there is no connection, and loads the scripts. STOCK_OK or STOCK_UNKNOWN. */
MUST_CHECK enum stock_result redis_scripts_connect(struct redis_scripts *s, struct fault *f);
void redis_scripts_disconnect(struct redis_scripts *s);
/* Identifies the run of the Redis that is connected: another one has started since. */
const char *redis_scripts_run_id(const struct redis_scripts *s);

const struct conf *redis_scripts_conf(const struct redis_scripts *s);

struct redis_conn *redis_script_begin(struct redis_scripts *s, enum script script, uint32_t event,
                                      uint64_t epoch);
/* The script that was begun. STOCK_UNKNOWN: in doubt, and disconnected. */
MUST_CHECK enum stock_result redis_script_finish(struct redis_scripts *s, redis_script_parse *parse,
                                                 void *into, struct fault *f);

#endif
