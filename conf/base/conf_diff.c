/*
 * conf_diff: compares two configurations, setting by setting, by the table of settings.def: after a
 * HUP the log names each setting that took effect and each that did not.
 *
 * Owner: main; pure.
 */
#include <string.h>

#include "conf/base/conf_settings.h"

static bool same_addr(const struct conf_addr *a, const struct conf_addr *b)
{
    return a->len == b->len && memcmp(&a->to, &b->to, a->len) == 0;
}

static bool same_listen(const struct conf *a, const struct conf *b)
{
    if (a->listen_count != b->listen_count)
        return false;
    for (uint32_t i = 0; i < a->listen_count; i++)
        if (!same_addr(&a->listen[i], &b->listen[i]))
            return false;
    return true;
}

static bool same_nodes(const struct conf *a, const struct conf *b)
{
    return a->node_count == b->node_count &&
           memcmp(a->nodes, b->nodes, a->node_count * sizeof *a->nodes) == 0;
}

static size_t plain_size(enum conf_kind kind)
{
    switch (kind) {
    case KIND_NODE:
        return sizeof(uint16_t);
    case KIND_YES_NO:
        return sizeof(bool);
    case KIND_LEVEL:
        return sizeof(int);
    case KIND_NUMBER:
    case KIND_BYTES:
        return sizeof(uint32_t);
    default:
        ASSERT(kind == KIND_SIZE || kind == KIND_TIME || kind == KIND_MOMENT);
        return sizeof(uint64_t);
    }
}

/* a and b: struct conf, or struct conf_event for a setting of an event. */
static bool same(const struct setting *s, const void *a, const void *b)
{
    ASSERT((size_t)(s - settings) < SETTING_COUNT);
    const char *in_a = (const char *)a + s->offset, *in_b = (const char *)b + s->offset;
    switch (s->kind) {
    case KIND_LISTEN:
        return same_listen(a, b);
    case KIND_NODES:
        return same_nodes(a, b);
    case KIND_ADDR:
    case KIND_PEER:
        return same_addr((const struct conf_addr *)(const void *)in_a,
                         (const struct conf_addr *)(const void *)in_b);
    case KIND_FILE:
    case KIND_JOURNAL:
        return strcmp(in_a, in_b) == 0;
    case KIND_EVENT:
        return true; /* compared event by event in conf_diff() */
    default:
        return memcmp(in_a, in_b, plain_size(s->kind)) == 0;
    }
}

const struct conf_event *conf_find_event(const struct conf *conf, const char *name)
{
    for (uint32_t i = 0; i < conf->event_count; i++)
        if (strcmp(conf->events[i].name, name) == 0)
            return &conf->events[i];
    return NULL;
}

static void diff_block(bool in_event, const char *event, const void *a, const void *b,
                       conf_differs *report, void *context)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if ((settings[i].block == BLOCK_EVENT) == in_event && !same(&settings[i], a, b))
            report(context, event, settings[i].name);
}

void conf_diff(const struct conf *old, const struct conf *new, conf_differs *report, void *context)
{
    ASSERT_MAIN();
    diff_block(false, NULL, old, new, report, context);
    for (uint32_t i = 0; i < old->event_count; i++) {
        const struct conf_event *e = &old->events[i], *now = conf_find_event(new, e->name);
        if (now == NULL)
            report(context, e->name, "event");
        else
            diff_block(true, e->name, e, now, report, context);
    }
    for (uint32_t i = 0; i < new->event_count; i++)
        if (conf_find_event(old, new->events[i].name) == NULL)
            report(context, new->events[i].name, "event");
}
