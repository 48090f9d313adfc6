/*
 * A script is called by its SHA1 and, if Redis does not know it (NOSCRIPT: nothing was run), by its
 * text. attach.lua, step.lua, act.lua and reclaim.lua describe what they do.
 *
 * An error reply means that a script did not run, or stopped before its first write: every check
 * comes before it. Even so an error is treated like a missing reply: the connection is closed, the
 * batch is void, and the node attaches again. There is one way out of every failure: the attach,
 * which repairs what is in doubt.
 */
#include "storage/stock/redis_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act.lua.h"
#include "attach.lua.h"
#include "conf/base/clock.h"
#include "reclaim.lua.h"
#include "step.lua.h"
#include "storage/stock/redis_reply.h"

#define REDIS_VERSION_MIN 7
#define SHA1_TEXT         40
#define RUN_TEXT          40
#define KEY_COUNT         6
#define FIELD_TEXT        (EVENT_NAME_MAX + 24)
#define ARGUMENTS_MAX     (3 + KEY_COUNT + 24) /* of a step, which has the most */

/* The keys and fields of one event in Redis. */
struct script_event {
    char keys[KEY_COUNT][FIELD_TEXT];
    char total[FIELD_TEXT], sold[FIELD_TEXT];
};

struct redis_scripts {
    const struct conf *conf;
    struct redis_conn *conn;
    uint64_t timeout_us;
    enum script begun; /* SCRIPT_COUNT: none */
    char run_id[RUN_TEXT + 1];
    char sha1[SCRIPT_COUNT][SHA1_TEXT + 1];
    struct script_event events[EVENTS_MAX];
};

static const struct {
    const char *name, *text;
} scripts[SCRIPT_COUNT] = {
    {"attach", attach_lua}, {"step", step_lua}, {"act", act_lua}, {"reclaim", reclaim_lua}};

static const char *const key_suffix[KEY_COUNT] = {NULL,     "requests", "buyers",
                                                  "grants", "nodes",    "orders"};

/* ---- start ---------------------------------------------------------------------------------- */

static void name_event(struct script_event *e, const char *name)
{
    snprintf(e->keys[0], FIELD_TEXT, "%s_hash_key", name);
    for (int i = 1; i < KEY_COUNT; i++)
        snprintf(e->keys[i], FIELD_TEXT, "{%.*s_hash_key}:%s", EVENT_NAME_MAX, name, key_suffix[i]);
    snprintf(e->total, FIELD_TEXT, "%s_total_nums", name);
    snprintf(e->sold, FIELD_TEXT, "%s_sold_nums", name);
}

struct redis_scripts *redis_scripts_plan(const struct conf *conf, struct arena *a)
{
    static struct redis_scripts all;
    ASSERT(conf->event_count <= EVENTS_MAX);
    all = (struct redis_scripts){.conf = conf, .begun = SCRIPT_COUNT};
    redis_scripts_set_timeout(&all, conf->redis_timeout_ms);
    for (uint32_t i = 0; i < conf->event_count; i++)
        name_event(&all.events[i], conf->events[i].name);
    all.conn = redis_conn_plan(&conf->redis, a, ARGUMENTS_MAX);
    return &all;
}

void redis_scripts_init(struct redis_scripts *s, const struct arena *a)
{
    redis_conn_init(s->conn, a);
}

void redis_scripts_set_timeout(struct redis_scripts *s, uint64_t timeout_ms)
{
    s->timeout_us = timeout_ms * 1000;
}

/* ---- connect -------------------------------------------------------------------------------- */

static uint64_t deadline_of(const struct redis_scripts *s)
{
    return clock_mono_us() + s->timeout_us;
}

/* The reply is an error, or not of the expected form: disconnects. */
static enum stock_result in_doubt(struct redis_scripts *s, const redisReply *reply,
                                  const char *doing, struct fault *f)
{
    const char *why =
        reply->type == REDIS_REPLY_ERROR ? reply->str : "the answer is not of the expected form";
    fault_set(f, "redis %s: %s: %s", redis_conn_name(s->conn), doing, why);
    redis_conn_close(s->conn);
    return STOCK_UNKNOWN;
}

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

static bool read_info(struct redis_scripts *s, struct fault *f)
{
    char version[32];
    redis_conn_begin(s->conn);
    redis_conn_add_text(s->conn, "INFO");
    redis_conn_add_text(s->conn, "server");
    redisReply *info = redis_conn_call(s->conn, deadline_of(s), f);
    if (info == NULL)
        return false;
    bool good = info_field(info, "run_id:", s->run_id, sizeof s->run_id) &&
                info_field(info, "redis_version:", version, sizeof version);
    if (!good)
        (void)in_doubt(s, info, "INFO server", f);
    else if (atoi(version) < REDIS_VERSION_MIN)
        good = fault(f, "redis %s: version %s; spike needs Redis %d or later",
                     redis_conn_name(s->conn), version, REDIS_VERSION_MIN);
    freeReplyObject(info);
    if (!good)
        redis_conn_close(s->conn);
    return good;
}

