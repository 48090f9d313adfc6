/*
 * look: see look.h. Commands: HGETALL of the hash and the registry (in a script that may only read,
 * so that they are of one moment), INFO, XINFO STREAM and XRANGE of the stream, HGET and HSCAN of
 * keys and buyers, LRANGE of the marks; nothing here writes. The fields are those of
 * attach.lua and step.lua. If this dies, Redis has not noticed.
 */
#include "storage/stock/redis_inspect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/base/clock.h"
#include "storage/stock/redis_conn.h"

#define ARGS_MAX       8
#define KEY_TEXT       (EVENT_NAME_MAX + 32)
#define ID_TEXT        64
#define ENTRIES_MAX    1000 /* of the stream, of keys or marks, in one call */
#define KEY_HASH_BYTES 8
#define HASH_SUFFIX    "_hash_key"
#define TOTAL_SUFFIX   "_total_nums"
#define SOLD_SUFFIX    "_sold_nums"

struct redis_inspect {
    struct redis_conn link;
    uint64_t timeout_us;
    const char *argv[ARGS_MAX];
    size_t lens[ARGS_MAX];
    char text[ARGS_MAX * 20];
    char buffer[REDIS_CONN_BUFFER];
};

struct redis_inspect *inspect_open(const struct conf *conf, struct fault *f)
{
    ASSERT(conf->redis.len > 0);
    struct redis_inspect *l = calloc(1, sizeof *l);
    if (l == NULL) {
        (void)fault(f, "redis %s: %s", conf->redis.text, strerror(errno));
        return NULL;
    }
    l->link = (struct redis_conn){.addr = &conf->redis, .buffer = l->buffer};
    l->link.args = (struct redis_conn_args){.argv = l->argv,
                                            .lens = l->lens,
                                            .text = l->text,
                                            .max = ARGS_MAX,
                                            .text_max = sizeof l->text};
    l->timeout_us = conf->redis_timeout_ms * 1000;
    if (redis_conn_open(&l->link, clock_mono_us() + l->timeout_us, f))
        return l;
    free(l);
    return NULL;
}

void inspect_close(struct redis_inspect *l)
{
    redis_conn_close(&l->link);
    free(l);
}

/* An error reply is a failure here; the connection stays. */
static redisReply *call(struct redis_inspect *l, struct fault *f)
{
    if (!redis_conn_is_open(&l->link) &&
        !redis_conn_open(&l->link, clock_mono_us() + l->timeout_us, f))
        return NULL;
    redisReply *reply = redis_conn_call(&l->link, clock_mono_us() + l->timeout_us, f);
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
        return reply;
    (void)fault(f, "redis %s: %s", l->link.addr->text, reply->str);
    freeReplyObject(reply);
    return NULL;
}

static bool malformed(const struct redis_inspect *l, const char *what, struct fault *f)
{
    return fault(f, "redis %s: %s: the answer is not of the expected form", l->link.addr->text,
                 what);
}

/* ---- the hash ------------------------------------------------------------------------------- */

static uint64_t number_of(const char *text)
{
    return text[0] == '-' ? 0 : strtoull(text, NULL, 10); /* a total of -1 stands aside */
}

/* Finds the node or adds it; NULL when there are too many. */
static struct inspect_node *node_at(struct inspect_event *e, unsigned long id)
{
    for (uint32_t i = 0; i < e->node_count; i++)
        if (e->nodes[i].node == id)
            return &e->nodes[i];
    if (id < 1 || id > NODE_MAX || e->node_count == NODES_MAX)
        return NULL;
    e->nodes[e->node_count].node = (uint16_t)id;
    return &e->nodes[e->node_count++];
}

static bool take_known(struct inspect_event *e, const char *at)
{
    while (*at != '\0') {
        char *end;
        unsigned long id = strtoul(at, &end, 10);
        if (end == at || node_at(e, id) == NULL)
            return false;
        at = *end == ' ' ? end + 1 : end;
    }
    return true;
}

/* A line for each order: its tickets. */
static void take_pending(struct inspect_node *n, const char *at)
{
    for (; *at != '\0'; at++) {
        n->pending += strtoull(at, NULL, 10);
        n->pending_orders++;
        at += strcspn(at, "\n");
        if (*at == '\0')
            return;
    }
}

