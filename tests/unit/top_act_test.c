/*
 * Why: on the night of a sale an operator presses keys in a hurry. A question that says something
 * else than what will be done, a stray key that counts as a yes, a selection that has moved to
 * another node: each stops a sale that nobody wanted to stop.
 */
/* needs: admin-tui/act.c admin-tui/prompt.c admin-tui/keys.c admin-tui/rows.c admin-tui/draw.c
 * admin-tui/model.c admin-tui/model_facts.c admin-tui/model_totals.c admin-tui/number.c
 * conf/base/check.c conf/base/fault.c -lncursesw -ltinfo -lm
 */
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
#include "admin-tui/keys.h"
#include "admin-tui/prompt.h"
#include "admin-tui/rows.h"

static struct model *m;
static struct prompt p;
static struct act a;
static struct fault f;
static struct rows rows;
static struct look look;

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
    look = (struct look){.sort = COLUMN_NODE, .selected = ROWS_FIRST};
    if (m == NULL)
        return 1;
    snprintf(m->event, sizeof m->event, "ticket");
    snprintf(m->totals.state, sizeof m->totals.state, "open");
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
        assert_true(p.wrong);
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
    assert_int_equal(type("1x2-,000\r"), PROMPT_YES); /* what is no digit is not even taken */
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
    assert_true(act_ask(&a, ACT_PAUSE, m, 0, &p, &f));
    assert_string_equal(p.question, "Pause the sale of ticket on all nodes?  y/N");
    assert_int_equal(p.kind, PROMPT_CONFIRM);
    expect_path("/pause?event=ticket");
    snprintf(m->totals.state, sizeof m->totals.state, "paused");
    assert_true(act_ask(&a, ACT_PAUSE, m, 0, &p, &f));
    assert_string_equal(p.question, "Resume the sale of ticket on all nodes?  y/N");
    expect_path("/resume?event=ticket");
    assert_true(act_ask(&a, ACT_CLOSE, m, 0, &p, &f));
    assert_int_equal(p.kind, PROMPT_NAME);
    assert_string_equal(p.want, "ticket");
    expect_path("/close?event=ticket");
    assert_true(act_ask(&a, ACT_DRAIN, m, 0, &p, &f));
    assert_non_null(strstr(p.question, "Drain node 3 (web3:3903)?"));
    expect_path("/drain");
}

static void test_restock_asks_twice(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_ask(&a, ACT_RESTOCK, m, 0, &p, &f));
    assert_int_equal(type("12,000\r"), PROMPT_YES);
    assert_false(act_agreed(&a, m, &p));
    assert_string_equal(p.question,
                        "Restock ticket from 10,000 to 12,000 tickets in all, on all nodes?  y/N");
    assert_int_equal(type("y"), PROMPT_YES);
    assert_true(act_agreed(&a, m, &p));
    expect_path("/restock?event=ticket&total=12000");
}

/* What the operator agreed to is done, though another event is chosen by then. */
static void test_an_act_is_fixed_when_it_is_asked(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_ask(&a, ACT_PAUSE, m, 0, &p, &f));
    snprintf(m->event, sizeof m->event, "matinee");
    snprintf(m->totals.state, sizeof m->totals.state, "paused");
    assert_true(act_agreed(&a, m, &p));
    expect_path("/pause?event=ticket");
}

static void test_what_cannot_be_done_is_not_asked(void **state)
{
    (void)state;
    assert_false(act_ask(&a, ACT_PAUSE, m, 0, &p, &f)); /* no node at all */
    assert_false(act_ask(&a, ACT_DRAIN, m, 0, &p, &f));
    four_nodes();
    assert_false(act_ask(&a, ACT_DRAIN, m, 2, &p, &f)); /* it is down */
    assert_false(act_ask(&a, ACT_DRAIN, m, m->node_count, &p, &f));
    snprintf(m->totals.state, sizeof m->totals.state, "closed");
    assert_false(act_ask(&a, ACT_PAUSE, m, 0, &p, &f));
    snprintf(m->event, sizeof m->event, "t&total=1"); /* a node that lies */
    memcpy(m->nodes[1].stats.events[0].name, m->event, sizeof m->event);
    assert_false(act_ask(&a, ACT_CLOSE, m, 0, &p, &f));
    assert_int_equal(p.kind, PROMPT_NONE);
}

static void test_a_node_that_is_well_is_asked(void **state)
{
    (void)state;
    four_nodes();
    assert_true(act_ask(&a, ACT_PAUSE, m, 0, &p, &f));
    assert_string_equal(act_node(&a, m, 0)->address, "web1:3901"); /* the selected one is slow */
    assert_string_equal(act_node(&a, m, 3)->address, "web2:3902");
    assert_string_equal(act_node(&a, m, 2)->address, "web1:3901"); /* it is down */
    m->nodes[1].state = m->nodes[3].state = MODEL_DOWN;
    assert_string_equal(act_node(&a, m, 2)->address, "web3:3903");
    m->nodes[0].state = MODEL_DOWN;
    assert_null(act_node(&a, m, 2));
    assert_true(act_ask(&(struct act){.kind = ACT_NONE}, ACT_DRAIN, m, 0, &p, &f) == false);
}

