#include "server/admin/sums.h"

#include <string.h>

static void add_counters(struct sums *s, const struct counters *c, uint32_t events)
{
#define COUNTER(name, metric, help) s->name += GET(c->name);
#define FIGURE(name, metric, kind, labels, help)
#include "server/meet/counters.def"
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
    for (int k = 0; k < WORKER_POOLS; k++) {
        s->pools[k].name = pools[k].name;
        s->pools[k].used += pools[k].used;
        s->pools[k].size += pools[k].size;
    }
}

/* Of all events. */
static void add_ledger_pools(struct sums *s, const struct board *b, uint32_t events)
{
    struct worker_pool *holds = &s->pools[WORKER_POOLS], *filter = &s->pools[WORKER_POOLS + 1];
    holds->name = "holds";
    filter->name = "filter";
    for (uint32_t i = 0; i < events; i++) {
        const struct board_event *e = &b->events[i];
        holds->used += GET(e->holds);
        holds->size += GET(e->holds_max);
        filter->used += GET(e->marks);
        filter->size += GET(e->marks_max);
    }
}

void sums_make(struct sums *s, const struct admin *a)
{
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < a->worker_count; i++) {
        add_counters(s, worker_counters(a->workers[i]), a->conf->event_count);
        add_pools(s, a->workers[i]);
    }
    add_ledger_pools(s, a->board, a->conf->event_count);
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
