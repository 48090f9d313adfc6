/*
 * The help: the keys of keys.def in as many columns as fit, and what the heads of the table mean.
 */
#include <string.h>

#include "admin-tui/view/view.h"

#define KEY_WIDTH 8
#define COLUMN    40

static const char *const legend[] = {
    "SOLD    tickets of this node's orders: paid, or sold outright",
    "LEFT    tickets that it may still sell; in the total: that are left of all",
    "P50ms P99ms  of its answers to /buy 50, 99 of 100 took no longer (last 10 s)",
    "5XX/S   answers a second that said busy, or worse",
    "MEM     how full its fullest pool is (Enter shows all pools)",
    "REDIS   how many ms a call takes",
};

static int shown_keys(const struct view_context *s, int keys[KEY_IS_COUNT])
{
    int count = 0;
    for (int key = 0; key < KEY_IS_COUNT; key++) {
        const struct key_line *line = key_line((enum key)key);
        if (line->help[0] != '\0' && !(line->acts && s->readonly))
            keys[count++] = key;
    }
    return count;
}

/* Returns the line after the last one. */
static int draw_keys(const struct canvas *c, const struct view_context *s, int y)
{
    int keys[KEY_IS_COUNT];
    int count = shown_keys(s, keys), columns = c->cols / COLUMN;
    columns = columns < 1 ? 1 : columns > 3 ? 3 : columns;
    int height = (count + columns - 1) / columns;
    ASSERT(count > 0 && count <= KEY_IS_COUNT);
    for (int i = 0; i < count; i++) {
        const struct key_line *line = key_line((enum key)keys[i]);
        int x = i / height * COLUMN + 1, row = y + i % height;
        draw_text(c, row, x, KEY_WIDTH, STYLE_BOLD, line->shown);
        draw_text(c, row, x + KEY_WIDTH, COLUMN - KEY_WIDTH - 1, STYLE_PLAIN, line->help);
    }
    return y + height;
}

static int paint_help(const struct canvas *c, struct view_context *s, int y)
{
    y = draw_keys(c, s, y) + 1;
    draw_text(c, y++, 1, c->cols, STYLE_BOLD, "Columns");
    for (size_t i = 0; i < ARRAY_LEN(legend); i++)
        draw_text(c, y++, 1, c->cols, STYLE_PLAIN, legend[i]);
    return y;
}

static void draw_help(const struct canvas *c, struct view_context *s)
{
    view_page(c, s, paint_help);
    draw_text(c, 1, 1, c->cols - 24, STYLE_BOLD,
              s->readonly ? "Keys (read-only: none changes the sale)" : "Keys");
}

const struct view view_help = {"help", 'h', draw_help};
