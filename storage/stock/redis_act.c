/*
 * What an operator does: an act on the event (act.lua), and nodes that are given up (reclaim.lua):
 * the arguments of the scripts, and their replies.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/stock/redis_private.h"
#include "storage/stock/redis_reply.h"

/* The index of the outcome among the names; `count`: it is none of them. */
static uint32_t outcome_of(const redisReply *reply, const char *const *names, uint32_t count)
{
    const char *name = reply_text(reply, 1);
    uint32_t k = 0;
    while (k < count && (name == NULL || strcmp(name, names[k]) != 0))
        k++;
    return k;
}

static bool parse_act(const redisReply *reply, void *into)
{
    static const char *const outcomes[] = {
        [STOCK_DONE] = "done",
        [STOCK_STALE] = "stale",
        [STOCK_TOO_LOW] = "low",
        [STOCK_LATER] = "later",
    };
    struct stock_act *act = into;
    struct stock_figures *g = &act->figures;
    uint32_t k = outcome_of(reply, outcomes, ARRAY_LEN(outcomes));
    uint64_t repair;
    *g = act->seen;
    if (k == ARRAY_LEN(outcomes) || !reply_state(reply, 2, &g->state) ||
        !reply_u32(reply, 3, &g->version) || !reply_u32(reply, 4, &g->total) ||
        !reply_gone(reply, 5, g) || !reply_number(reply, 7, 1, &repair) ||
        !reply_number(reply, 8, INT64_MAX, &g->revision))
        return false;
    act->outcome = k;
    g->repair = repair == 1;
    return true;
}

enum stock_result redis_act(struct redis_scripts *s, struct stock_act *act, struct fault *f)
{
    char from[PARAM_MAX + 1];
    ASSERT(act->origin.from_len <= PARAM_MAX && act->state <= STOCK_CLOSED);
    memcpy(from, act->origin.from, act->origin.from_len);
    from[act->origin.from_len] = '\0';
    struct redis_conn *c = redis_script_begin(s, SCRIPT_ACT, act->event, act->epoch);
    redis_conn_add_number(c, act->seen.version);
    redis_conn_add_text(c, stock_state_names[act->state]);
    redis_conn_add_number(c, act->total);
    redis_conn_add_number(c, (int64_t)act->origin.wall_ms);
    redis_conn_add_text(c, from);
    redis_conn_add_number(c, (int64_t)act->seen.revision);
    return redis_script_finish(s, parse_act, act, f);
}

/* "id:gone:back:new ..." */
static bool parse_evicted(const char *text, struct stock_reclaim *rc)
{
    rc->evicted_count = 0;
    while (text != NULL && *text != '\0') {
        struct stock_evicted *g = &rc->evicted[rc->evicted_count];
        unsigned id, is_new;
        int used = 0;
        if (rc->evicted_count == NODES_MAX ||
            sscanf(text, "%5u:%10" SCNu32 ":%10" SCNu32 ":%1u%n", &id, &g->gone, &g->back, &is_new,
                   &used) != 4 ||
            id < 1 || id > NODE_MAX)
            return false;
        g->node = (uint16_t)id;
        g->is_new = is_new == 1;
        rc->evicted_count++;
        text += used + (text[used] == ' ' ? 1 : 0);
    }
    return text != NULL;
}

static bool parse_reclaim(const redisReply *reply, void *into)
{
    static const char *const outcomes[] = {
        [STOCK_RECLAIMED] = "done",
        [STOCK_ALIVE] = "alive",
        [STOCK_EARLY] = "early",
        [STOCK_NO_SUCH_NODE] = "unknown",
    };
    struct stock_reclaim *rc = into;
    struct stock_figures *g = &rc->figures;
    uint32_t subject, k = outcome_of(reply, outcomes, ARRAY_LEN(outcomes));
    *g = rc->seen;
    if (k == ARRAY_LEN(outcomes) || !parse_evicted(reply_text(reply, 2), rc) ||
        !reply_gone(reply, 3, g) || !reply_number(reply, 5, INT64_MAX, &g->revision) ||
        !reply_u32(reply, 6, &subject) || subject > NODE_MAX ||
        !reply_u32(reply, 7, &rc->subject_ms))
        return false;
    rc->outcome = k;
    rc->subject_node = (uint16_t)subject;
    return true;
}

enum stock_result redis_reclaim(struct redis_scripts *s, struct stock_reclaim *rc, struct fault *f)
{
    struct redis_conn *c = redis_script_begin(s, SCRIPT_RECLAIM, rc->event, rc->epoch);
    redis_conn_add_number(c, (int64_t)rc->seen.revision);
    redis_conn_add_number(c, (int64_t)redis_scripts_conf(s)->node_timeout_ms);
    redis_conn_add_number(c, rc->node);
    redis_conn_add_number(c, rc->journal_lost ? 1 : 0);
    redis_conn_add_number(c, (int64_t)rc->patience_ms);
    if (rc->has_waited)
        redis_conn_add_number(c, (int64_t)rc->seen.repair_since_wall_ms);
    else
        redis_conn_add_text(c, "");
    redis_conn_add_number(c, rc->only_decide ? 1 : 0);
    return redis_script_finish(s, parse_reclaim, rc, f);
}
