/*
 * The unified stock: four scripts in Redis, called by their SHA1 and, if Redis does not know them
 * (NOSCRIPT: nothing was run), by their text. What they do is written in attach.lua, step.lua,
 * act.lua and reclaim.lua.
 *
 * An error reply means that a script did not run or stopped before its first write (every check
 * comes first). Even so it is treated like no reply: the connection is closed, the batch is void,
 * the node attaches again. One way out of every trouble, and the attach puts the books straight.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act.lua.h"
#include "attach.lua.h"
#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "reclaim.lua.h"
#include "step.lua.h"
#include "storage/stock/redis.h"
#include "storage/stock/reply.h"

static const struct {
    const char *name, *text;
} scripts[SCRIPT_COUNT] = {
    {"attach", attach_lua}, {"step", step_lua}, {"act", act_lua}, {"reclaim", reclaim_lua}};

static const char *const key_suffix[KEY_COUNT] = {NULL,     "requests", "buyers",
                                                  "grants", "nodes",    "orders"};

static uint64_t deadline_of(const struct redis *r)
{
    return clock_mono_us() + r->stock.timeout_us;
}

static enum stock_result doubt(struct redis *r, const redisReply *reply, const char *doing,
                               struct fault *f)
{
    if (reply->type == REDIS_REPLY_ERROR)
        fault_set(f, "redis %s: %s: %s", r->link.addr->text, doing, reply->str);
    else
        fault_set(f, "redis %s: %s: the answer is not of the expected form", r->link.addr->text,
                  doing);
    redis_conn_close(&r->link);
    return STOCK_UNKNOWN;
}

/* ---- connect -------------------------------------------------------------------------------- */

/* Reads "field:value\r\n" out of INFO's text. */
static bool info_field(const redisReply *info, const char *field, char *out, size_t size)
{
    if (info->type != REDIS_REPLY_STRING)
        return false;
    const char *at = strstr(info->str, field);
    if (at == NULL)
        return false;
    at += strlen(field);
    size_t len = strcspn(at, "\r\n");
    if (len >= size)
        return false;
    memcpy(out, at, len);
    out[len] = '\0';
    return true;
}

static bool learn_run(struct redis *r, struct fault *f)
{
    char version[32];
    redis_conn_begin(&r->link);
    redis_conn_add_text(&r->link, "INFO");
    redis_conn_add_text(&r->link, "server");
    redisReply *info = redis_conn_call(&r->link, deadline_of(r), f);
    if (info == NULL)
        return false;
    bool good = info_field(info, "run_id:", r->run, sizeof r->run) &&
                info_field(info, "redis_version:", version, sizeof version);
    if (!good)
        (void)doubt(r, info, "INFO server", f);
    else if (atoi(version) < 7)
        good = fault(f, "redis %s: version %s; spike needs Redis 7 or later", r->link.addr->text,
                     version);
    freeReplyObject(info);
    if (!good)
        redis_conn_close(&r->link);
    return good;
}

static bool load_script(struct redis *r, enum script which, struct fault *f)
{
    redis_conn_begin(&r->link);
    redis_conn_add_text(&r->link, "SCRIPT");
    redis_conn_add_text(&r->link, "LOAD");
    redis_conn_add_text(&r->link, scripts[which].text);
    redisReply *reply = redis_conn_call(&r->link, deadline_of(r), f);
    if (reply == NULL)
        return false;
    bool good = reply->type == REDIS_REPLY_STRING && reply->len == SHA1_TEXT;
    if (good)
        memcpy(r->sha1[which], reply->str, SHA1_TEXT + 1);
    else
        (void)doubt(r, reply, "SCRIPT LOAD", f);
    freeReplyObject(reply);
    return good;
}

static enum stock_result redis_connect(struct stock *s, struct fault *f)
{
    struct redis *r = redis_of(s);
    if (redis_conn_is_open(&r->link))
        return STOCK_OK;
    if (!redis_conn_open(&r->link, deadline_of(r), f) || !learn_run(r, f))
        return STOCK_UNKNOWN;
    for (int i = 0; i < SCRIPT_COUNT; i++)
        if (!load_script(r, (enum script)i, f))
            return STOCK_UNKNOWN;
    return STOCK_OK;
}

