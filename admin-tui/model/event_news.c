/*
 * What has become of the events: states and totals, as lines. Each fact is announced once, and only
 * when it is certain: nodes hear of a change a beat apart, so what one of them reports alone waits
 * for the others, or for half a second.
 *
 * Owner: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/model_private.h"
#include "admin-tui/model/number.h"

#define REOPEN_US     10000000 /* returned tickets open a sold out sale again and again */
#define MICROS_SECOND 1e6

/* What was last announced of an event. */
struct announced {
    bool is_known;
    char state[STATS_STATE];
    uint64_t total;
    uint64_t state_mono_us;   /* when its state was announced */
    uint64_t differs_mono_us; /* when something else was first reported; 0: nothing else is */
    uint64_t start_mono_us;   /* of the sale: when nothing was sold yet; 0: that was not seen */
};

struct event_news {
    struct announced events[EVENTS_MAX]; /* as model.events */
};

struct event_news *event_news_new(void)
{
    return calloc(1, sizeof(struct event_news));
}

static bool is_state(const char *state, const char *name)
{
    return strcmp(state, name) == 0;
}

static void announce_sold_out(struct model *m, const char *event, const struct announced *a,
                              uint64_t now_mono_us, uint64_t now_wall_ms)
{
    char number[NUMBER_BYTES], span[NUMBER_BYTES];
    ASSERT(now_mono_us >= a->start_mono_us);
    number_whole(number, a->total);
    if (a->start_mono_us == 0)
        model_announce(m, false, now_wall_ms, "%s SOLD OUT: %s", event, number);
    else
        model_announce(m, false, now_wall_ms, "%s SOLD OUT: %s in %s", event, number,
                       number_span(span, (double)(now_mono_us - a->start_mono_us) / MICROS_SECOND));
}

static void announce_state(struct model *m, const char *event, const struct announced *a,
                           const char *before, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    ASSERT(!is_state(a->state, before));
    if (is_state(a->state, "soldout"))
        announce_sold_out(m, event, a, now_mono_us, now_wall_ms);
    else if (is_state(a->state, "repair"))
        model_announce(m, true, now_wall_ms, "%s in REPAIR: Redis has lost memory", event);
    else
        model_announce(m, false, now_wall_ms, "%s %s%s", event, a->state,
                       is_state(before, "repair")    ? ": repair is over"
                       : is_state(before, "soldout") ? " again: tickets came back"
                                                     : "");
}

static void announce_total(struct model *m, const char *event, uint64_t before, uint64_t total,
                           uint64_t now_wall_ms)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES];
    ASSERT(before > 0 && before != total);
    model_announce(m, false, now_wall_ms, "%s restocked: total %s, before %s", event,
                   number_whole(b, total), number_whole(a, before));
}

/* From now on this is what was announced. */
static void store(struct announced *a, const struct sale *s)
{
    memcpy(a->state, s->state, sizeof a->state);
    if (sale_has_total(s))
        a->total = s->total;
    a->differs_mono_us = 0;
    a->is_known = true;
}

/* The sale differs from what was announced: is that certain, and is a line due? */
static bool is_due(struct announced *a, const struct sale *s, bool new_total, uint64_t now_mono_us)
{
    if (a->differs_mono_us == 0)
        a->differs_mono_us = now_mono_us;
    if (!s->agreed && now_mono_us - a->differs_mono_us < CERTAIN_US)
        return false;
    bool reopened = is_state(a->state, "soldout") && is_state(s->state, "open") && !new_total;
    return !reopened || now_mono_us - a->state_mono_us >= REOPEN_US;
}

static void announce_event(struct model *m, const char *event, struct announced *a,
                           uint64_t now_mono_us, uint64_t now_wall_ms)
{
    struct sale s = sale_of(m, event);
    if (!s.alive || s.state[0] == '\0')
        return;
    if (sale_has_total(&s) && s.sold == 0)
        a->start_mono_us = now_mono_us;
    if (!a->is_known) {
        store(a, &s);
        return;
    }
    bool new_state = !is_state(a->state, s.state);
    bool new_total = sale_has_total(&s) && a->total > 0 && a->total != s.total;
    if (!new_state && !new_total) {
        store(a, &s);
        return;
    }
    if (!is_due(a, &s, new_total, now_mono_us))
        return;
    struct announced before = *a;
    store(a, &s);
    if (new_total) {
        announce_total(m, event, before.total, s.total, now_wall_ms);
        a->start_mono_us = now_mono_us;
    }
    if (!new_state)
        return;
    a->state_mono_us = now_mono_us;
    if (!new_total || !is_state(before.state, "soldout") || !is_state(s.state, "open"))
        announce_state(m, event, a, before.state, now_mono_us, now_wall_ms);
}

const char *model_announced_state(const struct model *m, uint64_t *total)
{
    uint32_t i = event_index(m, m->event);
    const struct announced *a = &m->news->events[i < m->event_count ? i : 0];
    bool is_known = i < m->event_count && a->is_known;
    *total = i < m->event_count ? a->total : 0;
    return is_known ? a->state : "";
}

void event_news_announce(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms)
{
    ASSERT(m->event_count <= EVENTS_MAX);
    for (uint32_t i = 0; i < m->event_count; i++)
        announce_event(m, m->events[i], &m->news->events[i], now_mono_us, now_wall_ms);
}
