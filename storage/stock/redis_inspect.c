/*
 * Commands: HGETALL of the hash and the registry (in a script that may only read, so that they are
 * of one moment), INFO, XINFO STREAM and XRANGE of the stream, HGET and HSCAN of keys and buyers,
 * LRANGE of the key hashes. Nothing here writes, so nothing happens to Redis if the process dies.
 */
#include "storage/stock/redis_inspect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/base/clock.h"
#include "storage/stock/redis_conn.h"
#include "storage/stock/redis_inspect_hash.h"

#define ARGS_MAX       8
#define KEY_TEXT       (EVENT_NAME_MAX + 32)
#define ID_TEXT        64
#define ENTRIES_MAX    1000 /* of the stream, of keys or key hashes, in one call */
#define KEY_HASH_BYTES 8
#define HASH_SUFFIX    "_hash_key"

struct redis_inspect {
    struct redis_conn *conn;
    uint64_t timeout_us;
};

static bool reopen(struct redis_inspect *in, struct fault *f)
{
    return redis_conn_is_open(in->conn) ||
           redis_conn_open(in->conn, clock_mono_us() + in->timeout_us, f);
}

struct redis_inspect *inspect_open(const struct conf *conf, struct fault *f)
{
    ASSERT(conf->redis.len > 0);
    struct redis_inspect *in = calloc(1, sizeof *in);
    if (in != NULL)
        in->conn = redis_conn_create(&conf->redis, ARGS_MAX);
    if (in == NULL || in->conn == NULL) {
        fault_set(f, "redis %s: %s", conf->redis.text, strerror(ENOMEM));
        free(in);
        return NULL;
    }
    in->timeout_us = conf->redis_timeout_ms * 1000;
    if (reopen(in, f))
        return in;
    inspect_close(in);
    return NULL;
}

void inspect_close(struct redis_inspect *in)
{
    redis_conn_destroy(in->conn);
    free(in);
}

/* The reply; an error reply is a failure here, after which the connection stays open. */
static redisReply *call(struct redis_inspect *in, struct fault *f)
{
    if (!reopen(in, f))
        return NULL;
    redisReply *reply = redis_conn_call(in->conn, clock_mono_us() + in->timeout_us, f);
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
        return reply;
    (void)fault(f, "redis %s: %s", redis_conn_name(in->conn), reply->str);
    freeReplyObject(reply);
    return NULL;
}

static bool malformed(const struct redis_inspect *in, const char *subject, struct fault *f)
{
    return fault(f, "redis %s: %s: the answer is not of the expected form",
                 redis_conn_name(in->conn), subject);
}

/* ---- the hash ------------------------------------------------------------------------------- */

static void key_of(char key[KEY_TEXT], const char *event, const char *suffix)
{
    snprintf(key, KEY_TEXT, "{%s" HASH_SUFFIX "}:%s", event, suffix);
}

bool inspect_event(struct redis_inspect *in, const char *event, struct inspect_event *out,
                   struct fault *f)
{
    char key[KEY_TEXT], registry[KEY_TEXT];
    snprintf(key, sizeof key, "%s" HASH_SUFFIX, event);
    key_of(registry, event, "nodes");
    memset(out, 0, sizeof *out);
    redis_conn_begin(in->conn);
    redis_conn_add_text(in->conn, "EVAL_RO");
    redis_conn_add_text(in->conn, "return {redis.call('HGETALL', KEYS[1]), "
                                  "redis.call('HGETALL', KEYS[2])}");
    redis_conn_add_number(in->conn, 2);
    redis_conn_add_text(in->conn, key);
    redis_conn_add_text(in->conn, registry);
    redisReply *reply = call(in, f);
    if (reply == NULL)
        return false;
    bool good = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                inspect_parse_event(reply->element[0], reply->element[1], event, out);
    freeReplyObject(reply);
    return good || malformed(in, key, f);
}

bool inspect_run(struct redis_inspect *in, char run[INSPECT_RUN_TEXT], struct fault *f)
{
    static const char name[] = "\nrun_id:";
    redis_conn_begin(in->conn);
    redis_conn_add_text(in->conn, "INFO");
    redis_conn_add_text(in->conn, "server");
    redisReply *reply = call(in, f);
    if (reply == NULL)
        return false;
    const char *at = reply->str != NULL ? strstr(reply->str, name) : NULL;
    if (at != NULL) {
        at += sizeof name - 1;
        snprintf(run, INSPECT_RUN_TEXT, "%.*s", (int)strcspn(at, "\r\n"), at);
    }
    freeReplyObject(reply);
    return at != NULL || malformed(in, "INFO", f);
}