static void redis_disconnect(struct stock *s)
{
    redis_conn_close(&redis_of(s)->link);
}

/* ---- scripts -------------------------------------------------------------------------------- */

void redis_begin_script(struct redis *r, enum script which, uint32_t event, uint64_t epoch)
{
    struct redis_event *e = &r->events[event];
    redis_conn_begin(&r->link);
    redis_conn_add_text(&r->link, "EVALSHA");
    redis_conn_add(&r->link, r->sha1[which], SHA1_TEXT);
    redis_conn_add_number(&r->link, KEY_COUNT);
    for (int i = 0; i < KEY_COUNT; i++)
        redis_conn_add_text(&r->link, e->keys[i]);
    redis_conn_add_text(&r->link, r->node);
    redis_conn_add_number(&r->link, (int64_t)epoch);
    redis_conn_add_text(&r->link, e->total);
    redis_conn_add_text(&r->link, e->sold);
}

/* The reply to the script. NULL: in doubt. */
static redisReply *call_script(struct redis *r, enum script which, struct fault *f)
{
    redisReply *reply = redis_conn_call(&r->link, deadline_of(r), f);
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR ||
        strncmp(reply->str, "NOSCRIPT", strlen("NOSCRIPT")) != 0)
        return reply;
    freeReplyObject(reply); /* it was not run; the text makes Redis know it again */
    r->link.args.argv[0] = "EVAL";
    r->link.args.lens[0] = strlen("EVAL");
    r->link.args.argv[1] = scripts[which].text;
    r->link.args.lens[1] = strlen(scripts[which].text);
    return redis_conn_call(&r->link, deadline_of(r), f);
}

/* What all scripts may say instead of OK; STOCK_OK if it is OK. */
static enum stock_result status_of(struct redis *r, const redisReply *reply, const char *doing,
                                   struct fault *f)
{
    const char *status = reply_text(reply, 0);
    if (status == NULL)
        return doubt(r, reply, doing, f);
    if (strcmp(status, "OK") == 0)
        return STOCK_OK;
    const char *why = reply_text(reply, 1);
    fault_set(f, "redis %s: %s: %s", r->link.addr->text, doing,
              why != NULL ? why : "no reason given");
    if (strcmp(status, "ATTACH") == 0)
        return STOCK_ATTACH;
    if (strcmp(status, "OTHER") == 0)
        return STOCK_CONFLICT;
    return doubt(r, reply, doing, f);
}

static void add_known(struct redis *r, const struct stock_attach *at)
{
    size_t used = 0;
    for (uint32_t i = 0; i < at->known_count; i++)
        used += (size_t)snprintf(r->known + used, sizeof r->known - used, "%u ",
                                 (unsigned)at->known[i]);
    ASSERT(used < sizeof r->known);
    redis_conn_add(&r->link, r->known, used);
}

/* "id:epoch:gone:silent " of each node, as we have last heard. */
static void add_nodes(struct redis *r, const struct stock_attach *at)
{
    size_t used = 0;
    for (uint32_t i = 0; i < at->node_count; i++) {
        const struct stock_node *n = &at->nodes[i];
        used += (size_t)snprintf(r->nodes + used, sizeof r->nodes - used,
                                 "%u:%" PRIu64 ":%" PRIu32 ":%d ", (unsigned)n->id, n->epoch,
                                 n->gone, n->silent ? 1 : 0);
    }
    ASSERT(used < sizeof r->nodes);
    redis_conn_add(&r->link, r->nodes, used);
}

/* "version node time_ms from" of the journal's last act. */
static void add_origin(struct redis *r, const struct stock_attach *at)
{
    const struct stock_origin *o = &at->origin;
    int len = 0;
    if (o->node > 0)
        len = snprintf(r->act, sizeof r->act, "%" PRIu32 " %u %" PRIu64 " %.*s", at->version,
                       (unsigned)o->node, o->wall_ms, (int)o->from_len, o->from);
    ASSERT(len >= 0 && (size_t)len < sizeof r->act);
    redis_conn_add(&r->link, r->act, (size_t)len);
}

