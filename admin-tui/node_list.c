/*
 * node_list: see node_list.h. If Redis hangs, no node joins; the screen goes on.
 */
#include "admin-tui/node_list.h"

#include <stdio.h>
#include <string.h>

#include "admin-tui/client/discovery.h"
#include "conf/base/clock.h"

static struct node_list {
    struct feed *feed;
    struct model *model;
    bool from_redis; /* discovery is in use */
} list;

/* ---- what discovery reports ----------------------------------------------------------------- */

static bool on_found(void *context, uint16_t number, const char *address, const struct endpoint *e,
                     struct fault *f)
{
    (void)context;
    if (model_find(list.model, address) != NULL) /* two nodes may have swapped their addresses */
        return true;
    model_locate(list.model, number, address);
    if (!feed_add_at(list.feed, address, e, f))
        return false;
    model_name(list.model, address, number);
    return true;
}

static void on_moved(void *context, uint16_t number, const char *from, const char *to,
                     const struct endpoint *e)
{
    (void)context;
    if (model_find(list.model, to) != NULL)
        return;
    feed_move(list.feed, from, to, e);
    model_name(list.model, to, number);
}

static void on_redis(void *context)
{
    (void)context;
    model_announce(list.model, false, clock_wall_ms(),
                   "Redis answers: the nodes that it knows are watched");
}

/* ---- the first nodes ------------------------------------------------------------------------ */

static bool add_named(const struct top_options *o, struct fault *f)
{
    for (uint32_t i = 0; i < o->name_count; i++)
        if (!feed_add(list.feed, o->names[i], f))
            return false;
    return true;
}

static bool add_discovered(const struct conf *conf, struct fault *f)
{
    static const struct discovery_reports reports = {on_found, on_moved, on_redis};
    if (conf->redis.len == 0)
        return false;
    discovery_init(conf, &reports, NULL);
    list.from_redis = true;
    return discovery_read(f) > 0;
}

/* The node whose configuration this is. */
static bool add_self(const struct conf *conf, struct fault *f)
{
    const struct conf_addr *a = &conf->admin;
    char address[sizeof "unix:" + sizeof a->to.local.sun_path];
    if (a->len == 0)
        return false;
    const char *text = a->text;
    if (a->to.any.sa_family == AF_UNIX) {
        snprintf(address, sizeof address, "unix:%s", a->to.local.sun_path);
        text = address;
    }
    if (list.from_redis)
        discovery_remember(conf->node, text);
    if (!feed_add(list.feed, text, f))
        return false;
    model_name(list.model, text, conf->node);
    return true;
}

/* One node of several does not show the sale: the operator must not mistake it for that. */
static void warn_alone(const struct top_options *o, const struct conf *conf)
{
    const char *why = "Redis does not answer; only this node is watched until it does";
    if (!discovery_has_no_redis() && conf->node_count == 1)
        return;
    if (!discovery_has_no_redis())
        why = "Redis knows no node's address (advertise); only this node is watched";
    model_announce(list.model, true, clock_wall_ms(), "%s", why);
    if (o->batch)
        fprintf(stderr, "spike-top: %s\n", why);
}

/* Nodes of the sale that have no known address have rows, too. */
static void add_absent(const struct conf *conf)
{
    ASSERT(list.from_redis);
    for (uint32_t i = 0; i < conf->node_count; i++)
        if (!discovery_knows(conf->nodes[i]))
            model_add_absent(list.model, conf->nodes[i]);
}

bool node_list_begin(struct feed *feed, struct model *m, const struct top_options *o,
                     const struct conf *conf, struct fault *f)
{
    struct fault why = {"it has no `redis`"};
    ASSERT(list.feed == NULL && feed != NULL);
    list.feed = feed;
    list.model = m;
    if (o->name_count > 0)
        return add_named(o, f);
    if (conf == NULL)
        return fault(f, "which nodes? Name their admin addresses (HOST:PORT or unix:PATH), or a "
                        "configuration with -c FILE");
    bool has_found = add_discovered(conf, &why);
    if (!has_found && !add_self(conf, &why))
        return fault(f,
                     "no node to ask: %.300s; and the configuration's own `admin` cannot be asked. "
                     "Name the nodes' admin addresses, or let them `advertise` theirs",
                     why.text);
    if (list.from_redis)
        add_absent(conf);
    if (list.from_redis && !has_found)
        warn_alone(o, conf);
    return true;
}

bool node_list_watch(struct ev_loop *loop, struct fault *f)
{
    ASSERT(list.feed != NULL);
    return !list.from_redis || discovery_start(loop, f);
}

void node_list_end(void)
{
    if (list.from_redis)
        discovery_stop();
}
