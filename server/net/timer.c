/*
 * The worker's one timer: armed for the earliest of all deadlines, and at most a second ahead,
 * because HUP may shorten a time-out.
 */
#include "server/net/worker_private.h"

#define PERIOD_MAX_US 1000000u

void timer_start(struct worker *w, void (*on_timer)(struct ev_loop *, ev_timer *, int))
{
    ev_timer_init(&w->timer, on_timer, (double)PERIOD_MAX_US / 1e6, 0.);
    w->timer.data = w;
    w->timer_at_us = w->now_us + PERIOD_MAX_US;
    ev_timer_start(w->loop, &w->timer);
}

void timer_wake_by(struct worker *w, uint64_t at_us)
{
    if (LIKELY(at_us >= w->timer_at_us))
        return;
    uint64_t latest_us = w->now_us + PERIOD_MAX_US;
    w->timer_at_us = at_us < latest_us ? at_us : latest_us;
    uint64_t after_us = w->timer_at_us > w->now_us ? w->timer_at_us - w->now_us : 0;
    ev_timer_stop(w->loop, &w->timer);
    ev_timer_set(&w->timer, (double)after_us / 1e6, 0.);
    ev_timer_start(w->loop, &w->timer);
}

void timer_rang(struct worker *w)
{
    ASSERT(!ev_is_active(&w->timer));
    w->timer_at_us = DEADLINE_NEVER;
}
