#include "storage/log/findings.h"

#include <stdarg.h>
#include <stdlib.h>

struct findings {
    FILE *lines; /* in memory: `text`, once it is closed */
    char *text;
    size_t size;
    uint64_t breaches;
};

struct findings *findings_open(void)
{
    struct findings *to = calloc(1, sizeof *to);
    if (to == NULL)
        return NULL;
    to->lines = open_memstream(&to->text, &to->size);
    if (to->lines != NULL)
        return to;
    free(to);
    return NULL;
}

void findings_close(struct findings *to, FILE *out)
{
    ASSERT(to->lines != NULL);
    fclose(to->lines);
    if (out != NULL && to->text != NULL)
        fwrite(to->text, to->size, 1, out);
    free(to->text);
    free(to);
}

static void put_line(struct findings *to, bool good, const char *format, va_list arguments)
    PRINTF(3, 0);

static void put_line(struct findings *to, bool good, const char *format, va_list arguments)
{
    ASSERT(to->lines != NULL);
    if (!good)
        fputs("BREACH ", to->lines);
    to->breaches += good ? 0 : 1;
    vfprintf(to->lines, format, arguments);
    fputc('\n', to->lines);
}

void findings_add(struct findings *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_line(to, true, format, arguments);
    va_end(arguments);
}

void findings_breach(struct findings *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_line(to, false, format, arguments);
    va_end(arguments);
}

void findings_check(struct findings *to, bool good, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_line(to, good, format, arguments);
    va_end(arguments);
}

uint64_t findings_breaches(const struct findings *to)
{
    return to->breaches;
}
