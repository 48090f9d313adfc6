/*
 * The loop of the console:
 *
 *     round    every interval, all nodes        ┐
 *     key      a keystroke, or several          ├─> changed ──> one picture, before the loop waits
 *     signal   size, stop, end                  │
 *     second   the clock in the title           ┘
 *
 * While it is frozen the nodes are asked all the same and the model goes on; the picture is made
 * from a copy. An act is asked for over the present picture: that ends the freeze. Only one act is
 * under way at a time. What ends here gives the terminal back first.
 */
#include "admin-tui/screen.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin-tui/act.h"
#include "admin-tui/term.h"
#include "admin-tui/view.h"
#include "conf/base/clock.h"

#define NOTICE_US 8000000 /* how long the outcome of an act stands where the hints are */

static const int endings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static struct {
    struct ev_loop *loop;
    struct model *m;
    struct poll *poll;
    const struct view *view;
    struct scene scene;
    struct prompt prompt;
    struct model still;    /* the copy that is drawn while frozen; its nodes are its own */
    struct act asked;      /* what the prompt is about */
    struct act acting;     /* what a node was told; ACT_NONE: nothing */
    struct act_past ended; /* what the notice is about */
    uint64_t notice_until_mono_us;
    uint64_t round_mono_us;
    bool in_round, changed;
    ev_timer next;
    ev_periodic second;
    ev_prepare draw;
    ev_io keys;
    ev_signal ends[ARRAY_LEN(endings)], size, stop, go_on;
} top;

/* ---- rounds ---- */

static void wait_for_next(void)
{
    double rest = top.scene.interval_s - (double)(clock_mono_us() - top.round_mono_us) / 1e6;
    ev_timer_stop(top.loop, &top.next);
    ev_timer_set(&top.next, rest > 0 ? rest : 0, 0);
    ev_timer_start(top.loop, &top.next);
}

static void round_done(void *context)
{
    (void)context;
    top.in_round = false;
    top.changed = true;
    model_round(top.m, clock_mono_us(), clock_wall_ms());
    if (act_is_over(&top.ended, top.m))
        top.notice_until_mono_us = 0;
    wait_for_next();
}

static void begin_round(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
    top.in_round = true;
    top.round_mono_us = clock_mono_us();
    poll_round(top.poll, options_timeout_us(top.scene.interval_s),
               options_again_us(top.scene.interval_s), round_done, NULL);
}

static void change_interval(bool longer)
{
    top.scene.interval_s = options_step(top.scene.interval_s, longer);
    if (!top.in_round)
        wait_for_next();
}

/* ---- the picture ---- */

static void freeze(void)
{
    struct model_node *nodes = top.still.nodes;
    memcpy(nodes, top.m->nodes, top.m->node_count * sizeof nodes[0]);
    top.still = *top.m;
    top.still.nodes = nodes;
    top.scene.frozen = true;
    top.scene.m = &top.still;
}

static void thaw(void)
{
    top.scene.frozen = false;
    top.scene.m = top.m;
}

/* A word to the operator, for some seconds, whatever is looked at. */
static void notice(bool trouble, const char *text)
{
    snprintf(top.scene.notice, sizeof top.scene.notice, "%.*s", VIEW_NOTICE - 1, text);
    top.scene.notice_trouble = trouble;
    top.notice_until_mono_us = clock_mono_us() + NOTICE_US;
    top.ended.act.kind = ACT_NONE;
    top.changed = true;
}

/* One that stays among the events, and is seen in a frozen picture too. */
static void say(bool trouble, const char *text)
{
    model_say(top.m, trouble, clock_wall_ms(), "%s", text);
    if (top.scene.frozen)
        model_say(&top.still, trouble, clock_wall_ms(), "%s", text);
    top.changed = true;
}

static void complain(const char *text)
{
    say(true, text);
    notice(true, text);
}

static void draw(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
    if (!top.changed)
        return;
    struct canvas c = term_canvas();
    top.changed = false;
    if (top.acting.kind == ACT_NONE && clock_mono_us() >= top.notice_until_mono_us)
        top.scene.notice[0] = '\0';
    top.scene.now_wall_ms = clock_wall_ms();
    view_draw(&c, top.view, &top.scene);
    term_show();
}

