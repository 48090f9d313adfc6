#include "server/admin/metric_totals.h"

#include <string.h>

static void add_counters(struct metric_totals *t, const struct counters *c, uint32_t events)
{
#define COUNTER(name, metric, help) t->name += GET(c->name);
#define FIGURE(name, metric, kind, labels, help)
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
    t->connections += GET(c->connections);
    t->connections_max += GET(c->connections_max);
    for (int v = 0; v < VERDICT_COUNT; v++) {
        t->answers[v] += GET(c->answers[v]);
        for (uint32_t e = 0; e < events; e++)
            t->verdicts[e][v] += GET(c->verdicts[e][v]);
    }
    latency_total_add(&t->buy, &c->buy);
}

static void add_pools(struct metric_totals *t, const struct worker *w)
{
    struct worker_pool pools[WORKER_POOLS];
    worker_pools(w, pools);
    t->pool_count = WORKER_POOLS;
    for (int k = 0; k < WORKER_POOLS; k++) {
        ASSERT(t->pools[k].name == NULL || t->pools[k].name == pools[k].name);
        t->pools[k].name = pools[k].name;
        t->pools[k].used += pools[k].used;
        t->pools[k].size += pools[k].size;
    }
}

static struct worker_pool *add_pool(struct metric_totals *t, const char *name)
{
    ASSERT(t->pool_count < METRIC_POOLS);
    struct worker_pool *p = &t->pools[t->pool_count++];
    p->name = name;
    return p;
}

/* Of all events. */
static void add_ledger_pools(struct metric_totals *t, const struct board *b, uint32_t events)
{
    struct worker_pool *holds = add_pool(t, "holds"), *filter = add_pool(t, "filter");
    for (uint32_t i = 0; i < events; i++) {
        const struct board_event *e = &b->events[i];
        holds->used += GET(e->holds);
        holds->size += GET(e->holds_max);
        filter->used += GET(e->key_hashes);
        filter->size += GET(e->key_hashes_max);
    }
}

/* With Redis the keys and buyers are stored there, and a node has no tables of them. */
static void add_stock_tables(struct metric_totals *t, const struct board_stores *b)
{
    if (GET(b->keys_max) > 0)
        *add_pool(t, "keys") = (struct worker_pool){"keys", GET(b->keys), GET(b->keys_max)};
    if (GET(b->buyers_max) > 0)
        *add_pool(t, "buyers") = (struct worker_pool){"buyers", GET(b->buyers), GET(b->buyers_max)};
}

void metric_totals_read(struct metric_totals *t, const struct admin *a)
{
    const struct conf *conf = a->conf;
    ASSERT_MAIN();
    ASSERT(conf->event_count <= EVENTS_MAX && conf->workers <= WORKERS_MAX);
    memset(t, 0, sizeof *t);
    for (uint32_t i = 0; i < conf->workers; i++) {
        add_counters(t, worker_counters(a->workers[i]), conf->event_count);
        add_pools(t, a->workers[i]);
    }
    add_ledger_pools(t, a->board, conf->event_count);
    add_stock_tables(t, &a->board->stores);
}

uint32_t metric_redis_rtt_us(const struct board_stores *s)
{
    return GET(s->redis) == REDIS_UP ? GET(s->redis_rtt_us) : 0;
}

uint64_t metric_answers(const uint64_t answers[VERDICT_COUNT], int min, int max)
{
    uint64_t sum = 0;
    ASSERT(min <= max);
    for (int v = 0; v < VERDICT_COUNT; v++) {
        int status = verdict_status((enum verdict)v);
        sum += status >= min && status <= max ? answers[v] : 0;
    }
    return sum;
}

uint64_t metric_worker_requests(const struct counters *c)
{
    uint64_t sum = 0;
    for (int v = 0; v < VERDICT_COUNT; v++)
        sum += GET(c->answers[v]);
    return sum;
}
