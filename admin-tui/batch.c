/*
 * batch: see batch.h. Order of effects in a round: poll the nodes, update the model, print, flush.
 * If this dies between two rounds, the output is whole. A round waits for its nodes until their
 * deadline, also past the interval: in a batch, answers matter more than the pace.
 */
#include "admin-tui/batch.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/clock.h"

struct batch {
    struct ev_loop *loop;
    struct model *model;
    struct poll *poll;
    const struct top_options *options;
    ev_timer next;
    uint64_t next_mono_us; /* when the next round is due */
    uint64_t rounds;       /* that are over */
    int code;
};

static void begin_round(struct ev_loop *loop, ev_timer *timer, int events);

/* Rounds begin at multiples of the interval, however long each takes; after a round that took
 * longer than the interval the next one begins at once. */
static void wait_for_next(struct batch *b)
{
    uint64_t now = clock_mono_us();
    ASSERT(b->next_mono_us > 0);
    b->next_mono_us += (uint64_t)(b->options->interval_s * 1e6);
    if (b->next_mono_us < now)
        b->next_mono_us = now;
    ev_timer_set(&b->next, (double)(b->next_mono_us - now) / 1e6, 0.);
    ev_timer_start(b->loop, &b->next);
}

static void end_round(void *context)
{
    struct batch *b = context;
    ASSERT(b->rounds < b->options->rounds || b->options->rounds == 0);
    struct model *m = b->model;
    uint64_t wall_ms = clock_wall_ms();
    model_round(m, clock_mono_us(), wall_ms);
    b->code = m->totals.answering > 0 ? 0 : 1;
    if (b->options->json)
        batch_print_json(m, b->poll, wall_ms);
    else
        batch_print_text(m, wall_ms);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "spike-top: standard output: %s\n", strerror(errno));
        b->code = 1;
        ev_break(b->loop, EVBREAK_ALL);
    }
    if (++b->rounds == b->options->rounds)
        ev_break(b->loop, EVBREAK_ALL);
    else
        wait_for_next(b);
}

static void begin_round(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct batch *b = timer->data;
    (void)loop, (void)events;
    poll_round(b->poll, options_timeout_us(b->options->interval_s),
               options_retry_us(b->options->interval_s), end_round, b);
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)signal, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

int batch_run(struct ev_loop *loop, struct model *m, struct poll *p, const struct top_options *o)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct batch b = {.loop = loop, .model = m, .poll = p, .options = o, .code = 1};
    ev_signal signals[ARRAY_LEN(ends)];
    ASSERT(o->batch && o->interval_s > 0);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        ev_signal_init(&signals[i], on_signal, ends[i]);
        ev_signal_start(loop, &signals[i]);
    }
    ev_timer_init(&b.next, begin_round, 0., 0.);
    b.next.data = &b;
    b.next_mono_us = clock_mono_us();
    ev_timer_start(loop, &b.next);
    ev_run(loop, 0);
    ev_timer_stop(loop, &b.next);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        ev_signal_stop(loop, &signals[i]);
    return b.code;
}
