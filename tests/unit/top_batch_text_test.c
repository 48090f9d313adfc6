/*
 * Why: the batch output ends up in mails and logs. A line that wraps, or differs from the screen,
 * is read as another sale.
 */
/* needs: admin-tui/batch_text.c admin-tui/view/fit_columns.c admin-tui/model/rows.c
 * admin-tui/model/model.c admin-tui/model/duplicates.c admin-tui/model/health.c
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

#include "admin-tui/batch.h"
#include "tests/unit/top_nodes.h"

static char text[16384];

/* Runs a round, prints it, and keeps what was printed. */
static void print_round(void)
{
    FILE *screen = stdout;
    rounds(1);
    memset(text, 0, sizeof text);
    stdout = fmemopen(text, sizeof text, "w");
    assert_non_null(stdout);
    batch_print_text(m, wall());
    fclose(stdout);
    stdout = screen;
}

static void must_have(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no '%s' in:\n%.500s", part, text);
}

static void must_not_have(const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("'%s' in:\n%.500s", part, text);
}

static void must_fit(void)
{
    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        if (len > 80)
            fail_msg("%d columns: %.*s", (int)len, (int)len, at);
        at += len + 1;
    }
}

static void set_large(int i)
{
    struct stats_event *e = &answers[i].events[0];
    strcpy(e->state, "open");
    e->total = 100000000;
    e->sold = 25999999;
    e->left = e->total - e->sold;
    e->node_sold = 25000000;
    e->node_held = 24999999;
    e->refused = 249999999;
    answers[i].answers_5xx = 249999999;
    answers[i].requests = 1000;
}

static void the_largest_figures_fit(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        set_large(i);
    rounds(1);
    for (int i = 0; i < NODES; i++) {
        answers[i].requests += 24999999;
        answers[i].events[0].node_sold += 249999;
        answers[i].events[0].sold += 9;
        answers[i].events[0].left -= 9;
    }
    print_round();
    must_fit();
    must_have("Sold   26,000,008  1.00M/s  gone in ~95d  held 100M  refused 1.00G  errors 1.00G\n");
}

static void the_longest_names_fit(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        memset(answers[i].events[0].name, 'e', EVENT_NAME_MAX);
        strcpy(answers[i].events[0].state, "soldout");
        answers[i].redis_rtt_us = 12345678;
    }
    for (uint32_t i = 5; i <= 101; i++) {
        char address[MODEL_ADDRESS];
        struct stats other = answers[0];
        snprintf(address, sizeof address, "a-machine-with-a-long-name-%u:3901", (unsigned)i);
        other.node = i;
        model_answered(m, model_add(m, address), &other, 500, now_us, wall());
    }
    model_failed(m, &m->nodes[100],
                 "a reason that is much longer than anybody would have thought it could be",
                 wall());
    print_round();
    must_fit();
    must_have("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee  SOLD OUT  100/101 up  0");
    must_not_have("spike-top");
    must_have("\nTOTAL             100/101  ");
    must_have("a reason that is much longer than anybody would have ~\n");
}

static void the_states_are_named_as_on_the_screen(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++) {
        answers[i].events[0].sold = 10000;
        answers[i].events[0].left = 0;
    }
    print_round();
    must_have("spike-top  ticket  OPEN  4/4 up  redis ok 0.40ms  ");
    must_have("   all gone   ");
    for (int i = 0; i < NODES; i++) {
        strcpy(answers[i].state, "starting");
        strcpy(answers[i].redis, "down");
        answers[i].uptime_s = 0;
    }
    print_round();
    must_have("0/4 up  redis -  "); /* not attached yet */
    for (int i = 0; i < NODES; i++)
        answers[i].uptime_s = 60;
    print_round();
    must_have("0/4 up  redis DOWN!  ");
    for (int i = 0; i < NODES; i++) {
        strcpy(answers[i].redis, "off");
        strcpy(answers[i].state, "up");
    }
    print_round();
    must_have("4/4 up  redis off  ");
}

static void an_absent_node_has_a_line(void **state)
{
    (void)state;
    model_add_absent(m, 3); /* it answers */
    model_add_absent(m, 7);
    strcpy(answers[1].state, "draining");
    print_round();
    must_have("\n7 -                NEW    never heard\n");
    must_have("\nTOTAL              3/5 ");
    must_not_have("\n3 -");
    must_have("\n2 web2:3901        DRAIN      -      -      0      - ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_largest_figures_fit),
        TEST(the_longest_names_fit),
        TEST(the_states_are_named_as_on_the_screen),
        TEST(an_absent_node_has_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
