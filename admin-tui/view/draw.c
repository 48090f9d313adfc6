/*
 * draw: see draw.h. All drawing ends in put(), which alone knows the clip and the edges.
 *
 * A column of a sparkline or graph has levels: three marks of ASCII (. : |) or eight blocks. A
 * value above 0 has at least the lowest mark, so that a trickle is seen.
 */
#include "admin-tui/view/draw.h"

#include <math.h>
#include <ncurses.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "admin-tui/model/number.h"

#define COLUMNS_MAX 512
#define AXIS        6 /* five for the figure, one for the line */

static attr_t styles[STYLE_COUNT] = {
    [STYLE_BOLD] = A_BOLD,   [STYLE_TITLE] = A_REVERSE,    [STYLE_GOOD] = A_NORMAL,
    [STYLE_WARN] = A_BOLD,   [STYLE_TROUBLE] = A_BOLD,     [STYLE_GRAPH] = A_NORMAL,
    [STYLE_NAME] = A_NORMAL, [STYLE_SELECTED] = A_REVERSE,
};

void draw_begin(bool colour)
{
    static const struct {
        short pair, ink;
        enum style style;
        attr_t with;
    } inks[] = {{1, COLOR_GREEN, STYLE_GOOD, A_NORMAL},
                {2, COLOR_YELLOW, STYLE_WARN, A_BOLD},
                {3, COLOR_RED, STYLE_TROUBLE, A_BOLD},
                {4, COLOR_GREEN, STYLE_GRAPH, A_NORMAL},
                {5, COLOR_CYAN, STYLE_NAME, A_NORMAL}};
    if (!colour || !has_colors() || start_color() == ERR)
        return;
    short ground = use_default_colors() == OK ? -1 : COLOR_BLACK;
    for (size_t i = 0; i < ARRAY_LEN(inks); i++)
        if (init_pair(inks[i].pair, inks[i].ink, ground) == OK)
            styles[inks[i].style] = (attr_t)COLOR_PAIR(inks[i].pair) | inks[i].with;
}

struct canvas canvas_of(void *window, bool blocks)
{
    struct canvas c = {.window = window, .blocks = blocks};
    ASSERT(window != NULL);
    getmaxyx((WINDOW *)window, c.rows, c.cols);
    c.bottom = c.rows;
    return c;
}

void canvas_erase(struct canvas *c)
{
    werase(c->window);
}

