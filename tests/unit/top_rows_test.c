/*
 * Why: a row that moves while the operator selects it, a node that is sorted out of sight, a key
 * with two meanings: each makes the operator see, or act upon, the wrong node.
 */
/* needs: admin-tui/view/keys.c admin-tui/model/rows.c admin-tui/model/model.c
 * admin-tui/model/duplicates.c admin-tui/model/health.c admin-tui/model/event_news.c
 * admin-tui/model/repair_waits.c admin-tui/model/alerts.c admin-tui/model/totals.c
 * admin-tui/model/history.c admin-tui/model/sale.c admin-tui/model/sale_pace.c
 * admin-tui/model/rates.c admin-tui/model/nodes.c admin-tui/model/lines.c admin-tui/model/median.c
 * admin-tui/model/stats.c admin-tui/client/json.c admin-tui/model/number.c conf/base/check.c
 * conf/base/fault.c -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/model/rows.h"
#include "admin-tui/view/keys.h"

static struct model *m;
static struct rows rows;
static struct table_view look;

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
    look = (struct table_view){.sort = COLUMN_NODE, .selected = ROWS_FIRST};
    return m == NULL;
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
    look = (struct table_view){.sort = COLUMN_STATE};
    expect_rows("4 3 1 2 "); /* trouble first; equals by number */
    look = (struct table_view){.sort = COLUMN_CONN};
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
    struct stats_event e = {.state = "open", .left = 500, .node_sold = 100, .node_held = 20};
    struct model_node n = {.state = MODEL_UP};
    assert_true(rows_left(&n, &e) == 500);
    e.has_cap = true;
    e.local_stock = 150;
    assert_true(rows_left(&n, &e) == 30);
    e.left = 10;
    assert_true(rows_left(&n, &e) == 10);
    e.local_stock = 50; /* lowered below what is out */
    assert_true(rows_left(&n, &e) == 0);
}

/* A node that sells nothing has none left to sell, however many there are. */
static void test_a_node_that_sells_nothing_has_nothing_left(void **state)
{
    (void)state;
    static const enum model_state states[] = {MODEL_STARTING, MODEL_UNKNOWN,  MODEL_REPAIR,
                                              MODEL_DRAINING, MODEL_NO_REDIS, MODEL_DOWN};
    struct stats_event e = {.state = "open", .total = 1000, .left = 500};
    struct model_node n = {.state = MODEL_SLOW};
    assert_true(rows_left(&n, &e) == 500);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        n.state = states[i];
        assert_true(isnan(rows_left(&n, &e)));
    }
    n.state = MODEL_UP;
    snprintf(e.state, sizeof e.state, "paused"); /* for now */
    assert_true(rows_left(&n, &e) == 500);
    snprintf(e.state, sizeof e.state, "closed");
    assert_true(isnan(rows_left(&n, &e)));
    snprintf(e.state, sizeof e.state, "repair");
    assert_true(isnan(rows_left(&n, &e)));
    e = (struct stats_event){.state = "open"}; /* it does not know the sale yet */
    assert_true(isnan(rows_left(&n, &e)));
    four_nodes();
    snprintf(m->event, sizeof m->event, "ticket");
    struct stats_event *spent = &m->nodes[1].stats.events[0];
    snprintf(spent->state, sizeof spent->state, "open");
    spent->total = spent->left = 10;
    spent->has_cap = true;
    assert_true(rows_spent(m, &m->nodes[1]));
    m->nodes[1].state = MODEL_DRAINING; /* its stock is not what keeps it from selling */
    assert_false(rows_spent(m, &m->nodes[1]));
}

static void test_a_hidden_node_is_no_row(void **state)
{
    (void)state;
    four_nodes();
    model_add_absent(m, 9);
    expect_rows("1 2 3 4 9 ");
    assert_int_equal(rows.all, 5);
    m->nodes[4].state = MODEL_DUPLICATE;
    expect_rows("1 2 3 4 ");
    assert_int_equal(rows.all, 4);
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

static void test_readonly_disables_the_acts(void **state)
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
        TEST(test_what_is_not_known_comes_last),
        TEST(test_the_selection_stays_with_its_node),
        TEST(test_filter_by_address_or_state),
        TEST(test_the_selected_row_is_in_sight),
        TEST(test_left_is_what_a_node_may_sell),
        TEST(test_a_node_that_sells_nothing_has_nothing_left),
        TEST(test_a_hidden_node_is_no_row),
        TEST(test_a_code_has_one_meaning),
        TEST(test_readonly_disables_the_acts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