static void test_outcomes_are_lines(void **state)
{
    (void)state;
    char line[MODEL_LINE_BYTES];
    four_nodes();
    assert_true(act_ask(&a, ACT_PAUSE, m, 0, &p, &f));
    assert_false(act_ended(&a, 1, "ok", line));
    assert_string_equal(line, "pause ticket: done");
    assert_true(act_ended(&a, -401, "no token", line));
    assert_string_equal(line, "pause ticket: refused: -401 no token");
    assert_true(act_ended(&a, 0, "timed out", line));
    assert_string_equal(line, "pause ticket: no answer: timed out");
    char long_text[1000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_true(act_ended(&a, -500, long_text, line));
    assert_true(act_ended(&a, 0, NULL, line));
}

/* ---- rows ---- */

static void expect_rows(const char *want)
{
    char got[64] = "";
    rows_make(&rows, m, &look);
    for (uint32_t i = 0; i < rows.count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%u ", m->nodes[rows.node[i]].number);
    assert_string_equal(got, want);
}

static void test_what_is_not_known_comes_last(void **state)
{
    (void)state;
    four_nodes();
    expect_rows("1 2 3 4 ");
    look.sort = COLUMN_REQ;
    expect_rows("3 2 1 4 ");
    look.reversed = true;
    expect_rows("1 2 3 4 ");
    look = (struct look){.sort = COLUMN_STATE};
    expect_rows("4 3 1 2 "); /* trouble first; equals by number */
    look = (struct look){.sort = COLUMN_CONN};
    expect_rows("1 2 3 4 ");
    look.reversed = true;
    expect_rows("1 2 3 4 ");
}

static void test_the_selection_stays_with_its_node(void **state)
{
    (void)state;
    four_nodes();
    expect_rows("1 2 3 4 ");
    rows_move(&rows, &look, 2);
    assert_int_equal(m->nodes[look.selected].number, 3);
    look.sort = COLUMN_REQ;
    expect_rows("3 2 1 4 ");
    assert_int_equal(rows_selected(&rows, &look), 0);
    rows_move(&rows, &look, INT16_MAX);
    assert_int_equal(m->nodes[look.selected].number, 4);
    rows_move(&rows, &look, -INT16_MAX);
    assert_int_equal(m->nodes[look.selected].number, 3);
}

static void test_filter_by_address_or_state(void **state)
{
    (void)state;
    four_nodes();
    snprintf(look.filter, sizeof look.filter, "WEB");
    expect_rows("1 2 3 4 ");
    snprintf(look.filter, sizeof look.filter, "3902");
    expect_rows("2 ");
    snprintf(look.filter, sizeof look.filter, "down");
    expect_rows("4 ");
    snprintf(look.filter, sizeof look.filter, "nowhere");
    expect_rows("");
    rows_move(&rows, &look, 1);
    rows_scroll(&rows, &look, 5);
    assert_int_equal(look.first, 0);
}

static void test_the_selected_row_is_in_sight(void **state)
{
    (void)state;
    char address[MODEL_ADDRESS];
    for (uint32_t i = 1; i <= 100; i++) {
        snprintf(address, sizeof address, "web%u:3900", i);
        add(i, address, MODEL_UP, i);
    }
    static const int moves[] = {1, 12, 1, 50, -3, 1000, -1, -98, 30, -1000};
    rows_make(&rows, m, &look);
    for (uint32_t page = 1; page < 120; page += 7)
        for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
            rows_move(&rows, &look, moves[i]);
            rows_scroll(&rows, &look, page);
            uint32_t row = rows_selected(&rows, &look);
            assert_true(row >= look.first && row < look.first + page);
            assert_true(look.first + page <= 100 || look.first == 0);
        }
}

static void test_left_is_what_a_node_may_sell(void **state)
{
    (void)state;
    struct stats_event e = {.left = 500, .node_sold = 100, .node_held = 20};
    assert_true(rows_left(&e) == 500);
    e.has_cap = true;
    e.local_stock = 150;
    assert_true(rows_left(&e) == 30);
    e.left = 10;
    assert_true(rows_left(&e) == 10);
    e.local_stock = 50; /* lowered below what is out */
    assert_true(rows_left(&e) == 0);
}

/* ---- keys ---- */

static void test_a_code_has_one_meaning(void **state)
{
    (void)state;
    static const char views[] = "mdeh";
    for (const char *view = views; *view != '\0'; view++)
        for (int key = 0; key < KEY_IS_COUNT; key++)
            for (int i = 0; i < KEY_CODES_MAX && key_line((enum key)key)->codes[i] != 0; i++)
                if (key_works((enum key)key, *view, false))
                    assert_int_equal(key_find(key_line((enum key)key)->codes[i], *view, false),
                                     key);
}

static void test_readonly_takes_the_acts_away(void **state)
{
    (void)state;
    static const char acts[] = "pxRd";
    for (const char *act = acts; *act != '\0'; act++) {
        assert_int_not_equal(key_find(*act, 'm', false), KEY_IS_NOTHING);
        assert_int_equal(key_find(*act, 'm', true), KEY_IS_NOTHING);
        assert_int_equal(key_find(*act, 'd', true), KEY_IS_NOTHING);
    }
    assert_int_equal(key_find('q', 'm', true), KEY_IS_QUIT);
    assert_int_equal(key_find('j', 'd', true), KEY_IS_DOWN);
    assert_int_equal(key_find('s', 'h', false), KEY_IS_NOTHING);
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
        TEST(test_restock_asks_twice),
        TEST(test_an_act_is_fixed_when_it_is_asked),
        TEST(test_what_cannot_be_done_is_not_asked),
        TEST(test_a_node_that_is_well_is_asked),
        TEST(test_outcomes_are_lines),
        TEST(test_what_is_not_known_comes_last),
        TEST(test_the_selection_stays_with_its_node),
        TEST(test_filter_by_address_or_state),
        TEST(test_the_selected_row_is_in_sight),
        TEST(test_left_is_what_a_node_may_sell),
        TEST(test_a_code_has_one_meaning),
        TEST(test_readonly_takes_the_acts_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