/* Puts bytes at (y, x); nothing if they begin outside of the canvas or of its clip. */
static void put(const struct canvas *c, int y, int x, enum style s, const char *bytes, int len)
{
    ASSERT(s < STYLE_COUNT);
    if (y < c->top || y >= c->bottom || y >= c->rows || x < 0 || x >= c->cols || len <= 0)
        return;
    wattrset(c->window, (int)styles[s]);
    mvwaddnstr(c->window, y, x, bytes, len); /* ERR at the last corner: it is drawn all the same */
    wattrset(c->window, A_NORMAL);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Copies the text, without bytes that a terminal could interpret, into at most `width` columns;
 * text that was cut ends in '~'. Returns the length. */
static int sanitize(char out[COLUMNS_MAX], const char *text, int width)
{
    int len = 0;
    width = smaller(width, COLUMNS_MAX);
    while (len < width && text[len] != '\0') {
        out[len] = text[len] >= ' ' && text[len] <= '~' ? text[len] : '?';
        len++;
    }
    if (len > 0 && text[len] != '\0')
        out[len - 1] = '~';
    ASSERT(len <= COLUMNS_MAX);
    return len;
}

int draw_text(const struct canvas *c, int y, int x, int width, enum style s, const char *text)
{
    char bytes[COLUMNS_MAX];
    int len = sanitize(bytes, text, smaller(width, c->cols - x));
    put(c, y, x, s, bytes, len);
    return x + (width > 0 ? smaller(width, len) : 0);
}

int draw_right(const struct canvas *c, int y, int x, int width, enum style s, const char *text)
{
    int len = smaller((int)strlen(text), width);
    draw_text(c, y, x + width - len, len, s, text);
    return x + width;
}

/* How many bytes of the text fit a line: up to a blank, where there is one. */
static int line_of(const char *text, int width)
{
    int len = (int)strlen(text), at;
    ASSERT(width > 0);
    if (len <= width)
        return len;
    for (at = width; at > 0 && text[at] != ' '; at--)
        ;
    return at > 0 ? at : width;
}

int draw_wrapped(const struct canvas *c, int y, int x, int width, enum style s, const char *text)
{
    char line[COLUMNS_MAX];
    int lines = 0;
    width = smaller(width, COLUMNS_MAX - 1);
    while (*text != '\0' && width > 0) {
        int len = line_of(text, width);
        snprintf(line, sizeof line, "%.*s", len, text);
        if (c != NULL)
            draw_text(c, y + lines, x, width, s, line);
        text += len;
        while (*text == ' ')
            text++;
        lines++;
    }
    return lines;
}

int draw_format(const struct canvas *c, int y, int x, enum style s, const char *format, ...)
{
    char text[COLUMNS_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return draw_text(c, y, x, COLUMNS_MAX, s, text);
}

int draw_fill(const struct canvas *c, int y, int x, int width, enum style s)
{
    char bytes[COLUMNS_MAX];
    int len = smaller(smaller(width, COLUMNS_MAX), c->cols - x);
    memset(bytes, ' ', sizeof bytes);
    put(c, y, x, s, bytes, len);
    return x + width;
}

/* How many levels a column has. */
static int levels(const struct canvas *c)
{
    return c->blocks ? 8 : 3;
}

static void put_level(const struct canvas *c, int y, int x, int level)
{
    static const char *const ascii[] = {" ", ".", ":", "|"};
    static const char *const blocks[] = {" ",
                                         "\xe2\x96\x81",
                                         "\xe2\x96\x82",
                                         "\xe2\x96\x83",
                                         "\xe2\x96\x84",
                                         "\xe2\x96\x85",
                                         "\xe2\x96\x86",
                                         "\xe2\x96\x87",
                                         "\xe2\x96\x88"};
    ASSERT(level >= 0 && level <= levels(c));
    const char *mark = c->blocks ? blocks[level] : ascii[level];
    if (level > 0)
        put(c, y, x, STYLE_GRAPH, mark, (int)strlen(mark));
}

int draw_bar(const struct canvas *c, int y, int x, int width, enum style s, double fraction)
{
    int inside = width - 2;
    if (inside < 1)
        return x;
    double part = fraction > 0 ? fmin(fraction, 1) : 0; /* NAN: nothing */
    int full = (int)(part * inside + 0.5);
    if (part > 0 && full == 0)
        full = 1;
    if (part < 1 && full == inside)
        full = inside - 1;
    ASSERT(full >= 0 && full <= inside);
    draw_text(c, y, x, 1, STYLE_PLAIN, "[");
    for (int i = 0; i < full; i++)
        put(c, y, x + 1 + i, s, c->blocks ? "\xe2\x96\x88" : "|", c->blocks ? 3 : 1);
    draw_text(c, y, x + width - 1, 1, STYLE_PLAIN, "]");
    return x + width;
}

/* Puts the values into columns, of values that share a column the highest; NAN where nothing is
 * known. Returns how many columns there are. */
static int squeeze(float out[COLUMNS_MAX], int width, const float *values, int count)
{
    int columns = smaller(smaller(width, COLUMNS_MAX), count);
    ASSERT(count > 0);
    for (int i = 0; i < columns; i++) {
        out[i] = NAN;
        for (int k = i * count / columns; k < (i + 1) * count / columns; k++)
            out[i] = fmaxf(out[i], values[k]);
    }
    return columns;
}

static float highest(const float *values, int count)
{
    float max = 0;
    for (int i = 0; i < count; i++)
        max = fmaxf(max, values[i]);
    return isfinite(max) ? max : 0;
}

/* Which of `all` levels the value has, where `max` has all; NAN and nothing have 0. */
static int level_of(float value, double max, int all)
{
    if (!(value > 0) || !(max > 0))
        return 0;
    int level = (int)(fmin(value / max, 1) * all + 0.5);
    return level > 0 ? level : 1;
}

int draw_spark(const struct canvas *c, int y, int x, int width, const float *values, int count)
{
    float columns[COLUMNS_MAX];
    int n = squeeze(columns, width, values, count);
    float max = highest(columns, n);
    for (int i = 0; i < n; i++)
        put_level(c, y, x + i, level_of(columns[i], max, levels(c)));
    return x + (n > 0 ? n : 0);
}

/* The next of 1, 2, 5, 10, 20 ... that is not below: an axis that is easy to divide. */
static double round_up(double max)
{
    double ten = 1;
    while (ten * 10 <= max && ten < 1e15)
        ten *= 10;
    for (int i = 0; i < 3; i++) {
        static const double steps[] = {1, 2, 5};
        if (max <= ten * steps[i])
            return ten * steps[i];
    }
    return ten * 10;
}

/* The time below: "-120s" at the left, "now" at the right, half of it between on a wide graph. */
static void draw_time(const struct canvas *c, int y, int x, int width, int seconds)
{
    char text[32];
    snprintf(text, sizeof text, "-%ds", seconds);
    draw_text(c, y, x, width, STYLE_NAME, text);
    if (width >= 24) {
        snprintf(text, sizeof text, "-%ds", seconds / 2);
        draw_text(c, y, x + width / 2, 8, STYLE_NAME, text);
    }
    if (width >= 10)
        draw_right(c, y, x, width, STYLE_NAME, "now");
}

static void draw_axis(const struct canvas *c, int y, int x, int height, double max)
{
    char number[NUMBER_BYTES];
    for (int i = 0; i < height; i++)
        draw_text(c, y + i, x + AXIS - 1, 1, STYLE_PLAIN, "|");
    draw_right(c, y, x, AXIS - 1, STYLE_NAME, number_five(number, max));
    if (height % 2 == 0 && height > 2 && max >= 2)
        draw_right(c, y + height / 2, x, AXIS - 1, STYLE_NAME, number_five(number, max / 2));
    draw_right(c, y + height, x, AXIS - 1, STYLE_NAME, "0");
}

void draw_graph(const struct canvas *c, int y, int x, int height, int width, const struct graph *g)
{
    float columns[COLUMNS_MAX];
    int high = height - 2; /* without the title and the time */
    if (high > 4)
        high -= high % 2; /* so that the middle is a line of its own */
    if (high < 1 || width <= AXIS + 4)
        return;
    int n = squeeze(columns, width - AXIS, g->values, g->count);
    double max = round_up(highest(columns, n));
    draw_text(c, y, x + AXIS, width - AXIS, STYLE_BOLD, g->title);
    draw_axis(c, y + 1, x, high, max);
    for (int i = 0; i < n; i++) {
        int level = level_of(columns[i], max, high * levels(c));
        for (int row = 0; row < high; row++) {
            int here = level - row * levels(c);
            put_level(c, y + high - row, x + AXIS + i, here < 0 ? 0 : smaller(here, levels(c)));
        }
    }
    draw_time(c, y + 1 + high, x + AXIS, n, g->count);
}

void draw_box(const struct canvas *c, int y, int x, int height, int width)
{
    char edge[COLUMNS_MAX];
    width = smaller(width, COLUMNS_MAX);
    if (width < 2)
        return;
    memset(edge, '-', sizeof edge);
    edge[0] = edge[width - 1] = '+';
    put(c, y, x, STYLE_BOLD, edge, width);
    put(c, y + height - 1, x, STYLE_BOLD, edge, width);
    for (int i = 1; i < height - 1; i++) {
        draw_text(c, y + i, x, 1, STYLE_BOLD, "|");
        draw_fill(c, y + i, x + 1, width - 2, STYLE_PLAIN);
        draw_text(c, y + i, x + width - 1, 1, STYLE_BOLD, "|");
    }
}

void draw_restyle(const struct canvas *c, int y, int x, int width, enum style s)
{
    ASSERT(s < STYLE_COUNT);
    width = smaller(width, c->cols - x);
    if (y < c->top || y >= c->bottom || y >= c->rows || x < 0 || width < 1)
        return;
    mvwchgat(c->window, y, x, width, styles[s] & ~A_COLOR, (short)PAIR_NUMBER((int)styles[s]),
             NULL);
}
