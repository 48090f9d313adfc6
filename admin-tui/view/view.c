/*
 * view: see view.h. What all views share: the title, the hints, short texts, pages. Order of a
 * picture: rows, title, the view itself, hints, the open prompt.
 */
#include "admin-tui/view/view.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROWS_FOR_INFO 16 /* from here on there is a line for filter and rows */

bool view_fits(const struct canvas *c)
{
    return c->cols >= VIEW_COLS_MIN && c->rows >= VIEW_ROWS_MIN;
}

bool view_has_info(const struct canvas *c, const struct view_context *s)
{
    return c->rows >= ROWS_FOR_INFO || s->table.filter[0] != '\0';
}

const char *view_clock(char out[VIEW_CLOCK], uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t;
    if (localtime_r(&seconds, &t) == NULL || strftime(out, VIEW_CLOCK, "%H:%M:%S", &t) == 0)
        snprintf(out, VIEW_CLOCK, "--:--:--");
    return out;
}

const char *view_count(char out[NUMBER_BYTES], double n, int width)
{
    if (isnan(n) || n < 0)
        return snprintf(out, NUMBER_BYTES, "-"), out;
    if (n > 0 && n < 0.95) /* a trickle is not 0 */
        return snprintf(out, NUMBER_BYTES, "%.1f", fmax(n, 0.1)), out;
    if (n < 1e15) {
        number_whole(out, (uint64_t)(n + 0.5));
        if ((int)strlen(out) <= width)
            return out;
    }
    return number_five(out, n);
}

