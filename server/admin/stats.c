/*
 * /stats: one JSON object, in the fields and the order of spike-server(8). Every figure is a
 * relaxed load of something that its owner publishes: a moment old at most, never waited for.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "server/admin/admin.h"

#define GET(word) atomic_load_explicit(&(word), memory_order_relaxed)

/* What all workers have counted. */
struct sums {
#define COUNTER(name, what) uint64_t name;
#include "server/meet/counters.def"
#undef COUNTER
    uint64_t connections, connections_max;
    uint64_t refused[EVENTS_MAX];
    struct latency_summary buy;
};

static void add_worker(struct sums *s, const struct counters *c, uint32_t events)
{
#define COUNTER(name, what) s->name += GET(c->name);
#include "server/meet/counters.def"
#undef COUNTER
    s->connections += GET(c->connections);
    s->connections_max += GET(c->connections_max);
    for (uint32_t e = 0; e < events; e++)
        for (int v = VERDICT_SOLD_OUT; v <= VERDICT_LIMIT; v++)
            s->refused[e] += GET(c->verdicts[e][v]);
}

static void add_up(const struct admin *a, struct sums *s)
{
    const struct latency *owners[WORKERS_MAX];
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < a->worker_count; i++) {
        const struct counters *c = worker_counters(a->workers[i]);
        add_worker(s, c, a->conf->event_count);
        owners[i] = &c->buy;
    }
    s->buy = latency_sum(owners, a->worker_count, clock_mono_us());
}

static void put_events(const struct admin *a, const struct sums *s, struct response *out)
{
    response_put(out, "\"events\":[");
    for (uint32_t i = 0; i < a->conf->event_count; i++) {
        const struct board_event *e = &a->board->events[i];
        uint64_t figures = GET(e->figures);
        uint32_t total = (uint32_t)(figures >> 32), gone = (uint32_t)figures;
        uint32_t cap = GET(e->local_stock);
        response_put(out,
                     "%s{\"name\":\"%s\",\"state\":\"%s\",\"total\":%" PRIu32 ",\"sold\":%" PRIu32
                     ",\"left\":%" PRIu32 ",\"node_sold\":%" PRIu32 ",\"node_held\":%" PRIu32
                     ",\"local_stock\":",
                     i > 0 ? "," : "", a->conf->events[i].name,
                     sale_state_word((enum sale_state)GET(e->state)), total, gone,
                     total > gone ? total - gone : 0, GET(e->node_sold), GET(e->node_held));
        if (cap == CONF_NO_CAP)
            response_put(out, "null");
        else
            response_put(out, "%" PRIu32, cap);
        response_put(out, ",\"refused\":%" PRIu64 "}", s->refused[i]);
    }
    response_put(out, "]");
}

static void put_http(const struct sums *s, struct response *out)
{
    response_put(out,
                 ",\"http\":{\"requests\":%" PRIu64 ",\"connections\":%" PRIu64
                 ",\"connections_max\":%" PRIu64 ",\"answers\":{\"2xx\":%" PRIu64
                 ",\"4xx\":%" PRIu64 ",\"5xx\":%" PRIu64 "}}",
                 s->requests, s->connections, s->connections_max, s->answers_2xx, s->answers_4xx,
                 s->answers_5xx);
    response_put(out,
                 ",\"latency_us\":{\"p50\":%" PRIu32 ",\"p99\":%" PRIu32 ",\"max\":%" PRIu32 "}",
                 s->buy.p50_us, s->buy.p99_us, s->buy.max_us);
}

static void put_stores(const struct admin *a, struct response *out)
{
    static const char *const words[] = {
        [REDIS_OFF] = "off", [REDIS_UP] = "up", [REDIS_DOWN] = "down"};
    const struct board_stores *s = &a->board->stores;
    response_put(out,
                 ",\"redis\":{\"state\":\"%s\",\"rtt_us\":%" PRIu32 ",\"reconnects\":%" PRIu64 "}",
                 words[GET(s->redis)], GET(s->redis_rtt_us), GET(s->redis_reconnects));
    response_put(out,
                 ",\"journal\":{\"records\":%" PRIu64 ",\"used_bytes\":%" PRIu64
                 ",\"size_bytes\":%" PRIu64 ",\"commit_p99_us\":%" PRIu32 "}",
                 GET(s->journal_records), GET(s->journal_used_bytes), GET(s->journal_size_bytes),
                 GET(s->commit_p99_us));
}

/* Resident memory as the kernel counts it; 0 if it does not say. */
static uint64_t rss_bytes(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    uint64_t pages = 0;
    return sscanf(text, "%*u %" SCNu64, &pages) == 1 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void put_memory(const struct admin *a, struct response *out)
{
    struct worker_pool sum[WORKER_POOLS] = {{0}};
    for (uint32_t i = 0; i < a->worker_count; i++) {
        struct worker_pool pools[WORKER_POOLS];
        worker_pools(a->workers[i], pools);
        for (int k = 0; k < WORKER_POOLS; k++) {
            sum[k].name = pools[k].name;
            sum[k].used += pools[k].used;
            sum[k].size += pools[k].size;
        }
    }
    response_put(out, ",\"memory\":{\"arena_bytes\":%zu,\"rss_bytes\":%" PRIu64 ",\"pools\":[",
                 a->arena->bytes, rss_bytes());
    for (int k = 0; k < WORKER_POOLS; k++)
        response_put(out, "%s{\"name\":\"%s\",\"used\":%" PRIu32 ",\"size\":%" PRIu32 "}",
                     k > 0 ? "," : "", sum[k].name, sum[k].used, sum[k].size);
    response_put(out, "]}");
}

void admin_stats(const struct admin *a, struct response *out)
{
    struct sums s;
    add_up(a, &s);
    response_put(out,
                 "{\"node\":%u,\"version\":\"%s\",\"state\":\"%s\",\"uptime_s\":%" PRIu64
                 ",\"time_ms\":%" PRIu64 ",",
                 (unsigned)a->conf->node, SPIKE_VERSION, admin_state(a),
                 (clock_mono_us() - a->started_mono_us) / 1000000, clock_wall_ms());
    put_events(a, &s, out);
    put_http(&s, out);
    put_stores(a, out);
    put_memory(a, out);
    response_put(out, "}");
}
