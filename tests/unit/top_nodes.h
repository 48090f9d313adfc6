/*
 * top_nodes: four nodes that answer what a test wants, second after second, and the lines that the
 * model announces. For the tests of the console's model; include it after cmocka.h.
 */
#ifndef SPIKE_TEST_TOP_NODES_H
#define SPIKE_TEST_TOP_NODES_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/model/model.h"

#define NODES   4
#define STEP_US 1000000

static struct model *m;
static struct model_node *nodes[NODES];
static struct stats answers[NODES]; /* what each node answers next */
static uint64_t now_us;
static uint64_t announced; /* lines that were checked already */

static int set_up(void **state)
{
    (void)state;
    m = model_new();
    assert_non_null(m);
    now_us = 50 * STEP_US;
    announced = 0;
    memset(answers, 0, sizeof answers);
    for (uint32_t i = 0; i < NODES; i++) {
        char address[32];
        snprintf(address, sizeof address, "web%u:3901", (unsigned)i + 1);
        nodes[i] = model_add(m, address);
        assert_non_null(nodes[i]);
        struct stats *s = &answers[i];
        s->node = i + 1;
        s->uptime_s = 100;
        strcpy(s->state, "up");
        strcpy(s->redis, "up");
        s->redis_rtt_us = 400;
        s->p50_us = 300;
        s->p99_us = 2000;
        s->event_count = 1;
        s->events[0] = (struct stats_event){
            .name = "ticket", .state = "open", .total = 10000, .sold = 1000, .left = 9000};
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    model_free(m);
    return 0;
}

static uint64_t wall(void)
{
    return now_us / 1000 + 1000000;
}

static void answer(int i)
{
    model_answered(m, nodes[i], &answers[i], 500, now_us, wall());
}

static inline void failed(int i, const char *why)
{
    model_failed(m, nodes[i], why, wall());
}

/* A second later all nodes except `but` answer, 10 ms after each other; the round ends 100 ms
 * later. */
static void round_but(int but)
{
    now_us += STEP_US - (NODES * 10000 + 100000);
    for (int i = 0; i < NODES; i++) {
        now_us += 10000;
        answers[i].uptime_s++;
        if (i != but)
            answer(i);
    }
    now_us += 100000;
    model_round(m, now_us, wall());
}

static void rounds(int count)
{
    for (int i = 0; i < count; i++)
        round_but(-1);
}

static inline void must_announce(const char *text)
{
    if (announced >= m->line_count)
        fail_msg("nothing was announced, not: %s", text);
    const struct model_line *line = &m->lines[announced++ % MODEL_LINES];
    assert_string_equal(line->text, text);
}

static inline void must_announce_nothing(void)
{
    if (announced < m->line_count)
        fail_msg("announced: %s", m->lines[announced % MODEL_LINES].text);
}

static inline void about(double value, double expected)
{
    if (fabs(value - expected) > expected * 0.01 + 0.001)
        fail_msg("%f is not %f", value, expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
