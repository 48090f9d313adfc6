/*
 * prompt: see prompt.h. The filter is a line at the bottom, as in less and htop; a question about
 * the sale is a box in the middle of the screen.
 */
#include "admin-tui/view/prompt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin-tui/view/draw.h"
#include "admin-tui/view/keys.h"

#define BOX_WIDTH 58

void prompt_open(struct prompt *p, enum prompt_kind kind, const char *format, ...)
{
    va_list arguments;
    ASSERT(kind != PROMPT_NONE);
    *p = (struct prompt){.kind = kind};
    va_start(arguments, format);
    vsnprintf(p->question, sizeof p->question, format, arguments);
    va_end(arguments);
}

void prompt_refuse(struct prompt *p, enum prompt_kind kind, const char *format, ...)
{
    va_list arguments;
    ASSERT(kind != PROMPT_NONE && (p->kind == PROMPT_NONE || p->kind == kind));
    p->kind = kind;
    va_start(arguments, format);
    vsnprintf(p->wrong, sizeof p->wrong, format, arguments);
    va_end(arguments);
}

static enum prompt_end close_with(struct prompt *p, enum prompt_end end)
{
    ASSERT(p->kind != PROMPT_NONE && end != PROMPT_GOES_ON);
    p->kind = PROMPT_NONE;
    return end;
}

static bool accepts(const struct prompt *p, int code)
{
    if (p->kind == PROMPT_NUMBER)
        return (code >= '0' && code <= '9') || code == ',';
    return code >= ' ' && code <= '~';
}

static enum prompt_end enter(struct prompt *p)
{
    if (p->kind == PROMPT_NAME && strcmp(p->text, p->want) != 0)
        prompt_refuse(p, p->kind, "that is not its name");
    else if (p->kind == PROMPT_NUMBER && (prompt_number(p) < 1 || prompt_number(p) > TICKETS_MAX))
        prompt_refuse(p, p->kind, "not a number of tickets");
    else
        return close_with(p, PROMPT_YES);
    return PROMPT_GOES_ON;
}

enum prompt_end prompt_key(struct prompt *p, int code)
{
    size_t len = strlen(p->text);
    ASSERT(p->kind != PROMPT_NONE && len < sizeof p->text);
    if (p->kind == PROMPT_CONFIRM)
        return close_with(p, code == 'y' || code == 'Y' ? PROMPT_YES : PROMPT_NO);
    if (code == KEYS_ESC)
        return close_with(p, PROMPT_NO);
    if (code == KEYS_ENTER || code == '\n')
        return enter(p);
    p->wrong[0] = '\0';
    if (code == KEYS_CTRL('U'))
        p->text[0] = '\0';
    else if ((code == KEYS_BACKSPACE || code == '\b') && len > 0)
        p->text[len - 1] = '\0';
    else if (accepts(p, code) && len + 1 < sizeof p->text) {
        p->text[len] = (char)code;
        p->text[len + 1] = '\0';
    }
    return PROMPT_GOES_ON;
}

/* The operator may write 12,000. */
uint64_t prompt_number(const struct prompt *p)
{
    uint64_t n = 0;
    for (const char *at = p->text; *at != '\0'; at++)
        if (*at != ',' && (n = n * 10 + (uint64_t)(*at - '0')) > UINT32_MAX)
            return UINT32_MAX;
    return n;
}

static void draw_line(const struct canvas *c, const struct prompt *p)
{
    int y = c->rows - 1;
    draw_fill(c, y, 0, c->cols, STYLE_PLAIN);
    draw_format(c, y, 0, STYLE_BOLD, "%s %s_   Enter keeps it, Esc ends it", p->question, p->text);
}

static void draw_input(const struct canvas *c, int y, int x, const struct prompt *p)
{
    if (p->kind == PROMPT_CONFIRM) {
        draw_format(c, y, x, STYLE_NAME, "y does it; any other key does not");
        return;
    }
    draw_format(c, y, x, STYLE_PLAIN, "> %s_", p->text);
    if (p->wrong[0] != '\0')
        draw_format(c, y + 1, x, STYLE_TROUBLE, "%s", p->wrong);
    else
        draw_format(c, y + 1, x, STYLE_NAME, "Enter goes on, Esc ends it");
}

void prompt_draw(const struct canvas *c, const struct prompt *p)
{
    if (p->kind == PROMPT_NONE)
        return;
    if (p->kind == PROMPT_FILTER) {
        draw_line(c, p);
        return;
    }
    struct canvas whole = *c;
    whole.top = 0;
    whole.bottom = c->rows;
    int width = c->cols < BOX_WIDTH ? c->cols : BOX_WIDTH;
    int inside = width - 4 > 1 ? width - 4 : 1;
    ASSERT(c->window != NULL);
    int lines = draw_wrapped(NULL, 0, 0, inside, STYLE_BOLD, p->question);
    int height = lines + (p->kind == PROMPT_CONFIRM ? 4 : 5);
    int y = (c->rows - height) / 2, x = (c->cols - width) / 2;
    y = y > 0 ? y : 0;
    draw_box(&whole, y, x, height, width);
    draw_wrapped(&whole, y + 1, x + 2, inside, STYLE_BOLD, p->question);
    whole.cols = x + width - 1 < c->cols ? x + width - 1 : c->cols;
    draw_input(&whole, y + lines + 2, x + 2, p);
}
