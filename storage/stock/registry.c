/*
 * One HGETALL for each event, of its hash {E_hash_key}:nodes:
 *
 *     node number -> "ADDRESS EPOCH SOLD HELD BEAT_MS", ADDRESS - if the node does not advertise
 *
 * Other fields of the hash are skipped, and so is a value of another form: an edit by hand in Redis
 * must not blind the console. Nothing is written, so nothing happens if the process dies.
 */
#include "storage/stock/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/clock.h"
#include "storage/stock/redis_conn.h"

#define ARGS_MAX   2
#define KEY_TEXT   (EVENT_NAME_MAX + 32)
#define DIGITS_MAX 19
#define NUMBERS    4 /* behind the address; the last is the beat */

/* Reads digits up to `end` and moves *at behind it. False: there is something else. */
static bool parse_number(const char **at, char end, uint64_t *out)
{
    const char *from = *at;
    size_t len = strspn(from, "0123456789");
    if (len < 1 || len > DIGITS_MAX || from[len] != end)
        return false;
    *out = 0;
    for (size_t i = 0; i < len; i++)
        *out = *out * 10 + (uint64_t)(from[i] - '0');
    *at = from + len + (end != '\0');
    return true;
}

static bool parse_entry(const char *field, const char *value, struct registry_node *n)
{
    uint64_t node, number = 0;
    ASSERT(field != NULL && value != NULL);
    if (!parse_number(&field, '\0', &node) || node < 1 || node > NODE_MAX)
        return false;
    size_t len = strcspn(value, " ");
    if (len < 1 || len >= sizeof n->address || value[len] == '\0')
        return false;
    memcpy(n->address, value, len);
    n->address[len] = '\0';
    value += len + 1;
    for (int i = 1; i <= NUMBERS; i++)
        if (!parse_number(&value, i < NUMBERS ? ' ' : '\0', &number))
            return false;
    n->node = (uint16_t)node;
    n->beat_wall_ms = number;
    return strcmp(n->address, "-") != 0;
}

/* Adds the entry, or drops it if one of the same node or address has a later beat; those with an
 * earlier beat are removed. */
static void add_newer(struct registry *r, const struct registry_node *n)
{
    uint32_t kept = 0;
    ASSERT(r->count <= NODES_MAX && n->node >= 1);
    bool is_outdated = false;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct registry_node *old = &r->nodes[i];
        bool is_same = old->node == n->node || strcmp(old->address, n->address) == 0;
        if (is_same && old->beat_wall_ms < n->beat_wall_ms)
            continue;
        is_outdated = is_outdated || is_same;
        r->nodes[kept++] = *old;
    }
    if (!is_outdated && kept < NODES_MAX)
        r->nodes[kept++] = *n;
    r->count = kept;
}

static bool parse_reply(struct registry *r, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *field = reply->element[i], *value = reply->element[i + 1];
        struct registry_node n;
        if (field->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
            parse_entry(field->str, value->str, &n))
            add_newer(r, &n);
    }
    return true;
}

static bool read_event(struct redis_conn *c, const char *event, uint64_t deadline_mono_us,
                       struct registry *out, struct fault *f)
{
    char key[KEY_TEXT];
    snprintf(key, sizeof key, "{%s_hash_key}:nodes", event);
    redis_conn_begin(c);
    redis_conn_add_text(c, "HGETALL");
    redis_conn_add_text(c, key);
    redisReply *reply = redis_conn_call(c, deadline_mono_us, f);
    if (reply == NULL)
        return false;
    bool good = parse_reply(out, reply);
    if (!good)
        fault_set(f, "redis %s: %s: %s", redis_conn_name(c), key,
                  reply->type == REDIS_REPLY_ERROR ? reply->str : "not a hash");
    freeReplyObject(reply);
    return good;
}

bool registry_read(const struct conf *conf, uint64_t timeout_us, struct registry *out,
                   struct fault *f)
{
    uint64_t deadline = clock_mono_us() + timeout_us;
    ASSERT(conf->redis.len > 0);
    out->count = 0;
    struct redis_conn *c = redis_conn_create(&conf->redis, ARGS_MAX);
    if (c == NULL)
        return fault(f, "redis %s: %s", conf->redis.text, strerror(ENOMEM));
    bool good = redis_conn_open(c, deadline, f);
    for (uint32_t i = 0; good && i < conf->event_count; i++)
        good = read_event(c, conf->events[i].name, deadline, out, f);
    redis_conn_destroy(c);
    return good;
}