/* ---- the stream ----------------------------------------------------------------------------- */

bool inspect_stream_size(struct redis_inspect *in, const char *event, uint64_t *length,
                         uint64_t *added, struct fault *f)
{
    char key[KEY_TEXT];
    *length = *added = 0;
    key_of(key, event, "orders");
    redis_conn_begin(in->conn);
    redis_conn_add_text(in->conn, "XINFO");
    redis_conn_add_text(in->conn, "STREAM");
    redis_conn_add_text(in->conn, key);
    redisReply *reply = call(in, f);
    if (reply == NULL)
        return strstr(f->text, "no such key") != NULL;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *value = reply->element[i + 1];
        if (value->type != REDIS_REPLY_INTEGER)
            continue;
        if (strcmp(reply->element[i]->str, "length") == 0)
            *length = (uint64_t)value->integer;
        else if (strcmp(reply->element[i]->str, "entries-added") == 0)
            *added = (uint64_t)value->integer;
    }
    freeReplyObject(reply);
    return true;
}

static bool parse_entry(const redisReply *fields, struct inspect_entry *e)
{
    *e = (struct inspect_entry){.order = "", .event = "", .state = "", .buyer = ""};
    if (!inspect_is_pairs(fields))
        return false;
    for (size_t i = 0; i < fields->elements; i += 2) {
        const char *name = fields->element[i]->str, *value = fields->element[i + 1]->str;
        if (strcmp(name, "node") == 0)
            e->node = inspect_number(value);
        else if (strcmp(name, "seq") == 0)
            e->seq = inspect_number(value);
        else if (strcmp(name, "n") == 0)
            e->n = inspect_number(value);
        else if (strcmp(name, "time_ms") == 0)
            e->time_wall_ms = inspect_number(value);
        else if (strcmp(name, "order") == 0)
            e->order = value;
        else if (strcmp(name, "state") == 0)
            e->state = value;
        else if (strcmp(name, "event") == 0)
            e->event = value;
        else if (strcmp(name, "buyer") == 0)
            e->buyer = value;
    }
    return true;
}

/* Visits a piece of the stream; *from becomes the position behind its last entry. */
static bool visit_piece(const redisReply *piece, inspect_visit *visit, void *context,
                        char from[ID_TEXT])
{
    if (piece->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < piece->elements; i++) {
        const redisReply *pair = piece->element[i];
        struct inspect_entry e;
        if (pair->type != REDIS_REPLY_ARRAY || pair->elements != 2 ||
            pair->element[0]->type != REDIS_REPLY_STRING || !parse_entry(pair->element[1], &e))
            return false;
        visit(context, &e);
        snprintf(from, ID_TEXT, "(%s", pair->element[0]->str);
    }
    return true;
}

bool inspect_stream(struct redis_inspect *in, const char *event, inspect_visit *visit,
                    void *context, struct fault *f)
{
    char key[KEY_TEXT], from[ID_TEXT] = "-";
    key_of(key, event, "orders");
    for (size_t count = ENTRIES_MAX; count == ENTRIES_MAX;) {
        redis_conn_begin(in->conn);
        redis_conn_add_text(in->conn, "XRANGE");
        redis_conn_add_text(in->conn, key);
        redis_conn_add_text(in->conn, from);
        redis_conn_add_text(in->conn, "+");
        redis_conn_add_text(in->conn, "COUNT");
        redis_conn_add_number(in->conn, ENTRIES_MAX);
        redisReply *reply = call(in, f);
        if (reply == NULL)
            return false;
        count = reply->elements;
        bool good = visit_piece(reply, visit, context, from) || malformed(in, key, f);
        freeReplyObject(reply);
        if (!good)
            return false;
    }
    return true;
}

/* ---- keys, buyers, key hashes --------------------------------------------------------------- */

static void parse_guard(struct inspect_guard *guard, const redisReply *reply)
{
    *guard = (struct inspect_guard){0};
    if (reply->type != REDIS_REPLY_STRING || reply->len < INSPECT_SALE_TEXT)
        return;
    memcpy(guard->sale, reply->str, INSPECT_SALE_TEXT);
    guard->stamp = strtoull(reply->str + INSPECT_SALE_TEXT, NULL, 10);
}

