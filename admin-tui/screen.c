/*
 * screen: see screen.h. The loop:
 *
 *     round    every interval, all nodes        ┐
 *     key      a keystroke, or several          ├─> changed ──> one picture, before the loop waits
 *     signal   size, stop, end                  │
 *     second   the clock in the title           ┘
 *
 * A frozen picture is made from a copy of the model; the nodes are polled and the model is updated
 * all the same. A question about an act stands over the live picture: it ends the freeze. Every way
 * out restores the terminal first.
 */
#include "admin-tui/screen.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin-tui/act_run.h"
#include "admin-tui/view/term.h"
#include "admin-tui/view/view.h"
#include "conf/base/clock.h"

#define NOTICE_US 8000000 /* how long the outcome of an act replaces the hints */

static const int endings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static struct screen {
    struct ev_loop *loop;
    struct model *m;
    struct poll *poll;
    const struct view *view;
    struct view_context context;
    struct prompt prompt;
    struct model still; /* the copy that is drawn while frozen; its nodes are its own */
    uint64_t notice_until_mono_us;
    uint64_t round_mono_us;
    bool in_round, changed;
    ev_timer next;
    ev_periodic second;
    ev_prepare draw;
    ev_io keys;
    ev_signal ends[ARRAY_LEN(endings)], size, stop, resume;
} screen;

/* ---- rounds ---- */

static void wait_for_next(void)
{
    ASSERT(!screen.in_round);
    double rest =
        screen.context.interval_s - (double)(clock_mono_us() - screen.round_mono_us) / 1e6;
    ev_timer_stop(screen.loop, &screen.next);
    ev_timer_set(&screen.next, rest > 0 ? rest : 0, 0);
    ev_timer_start(screen.loop, &screen.next);
}

static void round_done(void *context)
{
    (void)context;
    ASSERT(screen.in_round);
    screen.in_round = false;
    screen.changed = true;
    model_round(screen.m, clock_mono_us(), clock_wall_ms());
    if (act_run_is_superseded())
        screen.notice_until_mono_us = 0;
    wait_for_next();
}

static void begin_round(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
    ASSERT(!screen.in_round);
    screen.in_round = true;
    screen.round_mono_us = clock_mono_us();
    poll_round(screen.poll, options_timeout_us(screen.context.interval_s),
               options_retry_us(screen.context.interval_s), round_done, NULL);
}

static void change_interval(bool longer)
{
    screen.context.interval_s = options_step(screen.context.interval_s, longer);
    if (!screen.in_round)
        wait_for_next();
}

/* ---- the picture ---- */

static void freeze(void)
{
    struct model_node *nodes = screen.still.nodes;
    ASSERT(!screen.context.frozen && screen.m->node_count <= MODEL_NODES_MAX);
    memcpy(nodes, screen.m->nodes, screen.m->node_count * sizeof nodes[0]);
    screen.still = *screen.m;
    screen.still.nodes = nodes;
    screen.context.frozen = true;
    screen.context.m = &screen.still;
}

static void thaw(void)
{
    ASSERT(screen.context.frozen == (screen.context.m == &screen.still));
    screen.context.frozen = false;
    screen.context.m = screen.m;
}

/* Text in place of the hints, for some seconds, in every view. */
static void notice(bool trouble, const char *text)
{
    snprintf(screen.context.notice, sizeof screen.context.notice, "%.*s", VIEW_NOTICE - 1, text);
    screen.context.notice_trouble = trouble;
    screen.notice_until_mono_us = clock_mono_us() + NOTICE_US;
    screen.changed = true;
}

/* A line, also in a frozen picture. */
static void announce(bool trouble, const char *text)
{
    model_announce(screen.m, trouble, clock_wall_ms(), "%s", text);
    if (screen.context.frozen)
        model_announce(&screen.still, trouble, clock_wall_ms(), "%s", text);
    screen.changed = true;
}

static void draw(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
    if (!screen.changed)
        return;
    struct canvas c = term_canvas();
    ASSERT(screen.view != NULL && screen.context.m->nodes != NULL);
    screen.changed = false;
    if (!act_run_is_busy() && clock_mono_us() >= screen.notice_until_mono_us)
        screen.context.notice[0] = '\0';
    screen.context.now_wall_ms = clock_wall_ms();
    view_draw(&c, screen.view, &screen.context);
    term_show();
}

static void on_second(struct ev_loop *loop, ev_periodic *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
    screen.changed = true;
}

static void show(const struct view *view)
{
    ASSERT(view != NULL);
    screen.view = view;
    screen.context.scroll = 0;
}

/* ---- keys ---- */

