/*
 * Why: on the night of a sale an operator presses keys in a hurry. A question that does not name
 * what will be done, a stray key that counts as a yes, a selection that has moved to another node:
 * each stops a sale by accident.
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
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/act.h"
#include "admin-tui/view/keys.h"
#include "admin-tui/view/prompt.h"

static struct model *m;
static struct prompt p;
static struct act a;
static struct fault f;

static void add(uint32_t number, const char *address, enum model_state state, double req_s)
{
    struct model_node *n = model_add(m, address);
    n->number = number;
    n->state = state;
    n->has_stats = true;
    n->has_rates = !isnan(req_s);
    n->req_s = req_s;
    n->stats.event_count = 1;
    snprintf(n->stats.events[0].name, sizeof n->stats.events[0].name, "ticket");
}

static int set_up(void **state)
{
    (void)state;
    m = model_new();
    p = (struct prompt){.kind = PROMPT_NONE};
    if (m == NULL)
        return 1;
    snprintf(m->event, sizeof m->event, "ticket");
    snprintf(m->totals.state, sizeof m->totals.state, "open");
    m->totals.has_sale = true;
    m->totals.total = 10000;
    m->totals.sold = 3588;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    model_free(m);
    return 0;
}

static void four_nodes(void)
{
    add(3, "web3:3903", MODEL_SLOW, 300);
    add(1, "web1:3901", MODEL_UP, 100);
    add(4, "web4:3904", MODEL_DOWN, NAN);
    add(2, "web2:3902", MODEL_UP, 200);
}

static enum prompt_end type(const char *text)
{
    enum prompt_end end = PROMPT_GOES_ON;
    for (; *text != '\0' && end == PROMPT_GOES_ON; text++)
        end = prompt_key(&p, *text);
    return end;
}

/* ---- prompts ---- */

static void test_only_y_is_a_yes(void **state)
{
    (void)state;
    for (int code = 0; code <= KEYS_OTHER; code++) {
        prompt_open(&p, PROMPT_CONFIRM, "Sure?  y/N");
        enum prompt_end end = prompt_key(&p, code);
        assert_int_equal(end, code == 'y' || code == 'Y' ? PROMPT_YES : PROMPT_NO);
        assert_int_equal(p.kind, PROMPT_NONE);
    }
}

static void test_a_name_must_be_typed_whole(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\r", "ticke\r", "tickets\r", "TICKET\r", " ticket\r"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        prompt_open(&p, PROMPT_NAME, "Type ticket");
        snprintf(p.want, sizeof p.want, "ticket");
        assert_int_equal(type(wrong[i]), PROMPT_GOES_ON);
        assert_string_equal(p.wrong, "that is not its name");
        assert_int_equal(prompt_key(&p, KEYS_ESC), PROMPT_NO);
    }
    prompt_open(&p, PROMPT_NAME, "Type ticket");
    snprintf(p.want, sizeof p.want, "ticket");
    assert_int_equal(type("tickex\x7ft\r"), PROMPT_YES);
}

static void test_a_number_is_a_number_of_tickets(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\r", "0\r", ",\r", "100000001\r",
                                        "99999999999999999999\r"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        prompt_open(&p, PROMPT_NUMBER, "How many?");
        assert_int_equal(type(wrong[i]), PROMPT_GOES_ON);
    }
    prompt_open(&p, PROMPT_NUMBER, "How many?");
    assert_int_equal(type("1x2-,000\r"), PROMPT_YES); /* other keys than digits are ignored */
    assert_int_equal(prompt_number(&p), 12000);
}

static void test_no_text_is_too_long(void **state)
{
    (void)state;
    prompt_open(&p, PROMPT_FILTER, "Filter:");
    for (int i = 0; i < 500; i++)
        assert_int_equal(prompt_key(&p, 'w'), PROMPT_GOES_ON);
    assert_int_equal(strlen(p.text), PROMPT_TEXT - 1);
    for (int i = 0; i < 500; i++)
        prompt_key(&p, KEYS_BACKSPACE);
    assert_string_equal(p.text, "");
    prompt_key(&p, KEYS_UP); /* neither a letter nor an end */
    assert_string_equal(p.text, "");
    assert_int_equal(p.kind, PROMPT_FILTER);
}