static bool load_script(struct redis_scripts *s, enum script script, struct fault *f)
{
    redis_conn_begin(s->conn);
    redis_conn_add_text(s->conn, "SCRIPT");
    redis_conn_add_text(s->conn, "LOAD");
    redis_conn_add_text(s->conn, scripts[script].text);
    redisReply *reply = redis_conn_call(s->conn, deadline_of(s), f);
    if (reply == NULL)
        return false;
    bool good = reply->type == REDIS_REPLY_STRING && reply->len == SHA1_TEXT;
    if (good)
        memcpy(s->sha1[script], reply->str, SHA1_TEXT + 1);
    else
        (void)in_doubt(s, reply, "SCRIPT LOAD", f);
    freeReplyObject(reply);
    return good;
}

enum stock_result redis_scripts_connect(struct redis_scripts *s, struct fault *f)
{
    if (redis_conn_is_open(s->conn))
        return STOCK_OK;
    if (!redis_conn_open(s->conn, deadline_of(s), f) || !read_info(s, f))
        return STOCK_UNKNOWN;
    for (int i = 0; i < SCRIPT_COUNT; i++)
        if (!load_script(s, (enum script)i, f))
            return STOCK_UNKNOWN;
    ASSERT(redis_conn_is_open(s->conn));
    return STOCK_OK;
}

void redis_scripts_disconnect(struct redis_scripts *s)
{
    redis_conn_close(s->conn);
}

const char *redis_scripts_run_id(const struct redis_scripts *s)
{
    ASSERT(redis_conn_is_open(s->conn));
    return s->run_id;
}

const struct conf *redis_scripts_conf(const struct redis_scripts *s)
{
    return s->conf;
}

/* ---- one call ------------------------------------------------------------------------------- */

struct redis_conn *redis_script_begin(struct redis_scripts *s, enum script script, uint32_t event,
                                      uint64_t epoch)
{
    ASSERT_LEDGER();
    ASSERT(script < SCRIPT_COUNT && event < s->conf->event_count);
    const struct script_event *e = &s->events[event];
    s->begun = script;
    redis_conn_begin(s->conn);
    redis_conn_add_text(s->conn, "EVALSHA");
    redis_conn_add(s->conn, s->sha1[script], SHA1_TEXT);
    redis_conn_add_number(s->conn, KEY_COUNT);
    for (int i = 0; i < KEY_COUNT; i++)
        redis_conn_add_text(s->conn, e->keys[i]);
    redis_conn_add_number(s->conn, s->conf->node);
    redis_conn_add_number(s->conn, (int64_t)epoch);
    redis_conn_add_text(s->conn, e->total);
    redis_conn_add_text(s->conn, e->sold);
    return s->conn;
}

/* The script's reply. NULL: in doubt. */
static redisReply *call_script(struct redis_scripts *s, struct fault *f)
{
    redisReply *reply = redis_conn_call(s->conn, deadline_of(s), f);
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR ||
        strncmp(reply->str, "NOSCRIPT", strlen("NOSCRIPT")) != 0)
        return reply;
    freeReplyObject(reply); /* it was not run; after its text, Redis knows the SHA1 again */
    redis_conn_replace(s->conn, 0, "EVAL");
    redis_conn_replace(s->conn, 1, scripts[s->begun].text);
    return redis_conn_call(s->conn, deadline_of(s), f);
}

/* The status that every script's reply begins with. STOCK_OK: the other fields follow. */
static enum stock_result status_of(struct redis_scripts *s, const redisReply *reply,
                                   const char *doing, struct fault *f)
{
    const char *status = reply_text(reply, 0);
    if (status == NULL)
        return in_doubt(s, reply, doing, f);
    if (strcmp(status, "OK") == 0)
        return STOCK_OK;
    const char *why = reply_text(reply, 1);
    fault_set(f, "redis %s: %s: %s", redis_conn_name(s->conn), doing,
              why != NULL ? why : "no reason given");
    if (strcmp(status, "ATTACH") == 0)
        return STOCK_ATTACH;
    if (strcmp(status, "OTHER") == 0)
        return STOCK_CONFLICT;
    return in_doubt(s, reply, doing, f);
}

enum stock_result redis_script_finish(struct redis_scripts *s, redis_script_parse *parse,
                                      void *into, struct fault *f)
{
    ASSERT(s->begun < SCRIPT_COUNT);
    const char *doing = scripts[s->begun].name;
    redisReply *reply = call_script(s, f);
    s->begun = SCRIPT_COUNT;
    if (reply == NULL)
        return STOCK_UNKNOWN;
    enum stock_result result = status_of(s, reply, doing, f);
    if (result == STOCK_OK && !parse(reply, into))
        result = in_doubt(s, reply, doing, f);
    freeReplyObject(reply);
    return result;
}
