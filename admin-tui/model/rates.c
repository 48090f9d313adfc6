/*
 * Rates of one node: differences of counters between two answers in a row over the time between
 * them. Pure: the node's row is all that changes.
 *
 * Owner: one thread.
 */
#include <string.h>

#include "admin-tui/model/model_private.h"

#define RATE_MIN_US   20000 /* two answers nearer than this give no rate */
#define CLOCK_STEP_US 2000  /* two readings of a clock of milliseconds */

static double per_second(uint64_t old, uint64_t new, double seconds)
{
    ASSERT(seconds > 0);
    return new > old ? (double)(new - old) / seconds : 0;
}

void rates_drop(struct model_node *n)
{
    n->has_rates = false;
    n->req_s = n->err_s = 0;
    memset(n->sold_s, 0, sizeof n->sold_s);
    memset(n->refused_s, 0, sizeof n->refused_s);
}

/* Between the making of two answers. The node's clock is the better one, for an answer may be long
 * under way; but it may be set, and then it does not fit between request and response. */
static uint64_t passed_us(const struct model_node *n, const struct stats *new, uint64_t rtt_us,
                          uint64_t now_mono_us)
{
    uint64_t here = now_mono_us - n->answer_mono_us, there = new->time_ms - n->stats.time_ms;
    uint64_t slack = rtt_us + n->rtt_us + CLOCK_STEP_US;
    ASSERT(now_mono_us >= n->answer_mono_us);
    if (new->time_ms <= n->stats.time_ms || there > here)
        return here;
    there *= 1000;
    return there <= here + slack && here <= there + slack ? there : here;
}

/* Granted tickets only grow. Older nodes report only what is out: tickets that came back meanwhile
 * hide what was sold, but never make it negative. */
static double sold_rate(const struct stats_event *a, const struct stats_event *b, double seconds)
{
    if (a->has_granted_tickets && b->has_granted_tickets)
        return per_second(a->granted_tickets, b->granted_tickets, seconds);
    return per_second(a->node_sold + a->node_held, b->node_sold + b->node_held, seconds);
}

void rates_update(struct model_node *n, const struct stats *new, uint64_t rtt_us,
                  uint64_t now_mono_us)
{
    const struct stats *old = &n->stats;
    uint64_t time_us = passed_us(n, new, rtt_us, now_mono_us);
    double seconds = (double)time_us / 1e6;
    ASSERT(n->has_stats && new->event_count <= EVENTS_MAX);
    if (time_us < RATE_MIN_US)
        return;
    rates_drop(n);
    n->has_rates = true;
    n->req_s = per_second(old->requests, new->requests, seconds);
    n->err_s = per_second(old->answers_5xx, new->answers_5xx, seconds);
    for (uint32_t i = 0; i < new->event_count; i++) {
        const struct stats_event *b = &new->events[i], *a = stats_find_event(old, b->name, NULL);
        if (a == NULL)
            continue;
        n->sold_s[i] = sold_rate(a, b, seconds);
        n->refused_s[i] = per_second(a->refused, b->refused, seconds);
    }
}
