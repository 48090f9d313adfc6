/*
 * Why: an operator plans the night by how fast tickets go and when the last one will. With holds,
 * tickets come back on one node while another sells: sums of the tickets that each has out then
 * show a sale that races, or stands still, while it does neither.
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

/* A node grants tickets while holds of `back` tickets expire. */
static void trade(int i, uint64_t granted, uint64_t back)
{
    struct stats_event *e = &answers[i].events[0];
    e->granted_tickets += granted;
    e->node_held += granted;
    e->node_held -= back;
    for (int k = 0; k < NODES; k++) {
        answers[k].events[0].sold += granted - back;
        answers[k].events[0].left -= granted - back;
    }
}

static void all_count_what_they_grant(void)
{
    for (int i = 0; i < NODES; i++) {
        answers[i].events[0].has_granted_tickets = true;
        answers[i].events[0].granted_tickets = 1000;
        answers[i].events[0].node_held = 1000;
    }
}

static void returned_tickets_are_no_sale_and_hide_none(void **state)
{
    (void)state;
    all_count_what_they_grant();
    rounds(1);
    trade(0, 100, 90);
    trade(1, 40, 100);
    rounds(1);
    about(nodes[0]->sold_s[0], 100);
    about(nodes[1]->sold_s[0], 40);
    about(m->totals.sold_s, 140);
    trade(2, 0, 500);
    rounds(1);
    about(m->totals.sold_s, 0);
}

static void older_nodes_report_what_is_out(void **state)
{
    (void)state;
    answers[0].events[0].has_granted_tickets = true; /* it was started anew in between */
    answers[0].events[0].granted_tickets = 1000;
    answers[1].events[0].node_held = 100;
    rounds(1);
    answers[0].events[0].has_granted_tickets = false;
    trade(0, 30, 0);
    trade(1, 20, 50);
    answers[0].events[0].granted_tickets = 0;
    rounds(1);
    about(nodes[0]->sold_s[0], 30);
    about(nodes[1]->sold_s[0], 0);
}

static void the_end_is_that_of_the_sale(void **state)
{
    (void)state;
    all_count_what_they_grant();
    rounds(1);
    assert_true(m->totals.gone_in_s < 0);
    trade(0, 100, 0); /* left falls by 10 */
    trade(1, 0, 90);
    rounds(1);
    about(m->totals.sold_s, 100);
    about(m->totals.gone_in_s, 8990.0 / 10);
    trade(0, 100, 0); /* it does not fall */
    trade(1, 0, 100);
    rounds(1);
    about(m->totals.sold_s, 100);
    assert_true(m->totals.gone_in_s < 0);
    trade(1, 0, 300); /* it rises */
    rounds(1);
    assert_true(m->totals.gone_in_s < 0);
    trade(0, 300, 0);
    rounds(1);
    about(m->totals.gone_in_s, 8990.0 / 300);
    for (int i = 0; i < NODES; i++)
        failed(i, "timed out");
    now_us += STEP_US;
    model_round(m, now_us, wall()); /* no node reports that the sale goes on */
    assert_true(m->totals.gone_in_s < 0);
}

static void another_total_is_no_sale(void **state)
{
    (void)state;
    rounds(2);
    for (int i = 0; i < NODES; i++) {
        answers[i].events[0].total = 5000;
        answers[i].events[0].left = 4000;
    }
    rounds(1);
    assert_true(m->totals.gone_in_s < 0);
    trade(0, 100, 0);
    rounds(1);
    about(m->totals.gone_in_s, 39);
}

/* A node that sells little hears of the sale once a beat; rounds may be shorter than that. */
static void short_rounds_see_no_jumps(void **state)
{
    (void)state;
    answer(0);
    model_round(m, now_us, wall());
    for (int i = 1; i <= 40; i++) {
        now_us += 100000;
        if (i % 2 == 0)
            trade(0, 20, 0);
        answer(0);
        model_round(m, now_us, wall());
        if (i >= 5)
            assert_in_range(m->totals.gone_in_s, 80, 90);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(returned_tickets_are_no_sale_and_hide_none),
        TEST(older_nodes_report_what_is_out),
        TEST(the_end_is_that_of_the_sale),
        TEST(another_total_is_no_sale),
        TEST(short_rounds_see_no_jumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
