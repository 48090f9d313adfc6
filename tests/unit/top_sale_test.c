/*
 * Why: how many tickets are left, how fast they go and what has become of the sale is put together
 * from nodes that hear of it a beat apart. The figures must be of one moment, exact when the sale
 * rests; and a fact must be announced once, not ten times, and not because two nodes were out of
 * step.
 */
/* needs: admin-tui/model/model.c admin-tui/model/duplicates.c admin-tui/model/health.c
 * admin-tui/model/event_news.c admin-tui/model/repair_waits.c admin-tui/model/alerts.c
 * admin-tui/model/totals.c admin-tui/model/history.c admin-tui/model/sale.c
 * admin-tui/model/sale_pace.c admin-tui/model/rates.c admin-tui/model/nodes.c
 * admin-tui/model/lines.c admin-tui/model/median.c admin-tui/model/stats.c admin-tui/client/json.c
 * admin-tui/model/number.c conf/base/check.c conf/base/fault.c -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include "tests/unit/top_nodes.h"

static void all_say(void (*change)(struct stats_event *e))
{
    for (int i = 0; i < NODES; i++)
        change(&answers[i].events[0]);
}

static void say_sold(int i, uint64_t sold)
{
    answers[i].events[0].sold = sold;
    answers[i].events[0].left = answers[i].events[0].total - sold;
}

static void figures_are_of_the_freshest_answer(void **state)
{
    (void)state;
    rounds(1);
    /* Within a beat the answer with the most sold is the freshest. */
    say_sold(0, 1500);
    say_sold(1, 1400);
    say_sold(2, 1450);
    say_sold(3, 1490);
    rounds(1);
    assert_int_equal(m->totals.sold, 1500);
    assert_int_equal(m->totals.left, 8500);
    /* After returns a higher figure can be just an older one. */
    for (int i = 0; i < NODES; i++)
        say_sold(i, i == 0 ? 1600 : 1300);
    answer(0);
    now_us += 2 * BEAT_PROMISE_MS * 1000;
    for (int i = 1; i < NODES; i++)
        answer(i);
    model_round(m, now_us, wall());
    assert_int_equal(m->totals.sold, 1300);
    assert_int_equal(m->totals.left, 8700);
    /* A node without its Redis hears nothing, however late it says so. */
    strcpy(answers[3].redis, "down");
    say_sold(3, 1700);
    rounds(1);
    assert_int_equal(m->totals.sold, 1600);
    /* Nodes that are down are the worst witnesses, but better than none. */
    for (int i = 0; i < NODES; i++)
        failed(i, "connection refused");
    model_round(m, now_us, wall());
    assert_int_equal(m->totals.total, 10000);
    assert_true(m->totals.sold >= 1200);
}

static void standalone_nodes_have_sales_of_their_own(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        strcpy(answers[i].redis, "off");
    rounds(1);
    assert_int_equal(m->totals.total, 40000);
    assert_int_equal(m->totals.sold, 4000);
    assert_int_equal(m->totals.left, 36000);
    assert_false(m->totals.has_redis);
}

static void orders_are_added_up(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        struct stats_event *e = &answers[i].events[0];
        e->granted = 100;
        e->paid = 60;
        e->cancelled = 10;
        e->expired = 5;
        e->late = 2;
        e->late_refused = 1;
        e->refused = 1000;
        answers[i].answers_5xx = 7;
    }
    rounds(1);
    assert_int_equal(m->totals.granted, 400);
    assert_int_equal(m->totals.paid, 240);
    assert_int_equal(m->totals.cancelled, 40);
    assert_int_equal(m->totals.expired, 20);
    assert_int_equal(m->totals.late, 8);
    assert_int_equal(m->totals.late_refused, 4);
    assert_int_equal(m->totals.refused, 4000);
    assert_int_equal(m->totals.errors, 28);
}

