/*
 * A step: the arguments of step.lua, and its reply. The changes and the items are packed into two
 * arguments, however many there are (redis_pack.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/stock/redis_private.h"
#include "storage/stock/redis_reply.h"

#define ADDRESS_TEXT sizeof(((struct conf_addr *)0)->text)
#define PREFIX_TEXT  (sizeof "NNNN-SS") /* node and slot, as in order ids */

/* What the arguments of a call point to until it is sent. */
struct step_texts {
    char prefix[PREFIX_TEXT], address[ADDRESS_TEXT];
};

/* The address of this node's operators, as one word: the configuration's check ensures that. "-":
 * it is not advertised. */
static const char *address_of(const struct conf_addr *a, char text[ADDRESS_TEXT])
{
    if (a->len == 0)
        return "-";
    if (a->to.any.sa_family != AF_UNIX)
        return a->text;
    int len = snprintf(text, ADDRESS_TEXT, "unix:%s", a->to.local.sun_path);
    ASSERT(len > 0 && (size_t)len < ADDRESS_TEXT);
    return text;
}

static void begin_step(struct redis_scripts *s, struct redis_pack *pack,
                       const struct stock_step *st, struct step_texts *t)
{
    const struct conf *conf = redis_scripts_conf(s);
    size_t len;
    snprintf(t->prefix, PREFIX_TEXT, "%04x-%02x", (unsigned)conf->node, (unsigned)st->slot);
    struct redis_conn *c = redis_script_begin(s, SCRIPT_STEP, st->event, st->epoch);
    redis_conn_add_text(c, conf->events[st->event].name);
    redis_conn_add_number(c, (int64_t)st->from);
    redis_conn_add_number(c, (int64_t)st->to);
    redis_conn_add_number(c, st->end ? 1 : 0);
    redis_conn_add_number(c, (int64_t)st->first_number);
    redis_conn_add_number(c, (int64_t)st->seen.revision);
    redis_conn_add_number(c, st->seen.foreign);
    redis_conn_add_number(c, st->known_count);
    redis_conn_add_number(c, (int64_t)conf->node_timeout_ms);
    redis_conn_add_number(c, st->want_nodes ? 1 : 0);
    redis_conn_add_text(c, t->prefix);
    redis_conn_add_number(c, (int64_t)st->pay_by_wall_ms);
    redis_conn_add_number(c, st->limit);
    redis_conn_add_number(c, (int64_t)st->hashes_seen);
    redis_conn_add_number(c, KEY_HASHES_MAX);
    redis_conn_add_number(c, st->version);
    redis_conn_add_text(c, address_of(&conf->advertise, t->address));
    redis_pack_step(pack, st);
    const char *changes = redis_pack_changes(pack, &len);
    redis_conn_add(c, changes, len);
    redis_conn_add_number(c, st->chain);
    const char *items = redis_pack_items(pack, &len);
    redis_conn_add(c, items, len);
}

/* A letter for each item. */
static bool parse_verdicts(const redisReply *reply, struct stock_step *st)
{
    static const struct {
        char letter;
        enum stock_verdict verdict;
    } letters[] = {
        {'y', STOCK_YES},       {'s', STOCK_SOLD_OUT}, {'p', STOCK_IS_PAUSED},
        {'c', STOCK_IS_CLOSED}, {'b', STOCK_BUSY},     {'l', STOCK_LIMIT},
        {'k', STOCK_DUPLICATE}, {'e', STOCK_ENDED},    {'x', STOCK_KEY_MISMATCH},
        {'n', STOCK_NO_KEY},
    };
    const char *text = reply_text(reply, 1);
    if (text == NULL || strlen(text) != st->item_count)
        return false;
    for (uint32_t i = 0; i < st->item_count; i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(letters) && letters[k].letter != text[i])
            k++;
        if (k == ARRAY_LEN(letters))
            return false;
        st->items[i].verdict = letters[k].verdict;
    }
    return true;
}

