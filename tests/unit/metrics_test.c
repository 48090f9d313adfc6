/*
 * Why: a monitoring system drops a page that breaks its format, and an answer that does not fit is
 * 503: either would blind the operators in the very hour with the largest figures.
 */
/* needs: server/admin/admin.c server/admin/metrics.c server/admin/stats.c
 * server/admin/metric_totals.c server/admin/node_state.c server/admin/process.c
 * server/http/response.c server/shared/board.c server/shared/latency.c server/stat/stat_log.c
 * server/shared/doorbell.c conf/base/arena.c conf/base/check.c conf/base/fault.c conf/base/log.c
 * conf/base/verdict.c -lsodium */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/clock.h"
#include "server/admin/admin.h"
#include "server/stat/stat_log.h"

/* Workers with the counters that a test has set. */
struct worker {
    struct counters counters;
    struct worker_pool pools[WORKER_POOLS];
};

const char *worker_name(const struct worker *w)
{
    (void)w;
    return "worker-64";
}

const struct counters *worker_counters(const struct worker *w)
{
    return &w->counters;
}

void worker_pools(const struct worker *w, struct worker_pool pools[WORKER_POOLS])
{
    memcpy(pools, w->pools, sizeof w->pools);
}

static struct worker workers[WORKERS_MAX];
static struct worker *list[WORKERS_MAX];
static struct conf conf;
static struct board board;
static struct arena arena;
static struct latency commits;
static struct admin *admin;
static char body[WORKER_SERVES_MAX + 1];
static const char date[RESPONSE_DATE + 1] = "Sun, 22 Nov 2026 08:49:37 GMT";

static void make_workers(uint32_t count)
{
    static const char *const names[WORKER_POOLS] = {"connections", "orders", "buffers"};
    memset(workers, 0, sizeof workers);
    for (uint32_t i = 0; i < count; i++) {
        list[i] = &workers[i];
        for (int k = 0; k < WORKER_POOLS; k++)
            workers[i].pools[k] = (struct worker_pool){names[k], 1, 2};
    }
    conf.workers = count;
}

static void make_events(uint32_t count)
{
    conf.event_count = count;
    for (uint32_t i = 0; i < count; i++)
        snprintf(conf.events[i].name, sizeof conf.events[i].name, "event-%02u-%023u", i, i);
}

/* Once the configuration is as the test needs it. */
static void start(void)
{
    struct fault f;
    admin = admin_new(&conf, &board, stat_log_plan(&conf, &arena), &arena, list);
    assert_true(admin_init(admin, &f));
}

static int small(void **state)
{
    (void)state;
    memset(&conf, 0, sizeof conf);
    memset(&board, 0, sizeof board);
    memset(&arena, 0, sizeof arena);
    memset(&commits, 0, sizeof commits);
    conf.node = 7;
    board.stores.commits = &commits;
    make_workers(2);
    make_events(1);
    start();
    return 0;
}

/* The body that an operator's program gets; NULL: it did not fit. */
static const char *get(enum route_kind kind)
{
    struct route route = {.kind = kind};
    struct response out;
    response_open(&out, body, WORKER_SERVES_MAX, date, KEEPALIVE_HTTP11, false);
    admin_serve(admin, &route, &out);
    if (!response_end(&out))
        return NULL;
    body[out.len] = '\0';
    return body + out.body_at;
}

static void expect(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    if (at == NULL || (at > text && at[-1] != '\n'))
        fail_msg("no line %s in\n%s", line, text);
}

