/*
 * Examine and attach: attach.lua in two halves. Both send the same arguments; the last two, the
 * proof that was examined and the beat, are empty in the first half, which only reads.
 */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/stock/redis_private.h"
#include "storage/stock/redis_reply.h"
#include "storage/stock/stock_private.h"

#define SECRET_TEXT (2 * ORDERID_SECRET) /* in hex */
#define KNOWN_TEXT  (NODES_MAX * 6)
#define NODES_TEXT  (NODES_MAX * 40)

/* What the arguments of a call point to until it is sent. */
struct attach_texts {
    struct stock_sale new_sale; /* begins if Redis and the journal have none */
    char secret[SECRET_TEXT + 1], new_secret[SECRET_TEXT + 1];
    char known[KNOWN_TEXT], nodes[NODES_TEXT];
    char origin[PARAM_MAX + 48];
    char proof[2 * 21]; /* "pos chain" */
};

/* ---- arguments ------------------------------------------------------------------------------ */

static void add_known(struct redis_conn *c, struct attach_texts *t, const struct stock_attach *at)
{
    size_t used = 0;
    ASSERT(at->known_count <= NODES_MAX);
    for (uint32_t i = 0; i < at->known_count; i++)
        used += (size_t)snprintf(t->known + used, sizeof t->known - used, "%u ",
                                 (unsigned)at->known[i]);
    ASSERT(used < sizeof t->known);
    redis_conn_add(c, t->known, used);
}

/* "id:epoch:gone:silent " of each node, as of the last call. */
static void add_nodes(struct redis_conn *c, struct attach_texts *t, const struct stock_attach *at)
{
    size_t used = 0;
    ASSERT(at->node_count <= NODES_MAX && (at->nodes != NULL || at->node_count == 0));
    for (uint32_t i = 0; i < at->node_count; i++) {
        const struct stock_node *n = &at->nodes[i];
        used += (size_t)snprintf(t->nodes + used, sizeof t->nodes - used,
                                 "%u:%" PRIu64 ":%" PRIu32 ":%d ", (unsigned)n->id, n->epoch,
                                 n->gone, n->silent ? 1 : 0);
    }
    ASSERT(used < sizeof t->nodes);
    redis_conn_add(c, t->nodes, used);
}

/* "version node time_ms from" of the journal's last act. */
static void add_origin(struct redis_conn *c, struct attach_texts *t, const struct stock_attach *at)
{
    const struct stock_origin *o = &at->origin;
    int len = 0;
    if (o->node > 0)
        len = snprintf(t->origin, sizeof t->origin, "%" PRIu32 " %u %" PRIu64 " %.*s", at->version,
                       (unsigned)o->node, o->wall_ms, (int)o->from_len, o->from);
    ASSERT(len >= 0 && (size_t)len < sizeof t->origin);
    redis_conn_add(c, t->origin, (size_t)len);
}

/* All arguments but the last two. */
static struct redis_conn *begin_attach(struct redis_scripts *s, struct attach_texts *t,
                                       const struct stock_attach *at)
{
    stock_new_sale(&t->new_sale);
    sodium_bin2hex(t->secret, sizeof t->secret, at->sale.secret, ORDERID_SECRET);
    sodium_bin2hex(t->new_secret, sizeof t->new_secret, t->new_sale.secret, ORDERID_SECRET);
    struct redis_conn *c = redis_script_begin(s, SCRIPT_ATTACH, at->event, at->epoch);
    redis_conn_add_text(c, redis_scripts_run_id(s));
    redis_conn_add_text(c, at->sale.id);
    redis_conn_add_text(c, at->sale.id[0] != '\0' ? t->secret : "");
    redis_conn_add_text(c, t->new_sale.id);
    redis_conn_add_text(c, t->new_secret);
    redis_conn_add_number(c, (int64_t)at->last);
    redis_conn_add_number(c, (int64_t)at->end);
    redis_conn_add_number(c, at->total);
    redis_conn_add_number(c, at->version);
    redis_conn_add_text(c, stock_state_names[at->state]);
    redis_conn_add_number(c, at->seen.foreign);
    redis_conn_add_number(c, (int64_t)at->seen.revision);
    add_known(c, t, at);
    add_nodes(c, t, at);
    redis_conn_add_number(c, at->nodes_are_current ? 1 : 0);
    add_origin(c, t, at);
    redis_conn_add_number(c, (int64_t)at->own_epoch);
    return c;
}