/* ---- acts ---- */

static void expect_path(const char *want)
{
    char path[ACT_PATH];
    act_path(&a, path);
    assert_string_equal(path, want);
}

static void test_questions_say_what_will_happen(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_propose(&a, ACT_PAUSE, m, 0, &p, &f));
    assert_string_equal(p.question, "Pause the sale of ticket on all nodes?  y/N");
    assert_int_equal(p.kind, PROMPT_CONFIRM);
    expect_path("/pause?event=ticket");
    snprintf(m->totals.state, sizeof m->totals.state, "paused");
    assert_true(act_propose(&a, ACT_PAUSE, m, 0, &p, &f));
    assert_string_equal(p.question, "Resume the sale of ticket on all nodes?  y/N");
    expect_path("/resume?event=ticket");
    assert_true(act_propose(&a, ACT_CLOSE, m, 0, &p, &f));
    assert_int_equal(p.kind, PROMPT_NAME);
    assert_string_equal(p.want, "ticket");
    expect_path("/close?event=ticket");
    assert_true(act_propose(&a, ACT_DRAIN, m, 0, &p, &f));
    assert_non_null(strstr(p.question, "Drain node 3 (web3:3903)?"));
    assert_non_null(strstr(p.question, "only a restart ends it"));
    expect_path("/drain");
}

/* The subject is a node that is gone, so the act is posted to other nodes, never to itself. */
static void test_a_node_is_given_up(void **state)
{
    (void)state;
    four_nodes();
    m->nodes[2].number = 7;
    assert_true(act_propose(&a, ACT_RECLAIM, m, 2, &p, &f));
    assert_non_null(strstr(p.question, "Give up node 7 ("));
    assert_non_null(strstr(p.question, "stays counted"));
    expect_path("/reclaim?node=7");
    for (const struct model_node *n; (n = act_next_node(&a, m)) != NULL;)
        assert_true(n != &m->nodes[2]);
    assert_int_equal(a.tries, 3);
    assert_true(act_propose(&a, ACT_LOST, m, 2, &p, &f));
    assert_int_equal(p.kind, PROMPT_NAME);
    assert_string_equal(p.want, "lost");
    assert_non_null(strstr(p.question, "also if a buyer was told that he has it"));
    expect_path("/reclaim?node=7&journal=lost");
}

static void test_a_node_that_is_alive_is_not_given_up(void **state)
{
    (void)state;
    four_nodes();
    assert_false(act_propose(&a, ACT_RECLAIM, m, 0, &p, &f)); /* it answers */
    assert_false(act_propose(&a, ACT_LOST, m, 0, &p, &f));
    m->nodes[2].number = 0; /* it has never answered */
    assert_false(act_propose(&a, ACT_RECLAIM, m, 2, &p, &f));
    assert_false(act_propose(&a, ACT_RECLAIM, m, m->node_count, &p, &f));
}

static void test_only_a_repair_is_ended(void **state)
{
    (void)state;
    four_nodes();
    assert_false(act_propose(&a, ACT_REOPEN, m, 0, &p, &f));
    struct stats_event *e =
        &m->nodes[1].stats.events[0]; /* one node is enough, whatever the title shows */
    snprintf(e->state, sizeof e->state, "repair");
    assert_true(act_propose(&a, ACT_REOPEN, m, 0, &p, &f));
    assert_non_null(strstr(p.question, "without the nodes that are missing?"));
    expect_path("/reopen?event=ticket");
}

