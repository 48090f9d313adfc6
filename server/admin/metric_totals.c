#include "server/admin/metric_totals.h"

#include <string.h>

static void add_counters(struct sums *s, const struct counters *c, uint32_t events)
{
#define COUNTER(name, metric, help) s->name += GET(c->name);
#define FIGURE(name, metric, kind, labels, help)
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
    s->connections += GET(c->connections);
    s->connections_max += GET(c->connections_max);
    for (int v = 0; v < VERDICT_COUNT; v++) {
        s->answers[v] += GET(c->answers[v]);
        for (uint32_t e = 0; e < events; e++)
            s->verdicts[e][v] += GET(c->verdicts[e][v]);
    }
    latency_total_add(&s->buy, &c->buy);
}

static void add_pools(struct sums *s, const struct worker *w)
{
    struct worker_pool pools[WORKER_POOLS];
    worker_pools(w, pools);
    s->pool_count = WORKER_POOLS;
    for (int k = 0; k < WORKER_POOLS; k++) {
        s->pools[k].name = pools[k].name;
        s->pools[k].used += pools[k].used;
        s->pools[k].size += pools[k].size;
    }
}

static struct worker_pool *add_pool(struct sums *s, const char *name)
{
    ASSERT(s->pool_count < SUMS_POOLS);
    struct worker_pool *p = &s->pools[s->pool_count++];
    p->name = name;
    return p;
}

/* Of all events. */
static void add_ledger_pools(struct sums *s, const struct board *b, uint32_t events)
{
    struct worker_pool *holds = add_pool(s, "holds"), *filter = add_pool(s, "filter");
    for (uint32_t i = 0; i < events; i++) {
        const struct board_event *e = &b->events[i];
        holds->used += GET(e->holds);
        holds->size += GET(e->holds_max);
        filter->used += GET(e->key_hashes);
        filter->size += GET(e->key_hashes_max);
    }
}

/* With Redis the names are there, and these have no place. */
static void add_names(struct sums *s, const struct board_stores *b)
{
    if (GET(b->keys_max) > 0)
        *add_pool(s, "keys") = (struct worker_pool){"keys", GET(b->keys), GET(b->keys_max)};
    if (GET(b->buyers_max) > 0)
        *add_pool(s, "buyers") = (struct worker_pool){"buyers", GET(b->buyers), GET(b->buyers_max)};
}

void sums_make(struct sums *s, const struct admin *a)
{
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < a->worker_count; i++) {
        add_counters(s, worker_counters(a->workers[i]), a->conf->event_count);
        add_pools(s, a->workers[i]);
    }
    add_ledger_pools(s, a->board, a->conf->event_count);
    add_names(s, &a->board->stores);
}

uint32_t sums_redis_rtt_us(const struct board_stores *s)
{
    return GET(s->redis) == REDIS_UP ? GET(s->redis_rtt_us) : 0;
}

uint64_t sums_answers(const uint64_t answers[VERDICT_COUNT], int least, int most)
{
    uint64_t sum = 0;
    for (int v = 0; v < VERDICT_COUNT; v++) {
        int status = verdict_status((enum verdict)v);
        sum += status >= least && status <= most ? answers[v] : 0;
    }
    return sum;
}

uint64_t sums_requests(const struct counters *c)
{
    uint64_t sum = 0;
    for (int v = 0; v < VERDICT_COUNT; v++)
        sum += GET(c->answers[v]);
    return sum;
}
