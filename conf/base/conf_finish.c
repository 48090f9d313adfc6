/*
 * conf_finish: completes a block that was read: finds missing settings, computes the defaults that
 * depend on others, and refuses values that contradict each other. An error names the line of the
 * setting to change or, if that is missing, the end of its block.
 *
 * Owner: main, through conf.c.
 */
#include <inttypes.h>
#include <sched.h>
#include <string.h>

#include "conf/base/conf_settings.h"
#include "conf/base/conf_value.h"

/* LMDB maps whole pages. */
#define JOURNAL_UNIT 4096

static bool check_required(const struct block *b, struct fault *f)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];
        if (s->block == b->kind && s->given == GIVEN_REQUIRED && b->set[i].line == 0)
            return location_fault(f, &b->end, "%s%s'%s' is required and missing",
                                  block_name(b->kind), b->kind == BLOCK_TOP ? "" : ": ", s->name);
    }
    return true;
}

static bool is_set(const struct block *b, enum setting_id id)
{
    ASSERT(id < SETTING_COUNT && settings[id].block == b->kind);
    return b->set[id].line > 0;
}

bool event_finish(struct conf_event *e, const struct block *b, struct fault *f)
{
    ASSERT(b->kind == BLOCK_EVENT);
    if (!check_required(b, f))
        return false;
    if (!is_set(b, SET_stock_max))
        e->stock_max = e->total > TICKETS_MAX / 2 ? TICKETS_MAX : 2 * e->total;
    if (!is_set(b, SET_local_stock))
        e->local_stock = CONF_NO_CAP;
    if (e->stock_max < e->total)
        return location_fault(f, &b->set[SET_stock_max],
                              "stock-max %" PRIu32 " is less than total %" PRIu32, e->stock_max,
                              e->total);
    return true;
}

static uint32_t count_cores(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;
    int count = CPU_COUNT(&cores);
    return count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : (uint32_t)count;
}

static bool finish_nodes(struct conf *conf, const struct block *b, struct fault *f)
{
    if (!is_set(b, SET_nodes)) {
        conf->nodes[0] = conf->node;
        conf->node_count = 1;
    }
    for (uint32_t i = 0; i < conf->node_count; i++)
        if (conf->nodes[i] == conf->node)
            return true;
    return location_fault(f, &b->set[SET_nodes], "nodes: this node, %u, is not among them",
                          conf->node);
}

static bool check_admin(const struct conf *conf, const struct block *b, struct fault *f)
{
    const struct source_location *at = &b->set[SET_admin];
    if (conf->admin.len == 0)
        return true;
    if (!addr_is_local(&conf->admin) && conf->admin_token[0] == '\0')
        return location_fault(f, at,
                              "admin %s can be reached from outside; set admin-token, or use "
                              "loopback or a Unix socket",
                              conf->admin.text);
    for (uint32_t i = 0; i < conf->listen_count; i++)
        if (addr_is_same(&conf->admin, &conf->listen[i]))
            return location_fault(f, at, "admin %s is a listen address as well", conf->admin.text);
    return true;
}

/* The address is written to Redis as one word, for programs on other hosts or in other folders: a
 * relative path, or a blank, would make it unusable for them. */
static bool check_advertise(const struct conf *conf, const struct block *b, struct fault *f)
{
    const struct source_location *at = &b->set[SET_advertise];
    const struct conf_addr *a = &conf->advertise;
    if (a->len == 0)
        return true;
    if (conf->admin.len == 0)
        return location_fault(f, at, "advertise %s: there is no admin listener to be reached",
                              a->text);
    if (a->to.any.sa_family == AF_UNIX &&
        (a->to.local.sun_path[0] != '/' || strpbrk(a->to.local.sun_path, " \t") != NULL))
        return location_fault(f, at, "advertise %s: write the full path, without blanks", a->text);
    return true;
}

bool conf_finish(struct conf *conf, const struct block *b, struct fault *f)
{
    ASSERT(b->kind == BLOCK_TOP);
    if (!check_required(b, f) || !finish_nodes(conf, b, f) || !check_admin(conf, b, f) ||
        !check_advertise(conf, b, f))
        return false;
    if (!is_set(b, SET_workers))
        conf->workers = count_cores();
    conf->journal_size = (conf->journal_size + JOURNAL_UNIT - 1) / JOURNAL_UNIT * JOURNAL_UNIT;
    ASSERT(conf->event_count > 0 && conf->listen_count > 0);
    return true;
}