static void press_prompt(int code)
{
    bool filters = screen.prompt.kind == PROMPT_FILTER;
    ASSERT(filters || !act_run_is_busy()); /* no question about an act meanwhile */
    enum prompt_end end = prompt_key(&screen.prompt, code);
    if (filters) /* applied while it is typed */
        snprintf(screen.context.table.filter, FILTER_BYTES, "%s",
                 end == PROMPT_NO ? "" : screen.prompt.text);
    else if (end == PROMPT_YES)
        act_run_confirmed();
}

static void open_filter(void)
{
    prompt_open(&screen.prompt, PROMPT_FILTER, "Filter by address or state:");
    snprintf(screen.prompt.text, sizeof screen.prompt.text, "%s", screen.context.table.filter);
}

/* Moves the selection in a table, or the lines of a page. */
static void move(int64_t by)
{
    struct view_context *s = &screen.context;
    if (screen.view == &view_main || screen.view == &view_event)
        rows_move(&s->rows, &s->table, by);
    else
        s->scroll = (int)(s->scroll + by > INT16_MAX ? INT16_MAX : s->scroll + by);
}

static int64_t page(void)
{
    bool rows = screen.view == &view_main || screen.view == &view_event;
    int64_t lines = rows ? (int64_t)screen.context.table.page : screen.context.page;
    return lines > 1 ? lines : 1;
}

static void sort_by(int step)
{
    struct table_view *table = &screen.context.table;
    table->sort = (enum column)(((int)table->sort + step + COLUMN_COUNT) % COLUMN_COUNT);
    table->reversed = false;
    ASSERT(table->sort >= COLUMN_NODE && table->sort < COLUMN_COUNT);
}

/* Another event has other figures: the frozen picture of the old one ends. */
static void choose(int step)
{
    thaw();
    model_choose_next(screen.m, step);
}

static void press_moving(enum key key)
{
    switch (key) {
    case KEY_IS_UP:
        move(-1);
        break;
    case KEY_IS_DOWN:
        move(1);
        break;
    case KEY_IS_PAGE_UP:
        move(-page());
        break;
    case KEY_IS_PAGE_DOWN:
        move(page());
        break;
    case KEY_IS_FIRST:
        move(-INT16_MAX);
        break;
    case KEY_IS_LAST:
        move(INT16_MAX);
        break;
    case KEY_IS_SORT:
    case KEY_IS_SORT_RIGHT:
        sort_by(1);
        break;
    case KEY_IS_SORT_LEFT:
        sort_by(-1);
        break;
    default:
        break;
    }
}

/* The question is about the sale as it is now, and about the node that is selected on the screen.
 */
static void propose(enum act_kind kind)
{
    const struct model_node *n = view_selected(&screen.context);
    uint32_t node = n != NULL ? (uint32_t)(n - screen.context.m->nodes) : screen.m->node_count;
    ASSERT(node <= screen.m->node_count);
    thaw();
    act_run_propose(kind, node);
}

static void press_acting(enum key key)
{
    static const struct {
        enum key key;
        enum act_kind act;
    } acts[] = {{KEY_IS_PAUSE, ACT_PAUSE},     {KEY_IS_CLOSE, ACT_CLOSE},
                {KEY_IS_RESTOCK, ACT_RESTOCK}, {KEY_IS_REOPEN, ACT_REOPEN},
                {KEY_IS_DRAIN, ACT_DRAIN},     {KEY_IS_RECLAIM, ACT_RECLAIM},
                {KEY_IS_LOST, ACT_LOST}};
    for (size_t i = 0; i < ARRAY_LEN(acts); i++)
        if (acts[i].key == key)
            propose(acts[i].act);
}

static void press(enum key key)
{
    ASSERT(key < KEY_IS_COUNT);
    ASSERT(screen.prompt.kind == PROMPT_NONE || key == KEY_IS_QUIT || key == KEY_IS_REDRAW);
    switch (key) {
    case KEY_IS_HELP:
        show(screen.view == &view_help ? &view_main : &view_help);
        break;
    case KEY_IS_BACK:
        show(&view_main);
        break;
    case KEY_IS_DETAIL:
        show(&view_detail);
        break;
    case KEY_IS_EVENT:
        show(&view_event);
        break;
    case KEY_IS_FILTER:
        open_filter();
        break;
    case KEY_IS_REVERSE:
        screen.context.table.reversed = !screen.context.table.reversed;
        break;
    case KEY_IS_FREEZE:
        screen.context.frozen ? thaw() : freeze();
        break;
    case KEY_IS_NEXT_EVENT:
        choose(1);
        break;
    case KEY_IS_PREVIOUS_EVENT:
        choose(-1);
        break;
    case KEY_IS_SLOWER:
    case KEY_IS_FASTER:
        change_interval(key == KEY_IS_SLOWER);
        break;
    case KEY_IS_REDRAW:
        term_redraw();
        break;
    case KEY_IS_QUIT:
        ev_break(screen.loop, EVBREAK_ALL);
        break;
    default:
        press_moving(key);
        press_acting(key);
    }
}

