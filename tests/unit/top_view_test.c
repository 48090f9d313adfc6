/*
 * Why: an operator decides by what is on the screen. A figure in the wrong column, a node whose
 * trouble is cut off, a picture that breaks in a small window: each leads to a wrong decision.
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

static void expect_lines(const char *const *want, size_t count)
{
    for (size_t y = 0; y < count; y++)
        assert_string_equal(line((int)y), want[y]);
}

static void test_main_view_at_80x24(void **state)
{
    static const char *const want[] = {
        "spike-top  ticket  OPEN                    2/3 up  redis ok 0.40ms  22:13:20  1s",
        "Left   6,412 of 10,000  [|||||||||||||||||||||||||||||||                  ] 64%",
        "Sold   3,588  412/s  gone in ~16s  held 37  refused 91.2k  47.1k/s  errors 0",
        "Req/s  48.2k   peak 61.0k   :::::::::::::::::::::::::::::::||||||||||||||||  60s",
        "",
        "^NODE        STATE  REQ/S SOLD/S   SOLD  LEFT P50ms P99ms  CONN 5XX/S  MEM REDIS",
        ">1 web1:3901 UP     18.1k    151  1,201   299  0.31  2.40 1.20k     0  71%  0.40",
        " 3 web3:3903 SLOW!  14.2k    128  1,004   496  0.90  41.0 2.00k     3  93%  0.40",
        " 4 web4:3904 DOWN!      -      -    379     -  connection refused",
        " TOTAL       2/3    48.2k    412  2,584 6,412  0.42  9.80 4.30k     3",
        "",
        "22:13:05 node 4 DOWN: connection refused",
        "",
    };
    (void)state;
    a_sale();
    draw(&view_main, 24, 80);
    expect_lines(want, ARRAY_LEN(want));
    assert_string_equal(line(23), "F1 Help  / Filter  s Sort  Space Freeze  Enter Detail  p Pause  "
                                  "+/- Rate  q Quit");
}

static void test_large_screens_have_graphs(void **state)
{
    (void)state;
    a_sale();
    for (int i = 0; i < 2; i++) {
        m->nodes[i].stats.buckets = 3;
        for (uint32_t k = 0; k < 3; k++) {
            m->nodes[i].stats.bucket_us[k] = 500 * (k + 1);
            m->nodes[i].stats.bucket_count[k] = k == 0 ? 75 : k == 1 ? 25 : 0;
        }
        m->nodes[i].req = m->req;
    }
    draw(&view_main, 40, 120);
    assert_non_null(strstr(line(5), "requests/s"));
    assert_non_null(strstr(line(5), "sold/s"));
    assert_non_null(strstr(line(5), "latency of /buy, ms, last 10s"));
    assert_true(strncmp(line(6), "  200|", 6) == 0);
    assert_true(on_screen("  100|"));
    assert_true(on_screen("    0 -120s           -60s         now"));
    assert_true(on_screen("< 0.50 [||||"));
    assert_true(on_screen("75%"));
    assert_true(on_screen("25%"));
    assert_false(on_screen("< 1.50")); /* no answer was so slow */
    assert_true(on_screen("REQ/S 60s"));
    assert_true(on_screen(" 71%  0.40  :::")); /* the node's own sparkline */
}

/* A node may report any counts; their sum once wrapped, and a part was more than the whole. */
static void test_latencies_do_not_wrap(void **state)
{
    (void)state;
    a_sale();
    m->nodes[0].stats.buckets = 3;
    for (uint32_t k = 0; k < 3; k++) {
        m->nodes[0].stats.bucket_us[k] = 500 * (k + 1);
        m->nodes[0].stats.bucket_count[k] = k < 2 ? UINT64_C(1) << 63 : 5;
    }
    draw(&view_main, 40, 120);
    assert_true(on_screen("< 0.50 [||||"));
}

static void test_too_small_says_so(void **state)
{
    (void)state;
    a_sale();
    draw(&view_main, 8, 50);
    assert_string_equal(line(0), "spike-top needs 60x10, this is 50x8");
    assert_string_equal(line(1), "");
    draw(&view_main, 10, 60);
    assert_true(strncmp(line(0), "ticket  OPEN", 12) == 0);
    assert_true(on_screen(">1 web1:3901"));
    assert_true(on_screen("^NODE 1-2/3")); /* more rows than these exist */
    draw(&view_main, 11, 60);
    assert_true(on_screen("^NODE   "));
    draw(&view_main, 10, 60);
    assert_true(on_screen("TOTAL"));
    assert_true(on_screen("q Quit"));
}

