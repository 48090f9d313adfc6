/*
 * registry: see registry.h. One HGETALL for each event of its hash {E_hash_key}:nodes:
 *
 *     node number -> "ADDRESS EPOCH SOLD HELD BEAT_MS", ADDRESS - if the node does not advertise
 *
 * Other fields there are not ours to read; a value of another form is passed over: who writes into
 * Redis by hand must not blind the console. If this dies, Redis has not noticed.
 */
#include "storage/stock/registry.h"

#include <stdio.h>
#include <string.h>

#include "conf/base/clock.h"
#include "storage/stock/redis_conn.h"

#define ARGS_MAX   2
#define KEY_TEXT   (EVENT_NAME_MAX + 32)
#define DIGITS_MAX 19
#define AFTER      4 /* numbers behind the address */

/* Digits up to `end`, which is then passed; false: something else. */
static bool take_number(const char **at, char end, uint64_t *out)
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

static bool take_entry(const char *field, const char *value, struct registry_node *n)
{
    uint64_t node, number = 0;
    if (!take_number(&field, '\0', &node) || node < 1 || node > NODE_MAX)
        return false;
    size_t len = strcspn(value, " ");
    if (len < 1 || len >= sizeof n->address || value[len] == '\0')
        return false;
    memcpy(n->address, value, len);
    n->address[len] = '\0';
    value += len + 1;
    for (int i = 1; i <= AFTER; i++)
        if (!take_number(&value, i < AFTER ? ' ' : '\0', &number))
            return false;
    n->node = (uint16_t)node;
    n->beat_wall_ms = number;
    return strcmp(n->address, "-") != 0;
}

/* Of those that are one node, or one address, the latest beat stays. */
static void add(struct registry *r, const struct registry_node *n)
{
    uint32_t kept = 0;
    bool is_late = false;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct registry_node *old = &r->nodes[i];
        bool is_same = old->node == n->node || strcmp(old->address, n->address) == 0;
        if (is_same && old->beat_wall_ms < n->beat_wall_ms)
            continue;
        is_late = is_late || is_same;
        r->nodes[kept++] = *old;
    }
    if (!is_late && kept < NODES_MAX)
        r->nodes[kept++] = *n;
    r->count = kept;
}

static bool take_reply(struct registry *r, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *field = reply->element[i], *value = reply->element[i + 1];
        struct registry_node n;
        if (field->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
            take_entry(field->str, value->str, &n))
            add(r, &n);
    }
    return true;
}

static bool read_event(struct redis_conn *l, const char *event, uint64_t deadline_mono_us,
                       struct registry *out, struct fault *f)
{
    char key[KEY_TEXT];
    snprintf(key, sizeof key, "{%s_hash_key}:nodes", event);
    redis_conn_begin(l);
    redis_conn_add_text(l, "HGETALL");
    redis_conn_add_text(l, key);
    redisReply *reply = redis_conn_call(l, deadline_mono_us, f);
    if (reply == NULL)
        return false;
    bool good = take_reply(out, reply);
    if (!good)
        fault_set(f, "redis %s: %s: %s", l->addr->text, key,
                  reply->type == REDIS_REPLY_ERROR ? reply->str : "it is no hash");
    freeReplyObject(reply);
    return good;
}

bool registry_read(const struct conf *conf, uint64_t timeout_us, struct registry *out,
                   struct fault *f)
{
    const char *argv[ARGS_MAX];
    size_t lens[ARGS_MAX];
    char buffer[REDIS_CONN_BUFFER];
    struct redis_conn l = {.addr = &conf->redis,
                           .args = {.argv = argv, .lens = lens, .max = ARGS_MAX},
                           .buffer = buffer};
    uint64_t deadline = clock_mono_us() + timeout_us;
    ASSERT(conf->redis.len > 0);
    out->count = 0;
    bool good = redis_conn_open(&l, deadline, f);
    for (uint32_t i = 0; good && i < conf->event_count; i++)
        good = read_event(&l, conf->events[i].name, deadline, out, f);
    redis_conn_close(&l);
    return good;
}