static void take_node_field(struct inspect_node *n, const char *field, const char *value)
{
    const struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {{"last", &n->last}, {"done", &n->done},   {"pos", &n->pos},
                   {"held", &n->held}, {"sold", &n->sold},   {"gone", &n->gone},
                   {"told", &n->told}, {"epoch", &n->epoch}, {"rebuild", &n->rebuild}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(field, numbers[i].name) == 0)
            *numbers[i].to = number_of(value);
    if (strcmp(field, "ready") == 0)
        n->ready = strcmp(value, "1") == 0;
    else if (strcmp(field, "pending") == 0)
        take_pending(n, value);
}

/* Is the field of that name, where the event's name stands in front? */
static bool is_named(const char *field, const char *event, const char *suffix)
{
    size_t len = strlen(event);
    return strncmp(field, event, len) == 0 && strcmp(field + len, suffix) == 0;
}

static void take_number(struct inspect_event *e, const char *field, const char *value)
{
    const struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {{"ours", &e->ours},
                   {"version", &e->version},
                   {"rebuild", &e->rebuild},
                   {"requests", &e->stamps[INSPECT_KEYS]},
                   {"buyers", &e->stamps[INSPECT_BUYERS]},
                   {"marks", &e->stamps[INSPECT_MARKS]}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(field, numbers[i].name) == 0)
            *numbers[i].to = number_of(value);
}

/* False: too many nodes, or a sale id that is none. Fields of others are left alone. */
static bool take_field(struct inspect_event *e, const char *event, const char *field,
                       const char *value)
{
    char *end;
    unsigned long id = strtoul(field, &end, 10);
    if (end != field && *end == ':') {
        struct inspect_node *n = node_at(e, id);
        if (n != NULL)
            take_node_field(n, end + 1, value);
        return n != NULL;
    }
    if (strcmp(field, "known") == 0)
        return take_known(e, value);
    if (strcmp(field, "sale") == 0) {
        memccpy(e->sale, value, '\0', sizeof e->sale);
        return strlen(value) == INSPECT_SALE_TEXT;
    }
    if (strcmp(field, "state") == 0)
        snprintf(e->state, sizeof e->state, "%s", value);
    else if (strcmp(field, "run") == 0)
        snprintf(e->run, sizeof e->run, "%s", value);
    if (is_named(field, event, TOTAL_SUFFIX) && !e->repair)
        e->total = number_of(value);
    else if (is_named(field, event, SOLD_SUFFIX))
        e->gone = number_of(value);
    else if (strcmp(field, "aside") == 0) {
        e->repair = true;
        e->total = number_of(value);
    } else
        take_number(e, field, value);
    return true;
}

