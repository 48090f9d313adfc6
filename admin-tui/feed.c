/*
 * feed: see feed.h. Order of effects for an answer: parse, then the model; a text that is not
 * /stats is a failure of its node and changes nothing else.
 */
#include "admin-tui/feed.h"

#include <stdlib.h>
#include <string.h>

#include "conf/base/clock.h"

_Static_assert(sizeof((struct model_node *)0)->address == ENDPOINT_ADDRESS,
               "an address that fits one fits the other");

struct feed {
    struct model *model;
    struct poll *poll;
    struct stats stats; /* of the answer that is being parsed */
};

static bool on_answer(void *context, void *node, const char *text, size_t len, uint64_t rtt_us,
                      uint64_t now_mono_us)
{
    struct feed *feed = context;
    struct fault f;
    ASSERT(len <= POLL_TEXT_MAX && text[len] == '\0');
    if (!stats_parse(&feed->stats, text, len, &f)) {
        model_failed(feed->model, node, f.text, clock_wall_ms());
        return false;
    }
    model_answered(feed->model, node, &feed->stats, rtt_us, now_mono_us, clock_wall_ms());
    return true;
}

static bool on_failure(void *context, void *node, const char *why, uint64_t now_mono_us)
{
    struct feed *feed = context;
    const struct model_node *n = node;
    (void)now_mono_us;
    model_failed(feed->model, node, why, clock_wall_ms());
    return n->state != MODEL_DOWN;
}

static void on_move(void *context, void *node, const char *address)
{
    struct feed *feed = context;
    model_move(feed->model, node, address, clock_wall_ms());
}

struct feed *feed_new(struct ev_loop *loop, struct model *m, const char *token, bool keep_texts)
{
    static const struct poll_reports reports = {on_answer, on_failure, on_move};
    ASSERT(m != NULL);
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL)
        return NULL;
    feed->model = m;
    feed->poll = poll_new(loop, token, keep_texts, &reports, feed);
    if (feed->poll == NULL) {
        free(feed);
        return NULL;
    }
    return feed;
}

void feed_free(struct feed *feed)
{
    poll_free(feed->poll);
    free(feed);
}

struct poll *feed_poll(const struct feed *feed)
{
    return feed->poll;
}

bool feed_add_at(struct feed *feed, const char *address, const struct endpoint *e, struct fault *f)
{
    if (strlen(address) >= MODEL_ADDRESS)
        return fault(f, "%.60s...: an address has at most %d bytes", address, MODEL_ADDRESS - 1);
    struct model_node *n = model_add(feed->model, address);
    if (n == NULL)
        return fault(f, "%s: there are %d nodes already", address, MODEL_NODES_MAX);
    return poll_add_node(feed->poll, n, address, e, f);
}

bool feed_add(struct feed *feed, const char *address, struct fault *f)
{
    struct endpoint e;
    return endpoint_resolve(&e, address, f) && feed_add_at(feed, address, &e, f);
}

void feed_move(struct feed *feed, const char *from, const char *to, const struct endpoint *e)
{
    struct model_node *n = model_find(feed->model, from);
    if (n != NULL && !n->absent)
        poll_move(feed->poll, n, to, e);
}
