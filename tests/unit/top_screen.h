/*
 * top_screen: a sale as the console knows it, and its views, drawn by ncurses onto an invisible
 * screen and read back line by line. For the tests of the views; include it first.
 */
#ifndef SPIKE_TEST_TOP_SCREEN_H
#define SPIKE_TEST_TOP_SCREEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <locale.h>
#include <math.h>
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin-tui/view/view.h"

#define LINE_BYTES 1024
#define NOON_MS    UINT64_C(1700000000000) /* 22:13:20 in UTC */

static struct model *m;
static struct view_context s;
static struct prompt p;
static bool blocks; /* block characters */
static struct canvas canvas;
static FILE *sink, *source;

/* One invisible screen for all tests. */
static int open_screen(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    setlocale(LC_CTYPE, "C.UTF-8");
    sink = fopen("/dev/null", "w");
    source = fopen("/dev/zero", "r");
    return sink == NULL || source == NULL || newterm("vt100", sink, source) == NULL;
}

static int close_screen(void **state)
{
    (void)state;
    endwin();
    return fclose(sink) + fclose(source);
}

static struct model_node *add(uint32_t number, const char *address, enum model_state state)
{
    struct model_node *n = model_add(m, address);
    struct stats_event *e = &n->stats.events[0];
    n->number = number;
    n->state = state;
    n->has_stats = true;
    n->has_rates = state != MODEL_DOWN;
    n->stats.event_count = 1;
    snprintf(e->name, sizeof e->name, "ticket");
    snprintf(e->state, sizeof e->state, "open");
    snprintf(n->stats.state, sizeof n->stats.state, "up");
    snprintf(n->stats.redis, sizeof n->stats.redis, "up");
    return n;
}

static void set_node(struct model_node *n, double req_s, double sold_s, uint64_t sold,
                     uint64_t left)
{
    n->req_s = req_s;
    n->sold_s[0] = sold_s;
    n->stats.events[0].node_sold = sold;
    n->stats.events[0].left = 6412;
    n->stats.events[0].has_cap = true;
    n->stats.events[0].local_stock = sold + left;
}

static void set_health(struct model_node *n, uint64_t p50_us, uint64_t p99_us, uint64_t connections,
                       uint64_t fill)
{
    n->stats.p50_us = p50_us;
    n->stats.p99_us = p99_us;
    n->stats.connections = connections;
    n->stats.pool_count = 1;
    snprintf(n->stats.pools[0].name, STATS_NAME, "connections");
    n->stats.pools[0].used = fill;
    n->stats.pools[0].size = 100;
    n->stats.redis_rtt_us = 400;
}

static void set_totals(void)
{
    m->totals = (struct model_totals){.nodes = 3,
                                      .up = 2,
                                      .answering = 2,
                                      .has_sums = true,
                                      .has_sale = true,
                                      .state = "open",
                                      .total = 10000,
                                      .sold = 3588,
                                      .left = 6412,
                                      .held = 37,
                                      .node_sold = 2584,
                                      .granted = 3000,
                                      .paid = 2584,
                                      .req_s = 48200,
                                      .peak_req_s = 61000,
                                      .sold_s = 412,
                                      .refused_s = 47100,
                                      .err_s = 3,
                                      .refused = 91200,
                                      .connections = 4300,
                                      .p50_us = 420,
                                      .p99_us = 9800,
                                      .has_rates = true,
                                      .has_redis = true,
                                      .redis_ok = true,
                                      .redis_rtt_us = 400,
                                      .gone_in_s = 15.6};
}

static int set_up(void **state)
{
    (void)state;
    m = model_new();
    if (m == NULL)
        return 1;
    p = (struct prompt){.kind = PROMPT_NONE};
    blocks = false;
    s = (struct view_context){.m = m, .prompt = &p, .interval_s = 1};
    s.now_wall_ms = NOON_MS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    model_free(m);
    return 0;
}

/* Three nodes: one well, one slow, one down. */
static void a_sale(void)
{
    snprintf(m->event, sizeof m->event, "ticket");
    memcpy(m->events[0], m->event, sizeof m->event);
    m->event_count = 1;
    m->rounds = 9;
    struct model_node *n = add(1, "web1:3901", MODEL_UP);
    set_node(n, 18100, 151, 1201, 299);
    set_health(n, 310, 2400, 1200, 71);
    n = add(3, "web3:3903", MODEL_SLOW);
    set_node(n, 14200, 128, 1004, 496);
    set_health(n, 900, 41000, 2000, 93);
    n->err_s = 3;
    n = add(4, "web4:3904", MODEL_DOWN);
    set_node(n, 0, 0, 379, 0);
    snprintf(n->why, sizeof n->why, "connection refused");
    set_totals();
    for (int i = 0; i < MODEL_HISTORY; i++)
        m->req.at[i] = m->sold.at[i] = (float)(i + 1);
    model_announce(m, true, NOON_MS - 15000, "node 4 DOWN: connection refused");
}

static void draw(const struct view *view, int rows, int cols)
{
    resizeterm(rows, cols);
    canvas = canvas_of(stdscr, blocks);
    view_draw(&canvas, view, &s);
}

/* The text of a line, without the blanks at its end. */
static const char *line(int y)
{
    static char text[LINE_BYTES];
    text[0] = '\0';
    mvwinnstr(stdscr, y, 0, text, LINE_BYTES - 1);
    for (size_t len = strlen(text); len > 0 && text[len - 1] == ' '; len--)
        text[len - 1] = '\0';
    return text;
}

static bool on_screen(const char *text)
{
    for (int y = 0; y < canvas.rows; y++)
        if (strstr(line(y), text) != NULL)
            return true;
    return false;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