static bool all_texts(const redisReply *list)
{
    if (list->type != REDIS_REPLY_ARRAY || list->elements % 2 != 0)
        return false;
    for (size_t i = 0; i < list->elements; i++)
        if (list->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

static bool take_hash(const redisReply *hash, const char *event, struct inspect_event *e)
{
    if (!all_texts(hash))
        return false;
    for (size_t i = 0; i < hash->elements; i += 2)
        if (!take_field(e, event, hash->element[i]->str, hash->element[i + 1]->str))
            return false;
    e->exists = hash->elements > 0;
    return true;
}

/* Of the registry: told:N. */
static bool take_registry(const redisReply *registry, struct inspect_event *e)
{
    if (!all_texts(registry))
        return false;
    for (size_t i = 0; i < registry->elements; i += 2) {
        unsigned long id;
        if (sscanf(registry->element[i]->str, "told:%lu", &id) != 1)
            continue;
        for (uint32_t k = 0; k < e->node_count; k++)
            if (e->nodes[k].node == id)
                e->nodes[k].told_registry = number_of(registry->element[i + 1]->str);
    }
    return true;
}

static void key_of(char key[KEY_TEXT], const char *event, const char *what)
{
    snprintf(key, KEY_TEXT, "{%s" HASH_SUFFIX "}:%s", event, what);
}

bool inspect_event(struct redis_inspect *l, const char *event, struct inspect_event *out,
                   struct fault *f)
{
    char key[KEY_TEXT], registry[KEY_TEXT];
    snprintf(key, sizeof key, "%s" HASH_SUFFIX, event);
    key_of(registry, event, "nodes");
    memset(out, 0, sizeof *out);
    redis_conn_begin(&l->link);
    redis_conn_add_text(&l->link, "EVAL_RO");
    redis_conn_add_text(&l->link, "return {redis.call('HGETALL', KEYS[1]), "
                                  "redis.call('HGETALL', KEYS[2])}");
    redis_conn_add_number(&l->link, 2);
    redis_conn_add_text(&l->link, key);
    redis_conn_add_text(&l->link, registry);
    redisReply *reply = call(l, f);
    if (reply == NULL)
        return false;
    bool good = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                take_hash(reply->element[0], event, out) && take_registry(reply->element[1], out);
    freeReplyObject(reply);
    return good || malformed(l, key, f);
}

bool inspect_run(struct redis_inspect *l, char run[INSPECT_RUN_TEXT], struct fault *f)
{
    static const char name[] = "\nrun_id:";
    redis_conn_begin(&l->link);
    redis_conn_add_text(&l->link, "INFO");
    redis_conn_add_text(&l->link, "server");
    redisReply *reply = call(l, f);
    if (reply == NULL)
        return false;
    const char *at = reply->str != NULL ? strstr(reply->str, name) : NULL;
    if (at != NULL) {
        at += sizeof name - 1;
        snprintf(run, INSPECT_RUN_TEXT, "%.*s", (int)strcspn(at, "\r\n"), at);
    }
    freeReplyObject(reply);
    return at != NULL || malformed(l, "INFO", f);
}

/* ---- the stream ----------------------------------------------------------------------------- */

bool inspect_stream_size(struct redis_inspect *l, const char *event, uint64_t *length,
                         uint64_t *added, struct fault *f)
{
    char key[KEY_TEXT];
    *length = *added = 0;
    key_of(key, event, "orders");
    redis_conn_begin(&l->link);
    redis_conn_add_text(&l->link, "XINFO");
    redis_conn_add_text(&l->link, "STREAM");
    redis_conn_add_text(&l->link, key);
    redisReply *reply = call(l, f);
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

static bool take_entry(const redisReply *fields, struct inspect_entry *e)
{
    *e = (struct inspect_entry){.order = "", .event = "", .state = "", .buyer = ""};
    if (!all_texts(fields))
        return false;
    for (size_t i = 0; i < fields->elements; i += 2) {
        const char *name = fields->element[i]->str, *value = fields->element[i + 1]->str;
        if (strcmp(name, "node") == 0)
            e->node = number_of(value);
        else if (strcmp(name, "seq") == 0)
            e->seq = number_of(value);
        else if (strcmp(name, "n") == 0)
            e->n = number_of(value);
        else if (strcmp(name, "time_ms") == 0)
            e->time_wall_ms = number_of(value);
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

/* Visits a piece of the stream; *from becomes the place behind its last entry. */
static bool visit_piece(const redisReply *piece, inspect_visit *visit, void *context,
                        char from[ID_TEXT])
{
    if (piece->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < piece->elements; i++) {
        const redisReply *pair = piece->element[i];
        struct inspect_entry e;
        if (pair->type != REDIS_REPLY_ARRAY || pair->elements != 2 ||
            pair->element[0]->type != REDIS_REPLY_STRING || !take_entry(pair->element[1], &e))
            return false;
        visit(context, &e);
        snprintf(from, ID_TEXT, "(%s", pair->element[0]->str);
    }
    return true;
}

bool inspect_stream(struct redis_inspect *l, const char *event, inspect_visit *visit, void *context,
                    struct fault *f)
{
    char key[KEY_TEXT], from[ID_TEXT] = "-";
    key_of(key, event, "orders");
    for (size_t count = ENTRIES_MAX; count == ENTRIES_MAX;) {
        redis_conn_begin(&l->link);
        redis_conn_add_text(&l->link, "XRANGE");
        redis_conn_add_text(&l->link, key);
        redis_conn_add_text(&l->link, from);
        redis_conn_add_text(&l->link, "+");
        redis_conn_add_text(&l->link, "COUNT");
        redis_conn_add_number(&l->link, ENTRIES_MAX);
        redisReply *reply = call(l, f);
        if (reply == NULL)
            return false;
        count = reply->elements;
        bool good = visit_piece(reply, visit, context, from) || malformed(l, key, f);
        freeReplyObject(reply);
        if (!good)
            return false;
    }
    return true;
}

/* ---- keys, buyers, marks -------------------------------------------------------------------- */

static void keep_guard(struct inspect_guard *guard, const redisReply *reply)
{
    *guard = (struct inspect_guard){0};
    if (reply->type != REDIS_REPLY_STRING || reply->len < INSPECT_SALE_TEXT)
        return;
    memcpy(guard->sale, reply->str, INSPECT_SALE_TEXT);
    guard->stamp = strtoull(reply->str + INSPECT_SALE_TEXT, NULL, 10);
}

static bool read_guard(struct redis_inspect *l, const char *key, struct inspect_guard *guard,
                       struct fault *f)
{
    redis_conn_begin(&l->link);
    redis_conn_add_text(&l->link, "HGET");
    redis_conn_add_text(&l->link, key);
    redis_conn_add(&l->link, "", 0);
    redisReply *reply = call(l, f);
    if (reply == NULL)
        return false;
    keep_guard(guard, reply);
    freeReplyObject(reply);
    return true;
}

/* Visits what one HSCAN has brought; the cursor becomes the next one. */
static bool visit_names(const redisReply *reply, inspect_name_visit *visit, void *context,
                        char cursor[ID_TEXT])
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING || !all_texts(reply->element[1]))
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

bool inspect_names(struct redis_inspect *l, const char *event, enum inspect_names what,
                   struct inspect_guard *guard, inspect_name_visit *visit, void *context,
                   struct fault *f)
{
    char key[KEY_TEXT], cursor[ID_TEXT] = "0";
    ASSERT(what == INSPECT_KEYS || what == INSPECT_BUYERS);
    key_of(key, event, what == INSPECT_KEYS ? "requests" : "buyers");
    if (!read_guard(l, key, guard, f))
        return false;
    do {
        redis_conn_begin(&l->link);
        redis_conn_add_text(&l->link, "HSCAN");
        redis_conn_add_text(&l->link, key);
        redis_conn_add_text(&l->link, cursor);
        redis_conn_add_text(&l->link, "COUNT");
        redis_conn_add_number(&l->link, ENTRIES_MAX);
        redisReply *reply = call(l, f);
        if (reply == NULL)
            return false;
        bool good = visit_names(reply, visit, context, cursor) || malformed(l, key, f);
        freeReplyObject(reply);
        if (!good)
            return false;
    } while (strcmp(cursor, "0") != 0);
    return true;
}

static bool visit_marks(const redisReply *reply, inspect_mark_visit *visit, void *context)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *text = reply->element[i];
        uint64_t mark = 0;
        if (text->type != REDIS_REPLY_STRING || text->len != KEY_HASH_BYTES)
            return false;
        for (int k = KEY_HASH_BYTES; k-- > 0;)
            mark = mark << 8 | (unsigned char)text->str[k];
        visit(context, mark);
    }
    return true;
}

static redisReply *read_list(struct redis_inspect *l, const char *key, int64_t from, int64_t to,
                             struct fault *f)
{
    redis_conn_begin(&l->link);
    redis_conn_add_text(&l->link, "LRANGE");
    redis_conn_add_text(&l->link, key);
    redis_conn_add_number(&l->link, from);
    redis_conn_add_number(&l->link, to);
    return call(l, f);
}

bool inspect_marks(struct redis_inspect *l, const char *event, struct inspect_guard *guard,
                   inspect_mark_visit *visit, void *context, struct fault *f)
{
    char key[KEY_TEXT];
    size_t count = ENTRIES_MAX;
    key_of(key, event, "grants");
    redisReply *head = read_list(l, key, 0, 0, f);
    if (head == NULL)
        return false;
    bool is_list = head->type == REDIS_REPLY_ARRAY;
    *guard = (struct inspect_guard){0};
    if (is_list && head->elements == 1)
        keep_guard(guard, head->element[0]);
    guard->stamp = is_list ? head->elements : 0;
    freeReplyObject(head);
    for (int64_t from = 1; is_list && count == ENTRIES_MAX; from += ENTRIES_MAX) {
        redisReply *reply = read_list(l, key, from, from + ENTRIES_MAX - 1, f);
        if (reply == NULL)
            return false;
        count = reply->elements;
        guard->stamp += count;
        bool good = visit_marks(reply, visit, context) || malformed(l, key, f);
        freeReplyObject(reply);
        if (!good)
            return false;
    }
    return true;
}
