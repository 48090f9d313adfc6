#include "storage/stock/redis_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STATES 3

const char *const stock_state_names[STATES] = {
    [STOCK_OPEN] = "open", [STOCK_PAUSED] = "paused", [STOCK_CLOSED] = "closed"};

const char *reply_text(const redisReply *reply, size_t i)
{
    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements)
        return NULL;
    const redisReply *e = reply->element[i];
    ASSERT(e != NULL); /* hiredis: a whole reply has all of its elements */
    return e->type == REDIS_REPLY_STRING ? e->str : NULL;
}

bool reply_number(const redisReply *reply, size_t i, uint64_t max, uint64_t *out)
{
    if (reply->type != REDIS_REPLY_ARRAY || i >= reply->elements)
        return false;
    const redisReply *e = reply->element[i];
    ASSERT(e != NULL && max <= INT64_MAX);
    if (e->type != REDIS_REPLY_INTEGER || e->integer < 0 || (uint64_t)e->integer > max)
        return false;
    *out = (uint64_t)e->integer;
    return true;
}

bool reply_u32(const redisReply *reply, size_t i, uint32_t *out)
{
    uint64_t wide;
    if (!reply_number(reply, i, UINT32_MAX, &wide))
        return false;
    *out = (uint32_t)wide;
    return true;
}

bool reply_state(const redisReply *reply, size_t i, enum stock_state *out)
{
    const char *name = reply_text(reply, i);
    for (size_t k = 0; name != NULL && k < STATES; k++) {
        if (strcmp(name, stock_state_names[k]) == 0) {
            *out = (enum stock_state)k;
            return true;
        }
    }
    return false;
}

bool reply_gone(const redisReply *reply, size_t i, struct stock_figures *g)
{
    uint32_t sold_by_us;
    if (!reply_u32(reply, i, &g->gone) || !reply_u32(reply, i + 1, &sold_by_us))
        return false;
    g->foreign = g->gone > sold_by_us ? g->gone - sold_by_us : 0;
    ASSERT(g->foreign <= g->gone);
    return true;
}

bool reply_origin(const char *text, struct stock_origin *o)
{
    char from[PARAM_MAX + 1] = "";
    unsigned node;
    memset(o, 0, sizeof *o);
    if (text == NULL || text[0] == '\0')
        return text != NULL;
    if (sscanf(text, "%*u %5u %20" SCNu64 " %64s", &node, &o->wall_ms, from) < 2 || node < 1 ||
        node > NODE_MAX)
        return false;
    o->node = (uint16_t)node;
    o->from_len = (uint8_t)strlen(from);
    ASSERT(o->from_len <= sizeof o->from);
    memcpy(o->from, from, o->from_len);
    return true;
}