/* Every view draws at every size, with every prompt. */
static void test_every_size(void **state)
{
    static const struct view *const views[] = {&view_main, &view_detail, &view_event, &view_help};
    static const enum prompt_kind kinds[] = {PROMPT_NONE, PROMPT_FILTER, PROMPT_CONFIRM,
                                             PROMPT_NAME};
    (void)state;
    a_sale();
    for (int rows = 1; rows < 50; rows += rows < 12 ? 1 : 5)
        for (int cols = 1; cols < 260; cols += cols < 64 ? 3 : 29)
            for (size_t i = 0; i < ARRAY_LEN(views); i++) {
                prompt_open(&p, PROMPT_CONFIRM, "Drain node 3 (web3:3903)? It sells no more.  y/N");
                p.kind = kinds[i];
                s.scroll = rows * 7;
                blocks = rows % 2 == 0;
                draw(views[i], rows, cols);
                assert_int_equal(canvas.rows, rows);
                assert_true(line(0)[0] != '\0');
            }
}

static void test_a_sale_that_is_not_known_yet(void **state)
{
    (void)state;
    draw(&view_main, 24, 80);
    assert_true(on_screen("no event yet"));
    assert_true(on_screen("no node is known"));
    model_add(m, "web1:3901");
    draw(&view_main, 24, 80);
    assert_true(on_screen("asking the nodes"));
    assert_true(on_screen(">? web1:3901"));
    draw(&view_detail, 24, 80);
    assert_true(on_screen("It has not answered yet."));
    draw(&view_event, 24, 80);
    assert_true(on_screen("event -"));
}

static void test_states_are_named(void **state)
{
    char text[STATS_STATE + 8];
    (void)state;
    assert_string_equal(view_event_state(text, "soldout"), "SOLD OUT");
    assert_string_equal(view_event_state(text, "repair"), "REPAIR!");
    assert_string_equal(view_event_state(text, "open"), "OPEN");
    a_sale();
    m->totals.redis_ok = false;
    s.frozen = true;
    draw(&view_main, 24, 80);
    assert_true(on_screen("redis DOWN!"));
    assert_true(on_screen("spike-top  FROZEN  ticket  OPEN"));
    m->totals.has_redis = false;
    draw(&view_main, 24, 80);
    assert_false(on_screen("redis")); /* not known */
    m->totals.redis_off = true;
    draw(&view_main, 24, 80);
    assert_true(on_screen("redis off"));
}

/* Text of a node is not interpreted, and may be long. */
static void test_hostile_text(void **state)
{
    (void)state;
    a_sale();
    struct model_node *n = &m->nodes[2];
    memset(n->why, 'x', sizeof n->why - 1);
    memcpy(n->why, "\x1b[31mred\n%s\x9b", 12);
    memset(n->stats.pools, 0xff, sizeof n->stats.pools);
    n->stats.pools[0].name[STATS_NAME - 1] = '\0';
    n->stats.pool_count = 1;
    memcpy(m->lines[0].text, "\a\x1b]0;title\a", 12);
    draw(&view_main, 24, 80);
    assert_true(on_screen("379     -  ?[31mred?%s?xxx"));
    assert_true(on_screen("22:13:05 ??]0;title?"));
    assert_true(strncmp(line(9), " TOTAL", 6) == 0); /* nothing ran over into the next line */
    s.table.selected = 2;
    draw(&view_detail, 24, 80);
    assert_true(on_screen("????????"));
}

static void test_addresses_are_cut_where_they_are_alike(void **state)
{
    char cut[MODEL_ADDRESS];
    (void)state;
    assert_string_equal(view_address(cut, "web1:3901", 9, false), "web1:3901");
    assert_string_equal(view_address(cut, "10.0.0.12:3901", 9, false), "~.12:3901");
    assert_string_equal(view_address(cut, "spike-seven.example.com:3901", 12, false),
                        "spike-~:3901");
    assert_string_equal(view_address(cut, "unix:/run/spike/node1.sock", 11, false), "~node1.sock");
    assert_string_equal(view_address(cut, "web1:3901", 0, false), "");
    assert_string_equal(view_address(cut, "10.0.0.12:3901", 9, true), "10.0.0.12");
    assert_string_equal(view_address(cut, "10.0.0.12:3901", 14, true), "10.0.0.12:3901");
    assert_string_equal(view_address(cut, "spike-seven.example.com:3901", 8, true), "spike-s~");
    assert_string_equal(view_address(cut, "unix:/run/node1.sock", 8, true), "~e1.sock");
    assert_string_equal(view_address(cut, "[fe80::1:2]:3901", 6, true), "~:1:2]");
}