static void add_attach(struct redis *r, const struct stock_attach *at)
{
    stock_new_sale(&r->fresh);
    sodium_bin2hex(r->secret[0], sizeof r->secret[0], at->sale.secret, ORDERID_SECRET);
    sodium_bin2hex(r->secret[1], sizeof r->secret[1], r->fresh.secret, ORDERID_SECRET);
    redis_begin_script(r, SCRIPT_ATTACH, at->event, at->epoch);
    redis_conn_add_text(&r->link, r->run);
    redis_conn_add_text(&r->link, at->sale.id);
    redis_conn_add_text(&r->link, at->sale.id[0] != '\0' ? r->secret[0] : "");
    redis_conn_add_text(&r->link, r->fresh.id);
    redis_conn_add_text(&r->link, r->secret[1]);
    redis_conn_add_number(&r->link, (int64_t)at->last);
    redis_conn_add_number(&r->link, (int64_t)at->end);
    redis_conn_add_number(&r->link, at->total);
    redis_conn_add_number(&r->link, at->version);
    redis_conn_add_text(&r->link, stock_state_names[at->state]);
    redis_conn_add_number(&r->link, at->seen.foreign);
    redis_conn_add_number(&r->link, (int64_t)at->seen.turn);
    add_known(r, at);
    add_nodes(r, at);
    redis_conn_add_number(&r->link, at->just_heard ? 1 : 0);
    add_origin(r, at);
    redis_conn_add_number(&r->link, (int64_t)at->own_epoch);
}

/* "1 2 3" */
static bool take_known(const char *text, struct stock_attach *at)
{
    at->known_count = 0;
    while (text != NULL && *text != '\0') {
        char *end;
        unsigned long id = strtoul(text, &end, 10);
        if (end == text || id < 1 || id > NODE_MAX || at->known_count == NODES_MAX)
            return false;
        at->known[at->known_count++] = (uint16_t)id;
        text = *end == ' ' ? end + 1 : end;
    }
    return text != NULL;
}

static bool take_attach(const redisReply *reply, void *into)
{
    struct stock_attach *at = into;
    const char *sale = reply_text(reply, 1), *secret = reply_text(reply, 2);
    uint64_t repair;
    size_t len;
    if (sale == NULL || strlen(sale) != STOCK_SALE_TEXT || secret == NULL ||
        strlen(secret) != (size_t)2 * ORDERID_SECRET ||
        sodium_hex2bin(at->sale.secret, ORDERID_SECRET, secret, (size_t)2 * ORDERID_SECRET, NULL,
                       &len, NULL) != 0)
        return false;
    memcpy(at->sale.id, sale, sizeof at->sale.id);
    if (!reply_number(reply, 3, INT64_MAX, &at->pos) ||
        !reply_state(reply, 4, &at->figures.state) || !reply_u32(reply, 5, &at->figures.version) ||
        !reply_u32(reply, 6, &at->figures.total) || !reply_number(reply, 7, 1, &repair) ||
        !reply_u32(reply, 8, &at->voided) || !take_known(reply_text(reply, 9), at) ||
        !reply_number(reply, 10, INT64_MAX, &at->figures.turn) ||
        !reply_origin(reply_text(reply, 11), &at->origin) ||
        !reply_number(reply, 12, INT64_MAX, &at->figures.since))
        return false;
    at->figures.repair = repair == 1;
    at->figures.ready = false;
    return true;
}

enum stock_result redis_finish_script(struct redis *r, enum script which,
                                      bool (*take)(const redisReply *reply, void *into), void *into,
                                      struct fault *f)
{
    const char *doing = scripts[which].name;
    redisReply *reply = call_script(r, which, f);
    if (reply == NULL)
        return STOCK_UNKNOWN;
    enum stock_result result = status_of(r, reply, doing, f);
    if (result == STOCK_OK && !take(reply, into))
        result = doubt(r, reply, doing, f);
    freeReplyObject(reply);
    return result;
}

