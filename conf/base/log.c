/*
 * A line is made on the stack; then the flood is asked whether it is to be said. Two threads that
 * ask at the same moment do not wait for each other: who comes second says his line. If the process
 * is killed, what was counted and not yet told is lost.
 */
#include "conf/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "conf/base/flood.h"

#define LINE_BYTES 1024

static _Atomic int threshold = LOG_INFO;
static struct flood flood;
static atomic_flag flood_busy = ATOMIC_FLAG_INIT;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

static void write_line(enum log_level level, const char *text, uint32_t repeated)
{
    char line[LINE_BYTES + 64], times[40] = "";
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    if (repeated > 0)
        snprintf(times, sizeof times, " (repeated %u times)", (unsigned)repeated);
    int n = snprintf(line + len, sizeof line - len, ".%03ldZ %s %.900s%s\n", now.tv_nsec / 1000000,
                     level_names[level], text, times);
    /* A log that cannot be written must not stop a sale: there is nobody to tell. */
    ssize_t ignored = n < 0 ? 0 : write(STDERR_FILENO, line, len + (size_t)n);
    (void)ignored;
}

static bool may_say(enum log_level level, const char *text, struct flood_text *told)
{
    told->counted = 0;
    if (atomic_flag_test_and_set_explicit(&flood_busy, memory_order_acquire))
        return true;
    bool say = flood_say(&flood, (int)level, text, clock_mono_us(), told);
    atomic_flag_clear_explicit(&flood_busy, memory_order_release);
    return say;
}

void log_line(enum log_level level, const char *format, ...)
{
    char text[LINE_BYTES];
    struct flood_text told;
    va_list arguments;
    if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0)
        return;
    bool say = may_say(level, text, &told);
    if (told.counted > 0)
        write_line((enum log_level)told.level, told.text, told.counted);
    if (say)
        write_line(level, text, 0);
}

void log_report_repeated(bool all)
{
    struct flood_text told;
    bool more = true;
    while (more && !atomic_flag_test_and_set_explicit(&flood_busy, memory_order_acquire)) {
        more = flood_tell(&flood, clock_mono_us(), all, &told);
        atomic_flag_clear_explicit(&flood_busy, memory_order_release);
        if (more)
            write_line((enum log_level)told.level, told.text, told.counted);
    }
}