static void on_second(struct ev_loop *loop, ev_periodic *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
    top.changed = true;
}

static void show(const struct view *view)
{
    top.view = view;
    top.scene.scroll = 0;
}

/* ---- acts ---- */

static bool ask_next(void);

static void acted(void *context, const struct model_node *n, int code, const char *message)
{
    char line[MODEL_LINE_BYTES];
    (void)context, (void)n;
    bool ends = act_heard(&top.acting, top.m, code, message, line);
    say(code != 1, line);
    if (!ends && ask_next())
        return;
    notice(top.acting.trouble, top.acting.said);
    act_end(&top.ended, &top.acting, top.m);
    top.acting.kind = ACT_NONE;
}

/* False: there is nobody (more) to ask. */
static bool ask_next(void)
{
    char path[ACT_PATH], text[ACT_SAID];
    const struct model_node *n = act_next(&top.acting, top.m);
    if (n == NULL)
        return false;
    act_asking(&top.acting, top.m, text);
    notice(top.acting.trouble, text);
    act_path(&top.acting, path);
    poll_act(top.poll, n, path, acted, NULL);
    return true;
}

/* The operator has agreed to top.asked. Who could do it may have gone meanwhile. */
static void do_act(void)
{
    top.acting = top.asked;
    if (ask_next())
        return;
    top.acting.kind = ACT_NONE;
    complain("nothing was done: no node is up");
}

/* What is agreed to is the sale as it is now, about the node that the operator has before him. */
static void ask_act(enum act_kind kind)
{
    struct fault f;
    const struct model_node *n = view_selected(&top.scene);
    uint32_t node = n != NULL ? (uint32_t)(n - top.scene.m->nodes) : top.m->node_count;
    thaw();
    if (top.acting.kind != ACT_NONE)
        complain("the act before is still under way");
    else if (!act_ask(&top.asked, kind, top.m, node, &top.prompt, &f))
        complain(f.text);
}

/* ---- keys ---- */

static void press_prompt(int code)
{
    bool filters = top.prompt.kind == PROMPT_FILTER;
    enum prompt_end end = prompt_key(&top.prompt, code);
    if (filters) /* seen while it is typed */
        snprintf(top.scene.look.filter, FILTER_BYTES, "%s",
                 end == PROMPT_NO ? "" : top.prompt.text);
    else if (end == PROMPT_YES && act_agreed(&top.asked, top.m, &top.prompt))
        do_act();
}

static void ask_filter(void)
{
    prompt_open(&top.prompt, PROMPT_FILTER, "Filter by address or state:");
    snprintf(top.prompt.text, sizeof top.prompt.text, "%s", top.scene.look.filter);
}

/* Of the rows of a table, or of the lines of a page. */
static void move(int64_t by)
{
    struct scene *s = &top.scene;
    if (top.view == &view_main || top.view == &view_event)
        rows_move(&s->rows, &s->look, by);
    else
        s->scroll = (int)(s->scroll + by > INT16_MAX ? INT16_MAX : s->scroll + by);
}

static int64_t page(void)
{
    bool rows = top.view == &view_main || top.view == &view_event;
    int64_t lines = rows ? (int64_t)top.scene.look.page : top.scene.page;
    return lines > 1 ? lines : 1;
}

static void sort_by(int step)
{
    struct look *look = &top.scene.look;
    look->sort = (enum column)(((int)look->sort + step + COLUMN_COUNT) % COLUMN_COUNT);
    look->reversed = false;
}

/* Another event has other figures: a picture of the old one cannot be held. */
static void choose(int step)
{
    thaw();
    model_choose_next(top.m, step);
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
            ask_act(acts[i].act);
}

static void press(enum key key)
{
    switch (key) {
    case KEY_IS_HELP:
        show(top.view == &view_help ? &view_main : &view_help);
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
        ask_filter();
        break;
    case KEY_IS_REVERSE:
        top.scene.look.reversed = !top.scene.look.reversed;
        break;
    case KEY_IS_FREEZE:
        top.scene.frozen ? thaw() : freeze();
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
        ev_break(top.loop, EVBREAK_ALL);
        break;
    default:
        press_moving(key);
        press_acting(key);
    }
}