static void latencies_are_weighted(void **state)
{
    (void)state;
    rounds(1);
    for (int i = 0; i < NODES; i++) { /* the last two had many requests, and no orders */
        answers[i].requests += i < 2 ? 100 : 100000;
        answers[i].p50_us = answers[i].p99_us = 0;
    }
    answers[0].p50_us = answers[0].p99_us = 100;
    answers[0].buckets = 2;
    answers[0].bucket_count[0] = 800;
    answers[0].bucket_count[1] = 100;
    answers[1].p50_us = 1100;
    answers[1].p99_us = 9800;
    answers[1].buckets = 1;
    answers[1].bucket_count[0] = 100;
    rounds(1);
    assert_in_range(m->totals.p50_us, 199, 201);
    assert_int_equal(m->totals.p99_us, 9800);
    answers[0].buckets = answers[1].buckets =
        0; /* older nodes do not report how many they have measured */
    rounds(1);
    assert_int_equal(m->totals.p50_us, 600);
    for (int i = 0; i < NODES; i++)
        answers[i].p50_us = answers[i].p99_us = 0;
    rounds(1);
    assert_int_equal(m->totals.p50_us, 0);
    assert_int_equal(m->totals.p99_us, 0);
    assert_int_equal(m->totals.redis_rtt_us, 400);
    assert_true(m->totals.has_redis && m->totals.redis_ok);
}

static void sell(int count)
{
    answers[0].events[0].node_sold += (uint64_t)count;
    for (int i = 0; i < NODES; i++)
        say_sold(i, answers[i].events[0].sold + (uint64_t)count);
}

static void the_end_is_estimated(void **state)
{
    (void)state;
    rounds(1);
    assert_true(m->totals.gone_in_s < 0);
    for (int i = 0; i < 20; i++) {
        sell(400);
        rounds(1);
    }
    about(m->totals.gone_in_s, 2.5); /* 1,000 at 400 a second */
    sell(100);
    rounds(1);
    about(m->totals.sold_s, 100);
    about(m->totals.gone_in_s, 9); /* by the rate beside it */
    rounds(1);
    about(m->totals.sold_s, 0);
    assert_true(m->totals.gone_in_s < 0);
    sell(1);
    rounds(1);
    about(m->totals.gone_in_s, 899);
    for (int i = 0; i < NODES; i++)
        strcpy(answers[i].events[0].state, "paused");
    rounds(1);
    assert_true(m->totals.gone_in_s < 0);
}

static int known(const struct model_history *h)
{
    int count = 0;
    for (int i = 0; i < MODEL_HISTORY; i++)
        count += isnan(h->at[i]) ? 0 : 1;
    return count;
}

static void histories_have_a_value_a_second(void **state)
{
    (void)state;
    rounds(1);
    assert_int_equal(known(&m->req), 0);
    for (int i = 1; i <= 130; i++) {
        answers[0].requests += 10 * (uint64_t)i;
        rounds(1);
        assert_int_equal(known(&m->req), i < MODEL_HISTORY ? i : MODEL_HISTORY);
        about(m->req.at[MODEL_HISTORY - 1], 10.0 * i);
        about(nodes[0]->req.at[MODEL_HISTORY - 1], 10.0 * i);
    }
    about(m->req.at[0], 110);
}

/* Four rounds a second, then one in five seconds, with the jitter of a busy machine. */
static void histories_do_not_depend_on_the_interval(void **state)
{
    (void)state;
    answer(0);
    model_round(m, now_us, wall());
    for (int i = 1; i <= 40; i++) {
        answers[0].requests += 25;
        now_us += 250000;
        answer(0);
        model_round(m, now_us + (uint64_t)(i % 3) * 9000, wall());
    }
    assert_int_equal(known(&m->req), 10);
    about(m->req.at[MODEL_HISTORY - 1], 100);
    for (int i = 0; i < 4; i++) {
        answers[0].requests += 1000;
        now_us += 5 * STEP_US;
        answer(0);
        model_round(m, now_us, wall());
    }
    assert_int_equal(known(&m->req), 30);
    about(m->req.at[MODEL_HISTORY - 1], 200);
    about(m->req.at[MODEL_HISTORY - 20], 200);
    now_us += UINT64_C(1000000) * STEP_US;
    answer(0);
    model_round(m, now_us, wall());
    assert_int_equal(known(&m->req), MODEL_HISTORY);
}