/* ---- replies -------------------------------------------------------------------------------- */

/* "1 2 3": the nodes of the sale. */
static bool parse_known(const char *text, struct stock_attach *at)
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

static bool parse_attach(const redisReply *reply, void *into)
{
    struct stock_attach *at = into;
    const char *sale = reply_text(reply, 1), *secret = reply_text(reply, 2);
    unsigned char id[STOCK_SALE_TEXT / 2];
    uint64_t repair;
    size_t len;
    if (sale == NULL || strlen(sale) != STOCK_SALE_TEXT || secret == NULL ||
        strlen(secret) != SECRET_TEXT ||
        sodium_hex2bin(id, sizeof id, sale, STOCK_SALE_TEXT, NULL, &len, NULL) != 0 ||
        sodium_hex2bin(at->sale.secret, ORDERID_SECRET, secret, SECRET_TEXT, NULL, &len, NULL) != 0)
        return false;
    memcpy(at->sale.id, sale, sizeof at->sale.id);
    if (!reply_number(reply, 3, INT64_MAX, &at->pos) ||
        !reply_state(reply, 4, &at->figures.state) || !reply_u32(reply, 5, &at->figures.version) ||
        !reply_u32(reply, 6, &at->figures.total) || !reply_number(reply, 7, 1, &repair) ||
        !reply_u32(reply, 8, &at->voided) || !parse_known(reply_text(reply, 9), at) ||
        !reply_number(reply, 10, INT64_MAX, &at->figures.revision) ||
        !reply_origin(reply_text(reply, 11), &at->origin) ||
        !reply_number(reply, 12, INT64_MAX, &at->figures.repair_since_wall_ms))
        return false;
    at->figures.repair = repair == 1;
    at->figures.ready = false;
    return true;
}

/* "pos chain" of the proof, then the epoch, the beat and the time of Redis. */
static bool parse_found(const redisReply *reply, void *into)
{
    struct stock_found *found = into;
    const char *proof = reply_text(reply, 1), *epoch = reply_text(reply, 2);
    const char *beat = reply_text(reply, 3);
    if (proof == NULL || epoch == NULL || beat == NULL ||
        sscanf(proof, "%20" SCNu64 " %10" SCNu32, &found->proof_pos, &found->proof_chain) != 2)
        return false;
    found->epoch = strtoull(epoch, NULL, 10);
    found->beat_wall_ms = strtoull(beat, NULL, 10);
    return reply_number(reply, 4, INT64_MAX, &found->now_wall_ms);
}

/* ---- the calls ------------------------------------------------------------------------------ */

enum stock_result redis_examine(struct redis_scripts *s, struct stock_attach *at, struct fault *f)
{
    struct attach_texts t;
    struct redis_conn *c = begin_attach(s, &t, at);
    redis_conn_add_text(c, "");
    redis_conn_add_text(c, "");
    return redis_script_finish(s, parse_found, &at->found, f);
}

enum stock_result redis_attach(struct redis_scripts *s, struct stock_attach *at, struct fault *f)
{
    struct attach_texts t;
    struct redis_conn *c = begin_attach(s, &t, at);
    snprintf(t.proof, sizeof t.proof, "%" PRIu64 " %" PRIu32, at->found.proof_pos,
             at->found.proof_chain);
    redis_conn_add_text(c, t.proof);
    if (at->first_of_process)
        redis_conn_add_number(c, (int64_t)at->found.beat_wall_ms);
    else
        redis_conn_add_text(c, "");
    return redis_script_finish(s, parse_attach, at, f);
}
