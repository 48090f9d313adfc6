/*
 * Why: "paused" at the bottom of the screen, of a sale that has been resumed since, misleads the
 * operator; and a notice that disappears too early makes the operator press the key again.
 */
/* needs: admin-tui/act.c admin-tui/view/prompt.c admin-tui/view/keys.c admin-tui/model/rows.c
 * admin-tui/view/draw.c admin-tui/model/model.c admin-tui/model/duplicates.c
 * admin-tui/model/health.c admin-tui/model/event_news.c admin-tui/model/repair_waits.c
 * admin-tui/model/alerts.c admin-tui/model/totals.c admin-tui/model/history.c
 * admin-tui/model/sale.c admin-tui/model/sale_pace.c admin-tui/model/rates.c
 * admin-tui/model/nodes.c admin-tui/model/lines.c admin-tui/model/median.c admin-tui/model/stats.c
 * admin-tui/client/json.c admin-tui/model/number.c conf/base/check.c conf/base/fault.c
 * -lncursesw -ltinfo -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include "admin-tui/act.h"
#include "tests/unit/top_nodes.h"

static struct act_record record;

static void all_are(const char *word, uint64_t total)
{
    for (int i = 0; i < NODES; i++) {
        snprintf(answers[i].events[0].state, STATS_STATE, "%s", word);
        answers[i].events[0].left += total - answers[i].events[0].total;
        answers[i].events[0].total = total;
    }
    rounds(2);
}

static void end(enum act_kind kind, uint64_t total)
{
    struct act a = {.kind = kind, .event = "ticket", .total = total};
    rounds(1);
    act_finish(&record, &a, m);
    assert_false(act_is_superseded(&record, m));
}

static void what_an_act_makes_of_the_sale_is_its_outcome(void **state)
{
    (void)state;
    end(ACT_PAUSE, 0);
    all_are("paused", 10000);
    assert_false(act_is_superseded(&record, m));
    all_are("open", 10000);
    assert_true(act_is_superseded(&record, m));
    end(ACT_RESTOCK, 12000);
    all_are("open", 12000);
    assert_false(act_is_superseded(&record, m));
    all_are("paused", 12000);
    all_are("open", 13000);
    assert_true(act_is_superseded(&record, m));
    end(ACT_CLOSE, 0);
    all_are("closed", 13000);
    assert_false(act_is_superseded(&record, m));
}

static void what_others_make_of_it_is_not(void **state)
{
    (void)state;
    end(ACT_DRAIN, 0);
    all_are("paused", 10000);
    assert_true(act_is_superseded(&record, m));
    end(ACT_RESUME, 0);
    all_are("open", 10000);
    assert_false(act_is_superseded(&record, m));
    all_are("paused", 10000);
    assert_true(act_is_superseded(&record, m));
}

/* No act has ended, or another event is chosen. */
static void nothing_else_ends_it(void **state)
{
    (void)state;
    record = (struct act_record){.act = {.kind = ACT_NONE}};
    all_are("paused", 10000);
    assert_false(act_is_superseded(&record, m));
    end(ACT_RESUME, 0);
    model_choose(m, "another");
    assert_false(act_is_superseded(&record, m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_an_act_makes_of_the_sale_is_its_outcome),
        TEST(what_others_make_of_it_is_not),
        TEST(nothing_else_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