static void test_restock_asks_twice(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_propose(&a, ACT_RESTOCK, m, 0, &p, &f));
    assert_int_equal(type("12,000\r"), PROMPT_YES);
    assert_false(act_confirmed(&a, m, &p));
    assert_string_equal(p.question,
                        "Restock ticket from 10,000 to 12,000 tickets in all, on all nodes?  y/N");
    assert_int_equal(type("y"), PROMPT_YES);
    assert_true(act_confirmed(&a, m, &p));
    expect_path("/restock?event=ticket&total=12000");
}

/* The console knows how many are gone and refuses at once. */
static void test_an_impossible_restock_is_refused(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_propose(&a, ACT_RESTOCK, m, 0, &p, &f));
    assert_int_equal(type("3587\r"), PROMPT_YES);
    assert_false(act_confirmed(&a, m, &p));
    assert_int_equal(p.kind, PROMPT_NUMBER);
    assert_string_equal(p.wrong, "3,588 are gone already; the least is 3,588");
    assert_string_equal(p.text, "3587");
    assert_int_equal(type("\x7f"
                          "8\r"),
                     PROMPT_YES);
    m->totals.sold = 3600; /* the sale goes on */
    assert_false(act_confirmed(&a, m, &p));
    assert_string_equal(p.wrong, "3,600 are gone already; the least is 3,600");
    prompt_key(&p, KEYS_CTRL('U'));
    assert_int_equal(type("10,000\r"), PROMPT_YES);
    assert_false(act_confirmed(&a, m, &p));
    assert_string_equal(p.wrong, "that is its total already");
    prompt_key(&p, KEYS_CTRL('U'));
    assert_int_equal(type("9,000\r"), PROMPT_YES);
    assert_false(act_confirmed(&a, m, &p));
    assert_int_equal(p.kind, PROMPT_CONFIRM);
    assert_string_equal(p.question, "Restock ticket: this lowers the total from 10,000 to 9,000 "
                                    "tickets, on all nodes?  y/N");
    assert_int_equal(type("y"), PROMPT_YES);
    assert_true(act_confirmed(&a, m, &p));
    expect_path("/restock?event=ticket&total=9000");
}

/* A sale that is not known yet, or has ended, cannot be restocked. */
static void test_what_is_not_known_is_not_restocked(void **state)
{
    (void)state;
    four_nodes();
    m->totals.has_sale = false;
    assert_false(act_propose(&a, ACT_RESTOCK, m, 0, &p, &f));
    assert_string_equal(f.text, "restock: no node knows the sale yet");
    m->totals.has_sale = true;
    assert_true(act_propose(&a, ACT_RESTOCK, m, 0, &p, &f));
    m->totals.has_sale = false; /* while the number was typed */
    m->totals.total = m->totals.sold = 0;
    assert_int_equal(type("9,000\r"), PROMPT_YES);
    assert_false(act_confirmed(&a, m, &p));
    assert_string_equal(p.wrong, "no node knows the sale any more");
    m->totals.has_sale = true;
    snprintf(m->totals.state, sizeof m->totals.state, "closed");
    assert_false(act_propose(&a, ACT_RESTOCK, m, 0, &p, &f));
    assert_string_equal(f.text, "the sale of ticket is closed");
}

/* The act that was confirmed is done, also if another event is chosen by then. */
static void test_an_act_is_fixed_when_it_is_proposed(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_propose(&a, ACT_PAUSE, m, 0, &p, &f));
    snprintf(m->event, sizeof m->event, "matinee");
    snprintf(m->totals.state, sizeof m->totals.state, "paused");
    assert_true(act_confirmed(&a, m, &p));
    expect_path("/pause?event=ticket");
}