const char *view_event_state(char out[STATS_STATE + 8], const char *state)
{
    if (strcmp(state, "soldout") == 0)
        state = "sold out";
    else if (strcmp(state, "repair") == 0)
        state = "repair!";
    snprintf(out, STATS_STATE + 8, "%s", state[0] != '\0' ? state : "-");
    for (char *at = out; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    return out;
}

enum style view_state_style(enum model_state s)
{
    switch (s) {
    case MODEL_UP:
        return STYLE_GOOD;
    case MODEL_DOWN:
    case MODEL_NO_REDIS:
    case MODEL_REPAIR:
        return STYLE_TROUBLE;
    case MODEL_NEW:
    case MODEL_DUPLICATE:
        return STYLE_PLAIN;
    default:
        return STYLE_WARN;
    }
}

const char *view_address(char out[MODEL_ADDRESS], const char *address, int width, bool same_port)
{
    size_t len = strlen(address), max = width > 0 ? (size_t)width : 0;
    const char *port = strrchr(address, ':');
    bool is_path = strncmp(address, "unix:", 5) == 0;
    ASSERT(len < MODEL_ADDRESS);
    if (len > max && same_port && port != NULL && !is_path) /* all ports are equal */
        len = (size_t)(port - address);
    if (len <= max || max < 2) {
        snprintf(out, MODEL_ADDRESS, "%.*s", (int)(len < max ? len : max), address);
        return out;
    }
    bool is_name = isalpha((unsigned char)address[0]) && !is_path;
    size_t tail = is_name && port != NULL && !same_port ? strlen(port) : 0;
    if (tail + 2 > max)
        tail = 0;
    if (is_name)
        snprintf(out, MODEL_ADDRESS, "%.*s~%.*s", (int)(max - tail - 1), address, (int)tail,
                 tail > 0 ? port : "");
    else
        snprintf(out, MODEL_ADDRESS, "~%.*s", (int)max - 1, address + len - (max - 1));
    return out;
}

const struct model_node *view_selected(const struct view_context *s)
{
    if (s->rows.count == 0)
        return NULL;
    uint32_t node = s->rows.node[rows_selected(&s->rows, &s->table)];
    ASSERT(node < s->m->node_count);
    return &s->m->nodes[node];
}

/* ---- title and hints ---- */

/* The right half, of 0 .. 3 parts: fewer on a narrow screen. */
static void title_right(char *out, size_t size, const struct view_context *s, int parts)
{
    const struct model_totals *t = &s->m->totals;
    char clock[VIEW_CLOCK], redis[MODEL_LINE_BYTES];
    bool is_fine = t->has_redis && t->redis_ok;
    model_redis_text(t, redis);
    if (is_fine && parts < 3)
        redis[0] = '\0';
    snprintf(out, size, "%u/%u up  %.40s%s%s%s%.3gs", t->up, t->nodes, redis,
             redis[0] != '\0' ? "  " : "", parts > 1 ? view_clock(clock, s->now_wall_ms) : "",
             parts > 1 ? "  " : "", s->interval_s);
}

/* "ticket 1/3  OPEN" */
static void title_left(char *out, size_t size, const struct view_context *s)
{
    const struct model *m = s->m;
    char state[STATS_STATE + 8], which[32] = "";
    for (uint32_t i = 0; m->event_count > 1 && i < m->event_count; i++)
        if (strcmp(m->events[i], m->event) == 0)
            snprintf(which, sizeof which, " %u/%u", i + 1, m->event_count);
    if (m->event[0] == '\0')
        snprintf(out, size, "no event yet");
    else
        snprintf(out, size, "%s%s  %s", m->event, which, view_event_state(state, m->totals.state));
}

static void draw_title(const struct canvas *c, const struct view_context *s)
{
    char left[128], right[128];
    int parts = 3, x = 0, start;
    title_left(left, sizeof left, s);
    int wants = (int)strlen(left) + (s->frozen ? 8 : 0) + 2;
    do {
        title_right(right, sizeof right, s, parts);
        start = c->cols - (int)strlen(right);
    } while (wants > start && --parts > 0);
    draw_fill(c, 0, 0, c->cols, STYLE_TITLE);
    if (wants + 11 <= start)
        x = draw_text(c, 0, 0, 9, STYLE_TITLE, "spike-top") + 2;
    if (s->frozen)
        x = draw_text(c, 0, x, 6, STYLE_TITLE, "FROZEN") + 2;
    draw_text(c, 0, x, start - x - 1, STYLE_TITLE, left);
    draw_text(c, 0, start, c->cols, STYLE_TITLE, right);
}

static void draw_hints(const struct canvas *c, const struct view *view,
                       const struct view_context *s)
{
    const char *last = key_line(KEY_IS_QUIT)->hint;
    int x = 0, y = c->rows - 1, end = c->cols - (int)strlen(last);
    for (int key = 0; key < KEY_IS_QUIT; key++) {
        const char *hint = key_line((enum key)key)->hint;
        bool shown = hint[0] != '\0' && key_works((enum key)key, view->keys, s->readonly);
        if (shown && x + (int)strlen(hint) + 2 <= end)
            x = draw_text(c, y, x, c->cols, STYLE_NAME, hint) + 2;
    }
    draw_text(c, y, x, c->cols, STYLE_NAME, last);
}

/* The outcome of an act matters more than the hints, in every view. */
static void draw_notice(const struct canvas *c, const struct view_context *s)
{
    int width = c->cols - 2;
    int lines = draw_wrapped(NULL, 0, 0, width, STYLE_PLAIN, s->notice);
    enum style style = s->notice_trouble ? STYLE_TROUBLE : STYLE_BOLD;
    int y = c->rows - lines;
    for (int i = 0; i < lines; i++)
        draw_fill(c, y + i, 0, c->cols, STYLE_PLAIN);
    draw_wrapped(c, y, 1, width, style, s->notice);
}

void view_draw(struct canvas *c, const struct view *view, struct view_context *s)
{
    ASSERT(s->m != NULL && s->prompt != NULL && view->draw != NULL);
    canvas_erase(c);
    if (!view_fits(c)) {
        draw_format(c, 0, 0, STYLE_PLAIN, "spike-top needs %dx%d, this is %dx%d", VIEW_COLS_MIN,
                    VIEW_ROWS_MIN, c->cols, c->rows);
        return;
    }
    rows_make(&s->rows, s->m, &s->table);
    draw_title(c, s);
    view->draw(c, s);
    if (s->notice[0] != '\0')
        draw_notice(c, s);
    else
        draw_hints(c, view, s);
    prompt_draw(c, s->prompt);
}

/* ---- pages ---- */

void view_page(const struct canvas *whole, struct view_context *s, view_paint *paint)
{
    struct canvas c = *whole;
    c.bottom = 0; /* the clip is empty: paint only measures */
    int lines = paint(&c, s, 0), hidden;
    s->page = whole->rows - 3;
    hidden = lines > s->page ? lines - s->page : 0;
    s->scroll = s->scroll > hidden ? hidden : s->scroll < 0 ? 0 : s->scroll;
    c.top = 2;
    c.bottom = whole->rows - 1;
    ASSERT(s->scroll >= 0 && s->scroll <= hidden);
    paint(&c, s, c.top - s->scroll);
    if (hidden == 0)
        return;
    char text[48];
    snprintf(text, sizeof text, "lines %d-%d of %d", s->scroll + 1, s->scroll + s->page, lines);
    draw_right(whole, 1, 0, whole->cols, STYLE_NAME, text);
}