static void each_second_is_filled_once_in_spite_of_jitter(void **state)
{
    (void)state;
    uint64_t begin_us = now_us;
    now_us += 20000; /* the first round is late, every other one after it is early */
    rounds(1);
    for (int i = 1; i <= 60; i++) {
        answers[0].requests += 100 + (uint64_t)i;
        now_us = begin_us + (uint64_t)i * STEP_US + (i % 2 == 0 ? 20000 : 0);
        rounds(1);
    }
    for (int i = 1; i < 60; i++)
        assert_true(m->req.at[MODEL_HISTORY - i] != m->req.at[MODEL_HISTORY - i - 1]);
}

static void paused(struct stats_event *e)
{
    strcpy(e->state, "paused");
}

static void opened(struct stats_event *e)
{
    strcpy(e->state, "open");
}

static void closed(struct stats_event *e)
{
    strcpy(e->state, "closed");
}

static void in_repair(struct stats_event *e)
{
    strcpy(e->state, "repair");
    e->total = e->sold = e->left = 0;
}

static void sold_out(struct stats_event *e)
{
    strcpy(e->state, "soldout");
    e->sold = e->total;
    e->left = 0;
}

static void changes_of_the_event_are_announced(void **state)
{
    (void)state;
    rounds(2);
    must_announce_nothing();
    all_say(paused);
    rounds(3);
    must_announce("ticket paused");
    assert_string_equal(m->totals.state, "paused");
    all_say(opened);
    rounds(3);
    must_announce("ticket open");
    all_say(in_repair);
    rounds(2);
    must_announce("ticket in REPAIR: Redis has lost memory");
    assert_true(m->lines[(announced - 1) % MODEL_LINES].trouble);
    for (int i = 0; i < NODES; i++) {
        answers[i].events[0].total = 10000;
        say_sold(i, 1000);
    }
    all_say(opened);
    rounds(2);
    must_announce("ticket open: repair is over");
    all_say(closed);
    rounds(2);
    must_announce("ticket closed");
    must_announce_nothing();
}

/* A pause has reached one node and not yet the others, which answer after it. */
static void a_beat_apart_is_no_news(void **state)
{
    (void)state;
    rounds(1);
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 0)
            paused(&answers[0].events[0]);
        else
            opened(&answers[0].events[0]);
        now_us += 60000;
        answer(i % 2 == 0 ? 0 : 1);
        now_us += 60000;
        answer(i % 2 == 0 ? 1 : 0);
        model_round(m, now_us, wall());
    }
    must_announce_nothing();
    all_say(paused);
    rounds(1);
    must_announce("ticket paused");
    must_announce_nothing();
}

static void one_node_alone_is_enough_after_a_while(void **state)
{
    (void)state;
    rounds(1);
    paused(&answers[3].events[0]); /* answers last */
    rounds(1);
    must_announce_nothing();
    rounds(1);
    must_announce("ticket paused");
}

static void a_sale_that_was_seen_has_a_duration(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        say_sold(i, 0);
    rounds(5);
    for (int i = 0; i < 15; i++) {
        sell(600);
        rounds(1);
    }
    all_say(sold_out);
    rounds(2);
    must_announce("ticket SOLD OUT: 10,000 in ~16s");
    must_announce_nothing();
    assert_int_equal(m->totals.left, 0);
    assert_true(m->totals.gone_in_s < 0);
}

static void restocked(struct stats_event *e)
{
    strcpy(e->state, "open");
    e->total = 12000;
    e->left = e->total - e->sold;
}