static void test_counts_fit_and_a_trickle_is_seen(void **state)
{
    char n[NUMBER_BYTES];
    (void)state;
    assert_string_equal(view_count(n, 10000, 6), "10,000");
    assert_string_equal(view_count(n, 10000, 5), "10.0k");
    assert_string_equal(view_count(n, 0.02, 5), "0.1");
    assert_string_equal(view_count(n, 0.4, 5), "0.4");
    assert_string_equal(view_count(n, 0.96, 5), "1");
    assert_string_equal(view_count(n, 0, 5), "0");
    assert_string_equal(view_count(n, NAN, 5), "-");
}

static void test_many_nodes_scroll(void **state)
{
    char address[MODEL_ADDRESS];
    (void)state;
    a_sale();
    for (uint32_t i = 5; i <= 101; i++) {
        snprintf(address, sizeof address, "app%u:3901", i);
        add(i, address, MODEL_UP);
    }
    draw(&view_main, 24, 80);
    assert_true(on_screen(">  1 w~:3901"));
    assert_true(on_screen("of 100"));
    rows_move(&s.rows, &s.table, INT16_MAX);
    draw(&view_main, 24, 80);
    assert_true(on_screen(">101 "));
    assert_false(on_screen("w~:3901"));
    assert_true(on_screen("TOTAL"));
    assert_true(on_screen("q Quit"));
    snprintf(s.table.filter, sizeof s.table.filter, "web");
    draw(&view_main, 24, 80);
    assert_true(on_screen("filter \"web\": 3 of 100 nodes"));
    assert_true(on_screen(">  1 w~:3901"));
}

static void test_the_mark_of_sorting(void **state)
{
    (void)state;
    a_sale();
    s.table.sort = COLUMN_REQ;
    draw(&view_main, 24, 80);
    assert_true(on_screen(" NODE        STATE vREQ/S SOLD/S"));
    s.table.reversed = true;
    draw(&view_main, 24, 80);
    assert_true(on_screen("^REQ/S"));
    s.table.sort = COLUMN_REDIS;
    draw(&view_main, 24, 80);
    assert_true(on_screen("^REDIS"));
}

static void test_detail_view(void **state)
{
    (void)state;
    a_sale();
    struct stats *t = &m->nodes[0].stats;
    t->worker_count = 1;
    t->workers[0] = (struct stats_worker){"worker-1", 132000, 600, 300, 2000, 8000};
    t->journal_used_bytes = 64 << 20;
    t->journal_size_bytes = 256 << 20;
    t->plan_count = 1;
    t->plan[0] = (struct stats_pool){"buffers", 0, 8 << 20};
    draw(&view_detail, 24, 80);
    assert_true(strncmp(line(1), "node 1  web1:3901  UP", 21) == 0);
    assert_true(on_screen("Workers    REQS  CONN P50ms P99ms   MAX"));
    assert_true(on_screen("worker-1   132k   600  0.30  2.00  8.00"));
    assert_true(on_screen("71 of 100"));
    assert_true(on_screen("64.0 MiB of 256 MiB"));
    assert_true(on_screen("buffers         8.00 MiB"));
    assert_true(on_screen("a call takes    0.40 ms"));
    assert_true(on_screen("lines 1-21 of "));
    s.scroll = 9999;
    draw(&view_detail, 24, 80);
    assert_false(on_screen("lines 1-21"));
    assert_true(s.scroll < 100);
    assert_true(strncmp(line(1), "node 1  web1:3901  UP", 21) == 0);
    s.table.selected = 2;
    draw(&view_detail, 24, 80);
    assert_true(on_screen("DOWN!  connection refused"));
}