static void figures_add_up(void **state)
{
    (void)state;
    conf.event_count = 1;
    strcpy(conf.events[0].name, "ticket");
    for (uint32_t i = 0; i < 2; i++) {
        struct counters *c = &workers[i].counters;
        COUNT(c->answers[VERDICT_YES], 2);
        COUNT(c->answers[VERDICT_SOLD_OUT], 3);
        COUNT(c->answers[VERDICT_BUSY], 1);
        COUNT(c->verdicts[0][VERDICT_SOLD_OUT], 3);
        COUNT(c->timeouts, 4);
        latency_add(&c->buy, 1000000, 100, 1);
        latency_add(&c->buy, 1000000, 101, 1);
        latency_add(&c->buy, 1000000, 20000000, 1);
    }
    atomic_store(&board.events[0].figures, UINT64_C(10) << 32 | 4);
    atomic_store(&board.events[0].state, SALE_OPEN);
    atomic_store(&board.events[0].orders.granted_tickets, 5);
    atomic_store(&board.events[0].node_held, 3);
    atomic_store(&board.events[0].holds, 3);
    atomic_store(&board.events[0].key_hashes_max, 40);
    atomic_store(&board.stores.redis, REDIS_UP);
    atomic_store(&board.stores.redis_rtt_us, 1234);
    const char *text = get(ROUTE_METRICS);
    assert_non_null(text);
    expect(text, "spike_build_info{version=\"" SPIKE_VERSION "\",node=\"7\"} 1\n");
    expect(text, "spike_tickets_total{event=\"ticket\"} 10\n");
    expect(text, "spike_tickets_left{event=\"ticket\"} 6\n");
    expect(text, "spike_tickets_granted_total{event=\"ticket\"} 5\n");
    expect(text, "spike_repair_waits{event=\"ticket\"} 0\n");
    expect(text, "spike_node_tickets{event=\"ticket\",state=\"held\"} 3\n");
    expect(text, "spike_orders_total{event=\"ticket\",verdict=\"sold_out\"} 6\n");
    expect(text, "spike_http_requests_total{code=\"200\"} 10\n");
    expect(text, "spike_http_requests_total{code=\"503\"} 2\n");
    expect(text, "spike_timeouts_total 8\n");
    expect(text, "spike_http_request_duration_seconds_bucket{le=\"0.0001\"} 2\n");
    expect(text, "spike_http_request_duration_seconds_bucket{le=\"0.00025\"} 4\n");
    expect(text, "spike_http_request_duration_seconds_bucket{le=\"10\"} 4\n");
    expect(text, "spike_http_request_duration_seconds_bucket{le=\"+Inf\"} 6\n");
    expect(text, "spike_http_request_duration_seconds_sum 40.000402\n");
    expect(text, "spike_http_request_duration_seconds_count 6\n");
    expect(text, "spike_pool_size{pool=\"buffers\"} 4\n");
    expect(text, "spike_pool_used{pool=\"holds\"} 3\n");
    expect(text, "spike_pool_size{pool=\"filter\"} 40\n");
    expect(text, "spike_redis_up 1\n");
    expect(text, "spike_redis_rtt_seconds 0.001234\n");
    assert_null(strstr(text, "{pool=\"keys\"}")); /* they are in Redis */
    expect(text, "spike_node_state{state=\"starting\"} 1\n");
    assert_null(strstr(text, "spike_stat_log_lines_total 0"));
}

/* "0 left" from a node that has never attached would hide the node from alerts, or raise the alert
 * that the sale is over. The figures of the node's own journal are right before that. */
static void before_the_first_attach_there_is_no_figure_of_the_sale(void **state)
{
    (void)state;
    static const char *const families[] = {"\nspike_tickets_left{", "\nspike_tickets_total{",
                                           "\nspike_repair_waits{"};
    static const char *const own[] = {"\nspike_tickets_granted_total{", "\nspike_node_tickets{"};
    const char *text = get(ROUTE_METRICS);
    assert_non_null(text);
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        assert_null(strstr(text, families[i]));
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        assert_non_null(strstr(text, own[i]));
    for (int sale = SALE_WAITING; sale <= SALE_REPAIR; sale++) {
        atomic_store(&board.events[0].state, sale);
        text = get(ROUTE_METRICS);
        assert_non_null(text);
        for (size_t i = 0; i < ARRAY_LEN(families); i++)
            assert_non_null(strstr(text, families[i]));
    }
}

static void waits_for(uint32_t count, const uint16_t *nodes)
{
    struct board_event *e = &board.events[0];
    for (uint32_t i = 0; i < count && i < BOARD_WAITS_MAX; i++)
        atomic_store(&e->waits_for[i], nodes[i]);
    atomic_store(&e->waits_count, count);
}