/* "pos chain" of the proof, then epoch, beat and the time. */
static bool take_found(const redisReply *reply, void *into)
{
    struct stock_found *found = into;
    const char *proof = reply_text(reply, 1), *epoch = reply_text(reply, 2);
    const char *beat = reply_text(reply, 3);
    if (proof == NULL || epoch == NULL || beat == NULL ||
        sscanf(proof, "%20" SCNu64 " %10" SCNu32, &found->proof_pos, &found->proof_chain) != 2)
        return false;
    found->epoch = strtoull(epoch, NULL, 10);
    found->beat = strtoull(beat, NULL, 10);
    return reply_number(reply, 4, INT64_MAX, &found->now);
}

static enum stock_result redis_examine(struct stock *s, struct stock_attach *at, struct fault *f)
{
    struct redis *r = redis_of(s);
    add_attach(r, at);
    redis_conn_add_text(&r->link, "");
    redis_conn_add_text(&r->link, "");
    return redis_finish_script(r, SCRIPT_ATTACH, take_found, &at->found, f);
}

static enum stock_result redis_attach(struct stock *s, struct stock_attach *at, struct fault *f)
{
    struct redis *r = redis_of(s);
    add_attach(r, at);
    snprintf(r->proof, sizeof r->proof, "%" PRIu64 " %" PRIu32, at->found.proof_pos,
             at->found.proof_chain);
    redis_conn_add_text(&r->link, r->proof);
    if (at->first)
        redis_conn_add_number(&r->link, (int64_t)at->found.beat);
    else
        redis_conn_add_text(&r->link, "");
    return redis_finish_script(r, SCRIPT_ATTACH, take_attach, at, f);
}

/* ---- start ---------------------------------------------------------------------------------- */

static void name_event(struct redis_event *e, const char *name)
{
    snprintf(e->keys[0], FIELD_TEXT, "%s_hash_key", name);
    for (int i = 1; i < KEY_COUNT; i++)
        snprintf(e->keys[i], FIELD_TEXT, "{%.*s_hash_key}:%s", EVENT_NAME_MAX, name, key_suffix[i]);
    snprintf(e->total, FIELD_TEXT, "%s_total_nums", name);
    snprintf(e->sold, FIELD_TEXT, "%s_sold_nums", name);
}

/* As one word: conf has seen to that. */
static void name_node(struct redis *r, const struct conf *conf)
{
    const struct conf_addr *a = &conf->advertise;
    snprintf(r->node, sizeof r->node, "%u", (unsigned)conf->node);
    if (a->len > 0 && a->to.any.sa_family == AF_UNIX)
        snprintf(r->advertise, sizeof r->advertise, "unix:%s", a->to.local.sun_path);
    else
        snprintf(r->advertise, sizeof r->advertise, "%s", a->len > 0 ? a->text : "-");
}

static void redis_init(struct stock *s, const struct arena *a)
{
    struct redis *r = redis_of(s);
    redis_conn_init(&r->link, a);
    r->pack.bytes = arena_block(a, r->pack_pool);
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
};

struct stock *stock_redis_plan(const struct conf *conf, struct arena *a)
{
    static struct redis redis;
    redis = (struct redis){.stock = {.ops = &redis_ops, .conf = conf}};
    stock_set_timeout(&redis.stock, conf->redis_timeout_ms);
    name_node(&redis, conf);
    for (uint32_t i = 0; i < conf->event_count; i++)
        name_event(&redis.events[i], conf->events[i].name);
    redis_conn_plan(&redis.link, &conf->redis, a, ARGS);
    redis.pack.max = SETTLE_MAX * CHANGE_BYTES + BATCH_MAX * ITEM_BYTES;
    redis.pack_pool = arena_plan(a, "redis arguments", redis.pack.max, 1);
    return &redis.stock;
}
