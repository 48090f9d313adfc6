/*
 * /stats: one JSON object, with the fields of spike-server(8). The counters of the workers
 * (counters.def) are fields of "http", under their names in that table.
 */
#include <inttypes.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "server/admin/metric_totals.h"
#include "server/admin/process.h"

static uint64_t refused(const struct metric_totals *t, uint32_t event)
{
    uint64_t sum = 0;
    ASSERT(event < EVENTS_MAX);
    for (int v = VERDICT_SOLD_OUT; v <= VERDICT_LIMIT; v++)
        sum += t->verdicts[event][v];
    return sum;
}

static void put_waits(const struct board_event *e, struct response *out)
{
    uint32_t count = atomic_load_explicit(&e->waits_count, memory_order_acquire), last = 0;
    response_put(out, ",\"waits_for\":["); /* board.h: numbers that do not ascend are stale */
    for (uint32_t i = 0; i < count && i < BOARD_WAITS_MAX; i++) {
        uint32_t node = GET(e->waits_for[i]);
        if (node <= last)
            continue;
        response_put(out, "%s%" PRIu32, last > 0 ? "," : "", node);
        last = node;
    }
    response_put(out, "]");
}

static void put_orders(const struct board_orders *o, struct response *out)
{
    response_put(out,
                 ",\"orders\":{\"granted\":%" PRIu64 ",\"paid\":%" PRIu64 ",\"cancelled\":%" PRIu64
                 ",\"expired\":%" PRIu64 ",\"late\":%" PRIu64 ",\"late_refused\":%" PRIu64 "}",
                 GET(o->granted), GET(o->paid), GET(o->cancelled), GET(o->expired), GET(o->late),
                 GET(o->late_refused));
}

static void put_event(const struct admin *a, const struct metric_totals *t, uint32_t i,
                      struct response *out)
{
    ASSERT(i < a->conf->event_count);
    const struct board_event *e = &a->board->events[i];
    uint64_t figures = GET(e->figures);
    uint32_t total = (uint32_t)(figures >> 32), gone = (uint32_t)figures;
    uint32_t cap = GET(e->local_stock);
    response_put(out,
                 "%s{\"name\":\"%s\",\"state\":\"%s\",\"total\":%" PRIu32 ",\"sold\":%" PRIu32
                 ",\"left\":%" PRIu32 ",\"node_sold\":%" PRIu32 ",\"node_held\":%" PRIu32
                 ",\"local_stock\":",
                 i > 0 ? "," : "", a->conf->events[i].name,
                 sale_state_name((enum sale_state)GET(e->state)), total, gone,
                 total > gone ? total - gone : 0, GET(e->node_sold), GET(e->node_held));
    if (cap == CONF_NO_CAP)
        response_put(out, "null");
    else
        response_put(out, "%" PRIu32, cap);
    response_put(out, ",\"refused\":%" PRIu64 ",\"granted_tickets\":%" PRIu64, refused(t, i),
                 GET(e->orders.granted_tickets));
    put_orders(&e->orders, out);
    put_waits(e, out);
    response_put(out, "}");
}

static void put_http(const struct metric_totals *t, struct response *out)
{
    response_put(out, ",\"http\":{\"requests\":%" PRIu64, metric_answers(t->answers, 0, 999));
    response_put(out, ",\"connections\":%" PRIu64 ",\"connections_max\":%" PRIu64, t->connections,
                 t->connections_max);
#define COUNTER(name, metric, help) response_put(out, ",\"" #name "\":%" PRIu64, t->name);
#define FIGURE(name, metric, kind, labels, help)
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
    response_put(out, ",\"answers\":{\"2xx\":%" PRIu64 ",\"4xx\":%" PRIu64 ",\"5xx\":%" PRIu64 "}}",
                 metric_answers(t->answers, 200, 299), metric_answers(t->answers, 400, 499),
                 metric_answers(t->answers, 500, 599));
}

/* From the first octave with an answer to the last one. */
static void put_octaves(const uint64_t octaves[LATENCY_OCTAVES], struct response *out)
{
    uint32_t first = 0, end = LATENCY_OCTAVES;
    while (end > 0 && octaves[end - 1] == 0)
        end--;
    while (first < end && octaves[first] == 0)
        first++;
    ASSERT(first <= end);
    response_put(out, ",\"buckets\":[");
    for (uint32_t i = first; i < end; i++)
        response_put(out, "%s[%" PRIu32 ",%" PRIu64 "]", i > first ? "," : "", (2u << i) - 1,
                     octaves[i]);
    response_put(out, "]");
}