/* The nodes to start are named; and a list that changes while it is read names no node twice. */
static void nodes_that_a_repair_waits_for(void **state)
{
    (void)state;
    uint16_t nodes[BOARD_WAITS_MAX] = {3, 7};
    atomic_store(&board.events[0].state, SALE_REPAIR);
    assert_non_null(strstr(get(ROUTE_STATS), ",\"waits_for\":[]}"));
    waits_for(2, nodes);
    assert_non_null(strstr(get(ROUTE_STATS), ",\"waits_for\":[3,7]}"));
    nodes[0] = 7;
    waits_for(2, nodes);
    assert_non_null(strstr(get(ROUTE_STATS), ",\"waits_for\":[7]}"));
    for (uint16_t i = 0; i < BOARD_WAITS_MAX; i++)
        nodes[i] = i + 1;
    waits_for(100, nodes);
    assert_non_null(
        strstr(get(ROUTE_STATS), ",\"waits_for\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}"));
    assert_non_null(strstr(get(ROUTE_METRICS), "\nspike_repair_waits{event=\"event-00-"
                                               "00000000000000000000000\"} 100\n"));
}

static void without_redis_there_is_no_figure_of_it(void **state)
{
    (void)state;
    const char *text = get(ROUTE_METRICS);
    assert_non_null(text);
    assert_null(strstr(text, "\nspike_redis_up "));
}

/* The last call before Redis was disconnected was quick: its time would look like a current one. */
static void while_redis_is_down_there_is_no_round_trip_time(void **state)
{
    (void)state;
    atomic_store(&board.stores.redis, REDIS_DOWN);
    atomic_store(&board.stores.redis_rtt_us, 1234);
    const char *text = get(ROUTE_METRICS);
    assert_non_null(text);
    expect(text, "spike_redis_up 0\n");
    assert_null(strstr(text, "\nspike_redis_rtt_seconds "));
    text = get(ROUTE_STATS);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"redis\":{\"state\":\"down\",\"rtt_us\":0,"));
}

static void standalone_tables_are_pools(void **state)
{
    (void)state;
    atomic_store(&board.stores.keys, 5);
    atomic_store(&board.stores.keys_max, 50);
    atomic_store(&board.stores.buyers, 2);
    atomic_store(&board.stores.buyers_max, 20);
    const char *text = get(ROUTE_METRICS);
    assert_non_null(text);
    expect(text, "spike_pool_used{pool=\"keys\"} 5\n");
    expect(text, "spike_pool_size{pool=\"keys\"} 50\n");
    expect(text, "spike_pool_used{pool=\"buyers\"} 2\n");
    expect(text, "spike_pool_size{pool=\"buyers\"} 20\n");
    text = get(ROUTE_STATS);
    assert_non_null(text);
    assert_non_null(strstr(text, "{\"name\":\"keys\",\"used\":5,\"size\":50},"
                                 "{\"name\":\"buyers\",\"used\":2,\"size\":20}]"));
}

/* The figures of the kernel are read. */
static void the_process_has_figures(void **state)
{
    (void)state;
    const char *text = get(ROUTE_METRICS);
    assert_non_null(text);
    static const char *const names[] = {"process_resident_memory_bytes ", "process_open_fds ",
                                        "process_max_fds ", "process_virtual_memory_bytes "};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char line[64];
        unsigned long long value = 0;
        snprintf(line, sizeof line, "\n%s", names[i]);
        const char *at = strstr(text, line);
        assert_non_null(at);
        assert_int_equal(sscanf(at + strlen(line), "%llu", &value), 1);
        assert_true(value > 0);
    }
}

