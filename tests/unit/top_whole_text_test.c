/*
 * Why: a text on the screen must be whole, or show that it was cut. A name that is cut without a
 * mark is taken for another one, 0 % of nothing for a figure, an unknown state for a start; and an
 * act whose outcome is not visible is done a second time.
 */
/* needs: admin-tui/view/view.c admin-tui/view/view_main.c admin-tui/view/view_table.c
 * admin-tui/view/view_latency.c admin-tui/view/view_detail.c admin-tui/view/view_event.c
 * admin-tui/view/view_help.c admin-tui/view/draw.c admin-tui/view/prompt.c
 * admin-tui/view/fit_columns.c admin-tui/view/keys.c admin-tui/model/rows.c
 * admin-tui/model/model.c admin-tui/model/duplicates.c admin-tui/model/health.c
 * admin-tui/model/event_news.c admin-tui/model/repair_waits.c admin-tui/model/alerts.c
 * admin-tui/model/totals.c admin-tui/model/history.c admin-tui/model/sale.c
 * admin-tui/model/sale_pace.c admin-tui/model/rates.c admin-tui/model/nodes.c
 * admin-tui/model/lines.c admin-tui/model/median.c admin-tui/model/stats.c admin-tui/client/json.c
 * admin-tui/model/number.c conf/base/check.c conf/base/fault.c -lncursesw -ltinfo -lm */
#include "tests/unit/top_screen.h"

static const struct view *const views[] = {&view_main, &view_detail, &view_event, &view_help};

static void test_cut_text_is_marked(void **state)
{
    (void)state;
    resizeterm(5, 20);
    canvas = canvas_of(stdscr, false);
    canvas_erase(&canvas);
    assert_int_equal(draw_text(&canvas, 0, 0, 5, STYLE_PLAIN, "seven"), 5);
    assert_string_equal(line(0), "seven");
    draw_text(&canvas, 1, 0, 4, STYLE_PLAIN, "seven");
    assert_string_equal(line(1), "sev~");
    draw_text(&canvas, 2, 15, 99, STYLE_PLAIN, "at the edge");
    assert_string_equal(line(2), "               at t~");
    draw_right(&canvas, 3, 0, 6, STYLE_PLAIN, "1234567");
    assert_string_equal(line(3), "12345~");
    draw_format(&canvas, 4, 10, STYLE_PLAIN, "%s", "to the very end");
    assert_string_equal(line(4), "          to the ve~");
}

static void test_long_names_of_pools(void **state)
{
    (void)state;
    a_sale();
    struct stats *t = &m->nodes[0].stats;
    snprintf(t->pools[0].name, STATS_NAME, "redis arguments");
    t->plan_count = 1;
    t->plan[0] = (struct stats_pool){"arguments that nobody knows", 0, 8 << 20};
    draw(&view_detail, 40, 80);
    assert_true(on_screen("redis arguments ["));
    assert_true(on_screen("arguments that~ 8.00 MiB"));
}

static void test_0_percent_is_nothing_and_100_is_all(void **state)
{
    (void)state;
    a_sale();
    m->nodes[0].stats.journal_used_bytes = 100 << 10;
    m->nodes[0].stats.journal_size_bytes = 256 << 20;
    m->nodes[0].stats.pools[0] = (struct stats_pool){"rings", 1, 1000000};
    m->nodes[1].stats.pools[0] = (struct stats_pool){"rings", 0, 1000000};
    draw(&view_main, 24, 80);
    assert_true(on_screen(" <1%  0.40"));
    assert_true(on_screen("  0%  0.40"));
    draw(&view_detail, 24, 80);
    assert_true(on_screen("] <1%"));
}

/* The totals of the sale stay, whatever the filter is. */
static void test_no_node_matches(void **state)
{
    (void)state;
    a_sale();
    snprintf(s.table.filter, sizeof s.table.filter, "nowhere");
    for (int rows = VIEW_ROWS_MIN; rows <= 40; rows += 15) {
        draw(&view_main, rows, 80);
        assert_true(on_screen("no node matches"));
        assert_true(on_screen(" TOTAL       2/3    48.2k    412  2,584 6,412"));
        assert_true(on_screen("filter \"nowhere\": 0 of 3 nodes"));
    }
    draw(&view_event, 24, 80);
    assert_true(on_screen("no node matches"));
    assert_true(on_screen(" TOTAL"));
}