static void test_an_impossible_act_is_not_proposed(void **state)
{
    (void)state;
    assert_false(act_propose(&a, ACT_PAUSE, m, 0, &p, &f)); /* no node at all */
    assert_false(act_propose(&a, ACT_DRAIN, m, 0, &p, &f));
    four_nodes();
    assert_false(act_propose(&a, ACT_DRAIN, m, 2, &p, &f)); /* it is down */
    assert_false(act_propose(&a, ACT_DRAIN, m, m->node_count, &p, &f));
    snprintf(m->totals.state, sizeof m->totals.state, "closed");
    assert_false(act_propose(&a, ACT_PAUSE, m, 0, &p, &f));
    snprintf(m->event, sizeof m->event, "t&total=1"); /* a hostile node */
    memcpy(m->nodes[1].stats.events[0].name, m->event, sizeof m->event);
    assert_false(act_propose(&a, ACT_CLOSE, m, 0, &p, &f));
    assert_int_equal(p.kind, PROMPT_NONE);
}

static void expect_next(const char *want)
{
    const struct model_node *n = act_next_node(&a, m);
    if (want == NULL)
        assert_null(n);
    else
        assert_string_equal(n->address, want);
}

static void expect_first(uint32_t selected, const char *want)
{
    assert_true(act_propose(&a, ACT_PAUSE, m, selected, &p, &f));
    expect_next(want);
}

static void test_the_fittest_node_is_tried_first(void **state)
{
    (void)state;
    four_nodes();
    expect_first(0, "web1:3901"); /* the selected one is slow */
    expect_first(3, "web2:3902");
    expect_first(2, "web1:3901"); /* it is down */
    expect_first(UINT32_MAX, "web1:3901");
    m->nodes[1].state = MODEL_NO_REDIS;
    expect_first(1, "web2:3902");
    m->nodes[1].state = m->nodes[3].state = MODEL_DOWN;
    expect_first(2, "web3:3903");
    assert_true(act_propose(&a, ACT_PAUSE, m, 0, &p, &f));
    m->nodes[0].state = MODEL_DOWN; /* while the question stood */
    expect_next(NULL);
    assert_false(act_propose(&a, ACT_PAUSE, m, 0, &p, &f));
    assert_false(act_propose(&a, ACT_DRAIN, m, 0, &p, &f));
}

/* ---- outcomes ---- */

static char line[MODEL_LINE_BYTES];

/* The act is posted to a node, which answers this; true: the act has ended. */
static bool post(int code, const char *message, const char *want)
{
    assert_non_null(act_next_node(&a, m));
    bool ends = act_outcome(&a, m, code, message, line);
    assert_string_equal(line, want);
    return ends;
}

static void test_outcomes_are_lines(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_propose(&a, ACT_PAUSE, m, 1, &p, &f));
    assert_true(post(1, "ok", "pause ticket: asked node 1: paused"));
    assert_false(a.trouble);
    assert_string_equal(a.report, line);
    assert_true(act_propose(&a, ACT_RESTOCK, m, 1, &p, &f));
    a.total = 12000;
    assert_true(post(1, "ok", "restock ticket: asked node 1: restocked, 12,000 in all"));
    assert_true(act_propose(&a, ACT_DRAIN, m, 0, &p, &f));
    assert_true(post(1, "ok", "drain node 3: asked node 3: it drains, until it is started again"));
}

/* An operator must not have to look up a code on sale night. */
static void test_refusals_are_words(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_propose(&a, ACT_RESTOCK, m, 1, &p, &f));
    assert_true(
        post(-409, "conflict",
             "restock ticket: node 1 refused: more are gone already, or the sale is closed"));
    assert_true(a.trouble);
    assert_true(act_propose(&a, ACT_RESTOCK, m, 1, &p, &f));
    assert_true(post(-400, "bad request", "restock ticket: node 1 refused: its stock-max is less"));
    assert_true(act_propose(&a, ACT_PAUSE, m, 1, &p, &f));
    assert_true(post(-409, "conflict", "pause ticket: node 1 refused: the sale is closed"));
    assert_true(act_propose(&a, ACT_PAUSE, m, 1, &p, &f));
    assert_true(post(-418, "teapot", "pause ticket: node 1 refused: -418 teapot"));
    snprintf(m->nodes[1].stats.events[0].state, sizeof m->nodes[1].stats.events[0].state, "repair");
    assert_true(act_propose(&a, ACT_REOPEN, m, 1, &p, &f));
    assert_true(
        post(-6, "node 4 may still come back: try again in 3 s",
             "reopen ticket: node 1 refused: node 4 may still come back: try again in 3 s"));
    assert_true(act_propose(&a, ACT_REOPEN, m, 1, &p, &f));
    assert_true(post(-409, "node 4 was heard 0.4 s ago",
                     "reopen ticket: node 1 refused: node 4 was heard 0.4 s ago"));
    char long_text[1000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_true(act_propose(&a, ACT_PAUSE, m, 1, &p, &f));
    assert_non_null(act_next_node(&a, m));
    assert_true(act_outcome(&a, m, -500, long_text, line));
}

