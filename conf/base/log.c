#include "conf/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int threshold = LOG_INFO;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

void log_line(enum log_level level, const char *format, ...)
{
    if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    char line[1024];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(line + len, sizeof line - len, ".%03ldZ %s ", now.tv_nsec / 1000000,
                            level_names[level]);
    size_t room = sizeof line - len - 1; /* the newline keeps its place */
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line + len, room, format, arguments);
    va_end(arguments);
    len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    line[len++] = '\n';
    /* A log that cannot be written must not stop a sale: there is nobody to tell. */
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
}