static void test_event_view(void **state)
{
    (void)state;
    a_sale();
    m->nodes[0].stats.events[0].paid = 1201;
    draw(&view_event, 24, 80);
    assert_true(strncmp(line(1), "event ticket  OPEN  [|||", 24) == 0);
    assert_true(on_screen("sold               2,584"));
    assert_true(on_screen("held                  37"));
    assert_true(on_screen("elsewhere            967"));
    assert_true(on_screen("paid               2,584"));
    assert_true(on_screen("SOLD   HELD GRANTED   PAID CANCELLED EXPIRED  LATE REFUSED"));
    assert_true(on_screen(">1 web1:3901   1,201      0       0  1,201"));
}

static void test_help_has_every_key(void **state)
{
    (void)state;
    draw(&view_help, 24, 80);
    for (int key = 0; key < KEY_IS_COUNT; key++)
        assert_true(on_screen(key_line((enum key)key)->help));
    s.readonly = true;
    draw(&view_help, 24, 80);
    for (int key = 0; key < KEY_IS_COUNT; key++)
        assert_int_equal(on_screen(key_line((enum key)key)->help), !key_line((enum key)key)->acts);
    a_sale();
    draw(&view_main, 24, 80);
    assert_false(on_screen("Pause"));
}

static void test_prompts_are_shown_whole(void **state)
{
    (void)state;
    a_sale();
    prompt_open(&p, PROMPT_CONFIRM, "Pause the sale of ticket on all nodes?  y/N");
    draw(&view_main, 10, 60);
    assert_true(on_screen("Pause the sale of ticket on all nodes?  y/N"));
    prompt_open(&p, PROMPT_NAME,
                "Close the sale of ticket on all nodes, for good? It cannot be opened again. "
                "Type ticket to close it:");
    snprintf(p.text, sizeof p.text, "tick");
    draw(&view_main, 10, 60);
    assert_true(on_screen("Close the sale of ticket on all nodes, for good? It"));
    assert_true(on_screen("cannot be opened again. Type ticket to close it:"));
    assert_true(on_screen("> tick_"));
    prompt_open(&p, PROMPT_FILTER, "Filter by address or state:");
    snprintf(p.text, sizeof p.text, "web");
    draw(&view_main, 24, 80);
    assert_true(strncmp(line(23), "Filter by address or state: web_", 32) == 0);
}

static void test_block_characters(void **state)
{
    wchar_t wide[128];
    (void)state;
    a_sale();
    blocks = true;
    draw(&view_main, 24, 80);
    assert_true(mvwinnwstr(stdscr, 3, 0, wide, 80) > 70);
    assert_int_equal(wide[74 - 1], 0x2588); /* the newest is the highest */
    assert_int_equal(wide[28], 0x2584);
    blocks = false;
    draw(&view_main, 24, 80);
    for (int y = 0; y < 24; y++)
        for (const char *at = line(y); *at != '\0'; at++)
            assert_true(*at >= ' ' && *at <= '~');
}

/* A bar is empty only at 0 and full only at 1. */
static void test_bars_are_empty_only_at_0_and_full_only_at_1(void **state)
{
    static const struct {
        double part;
        const char *want;
    } bars[] = {{0, "[        ]"},      {0.001, "[|       ]"}, {0.5, "[||||    ]"},
                {0.9999, "[||||||| ]"}, {1, "[||||||||]"},     {7, "[||||||||]"},
                {NAN, "[        ]"},    {-1, "[        ]"}};
    (void)state;
    resizeterm(5, 40);
    for (size_t i = 0; i < ARRAY_LEN(bars); i++) {
        canvas = canvas_of(stdscr, false);
        canvas_erase(&canvas);
        draw_bar(&canvas, 0, 0, 10, STYLE_GRAPH, bars[i].part);
        assert_string_equal(line(0), bars[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_main_view_at_80x24),
        TEST(test_large_screens_have_graphs),
        TEST(test_latencies_do_not_wrap),
        TEST(test_too_small_says_so),
        TEST(test_every_size),
        TEST(test_a_sale_that_is_not_known_yet),
        TEST(test_states_are_named),
        TEST(test_hostile_text),
        TEST(test_addresses_are_cut_where_they_are_alike),
        TEST(test_counts_fit_and_a_trickle_is_seen),
        TEST(test_many_nodes_scroll),
        TEST(test_the_mark_of_sorting),
        TEST(test_detail_view),
        TEST(test_event_view),
        TEST(test_help_has_every_key),
        TEST(test_prompts_are_shown_whole),
        TEST(test_block_characters),
        TEST(test_bars_are_empty_only_at_0_and_full_only_at_1),
    };
    return cmocka_run_group_tests(tests, open_screen, close_screen);
}