/* What cannot be seen cannot be agreed to: without room, keys only end or redraw. */
static void on_code(int code)
{
    struct canvas c = term_canvas();
    enum key key = key_find(code, top.view->keys, top.scene.options->readonly);
    if (!view_fits(&c)) {
        if (key == KEY_IS_QUIT || key == KEY_IS_REDRAW)
            press(key);
        return;
    }
    if (code == KEYS_CTRL('L'))
        term_redraw();
    else if (top.prompt.kind != PROMPT_NONE)
        press_prompt(code);
    else if (key != KEY_IS_NOTHING)
        press(key);
}

/* Rows are made anew after each key: the next one may mean the row that the last one chose. */
static void on_keys(struct ev_loop *loop, ev_io *watcher, int events)
{
    int code, count = 0;
    (void)watcher, (void)events;
    while ((code = term_key()) != KEYS_NONE) {
        on_code(code);
        rows_make(&top.scene.rows, top.scene.m, &top.scene.look);
        count++;
    }
    top.changed = top.changed || count > 0;
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
    top.changed = true;
}

/* This process alone stops: what else is in its group has had the signal too. */
static void on_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
    term_pause();
    raise(SIGSTOP);
}

static void on_go_on(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
    term_resume();
    top.changed = true;
}

static void watch_signal(ev_signal *w, void (*on)(struct ev_loop *, ev_signal *, int), int number)
{
    ev_signal_init(w, on, number);
    ev_signal_start(top.loop, w);
}

/* After term_open: ncurses has handlers of its own for size and stop, which these replace. */
static void watch(void)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        watch_signal(&top.ends[i], on_end, endings[i]);
    watch_signal(&top.size, on_size, SIGWINCH);
    watch_signal(&top.stop, on_stop, SIGTSTP);
    watch_signal(&top.go_on, on_go_on, SIGCONT);
    ev_io_init(&top.keys, on_keys, STDIN_FILENO, EV_READ);
    ev_io_start(top.loop, &top.keys);
    ev_periodic_init(&top.second, on_second, 0, 1, 0);
    ev_periodic_start(top.loop, &top.second);
    ev_prepare_init(&top.draw, draw);
    ev_prepare_start(top.loop, &top.draw);
    ev_timer_init(&top.next, begin_round, 0, 0);
    ev_timer_start(top.loop, &top.next);
}

static void unwatch(void)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        ev_signal_stop(top.loop, &top.ends[i]);
    ev_signal_stop(top.loop, &top.size);
    ev_signal_stop(top.loop, &top.stop);
    ev_signal_stop(top.loop, &top.go_on);
    ev_io_stop(top.loop, &top.keys);
    ev_periodic_stop(top.loop, &top.second);
    ev_prepare_stop(top.loop, &top.draw);
    ev_timer_stop(top.loop, &top.next);
}

static bool begin(const struct top_options *o, struct fault *f)
{
    top.still.nodes = calloc(MODEL_NODES_MAX, sizeof top.still.nodes[0]);
    if (top.still.nodes == NULL)
        return fault(f, "no memory");
    return term_open(o->no_color, o->blocks, f);
}

int screen_run(struct ev_loop *loop, struct model *m, struct poll *p, const struct top_options *o)
{
    struct fault f;
    top.loop = loop;
    top.m = m;
    top.poll = p;
    top.changed = true;
    top.view = &view_main;
    top.scene =
        (struct scene){.m = m, .options = o, .prompt = &top.prompt, .interval_s = o->interval_s};
    top.scene.look.selected = ROWS_FIRST;
    if (!begin(o, &f)) {
        fprintf(stderr, "spike-top: %s\n", f.text);
        free(top.still.nodes);
        return 1;
    }
    watch();
    ev_run(loop, 0);
    unwatch();
    term_close();
    free(top.still.nodes);
    return model_answering(m) > 0 ? 0 : 1;
}