/* A node that hangs must not keep the sale from being paused; and the report says that it may still
 * do it. */
static void test_another_node_is_tried(void **state)
{
    char text[ACT_REPORT];
    (void)state;
    four_nodes();
    assert_true(act_propose(&a, ACT_PAUSE, m, 1, &p, &f));
    assert_false(post(0, "timed out",
                      "pause ticket: node 1 did not answer: not known whether it was done, it may "
                      "still happen"));
    expect_next("web2:3902");
    act_progress(&a, m, text);
    assert_string_equal(text, "pause ticket: node 1 did not answer: not known whether it was done, "
                              "it may still happen; asked node 2 ...");
    assert_true(act_outcome(&a, m, 1, "ok", line));
    assert_string_equal(line, "pause ticket: asked node 2: paused");
    assert_string_equal(a.report, "pause ticket: node 1 did not answer: not known whether it was "
                                  "done, it may still happen; asked node 2: paused");
    assert_true(a.trouble);
}

static void test_no_node_is_tried_twice_nor_all_of_them(void **state)
{
    (void)state;
    four_nodes();
    add(5, "web5:3905", MODEL_UP, 1);
    assert_true(act_propose(&a, ACT_PAUSE, m, 3, &p, &f));
    assert_false(
        post(0, "connection refused", "pause ticket: node 2 was not reached: connection refused"));
    assert_false(post(-6, "busy",
                      "pause ticket: node 1 is busy (Redis, repair, full journal): not known "
                      "whether it was done"));
    assert_false(post(0, NULL,
                      "pause ticket: node 5 did not answer: not known whether it was done, it may "
                      "still happen"));
    expect_next(NULL);
    assert_int_equal(strncmp(a.report,
                             "pause ticket: node 2 was not reached: connection refused; "
                             "node 1 is busy",
                             70),
                     0);
    assert_true(strlen(a.report) < ACT_REPORT - 1);
}

/* Another node cannot do it. */
static void test_a_drain_is_of_one_node(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_propose(&a, ACT_DRAIN, m, 0, &p, &f));
    assert_false(post(0, "timed out",
                      "drain node 3: node 3 did not answer: not known whether it was done, it may "
                      "still happen"));
    expect_next(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_only_y_is_a_yes),
        TEST(test_a_name_must_be_typed_whole),
        TEST(test_a_number_is_a_number_of_tickets),
        TEST(test_no_text_is_too_long),
        TEST(test_questions_say_what_will_happen),
        TEST(test_a_node_is_given_up),
        TEST(test_a_node_that_is_alive_is_not_given_up),
        TEST(test_only_a_repair_is_ended),
        TEST(test_restock_asks_twice),
        TEST(test_an_impossible_restock_is_refused),
        TEST(test_what_is_not_known_is_not_restocked),
        TEST(test_an_act_is_fixed_when_it_is_proposed),
        TEST(test_an_impossible_act_is_not_proposed),
        TEST(test_the_fittest_node_is_tried_first),
        TEST(test_outcomes_are_lines),
        TEST(test_refusals_are_words),
        TEST(test_another_node_is_tried),
        TEST(test_no_node_is_tried_twice_nor_all_of_them),
        TEST(test_a_drain_is_of_one_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
