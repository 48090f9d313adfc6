/*
 * roster: see roster.h. The thread hands over one batch of new nodes and waits until the loop has
 * taken it. It touches nothing of the console's but the struct below. If it hangs, nobody joins.
 */
#include "admin-tui/roster.h"

#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/base/clock.h"
#include "storage/stock/registry.h"

#define FIRST_LOOK_US UINT64_C(1000000)
#define LATER_LOOK_US UINT64_C(300000)
#define BETWEEN_S     5
#define JOIN_MAX      64 /* nodes that join at once; the others join with the next look */

struct known {
    uint16_t node;
    char address[MODEL_ADDRESS];
};

struct joining {
    struct known at;
    struct place place;
    char from[MODEL_ADDRESS]; /* where it was until now; "": it is new */
};

static struct {
    struct poll *poll;
    const struct conf *conf; /* NULL: Redis is not the source */
    struct ev_loop *loop;
    ev_async bell;
    /* of whoever holds the lock */
    pthread_mutex_t lock;
    bool ended;
    bool found_again; /* Redis, which had not answered at first */
    uint32_t join_count;
    struct joining join[JOIN_MAX];
    /* of the thread, once it runs */
    bool is_lost; /* Redis has not answered yet */
    struct registry found;
    uint32_t known_count;
    struct known known[MODEL_NODES_MAX];
} roster = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct known *known_node(uint16_t node)
{
    for (uint32_t i = 0; i < roster.known_count; i++)
        if (roster.known[i].node == node)
            return &roster.known[i];
    return NULL;
}

static struct known *known_address(const char *address)
{
    for (uint32_t i = 0; i < roster.known_count; i++)
        if (strcmp(roster.known[i].address, address) == 0)
            return &roster.known[i];
    return NULL;
}

static void remember(uint16_t node, const char *address)
{
    struct known *k = known_node(node);
    if (k == NULL && roster.known_count < MODEL_NODES_MAX)
        k = &roster.known[roster.known_count++];
    if (k == NULL)
        return;
    k->node = node;
    snprintf(k->address, sizeof k->address, "%s", address);
}

/* ---- the first nodes ------------------------------------------------------------------------ */

static bool add_named(const struct top_options *o, struct fault *f)
{
    for (uint32_t i = 0; i < o->name_count; i++)
        if (!poll_add(roster.poll, o->names[i], f))
            return false;
    return true;
}

static int by_node(const void *left, const void *right)
{
    const struct registry_node *a = left, *b = right;
    return (a->node > b->node) - (a->node < b->node);
}

/* How many nodes Redis knows that can be asked. An address that cannot be found now is looked up
 * again later. */
static uint32_t add_registered(struct fault *f)
{
    uint32_t added = 0;
    if (!registry_read(roster.conf, FIRST_LOOK_US, &roster.found, f)) {
        roster.is_lost = true;
        return 0;
    }
    fault_set(f, "redis %s: no node has advertised its admin address", roster.conf->redis.text);
    qsort(roster.found.nodes, roster.found.count, sizeof roster.found.nodes[0], by_node);
    for (uint32_t i = 0; i < roster.found.count; i++) {
        if (!poll_add(roster.poll, roster.found.nodes[i].address, f))
            continue;
        remember(roster.found.nodes[i].node, roster.found.nodes[i].address);
        model_name(poll_model(roster.poll), roster.found.nodes[i].address,
                   roster.found.nodes[i].node);
        added++;
    }
    return added;
}

/* The node whose configuration it is. */
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
    remember(conf->node, text);
    if (!poll_add(roster.poll, text, f))
        return false;
    model_name(poll_model(roster.poll), text, conf->node);
    return true;
}

/* One node of several is no picture of the sale: nobody may take it for one. */
static void tell_alone(const struct top_options *o, const struct conf *conf)
{
    const char *why = "Redis does not answer; only this node is watched until it does";
    if (!roster.is_lost && conf->node_count == 1)
        return;
    if (!roster.is_lost)
        why = "Redis knows no node's address (advertise); only this node is watched";
    model_say(poll_model(roster.poll), true, clock_wall_ms(), "%s", why);
    if (o->batch)
        fprintf(stderr, "spike-top: %s\n", why);
}

/* Nodes of the sale that nobody can be asked for have rows, too. */
static bool add_missing(const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->node_count && roster.conf != NULL; i++)
        if (known_node(conf->nodes[i]) == NULL)
            model_miss(poll_model(roster.poll), conf->nodes[i]);
    return true;
}

