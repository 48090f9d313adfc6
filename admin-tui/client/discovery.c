/*
 * discovery: see discovery.h. The thread hands over one batch of findings and waits until the loop
 * has reported it; it touches nothing of the console's but the struct below. If the thread hangs,
 * no node joins; the nodes that are known are polled all the same.
 */
#include "admin-tui/client/discovery.h"

#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/stock/registry.h"

#define FIRST_READ_US UINT64_C(1000000)
#define LATER_READ_US UINT64_C(300000)
#define INTERVAL_S    5
#define FINDINGS_MAX  64 /* findings in one batch; the others follow with the next reading */

struct known_node {
    uint16_t number;
    char address[ENDPOINT_ADDRESS];
};

struct finding {
    struct known_node node;
    struct endpoint endpoint;
    char from[ENDPOINT_ADDRESS]; /* the address before; "": the node is new */
};

static struct discovery {
    const struct conf *conf; /* NULL: discovery_init() was not called */
    struct discovery_reports reports;
    void *context;
    struct ev_loop *loop;
    ev_async bell;
    pthread_t main_thread;
    /* of the thread that holds the lock */
    pthread_mutex_t lock;
    bool stopped;
    bool redis_is_back;
    uint32_t finding_count;
    struct finding findings[FINDINGS_MAX];
    /* of main's thread; of discovery's own once it runs */
    bool no_redis; /* Redis has not answered yet */
    struct registry registry;
    uint32_t known_count;
    struct known_node known[NODES_MAX];
} discovery = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define ASSERT_DISCOVERY_MAIN() ASSERT(pthread_equal(pthread_self(), discovery.main_thread))
#define ASSERT_DISCOVERY_OWN()  ASSERT(!pthread_equal(pthread_self(), discovery.main_thread))

static struct known_node *find_number(uint16_t number)
{
    ASSERT(discovery.known_count <= NODES_MAX);
    for (uint32_t i = 0; i < discovery.known_count; i++)
        if (discovery.known[i].number == number)
            return &discovery.known[i];
    return NULL;
}

static struct known_node *find_address(const char *address)
{
    for (uint32_t i = 0; i < discovery.known_count; i++)
        if (strcmp(discovery.known[i].address, address) == 0)
            return &discovery.known[i];
    return NULL;
}

void discovery_remember(uint16_t number, const char *address)
{
    struct known_node *k = find_number(number);
    if (k == NULL && discovery.known_count < NODES_MAX)
        k = &discovery.known[discovery.known_count++];
    if (k == NULL)
        return;
    k->number = number;
    snprintf(k->address, sizeof k->address, "%s", address);
}

bool discovery_knows(uint16_t number)
{
    return find_number(number) != NULL;
}

bool discovery_has_no_redis(void)
{
    return discovery.no_redis;
}

/* ---- the first nodes ------------------------------------------------------------------------ */

void discovery_init(const struct conf *conf, const struct discovery_reports *reports, void *context)
{
    ASSERT(discovery.conf == NULL && conf->redis.len > 0);
    discovery.conf = conf;
    discovery.reports = *reports;
    discovery.context = context;
    discovery.main_thread = pthread_self();
}

static int by_number(const void *left, const void *right)
{
    const struct registry_node *a = left, *b = right;
    return (a->node > b->node) - (a->node < b->node);
}

uint32_t discovery_read(struct fault *f)
{
    struct registry *r = &discovery.registry;
    uint32_t added = 0;
    ASSERT(discovery.loop == NULL); /* the thread does not run yet */
    ASSERT_DISCOVERY_MAIN();
    if (!registry_read(discovery.conf, FIRST_READ_US, r, f)) {
        discovery.no_redis = true;
        return 0;
    }
    fault_set(f, "redis %s: no node has advertised its admin address", discovery.conf->redis.text);
    qsort(r->nodes, r->count, sizeof r->nodes[0], by_number);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct registry_node *n = &r->nodes[i];
        struct endpoint e;
        if (!endpoint_resolve(&e, n->address, f) ||
            !discovery.reports.found(discovery.context, n->node, n->address, &e, f))
            continue;
        discovery_remember(n->node, n->address);
        added++;
    }
    return added;
}