/* A newer node may report a state that this console does not know. */
static void test_an_unknown_state(void **state)
{
    (void)state;
    a_sale();
    m->nodes[0].stats.node = 1;
    struct stats answer = m->nodes[0].stats;
    snprintf(answer.state, sizeof answer.state, "zombie");
    model_answered(m, &m->nodes[0], &answer, 1000, 1000000, NOON_MS);
    draw(&view_main, 24, 80);
    assert_true(on_screen(">1 web1:3901 ? "));
    assert_true(on_screen("node 1 in a state that is not known: zombie"));
    draw(&view_detail, 24, 80);
    assert_true(on_screen("zombie, version"));
    snprintf(answer.state, sizeof answer.state, "starting");
    model_answered(m, &m->nodes[0], &answer, 1000, 2000000, NOON_MS);
    draw(&view_main, 24, 80);
    assert_true(on_screen(">1 web1:3901 START "));
}

/* The outcome of an act is shown in every view, at every size, in whole. */
static void test_the_outcome_is_shown_everywhere(void **state)
{
    (void)state;
    a_sale();
    snprintf(s.notice, sizeof s.notice, "pause ticket: asked node 1: paused");
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        draw(views[i], 24, 80);
        assert_string_equal(line(23), " pause ticket: asked node 1: paused");
    }
    snprintf(s.notice, sizeof s.notice,
             "pause ticket: node 1 did not answer: not known whether it was done, it may still "
             "happen; asked node 2: paused");
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        draw(views[i], 24, 80);
        assert_string_equal(line(22), " pause ticket: node 1 did not answer: not known whether it "
                                      "was done, it may");
        assert_string_equal(line(23), " still happen; asked node 2: paused");
    }
    draw(&view_detail, VIEW_ROWS_MIN, VIEW_COLS_MIN);
    assert_true(strncmp(line(1), "node 1", 6) == 0);
    assert_string_equal(line(8), " pause ticket: node 1 did not answer: not known whether it");
    assert_string_equal(line(9), " was done, it may still happen; asked node 2: paused");
    s.notice[0] = '\0';
    draw(&view_main, 24, 80);
    assert_true(on_screen("F1 Help"));
}

static void test_lines_are_shown_whole(void **state)
{
    (void)state;
    a_sale();
    model_announce(m, true, NOON_MS,
                   "node 3 DOWN: connection refused, and then some more words that do "
                   "not fit into one line of it");
    draw(&view_main, 24, 80);
    assert_string_equal(line(11), "22:13:05 node 4 DOWN: connection refused");
    assert_string_equal(line(12), "22:13:20 node 3 DOWN: connection refused, and then some more "
                                  "words that do not");
    assert_string_equal(line(13), "         fit into one line of it");
    draw(&view_main, VIEW_ROWS_MIN, VIEW_COLS_MIN);
    assert_string_equal(line(7), "22:13:20 node 3 DOWN: connection refused, and then some more");
    assert_string_equal(line(8), "         words that do not fit into one line of it");
    assert_true(on_screen(">1 web1:3901"));
    assert_true(on_screen("TOTAL"));
    for (uint32_t i = 5; i <= 40; i++) {
        char address[MODEL_ADDRESS];
        snprintf(address, sizeof address, "app%u:3901", i);
        add(i, address, MODEL_UP);
    }
    draw(&view_main, 24, 80); /* the older lines are dropped first */
    assert_string_equal(line(22), "         fit into one line of it");
    assert_string_equal(line(20), "22:13:05 node 4 DOWN: connection refused");
    model_announce(m, true, NOON_MS, "%0199d", 7);
    draw(&view_main, VIEW_ROWS_MIN, VIEW_COLS_MIN);
    assert_true(line(8)[VIEW_COLS_MIN - 1] == '~'); /* marked as cut */
}