bool roster_begin(struct poll *p, const struct top_options *o, const struct conf *conf,
                  struct fault *f)
{
    struct fault why = {"it has no `redis`"};
    roster.poll = p;
    if (o->name_count > 0)
        return add_named(o, f);
    if (conf == NULL)
        return fault(f, "which nodes? Name their admin addresses (HOST:PORT or unix:PATH), or a "
                        "configuration with -c FILE");
    if (conf->redis.len > 0) {
        roster.conf = conf;
        if (add_registered(&why) > 0)
            return add_missing(conf);
    }
    if (add_self(conf, &why)) {
        add_missing(conf);
        if (roster.conf != NULL)
            tell_alone(o, conf);
        return true;
    }
    return fault(f,
                 "nobody to ask: %.300s; and the configuration's own `admin` cannot be asked. Name "
                 "the nodes' admin addresses, or let them `advertise` theirs",
                 why.text);
}

/* ---- those that join later ------------------------------------------------------------------ */

static void on_bell(struct ev_loop *loop, ev_async *bell, int events)
{
    struct model *m = poll_model(roster.poll);
    (void)loop, (void)bell, (void)events;
    pthread_mutex_lock(&roster.lock);
    if (roster.found_again && !roster.ended)
        model_say(m, false, clock_wall_ms(), "Redis answers: the nodes that it knows are watched");
    roster.found_again = false;
    for (uint32_t i = 0; i < roster.join_count && !roster.ended; i++) {
        const struct joining *j = &roster.join[i];
        struct fault f;
        if (model_asks(m, j->at.address)) /* nodes may have swapped theirs */
            continue;
        if (j->from[0] == '\0')
            model_find(m, j->at.node, j->at.address);
        if (j->from[0] != '\0')
            poll_move(roster.poll, j->from, j->at.address, &j->place);
        /* The only fault left is that there are too many, and then the screen is full of nodes. */
        else if (!poll_add_at(roster.poll, j->at.address, &j->place, &f))
            break;
        model_name(m, j->at.address, j->at.node);
    }
    roster.join_count = 0;
    pthread_mutex_unlock(&roster.lock);
}

static void hand_over(const struct joining *found, uint32_t count)
{
    pthread_mutex_lock(&roster.lock);
    if (roster.join_count == 0 && !roster.ended) {
        memcpy(roster.join, found, count * sizeof *found);
        roster.join_count = count;
        roster.found_again = roster.is_lost;
        roster.is_lost = false;
        for (uint32_t i = 0; i < count; i++)
            remember(found[i].at.node, found[i].at.address);
        ev_async_send(roster.loop, &roster.bell);
    }
    pthread_mutex_unlock(&roster.lock);
}

/* A node that is not known, or known elsewhere; false: all is as it was. */
static bool is_news(const struct registry_node *n, struct joining *out)
{
    struct fault f;
    const struct known *before = known_node(n->node);
    struct known *there = known_address(n->address);
    if (there != NULL && before == NULL)
        there->node = n->node; /* what is asked there has another number now, and will say so */
    if (there != NULL && there->node == n->node)
        return false;
    if (strlen(n->address) >= MODEL_ADDRESS || !place_find(&out->place, n->address, &f))
        return false;
    out->at.node = n->node;
    strcpy(out->at.address, n->address);
    strcpy(out->from, before != NULL ? before->address : "");
    return true;
}

static void look(void)
{
    static struct joining found[JOIN_MAX];
    struct fault f;
    uint32_t count = 0;
    if (!registry_read(roster.conf, LATER_LOOK_US, &roster.found, &f))
        return; /* the nodes are asked all the same */
    for (uint32_t i = 0; i < roster.found.count && count < JOIN_MAX; i++)
        count += is_news(&roster.found.nodes[i], &found[count]) ? 1 : 0;
    if (count > 0 || roster.is_lost)
        hand_over(found, count);
}

static void *watch(void *unused)
{
    (void)unused;
    const struct timespec between = {.tv_sec = BETWEEN_S};
    for (;;) {
        nanosleep(&between, NULL);
        look();
    }
    return NULL;
}

bool roster_watch(struct ev_loop *loop, struct fault *f)
{
    pthread_t thread;
    sigset_t all, before;
    if (roster.conf == NULL)
        return true;
    roster.loop = loop;
    ev_async_init(&roster.bell, on_bell);
    ev_async_start(loop, &roster.bell);
    ev_unref(loop); /* it alone keeps nothing running */
    /* Signals are for the thread that has the terminal. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return fault(f, "a thread for the registry: %s", strerror(error));
    pthread_detach(thread);
    return true;
}

void roster_end(void)
{
    pthread_mutex_lock(&roster.lock);
    roster.ended = true;
    pthread_mutex_unlock(&roster.lock);
}
