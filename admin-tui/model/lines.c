/*
 * The lines of what has happened: a ring of MODEL_LINES, of which the oldest is overwritten.
 *
 *     lines[0] ... lines[(line_count - 1) % MODEL_LINES] = the newest
 *
 * Owner: one thread.
 */
#include <stdarg.h>
#include <stdio.h>

#include "admin-tui/model/model.h"

void model_announce(struct model *m, bool trouble, uint64_t now_wall_ms, const char *format, ...)
{
    struct model_line *line = &m->lines[m->line_count++ % MODEL_LINES];
    va_list arguments;
    line->wall_ms = now_wall_ms;
    line->trouble = trouble;
    va_start(arguments, format);
    vsnprintf(line->text, sizeof line->text, format, arguments);
    va_end(arguments);
}