static void put_latency(const struct admin *a, uint64_t now_mono_us, struct response *out)
{
    const struct latency *owners[WORKERS_MAX];
    ASSERT(a->conf->workers <= WORKERS_MAX);
    for (uint32_t i = 0; i < a->conf->workers; i++)
        owners[i] = &worker_counters(a->workers[i])->buy;
    struct latency_summary sum = latency_sum(owners, a->conf->workers, now_mono_us);
    response_put(out, ",\"latency_us\":{\"p50\":%" PRIu32 ",\"p99\":%" PRIu32 ",\"max\":%" PRIu32,
                 sum.p50_us, sum.p99_us, sum.max_us);
    put_octaves(sum.octaves, out);
    response_put(out, "}");
}

static void put_workers(const struct admin *a, uint64_t now_mono_us, struct response *out)
{
    response_put(out, ",\"workers\":[");
    for (uint32_t i = 0; i < a->conf->workers; i++) {
        const struct counters *c = worker_counters(a->workers[i]);
        const struct latency *owner = &c->buy;
        struct latency_summary sum = latency_sum(&owner, 1, now_mono_us);
        response_put(out,
                     "%s{\"name\":\"%s\",\"requests\":%" PRIu64 ",\"connections\":%" PRIu32
                     ",\"p50\":%" PRIu32 ",\"p99\":%" PRIu32 ",\"max\":%" PRIu32 "}",
                     i > 0 ? "," : "", worker_name(a->workers[i]), metric_worker_requests(c),
                     GET(c->connections), sum.p50_us, sum.p99_us, sum.max_us);
    }
    response_put(out, "]");
}

static void put_stores(const struct admin *a, struct response *out)
{
    static const char *const names[] = {
        [REDIS_OFF] = "off", [REDIS_UP] = "up", [REDIS_DOWN] = "down"};
    const struct board_stores *s = &a->board->stores;
    int redis = GET(s->redis);
    ASSERT(redis >= REDIS_OFF && redis <= REDIS_DOWN);
    response_put(out,
                 ",\"redis\":{\"state\":\"%s\",\"rtt_us\":%" PRIu32 ",\"reconnects\":%" PRIu64 "}",
                 names[redis], metric_redis_rtt_us(s), GET(s->redis_reconnects));
    response_put(out,
                 ",\"journal\":{\"records\":%" PRIu64 ",\"used_bytes\":%" PRIu64
                 ",\"size_bytes\":%" PRIu64 ",\"commit_p99_us\":%" PRIu32 "}",
                 GET(s->journal_records), GET(s->journal_used_bytes), GET(s->journal_size_bytes),
                 GET(s->commit_p99_us));
}

static void put_memory(const struct admin *a, const struct metric_totals *t, struct response *out)
{
    response_put(out, ",\"memory\":{\"arena_bytes\":%zu,\"rss_bytes\":%" PRIu64 ",\"pools\":[",
                 a->arena->bytes, process_resident_bytes());
    ASSERT(a->plan_count <= ADMIN_PLAN_MAX);
    for (uint32_t k = 0; k < t->pool_count; k++)
        response_put(out, "%s{\"name\":\"%s\",\"used\":%" PRIu32 ",\"size\":%" PRIu32 "}",
                     k > 0 ? "," : "", t->pools[k].name, t->pools[k].used, t->pools[k].size);
    response_put(out, "],\"plan\":[");
    for (uint32_t i = 0; i < a->plan_count; i++)
        response_put(out, "%s{\"name\":\"%s\",\"bytes\":%zu}", i > 0 ? "," : "", a->plan[i].name,
                     a->plan[i].bytes);
    response_put(out, "]}");
}

static void put_stat_log(const struct stat_log *l, struct response *out)
{
    if (l != NULL)
        response_put(out, ",\"stat_log\":{\"lines\":%" PRIu64 ",\"dropped\":%" PRIu64 "}",
                     stat_log_lines(l), stat_log_dropped(l));
}

void stats_put(const struct admin *a, struct response *out)
{
    struct metric_totals t;
    uint64_t now_mono_us = clock_mono_us();
    ASSERT(now_mono_us >= a->started_mono_us);
    metric_totals_read(&t, a);
    response_put(out,
                 "{\"node\":%u,\"pid\":%d,\"version\":\"%s\",\"state\":\"%s\",\"uptime_s\":%" PRIu64
                 ",\"time_ms\":%" PRIu64 ",\"events\":[",
                 (unsigned)a->conf->node, (int)getpid(), SPIKE_VERSION, node_state_name(a->board),
                 (now_mono_us - a->started_mono_us) / 1000000, clock_wall_ms());
    for (uint32_t i = 0; i < a->conf->event_count; i++)
        put_event(a, &t, i, out);
    response_put(out, "]");
    put_http(&t, out);
    put_latency(a, now_mono_us, out);
    put_workers(a, now_mono_us, out);
    put_stores(a, out);
    put_memory(a, &t, out);
    put_stat_log(a->stats, out);
    response_put(out, "}");
}
