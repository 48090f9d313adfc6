/*
 * redis: what the files that speak with Redis share: redis.c (connections, scripts, attach) and
 * redis_step.c (step), redis_act.c (act, reclaim). Not for others.
 */
#ifndef SPIKE_STOCK_REDIS_H
#define SPIKE_STOCK_REDIS_H

#include "storage/stock/pack.h"
#include "storage/stock/private.h"
#include "storage/stock/redis_conn.h"

#define SHA1_TEXT      40
#define RUN_TEXT       40
#define KEY_COUNT      6
#define FIELD_TEXT     (EVENT_NAME_MAX + 24)
#define ARGS           (3 + KEY_COUNT + 24) /* of a step, which has the most */
#define KNOWN_TEXT     (NODES_MAX * 6)
#define NODES_TEXT     (NODES_MAX * 40)
#define KEY_HASH_BYTES 8
/* The most that one of them can take in a pack, each in a run of its own. */
#define NAMES_BYTES  (4 + PARAM_MAX + KEY_HASH_BYTES + PARAM_MAX) /* buyer, mark, key */
#define ITEM_BYTES   (1 + 2 + 1 + PACK_DIGITS + NAMES_BYTES)
#define RUN_BYTES    (1 + 2 + 4 + 4 + 8 + 8 + 1 + PACK_DIGITS)
#define CHANGE_BYTES (RUN_BYTES + ORDERID_TEXT + 3 * (1 + PACK_DIGITS) + NAMES_BYTES)

struct redis_event {
    char keys[KEY_COUNT][FIELD_TEXT];
    char total[FIELD_TEXT], sold[FIELD_TEXT];
};

enum script { SCRIPT_ATTACH, SCRIPT_STEP, SCRIPT_ACT, SCRIPT_RECLAIM, SCRIPT_COUNT };

struct redis {
    struct stock stock;
    struct redis_conn link;
    char node[8];
    char advertise[sizeof(((struct conf_addr *)0)->text)]; /* or "-" */
    char run[RUN_TEXT + 1];
    char sha1[SCRIPT_COUNT][SHA1_TEXT + 1];
    char secret[2][2 * ORDERID_SECRET + 1]; /* of the journal's sale and of a new one, in hex */
    struct stock_sale fresh;
    char known[KNOWN_TEXT], nodes[NODES_TEXT];
    char proof[2 * 21]; /* "pos chain" */
    char from[PARAM_MAX + 1], prefix[sizeof "NNNN-SS"], act[PARAM_MAX + 48];
    struct redis_event events[EVENTS_MAX];
    struct pack pack; /* changes and items of one step */
    size_t pack_pool;
};

/* Begins a call of the script: its name, its keys, and the four arguments that all have. */
void redis_begin_script(struct redis *r, enum script which, uint32_t event, uint64_t epoch);
/* Runs the script that was put together and takes its answer apart. */
enum stock_result redis_finish_script(struct redis *r, enum script which,
                                      bool (*take)(const redisReply *reply, void *into), void *into,
                                      struct fault *f);

/* redis_step.c */
enum stock_result redis_step(struct stock *s, struct stock_step *st, struct fault *f);
/* redis_act.c */
enum stock_result redis_reclaim(struct stock *s, struct stock_reclaim *rc, struct fault *f);
enum stock_result redis_act(struct stock *s, struct stock_act *act, struct fault *f);

static inline struct redis *redis_of(struct stock *s)
{
    return (struct redis *)s;
}

#endif