static bool read_guard(struct redis_inspect *in, const char *key, struct inspect_guard *guard,
                       struct fault *f)
{
    redis_conn_begin(in->conn);
    redis_conn_add_text(in->conn, "HGET");
    redis_conn_add_text(in->conn, key);
    redis_conn_add(in->conn, "", 0);
    redisReply *reply = call(in, f);
    if (reply == NULL)
        return false;
    parse_guard(guard, reply);
    freeReplyObject(reply);
    return true;
}

/* Visits the result of one HSCAN; the cursor becomes the next one. */
static bool visit_names(const redisReply *reply, inspect_name_visit *visit, void *context,
                        char cursor[ID_TEXT])
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING || !inspect_is_pairs(reply->element[1]))
        return false;
    const redisReply *list = reply->element[1];
    for (size_t i = 0; i < list->elements; i += 2) {
        const redisReply *name = list->element[i], *value = list->element[i + 1];
        if (name->len > 0)
            visit(context, name->str, name->len, value->str, value->len);
    }
    snprintf(cursor, ID_TEXT, "%s", reply->element[0]->str);
    return true;
}

bool inspect_names(struct redis_inspect *in, const char *event, enum inspect_names which,
                   struct inspect_guard *guard, inspect_name_visit *visit, void *context,
                   struct fault *f)
{
    char key[KEY_TEXT], cursor[ID_TEXT] = "0";
    ASSERT(which == INSPECT_KEYS || which == INSPECT_BUYERS);
    key_of(key, event, which == INSPECT_KEYS ? "requests" : "buyers");
    if (!read_guard(in, key, guard, f))
        return false;
    do {
        redis_conn_begin(in->conn);
        redis_conn_add_text(in->conn, "HSCAN");
        redis_conn_add_text(in->conn, key);
        redis_conn_add_text(in->conn, cursor);
        redis_conn_add_text(in->conn, "COUNT");
        redis_conn_add_number(in->conn, ENTRIES_MAX);
        redisReply *reply = call(in, f);
        if (reply == NULL)
            return false;
        bool good = visit_names(reply, visit, context, cursor) || malformed(in, key, f);
        freeReplyObject(reply);
        if (!good)
            return false;
    } while (strcmp(cursor, "0") != 0);
    return true;
}

static bool visit_key_hashes(const redisReply *reply, inspect_key_hash_visit *visit, void *context)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *text = reply->element[i];
        uint64_t key_hash = 0;
        if (text->type != REDIS_REPLY_STRING || text->len != KEY_HASH_BYTES)
            return false;
        for (int k = KEY_HASH_BYTES; k-- > 0;)
            key_hash = key_hash << 8 | (unsigned char)text->str[k];
        visit(context, key_hash);
    }
    return true;
}

static redisReply *read_list(struct redis_inspect *in, const char *key, int64_t from, int64_t to,
                             struct fault *f)
{
    redis_conn_begin(in->conn);
    redis_conn_add_text(in->conn, "LRANGE");
    redis_conn_add_text(in->conn, key);
    redis_conn_add_number(in->conn, from);
    redis_conn_add_number(in->conn, to);
    return call(in, f);
}

bool inspect_key_hashes(struct redis_inspect *in, const char *event, struct inspect_guard *guard,
                        inspect_key_hash_visit *visit, void *context, struct fault *f)
{
    char key[KEY_TEXT];
    size_t count = ENTRIES_MAX;
    key_of(key, event, "grants");
    redisReply *head = read_list(in, key, 0, 0, f);
    if (head == NULL)
        return false;
    bool is_list = head->type == REDIS_REPLY_ARRAY;
    *guard = (struct inspect_guard){0};
    if (is_list && head->elements == 1)
        parse_guard(guard, head->element[0]);
    guard->stamp = is_list ? head->elements : 0;
    freeReplyObject(head);
    for (int64_t from = 1; is_list && count == ENTRIES_MAX; from += ENTRIES_MAX) {
        redisReply *reply = read_list(in, key, from, from + ENTRIES_MAX - 1, f);
        if (reply == NULL)
            return false;
        count = reply->elements;
        guard->stamp += count;
        bool good = visit_key_hashes(reply, visit, context) || malformed(in, key, f);
        freeReplyObject(reply);
        if (!good)
            return false;
    }
    return true;
}
