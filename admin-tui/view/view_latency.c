/*
 * The latency histogram: the buckets of the nodes added up, neighbours joined until they fit, a bar
 * for each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/model/number.h"
#include "admin-tui/view/view.h"

#define LABEL 8 /* "<  0.50 " */

struct histogram {
    uint64_t us[STATS_BUCKETS_MAX], count[STATS_BUCKETS_MAX];
    int n;
    uint64_t all;
};

/* Nodes of one version have the same bounds. When all buckets are in use, a bound that is new
 * counts with the next one above. */
static void add_bucket(struct histogram *h, uint64_t us, uint64_t count)
{
    int at = 0;
    while (at < h->n && h->us[at] < us)
        at++;
    ASSERT(h->n <= STATS_BUCKETS_MAX);
    h->all = number_sum(h->all, count);
    if (at == h->n && h->n == STATS_BUCKETS_MAX)
        at--;
    if (at == h->n || (h->us[at] != us && h->n < STATS_BUCKETS_MAX)) {
        size_t rest = (size_t)(h->n - at) * sizeof h->us[0];
        memmove(&h->us[at + 1], &h->us[at], rest);
        memmove(&h->count[at + 1], &h->count[at], rest);
        h->us[at] = us;
        h->count[at] = 0;
        h->n++;
    }
    ASSERT(at < h->n);
    h->count[at] = number_sum(h->count[at], count);
}

static void add_node(struct histogram *h, const struct model_node *n)
{
    ASSERT(n->stats.buckets <= STATS_BUCKETS_MAX);
    for (uint32_t i = 0; i < n->stats.buckets; i++)
        add_bucket(h, n->stats.bucket_us[i], n->stats.bucket_count[i]);
}

/* Drops the empty ends and joins neighbours, so that at most `lines` are left. */
static void fit(struct histogram *h, int lines)
{
    int first = 0, out = 0;
    while (h->n > 0 && h->count[h->n - 1] == 0)
        h->n--;
    while (first < h->n && h->count[first] == 0)
        first++;
    int kept = h->n - first;
    int join = lines > 0 ? (kept + lines - 1) / lines : kept;
    for (int i = first; i < h->n; i += join) {
        uint64_t sum = 0;
        int last = i + join < h->n ? i + join : h->n;
        for (int k = i; k < last; k++)
            sum = number_sum(sum, h->count[k]);
        h->us[out] = h->us[last - 1];
        h->count[out++] = sum;
    }
    ASSERT(out <= kept);
    h->n = out;
}

static void draw_bucket(const struct canvas *c, int y, int x, int width, uint64_t us, double part,
                        double max)
{
    char number[NUMBER_BYTES], text[NUMBER_BYTES + 4];
    ASSERT(part >= 0 && part <= max && max <= 1);
    if (us > UINT64_C(3600) * 1000000)
        snprintf(text, sizeof text, "more");
    else
        snprintf(text, sizeof text, "< %s", number_ms(number, us));
    draw_right(c, y, x, LABEL - 1, STYLE_NAME, text);
    int bar = width - LABEL - 5;
    if (bar >= 4)
        draw_bar(c, y, x + LABEL, bar, STYLE_GRAPH, max > 0 ? part / max : 0);
    draw_right(c, y, x + width - 5, 5, STYLE_PLAIN, number_percent(number, part));
}

void view_latency(const struct canvas *c, int y, int x, int height, int width,
                  const struct model *m, const struct model_node *only)
{
    struct histogram h = {.n = 0};
    uint64_t max = 0;
    if (only != NULL)
        add_node(&h, only);
    for (uint32_t i = 0; only == NULL && i < m->node_count; i++)
        if (rows_alive(&m->nodes[i]))
            add_node(&h, &m->nodes[i]);
    fit(&h, height - 1);
    draw_text(c, y, x + 1, width - 1, STYLE_BOLD, "latency of /buy, ms, last 10s");
    if (h.all == 0)
        draw_text(c, y + 1, x + 1, width - 1, STYLE_PLAIN, "nothing was bought");
    for (int i = 0; i < h.n; i++)
        max = h.count[i] > max ? h.count[i] : max;
    for (int i = 0; i < h.n && i < height - 1 && h.all > 0; i++)
        draw_bucket(c, y + 1 + i, x, width, h.us[i], (double)h.count[i] / (double)h.all,
                    (double)max / (double)h.all);
}