/* Every name with its labels occurs once, and so does every HELP and TYPE. */
static void no_series_is_repeated(void **state)
{
    (void)state;
    static char lines[2000][160];
    size_t count = 0;
    make_events(EVENTS_MAX);
    for (int e = 0; e < EVENTS_MAX; e++)
        atomic_store(&board.events[e].state, SALE_OPEN);
    const char *text = get(ROUTE_METRICS);
    assert_non_null(text);
    for (const char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
        const char *end = strchr(at, '\n');
        assert_non_null(end);
        size_t len = 0;
        if (at[0] == '#')
            len = strcspn(at + 7, " ") + 7; /* # HELP name, # TYPE name */
        else
            len = strcspn(at, " ");
        assert_true(count < ARRAY_LEN(lines) && len < sizeof lines[0]);
        memcpy(lines[count], at, len);
        lines[count++][len] = '\0';
    }
    assert_true(count > 300);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(lines[i], lines[k]);
}

static void fill_worker(struct worker *w)
{
    struct counters *c = &w->counters;
    const uint64_t much = UINT64_MAX / WORKERS_MAX;
#define COUNTER(name, metric, help) atomic_store(&c->name, much);
#define FIGURE(name, metric, kind, labels, help)
#include "server/shared/counters.def"
#undef COUNTER
#undef FIGURE
    atomic_store(&c->connections, 1000000);
    atomic_store(&c->connections_max, 1000000);
    for (int v = 0; v < VERDICT_COUNT; v++) {
        atomic_store(&c->answers[v], much / VERDICT_COUNT);
        for (int e = 0; e < EVENTS_MAX; e++)
            atomic_store(&c->verdicts[e][v], much);
    }
    for (int i = 0; i <= LATENCY_EDGES; i++)
        atomic_store(&c->buy.all[i], much / (LATENCY_EDGES + 1));
    atomic_store(&c->buy.all_us, much);
    for (int k = 0; k < WORKER_POOLS; k++)
        w->pools[k].used = w->pools[k].size = UINT32_MAX / WORKERS_MAX;
}

static void fill_latency(struct latency *l)
{
    uint64_t now_us = clock_mono_us();
    for (uint32_t k = 0; k < 28; k++)
        latency_add(l, now_us, UINT64_C(1) << k, UINT32_MAX / 64);
}

static void fill_board(void)
{
    for (int e = 0; e < EVENTS_MAX; e++) {
        struct board_event *b = &board.events[e];
        atomic_store(&b->figures, (uint64_t)UINT32_MAX << 32);
        atomic_store(&b->state, SALE_WAITING);
        atomic_store(&b->node_sold, UINT32_MAX);
        atomic_store(&b->node_held, UINT32_MAX);
        atomic_store(&b->local_stock, UINT32_MAX - 1);
        atomic_store(&b->orders.granted, UINT64_MAX);
        atomic_store(&b->orders.granted_tickets, UINT64_MAX);
        atomic_store(&b->waits_count, NODES_MAX);
        for (uint16_t i = 0; i < BOARD_WAITS_MAX; i++)
            atomic_store(&b->waits_for[i], UINT16_MAX - BOARD_WAITS_MAX + i);
        atomic_store(&b->orders.paid, UINT64_MAX);
        atomic_store(&b->orders.cancelled, UINT64_MAX);
        atomic_store(&b->orders.expired, UINT64_MAX);
        atomic_store(&b->orders.late, UINT64_MAX);
        atomic_store(&b->orders.late_refused, UINT64_MAX);
    }
    atomic_store(&board.stores.redis, REDIS_UP);
    atomic_store(&board.stores.redis_rtt_us, UINT32_MAX);
    atomic_store(&board.stores.keys, UINT32_MAX);
    atomic_store(&board.stores.keys_max, UINT32_MAX);
    atomic_store(&board.stores.buyers, UINT32_MAX);
    atomic_store(&board.stores.buyers_max, UINT32_MAX);
    atomic_store(&board.stores.redis_reconnects, UINT64_MAX);
    atomic_store(&board.stores.journal_records, UINT64_MAX);
    atomic_store(&board.stores.journal_used_bytes, UINT64_MAX);
    atomic_store(&board.stores.journal_size_bytes, UINT64_MAX);
}