/* "node slot number pay_by ...": the order of each item whose key has one. */
static bool parse_duplicates(const char *text, struct stock_step *st)
{
    for (uint32_t i = 0; i < st->item_count && text != NULL; i++) {
        struct stock_item *item = &st->items[i];
        unsigned node, slot;
        int used = 0;
        if (item->verdict != STOCK_DUPLICATE)
            continue;
        if (sscanf(text, "%5u %3u %20" SCNu64 " %20" SCNu64 "%n", &node, &slot, &item->order.number,
                   &item->order_pay_by_wall_ms, &used) != 4 ||
            node < 1 || node > NODE_MAX || slot > UINT8_MAX || item->order.number < 1 ||
            item->order.number > ORDER_NUMBER_MAX)
            return false;
        item->order.node = (uint16_t)node;
        item->order.slot = (uint8_t)slot;
        text += used + (text[used] == ' ' ? 1 : 0);
    }
    return text != NULL;
}

/* The key hashes behind those that the node has read, and how many there are in all. */
static bool parse_key_hashes(const redisReply *reply, struct stock_step *st)
{
    const char *bytes = reply_text(reply, 13);
    if (bytes == NULL || !reply_number(reply, 12, INT64_MAX, &st->hashes_total))
        return false;
    size_t len = reply->element[13]->len;
    if (len % KEY_HASH_BYTES != 0 || len / KEY_HASH_BYTES > KEY_HASHES_MAX)
        return false;
    ASSERT(st->key_hashes != NULL);
    st->hash_count = (uint32_t)(len / KEY_HASH_BYTES);
    for (uint32_t i = 0; i < st->hash_count; i++) {
        st->key_hashes[i] = 0;
        for (int k = 0; k < KEY_HASH_BYTES; k++)
            st->key_hashes[i] |= (uint64_t)(unsigned char)bytes[i * KEY_HASH_BYTES + (uint32_t)k]
                                 << (8 * k);
    }
    return true;
}

/* "id:epoch:gone:silent:ready ..." */
static bool parse_nodes(const char *text, struct stock_step *st)
{
    ASSERT(st->nodes != NULL);
    st->node_count = 0;
    while (text != NULL && *text != '\0') {
        struct stock_node *n = &st->nodes[st->node_count];
        unsigned id, silent, ready;
        int used = 0;
        if (st->node_count == NODES_MAX ||
            sscanf(text, "%5u:%20" SCNu64 ":%10" SCNu32 ":%1u:%1u%n", &id, &n->epoch, &n->gone,
                   &silent, &ready, &used) != 5 ||
            id < 1 || id > NODE_MAX)
            return false;
        n->id = (uint16_t)id;
        n->silent = silent == 1;
        n->ready = ready == 1;
        st->node_count++;
        text += used + (text[used] == ' ' ? 1 : 0);
    }
    return text != NULL;
}

static bool parse_step(const redisReply *reply, void *into)
{
    struct stock_step *st = into;
    struct stock_figures *g = &st->figures;
    uint64_t repair, ready;
    if (!parse_verdicts(reply, st) || !reply_state(reply, 2, &g->state) ||
        !reply_u32(reply, 3, &g->version) || !reply_u32(reply, 4, &g->total) ||
        !reply_gone(reply, 5, g) || !reply_number(reply, 7, 1, &repair) ||
        !reply_number(reply, 8, 1, &ready) || !reply_number(reply, 9, INT64_MAX, &g->revision) ||
        !parse_nodes(reply_text(reply, 10), st) || !parse_duplicates(reply_text(reply, 11), st) ||
        !parse_key_hashes(reply, st) || !reply_origin(reply_text(reply, 14), &st->origin) ||
        !reply_number(reply, 15, INT64_MAX, &g->repair_since_wall_ms))
        return false;
    g->repair = repair == 1;
    g->ready = ready == 1;
    return true;
}

enum stock_result redis_step(struct redis_scripts *s, struct redis_pack *pack,
                             struct stock_step *st, struct fault *f)
{
    struct step_texts t = {.prefix = ""};
    begin_step(s, pack, st, &t);
    return redis_script_finish(s, parse_step, st, f);
}
