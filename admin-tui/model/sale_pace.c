/*
 * How fast `left` of the whole sale falls. The sales of the nodes do not show it: holds that expire
 * come back. Another total is another sale, and the pace begins anew.
 *
 * Owner: one thread.
 */
#include <stdlib.h>

#include "admin-tui/model/model_private.h"

#define PACE_MIN_US 400000 /* nodes hear of the sale in steps of a beat */

/* Of an event: since when, from what, of which total; mono_us 0: nothing is known. */
struct pace {
    uint64_t mono_us, left, total;
    double fall_s; /* tickets a second; 0: left does not fall */
};

struct sale_pace {
    struct pace events[EVENTS_MAX]; /* as model.events */
};

struct sale_pace *sale_pace_new(void)
{
    return calloc(1, sizeof(struct sale_pace));
}

static void update(struct pace *p, const struct sale *s)
{
    uint64_t heard = s->alive && s->total > 0 ? s->from->answer_mono_us : 0;
    bool goes_on = heard != 0 && p->mono_us != 0 && p->total == s->total;
    if (goes_on && heard < p->mono_us + PACE_MIN_US)
        return;
    double seconds = (double)(heard - p->mono_us) / 1e6;
    bool falls = goes_on && s->left < p->left;
    p->fall_s = falls ? (double)(p->left - s->left) / seconds : 0;
    p->mono_us = heard;
    p->left = s->left;
    p->total = s->total;
}

void sale_pace_update(struct model *m)
{
    ASSERT(m->event_count <= EVENTS_MAX);
    for (uint32_t i = 0; i < m->event_count; i++) {
        struct sale s = sale_of(m, m->events[i]);
        update(&m->pace->events[i], &s);
    }
}

double sale_pace_of(const struct model *m, const char *event)
{
    uint32_t i = event_index(m, event);
    return i < m->event_count ? m->pace->events[i].fall_s : 0;
}