/* As many pools as an admin can hold, each with a name of its own and the largest size. */
static void fill_plan(void)
{
    static char names[ADMIN_PLAN_MAX][19];
    memset(&arena, 0, sizeof arena);
    for (int i = 0; i < ADMIN_PLAN_MAX; i++) {
        snprintf(names[i], sizeof names[i], "a pool with name%02d", i);
        arena.pools[i].name = names[i];
        arena.pools[i].count = 1;
        arena.pools[i].size = SIZE_MAX - CACHE_LINE;
    }
    arena.pool_count = ADMIN_PLAN_MAX;
    arena.bytes = SIZE_MAX;
}

/* Sixteen events with the longest name, 64 workers, every figure at its maximum. */
static void the_largest_answers_fit(void **state)
{
    (void)state;
    make_events(EVENTS_MAX);
    make_workers(WORKERS_MAX);
    fill_board();
    for (int i = 0; i < WORKERS_MAX; i++) {
        fill_worker(&workers[i]);
        fill_latency(&workers[i].counters.buy);
    }
    strcpy(conf.stat_log, "stat.log");
    start();
    fill_plan();
    admin_read_plan(admin);
    const char *text = get(ROUTE_METRICS);
    assert_non_null(text);
    print_message("/metrics: %zu bytes\n", strlen(text));
    text = get(ROUTE_STATS);
    assert_non_null(text);
    print_message("/stats: %zu bytes\n", strlen(text));
    assert_non_null(strstr(text, "\"stat_log\":{\"lines\":0,\"dropped\":0}}"));
}

static void the_plan_adds_up(void **state)
{
    (void)state;
    memset(&arena, 0, sizeof arena);
    arena_plan(&arena, "a", 3, 100);
    arena_plan(&arena, "b", 1, 64);
    arena_plan(&arena, "a", 1, 1);
    admin_read_plan(admin);
    assert_int_equal(arena.bytes, 320 + 64 + 64);
    assert_non_null(strstr(get(ROUTE_STATS), "\"plan\":[{\"name\":\"a\",\"bytes\":384},"
                                             "{\"name\":\"b\",\"bytes\":64}]}"));
}

static void buckets_begin_and_end_with_answers(void **state)
{
    (void)state;
    const char *text = get(ROUTE_STATS);
    assert_non_null(text);
    assert_non_null(strstr(text, ",\"buckets\":[]}"));
    uint64_t now_us = clock_mono_us();
    latency_add(&workers[0].counters.buy, now_us, 9, 2);
    latency_add(&workers[1].counters.buy, now_us, 40, 3);
    text = get(ROUTE_STATS);
    assert_non_null(text);
    assert_non_null(strstr(text, ",\"buckets\":[[15,2],[31,0],[63,3]]}"));
}

/* A drained node is not stopping: it answers a second request in the same way. */
static void drain_stays(void **state)
{
    (void)state;
    atomic_store(&board.node_state, NODE_UP);
    for (int i = 0; i < 2; i++)
        assert_string_equal(get(ROUTE_DRAIN),
                            "{\"code\":1,\"msg\":\"ok\",\"data\":{\"state\":\"draining\"}}");
    assert_true(atomic_load(&board.tunables.draining));
    assert_false(atomic_load(&board.stopping));
    assert_non_null(strstr(get(ROUTE_HEALTHZ), "\"code\":-6,\"msg\":\"draining\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(figures_add_up, small),
        cmocka_unit_test_setup(before_the_first_attach_there_is_no_figure_of_the_sale, small),
        cmocka_unit_test_setup(nodes_that_a_repair_waits_for, small),
        cmocka_unit_test_setup(without_redis_there_is_no_figure_of_it, small),
        cmocka_unit_test_setup(while_redis_is_down_there_is_no_round_trip_time, small),
        cmocka_unit_test_setup(standalone_tables_are_pools, small),
        cmocka_unit_test_setup(the_process_has_figures, small),
        cmocka_unit_test_setup(no_series_is_repeated, small),
        cmocka_unit_test_setup(the_largest_answers_fit, small),
        cmocka_unit_test_setup(the_plan_adds_up, small),
        cmocka_unit_test_setup(buckets_begin_and_end_with_answers, small),
        cmocka_unit_test_setup(drain_stays, small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