static void a_restock_is_announced_and_counts_anew(void **state)
{
    (void)state;
    rounds(1);
    all_say(sold_out);
    rounds(1);
    must_announce("ticket SOLD OUT: 10,000"); /* its beginning was not seen */
    all_say(restocked);
    rounds(3);
    must_announce("ticket restocked: total 12,000, before 10,000");
    must_announce_nothing();
    assert_int_equal(m->totals.total, 12000);
    assert_int_equal(m->totals.sold, 10000);
    assert_int_equal(m->totals.left, 2000);
    rounds(2);
    all_say(sold_out);
    rounds(1);
    must_announce("ticket SOLD OUT: 12,000 in ~5s");
}

/* Holds expire one by one: tickets come back and are gone again. */
static void returns_do_not_flood(void **state)
{
    (void)state;
    rounds(1);
    all_say(sold_out);
    rounds(1);
    must_announce("ticket SOLD OUT: 10,000");
    for (int i = 0; i < 100; i++) {
        all_say(i % 2 == 0 ? opened : sold_out);
        rounds(1);
    }
    assert_in_range(m->line_count - announced, 1, 20);
    announced = m->line_count;
    all_say(opened);
    rounds(11);
    assert_string_equal(m->lines[(m->line_count - 1) % MODEL_LINES].text,
                        "ticket open again: tickets came back");
}

static void events_are_chosen_by_name_or_in_order(void **state)
{
    (void)state;
    uint32_t index = 9;
    assert_string_equal(m->event, "");
    model_choose_next(m, 1);
    answers[1].event_count = 2;
    answers[1].events[1] = answers[1].events[0];
    strcpy(answers[1].events[0].name, "vip");
    answers[1].events[0].total = 50;
    rounds(1);
    sell(0);
    answers[1].events[1].node_sold = 30;
    answers[1].requests = 500;
    rounds(1);
    assert_string_equal(m->event, "ticket");
    assert_int_equal(m->event_count, 2);
    assert_int_equal(m->totals.total, 10000);
    about(m->totals.sold_s, 30);
    assert_non_null(model_event(m, nodes[1], &index));
    assert_int_equal(index, 1);
    model_choose_next(m, 1);
    assert_string_equal(m->event, "vip");
    assert_int_equal(m->totals.total, 50);
    about(m->totals.sold_s, 0);
    assert_int_equal(known(&m->sold), 0);
    assert_int_equal(known(&m->req), 1);
    assert_null(model_event(m, nodes[0], NULL));
    model_choose_next(m, 1);
    assert_string_equal(m->event, "ticket");
    model_choose_next(m, -1);
    assert_string_equal(m->event, "vip");
    model_choose(m, "nothing");
    assert_int_equal(m->totals.total, 0);
    model_choose_next(m, -1);
    assert_string_equal(m->event, "ticket");
}

/* A node may report any number. */
static void sums_do_not_wrap(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        answers[i].requests = UINT64_C(1) << 63;
        answers[i].events[0].node_sold = UINT64_C(1) << 63;
        answers[i].p50_us = UINT64_C(1) << 63;
    }
    rounds(2);
    assert_true(m->totals.requests == UINT64_MAX);
    assert_true(m->totals.node_sold == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(figures_are_of_the_freshest_answer),
        TEST(standalone_nodes_have_sales_of_their_own),
        TEST(orders_are_added_up),
        TEST(latencies_are_weighted),
        TEST(the_end_is_estimated),
        TEST(histories_have_a_value_a_second),
        TEST(histories_do_not_depend_on_the_interval),
        TEST(each_second_is_filled_once_in_spite_of_jitter),
        TEST(changes_of_the_event_are_announced),
        TEST(a_beat_apart_is_no_news),
        TEST(one_node_alone_is_enough_after_a_while),
        TEST(a_sale_that_was_seen_has_a_duration),
        TEST(a_restock_is_announced_and_counts_anew),
        TEST(returns_do_not_flood),
        TEST(events_are_chosen_by_name_or_in_order),
        TEST(sums_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