/* ---- those that join later ------------------------------------------------------------------ */

/* False: no node can be added any more. */
static bool report(const struct finding *found)
{
    struct fault f;
    if (found->from[0] == '\0')
        return discovery.reports.found(discovery.context, found->node.number, found->node.address,
                                       &found->endpoint, &f);
    discovery.reports.moved(discovery.context, found->node.number, found->from, found->node.address,
                            &found->endpoint);
    return true;
}

static void on_bell(struct ev_loop *loop, ev_async *bell, int events)
{
    (void)loop, (void)bell, (void)events;
    ASSERT_DISCOVERY_MAIN();
    pthread_mutex_lock(&discovery.lock);
    ASSERT(discovery.finding_count <= FINDINGS_MAX);
    if (discovery.redis_is_back && !discovery.stopped)
        discovery.reports.redis_is_back(discovery.context);
    discovery.redis_is_back = false;
    for (uint32_t i = 0; i < discovery.finding_count && !discovery.stopped; i++)
        if (!report(&discovery.findings[i]))
            break;
    discovery.finding_count = 0;
    pthread_mutex_unlock(&discovery.lock);
}

static void hand_over(const struct finding *found, uint32_t count)
{
    ASSERT_DISCOVERY_OWN();
    ASSERT(count <= FINDINGS_MAX);
    pthread_mutex_lock(&discovery.lock);
    if (discovery.finding_count == 0 && !discovery.stopped) {
        memcpy(discovery.findings, found, count * sizeof *found);
        discovery.finding_count = count;
        discovery.redis_is_back = discovery.no_redis;
        discovery.no_redis = false;
        for (uint32_t i = 0; i < count; i++)
            discovery_remember(found[i].node.number, found[i].node.address);
        ev_async_send(discovery.loop, &discovery.bell);
    }
    pthread_mutex_unlock(&discovery.lock);
}

/* True: the node is not known, or known at another address; out holds what to report. */
static bool is_news(const struct registry_node *n, struct finding *out)
{
    struct fault f;
    const struct known_node *before = find_number(n->node);
    struct known_node *there = find_address(n->address);
    if (there != NULL && before == NULL)
        there->number = n->node; /* the node there has another number now, and reports it itself */
    if (there != NULL && there->number == n->node)
        return false;
    if (strlen(n->address) >= ENDPOINT_ADDRESS || !endpoint_resolve(&out->endpoint, n->address, &f))
        return false;
    out->node.number = n->node;
    strcpy(out->node.address, n->address);
    strcpy(out->from, before != NULL ? before->address : "");
    return true;
}

static void read_again(void)
{
    static struct finding found[FINDINGS_MAX];
    const struct registry *r = &discovery.registry;
    struct fault f;
    uint32_t count = 0;
    ASSERT_DISCOVERY_OWN();
    if (!registry_read(discovery.conf, LATER_READ_US, &discovery.registry, &f))
        return; /* the nodes are polled all the same */
    for (uint32_t i = 0; i < r->count && count < FINDINGS_MAX; i++)
        count += is_news(&r->nodes[i], &found[count]) ? 1 : 0;
    if (count > 0 || discovery.no_redis)
        hand_over(found, count);
}

static void *run(void *unused)
{
    (void)unused;
    const struct timespec interval = {.tv_sec = INTERVAL_S};
    for (;;) {
        nanosleep(&interval, NULL);
        read_again();
    }
    return NULL;
}

bool discovery_start(struct ev_loop *loop, struct fault *f)
{
    pthread_t thread;
    sigset_t all, before;
    ASSERT(discovery.conf != NULL && discovery.loop == NULL);
    ASSERT_DISCOVERY_MAIN();
    discovery.loop = loop;
    ev_async_init(&discovery.bell, on_bell);
    ev_async_start(loop, &discovery.bell);
    ev_unref(loop); /* the bell alone must not keep the loop running */
    /* Signals are for the thread that has the terminal. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return fault(f, "a thread for the registry: %s", strerror(error));
    pthread_detach(thread);
    return true;
}

void discovery_stop(void)
{
    pthread_mutex_lock(&discovery.lock);
    discovery.stopped = true;
    pthread_mutex_unlock(&discovery.lock);
}