static void test_reports_of_a_node_are_shown_whole(void **state)
{
    (void)state;
    a_sale();
    struct stats *t = &m->nodes[0].stats;
    snprintf(t->version, sizeof t->version, "0.1.0-of-a-build-with-a-name");
    draw(&view_detail, 24, 80);
    assert_true(on_screen(" says            up, version"));
    assert_true(on_screen("                 0.1.0-of-a-build-with"));
    assert_true(on_screen("                 a-name"));
    assert_true(on_screen(" runs for"));
    s.table.selected = 2;
    snprintf(m->nodes[2].why, sizeof m->nodes[2].why,
             "a reason that is longer than there is room "
             "for it in the first line");
    draw(&view_detail, 24, 80);
    assert_true(on_screen(" why             a reason that is"));
    assert_true(on_screen("                 first line"));
    m->nodes[2].has_stats = false;
    draw(&view_detail, 24, 80);
    assert_true(on_screen(" a reason that is longer than there is room for it in the first line"));
}

/* A sale that is not known is not 0 of 0. */
static void test_an_unknown_figure_is_a_dash(void **state)
{
    (void)state;
    a_sale();
    m->totals = (struct model_totals){.nodes = 3, .has_sums = true, .state = "repair"};
    draw(&view_event, 24, 80);
    assert_true(on_screen(" total                  -  sold                   0  granted"));
    assert_true(on_screen(" left                   -  held                   0 "));
    assert_true(on_screen(" gone                   -  elsewhere              - "));
    assert_true(on_screen(" refused                0 "));
    m->totals.has_sums = false;
    draw(&view_event, 24, 80);
    assert_true(
        on_screen(" total                  -  sold                   -  granted                -"));
    assert_true(on_screen(" refused                - "));
    assert_true(on_screen(" TOTAL         -"));
}

static void test_an_absent_node_has_a_row(void **state)
{
    (void)state;
    a_sale();
    model_add_absent(m, 7);
    draw(&view_main, 24, 80);
    assert_true(on_screen(" 7 -         NEW        -      -      -     -  never heard"));
    s.table.selected = 3;
    draw(&view_detail, 24, 80);
    assert_true(on_screen("node 7  -  NEW  never heard"));
    m->nodes[3].state = MODEL_DUPLICATE;
    draw(&view_main, 24, 80);
    assert_false(on_screen("never heard"));
    snprintf(s.table.filter, sizeof s.table.filter, "web");
    draw(&view_main, 24, 80);
    assert_true(on_screen("3 of 3 nodes"));
}

static void test_refusals_are_shown_whole(void **state)
{
    (void)state;
    a_sale();
    prompt_open(&p, PROMPT_NUMBER, "Restock ticket: its total is 10,000. The new total:");
    snprintf(p.text, sizeof p.text, "1,000");
    prompt_refuse(&p, PROMPT_NUMBER, "3,588 are gone already; the least is 3,588");
    draw(&view_main, 10, 60);
    assert_true(on_screen("> 1,000_"));
    assert_true(on_screen("3,588 are gone already; the least is 3,588"));
    prompt_key(&p, '1');
    draw(&view_main, 10, 60);
    assert_false(on_screen("gone already"));
    assert_true(on_screen("Enter goes on, Esc ends it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cut_text_is_marked),
        TEST(test_long_names_of_pools),
        TEST(test_0_percent_is_nothing_and_100_is_all),
        TEST(test_no_node_matches),
        TEST(test_an_unknown_state),
        TEST(test_the_outcome_is_shown_everywhere),
        TEST(test_lines_are_shown_whole),
        TEST(test_reports_of_a_node_are_shown_whole),
        TEST(test_an_unknown_figure_is_a_dash),
        TEST(test_an_absent_node_has_a_row),
        TEST(test_refusals_are_shown_whole),
    };
    return cmocka_run_group_tests(tests, open_screen, close_screen);
}