/* An operator cannot confirm what is not visible: on a screen that is too small only the keys that
 * quit or redraw work. */
static void on_code(int code)
{
    struct canvas c = term_canvas();
    enum key key = key_find(code, screen.view->keys, screen.context.readonly);
    if (!view_fits(&c)) {
        if (key == KEY_IS_QUIT || key == KEY_IS_REDRAW)
            press(key);
        return;
    }
    if (code == KEYS_CTRL('L'))
        term_redraw();
    else if (screen.prompt.kind != PROMPT_NONE)
        press_prompt(code);
    else if (key != KEY_IS_NOTHING)
        press(key);
}

/* Rows are made anew after each key: the next key may be about the row that the last one chose. */
static void on_keys(struct ev_loop *loop, ev_io *watcher, int events)
{
    int code, count = 0;
    (void)watcher, (void)events;
    while ((code = term_key()) != KEYS_NONE) {
        on_code(code);
        rows_make(&screen.context.rows, screen.context.m, &screen.context.table);
        count++;
    }
    screen.changed = screen.changed || count > 0;
    if (count == 0 && term_is_gone())
        ev_break(loop, EVBREAK_ALL);
}

/* ---- signals ---- */

static void on_end(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)watcher, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void on_size(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
    term_resize();
    term_redraw();
    screen.changed = true;
}

/* Stops this process only: the others of its group have received the signal, too. */
static void on_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
    term_pause();
    raise(SIGSTOP);
}

static void on_continue(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
    term_resume();
    screen.changed = true;
}

static void watch_signal(ev_signal *w, void (*on)(struct ev_loop *, ev_signal *, int), int number)
{
    ev_signal_init(w, on, number);
    ev_signal_start(screen.loop, w);
}

/* After term_open(): these replace the handlers that ncurses has for size and stop. */
static void watch(void)
{
    ASSERT(screen.loop != NULL);
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        watch_signal(&screen.ends[i], on_end, endings[i]);
    watch_signal(&screen.size, on_size, SIGWINCH);
    watch_signal(&screen.stop, on_stop, SIGTSTP);
    watch_signal(&screen.resume, on_continue, SIGCONT);
    ev_io_init(&screen.keys, on_keys, STDIN_FILENO, EV_READ);
    ev_io_start(screen.loop, &screen.keys);
    ev_periodic_init(&screen.second, on_second, 0, 1, 0);
    ev_periodic_start(screen.loop, &screen.second);
    ev_prepare_init(&screen.draw, draw);
    ev_prepare_start(screen.loop, &screen.draw);
    ev_timer_init(&screen.next, begin_round, 0, 0);
    ev_timer_start(screen.loop, &screen.next);
}

static void unwatch(void)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        ev_signal_stop(screen.loop, &screen.ends[i]);
    ev_signal_stop(screen.loop, &screen.size);
    ev_signal_stop(screen.loop, &screen.stop);
    ev_signal_stop(screen.loop, &screen.resume);
    ev_io_stop(screen.loop, &screen.keys);
    ev_periodic_stop(screen.loop, &screen.second);
    ev_prepare_stop(screen.loop, &screen.draw);
    ev_timer_stop(screen.loop, &screen.next);
}

static bool begin(const struct top_options *o, struct fault *f)
{
    screen.still.nodes = calloc(MODEL_NODES_MAX, sizeof screen.still.nodes[0]);
    if (screen.still.nodes == NULL)
        return fault(f, "no memory");
    return term_open(o->no_color, o->blocks, f);
}

int screen_run(struct ev_loop *loop, struct model *m, struct poll *p, const struct top_options *o)
{
    static const struct act_reports reports = {announce, notice};
    struct fault f;
    ASSERT(screen.loop == NULL); /* one a process */
    screen.loop = loop;
    screen.m = m;
    screen.poll = p;
    screen.changed = true;
    screen.view = &view_main;
    screen.context = (struct view_context){
        .m = m, .prompt = &screen.prompt, .readonly = o->readonly, .interval_s = o->interval_s};
    screen.context.table.selected = ROWS_FIRST;
    act_run_init(m, p, &screen.prompt, &reports);
    if (!begin(o, &f)) {
        fprintf(stderr, "spike-top: %s\n", f.text);
        free(screen.still.nodes);
        return 1;
    }
    watch();
    ev_run(loop, 0);
    unwatch();
    term_close();
    free(screen.still.nodes);
    return model_answering(m) > 0 ? 0 : 1;
}
