/*
 * Why: a node, or another program at its address, may answer any bytes. The console must get
 * figures within their bounds, or an error of a few words that fits a row. No answer may crash it,
 * a truncated answer must be refused, and no figures may break the model that they are fed to.
 */
/* needs: admin-tui/model/model.c admin-tui/model/duplicates.c admin-tui/model/health.c
 * admin-tui/model/event_news.c admin-tui/model/repair_waits.c admin-tui/model/alerts.c
 * admin-tui/model/totals.c admin-tui/model/history.c admin-tui/model/sale.c
 * admin-tui/model/sale_pace.c admin-tui/model/rates.c admin-tui/model/nodes.c
 * admin-tui/model/lines.c admin-tui/model/median.c admin-tui/model/stats.c admin-tui/client/json.c
 * admin-tui/model/number.c conf/base/check.c conf/base/fault.c -lm */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    ASSERT(len < size);
    for (size_t i = 0; i < len; i++)
        ASSERT(text[i] >= 0x20 && text[i] <= 0x7e);
}

static void check_pools(const struct stats_pool *pools, uint32_t count)
{
    ASSERT(count <= STATS_POOLS_MAX);
    for (uint32_t i = 0; i < count; i++)
        check_text(pools[i].name, sizeof pools[i].name);
}

static void check_stats(const struct stats *s)
{
    ASSERT(s->node >= 1 && s->node <= NODE_MAX);
    check_text(s->version, sizeof s->version);
    check_text(s->state, sizeof s->state);
    check_text(s->redis, sizeof s->redis);
    ASSERT(s->event_count <= EVENTS_MAX && s->worker_count <= WORKERS_MAX);
    ASSERT(s->buckets <= STATS_BUCKETS_MAX);
    for (uint32_t i = 0; i < s->event_count; i++) {
        check_text(s->events[i].name, sizeof s->events[i].name);
        check_text(s->events[i].state, sizeof s->events[i].state);
        ASSERT(s->events[i].name[0] != '\0' && s->events[i].refused <= UINT64_C(1) << 63);
    }
    for (uint32_t i = 1; i < s->buckets; i++)
        ASSERT(s->bucket_us[i - 1] < s->bucket_us[i]);
    for (uint32_t i = 0; i < s->worker_count; i++)
        check_text(s->workers[i].name, sizeof s->workers[i].name);
    check_pools(s->pools, s->pool_count);
    check_pools(s->plan, s->plan_count);
}

/* An answer that is accepted is complete: one byte less or more is refused. */
static void check_ends(const uint8_t *data, size_t size)
{
    static struct stats s;
    struct fault f;
    while (size > 0 && memchr(" \t\r\n", data[size - 1], 4) != NULL)
        size--;
    char *text = malloc(size + 1);
    ASSERT(text != NULL && size > 0);
    memcpy(text, data, size);
    text[size] = '}';
    ASSERT(!stats_parse(&s, text, size + 1, &f));
    ASSERT(!stats_parse(&s, text, size - 1, &f));
    free(text);
}

/* One of two nodes reports the figures, after the other one has reported the same. */
static void check_model(const struct stats *s)
{
    struct model *m = model_new();
    ASSERT(m != NULL);
    struct model_node *a = model_add(m, "a:1"), *b = model_add(m, "b:2");
    static struct stats less;
    less = *s;
    less.requests /= 2;
    less.uptime_s /= 2;
    for (uint32_t i = 0; i < less.event_count; i++)
        less.events[i].node_sold /= 2;
    for (uint64_t second = 1; second <= 4; second++) {
        model_answered(m, a, second < 3 ? &less : s, 100, second * 1000000, second);
        model_answered(m, b, s, 100, second * 1000000 + 1, second);
        model_round(m, second * 1000000 + 2, second);
        ASSERT(m->totals.req_s >= 0 && m->totals.sold_s >= 0 && m->totals.up <= 2);
        ASSERT(m->totals.total >= s->events[0].total || s->event_count == 0);
    }
    model_failed(m, a, "connection refused", 5);
    model_choose_next(m, 1);
    model_round(m, 5000002, 5);
    for (uint64_t i = 0; i < m->line_count; i++)
        check_text(m->lines[i].text, sizeof m->lines[i].text);
    model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stats s;
    static const char *const none = "";
    struct fault f = {""};
    if (stats_parse(&s, size > 0 ? (const char *)data : none, size, &f)) {
        check_stats(&s);
        check_ends(data, size);
        check_model(&s);
    } else {
        check_text(f.text, 64);
        ASSERT(f.text[0] != '\0');
    }
    return 0;
}
