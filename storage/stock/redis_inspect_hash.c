/*
 * A field of the hash is of one node ("7:held") or of the event ("state"); fields of other programs
 * are skipped.
 */
#include "storage/stock/redis_inspect_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOTAL_SUFFIX "_total_nums"
#define SOLD_SUFFIX  "_sold_nums"

uint64_t inspect_number(const char *text)
{
    return text[0] == '-' ? 0 : strtoull(text, NULL, 10);
}

/* Finds the node or adds it. NULL: the id is out of range, or there are too many nodes. */
static struct inspect_node *node_at(struct inspect_event *e, unsigned long id)
{
    ASSERT(e->node_count <= NODES_MAX);
    for (uint32_t i = 0; i < e->node_count; i++)
        if (e->nodes[i].node == id)
            return &e->nodes[i];
    if (id < 1 || id > NODE_MAX || e->node_count == NODES_MAX)
        return NULL;
    e->nodes[e->node_count].node = (uint16_t)id;
    return &e->nodes[e->node_count++];
}

/* "1 2 3": the nodes of the sale. */
static bool parse_known(struct inspect_event *e, const char *at)
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

/* A line for each order; it begins with the number of its tickets. */
static void parse_pending(struct inspect_node *n, const char *at)
{
    for (; *at != '\0'; at++) {
        n->pending += strtoull(at, NULL, 10);
        n->pending_orders++;
        at += strcspn(at, "\n");
        if (*at == '\0')
            return;
    }
}

static void parse_node_field(struct inspect_node *n, const char *field, const char *value)
{
    const struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {
        {"last", &n->last_number}, {"done", &n->settled_number}, {"told", &n->streamed_seq},
        {"pos", &n->pos},          {"held", &n->held},           {"sold", &n->sold},
        {"gone", &n->gone},        {"epoch", &n->epoch},         {"rebuild", &n->rebuild}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(field, numbers[i].name) == 0)
            *numbers[i].to = inspect_number(value);
    if (strcmp(field, "ready") == 0)
        n->ready = strcmp(value, "1") == 0;
    else if (strcmp(field, "pending") == 0)
        parse_pending(n, value);
}

/* Is the field the event's name and the suffix? */
static bool is_named(const char *field, const char *event, const char *suffix)
{
    size_t len = strlen(event);
    return strncmp(field, event, len) == 0 && strcmp(field + len, suffix) == 0;
}

static void parse_event_number(struct inspect_event *e, const char *field, const char *value)
{
    const struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {{"ours", &e->sold_by_us},
                   {"version", &e->version},
                   {"rebuild", &e->rebuild},
                   {"requests", &e->stamps[INSPECT_KEYS]},
                   {"buyers", &e->stamps[INSPECT_BUYERS]},
                   {"marks", &e->stamps[INSPECT_KEY_HASHES]}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(field, numbers[i].name) == 0)
            *numbers[i].to = inspect_number(value);
}

/* False: too many nodes, or a value that cannot be a sale id. */
static bool parse_field(struct inspect_event *e, const char *event, const char *field,
                        const char *value)
{
    char *end;
    unsigned long id = strtoul(field, &end, 10);
    if (end != field && *end == ':') {
        struct inspect_node *n = node_at(e, id);
        if (n != NULL)
            parse_node_field(n, end + 1, value);
        return n != NULL;
    }
    if (strcmp(field, "known") == 0)
        return parse_known(e, value);
    if (strcmp(field, "sale") == 0) {
        memccpy(e->sale, value, '\0', sizeof e->sale);
        return strlen(value) == INSPECT_SALE_TEXT;
    }
    if (strcmp(field, "state") == 0)
        snprintf(e->state, sizeof e->state, "%s", value);
    else if (strcmp(field, "run") == 0)
        snprintf(e->run, sizeof e->run, "%s", value);
    if (is_named(field, event, TOTAL_SUFFIX) && !e->repair)
        e->total = inspect_number(value);
    else if (is_named(field, event, SOLD_SUFFIX))
        e->gone = inspect_number(value);
    else if (strcmp(field, "aside") == 0) {
        e->repair = true;
        e->total = inspect_number(value);
    } else
        parse_event_number(e, field, value);
    return true;
}

bool inspect_is_pairs(const redisReply *list)
{
    if (list->type != REDIS_REPLY_ARRAY || list->elements % 2 != 0)
        return false;
    for (size_t i = 0; i < list->elements; i++)
        if (list->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

static bool parse_hash(const redisReply *hash, const char *event, struct inspect_event *e)
{
    if (!inspect_is_pairs(hash))
        return false;
    for (size_t i = 0; i < hash->elements; i += 2)
        if (!parse_field(e, event, hash->element[i]->str, hash->element[i + 1]->str))
            return false;
    e->exists = hash->elements > 0;
    return true;
}

/* told:N is the seq of the last change of node N that is in the stream. */
static bool parse_registry(const redisReply *registry, struct inspect_event *e)
{
    if (!inspect_is_pairs(registry))
        return false;
    for (size_t i = 0; i < registry->elements; i += 2) {
        unsigned long id;
        if (sscanf(registry->element[i]->str, "told:%lu", &id) != 1)
            continue;
        for (uint32_t k = 0; k < e->node_count; k++)
            if (e->nodes[k].node == id)
                e->nodes[k].streamed_registry = inspect_number(registry->element[i + 1]->str);
    }
    return true;
}

bool inspect_parse_event(const redisReply *hash, const redisReply *registry, const char *event,
                         struct inspect_event *out)
{
    ASSERT(out->node_count == 0 && !out->repair);
    return parse_hash(hash, event, out) && parse_registry(registry, out);
}
