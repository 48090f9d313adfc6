/*
 * log: a line is formatted on the stack; then flood.h decides whether it is written. If two threads
 * do that at the same moment, neither waits: the second one writes its line. If the process is
 * killed, counts that were not reported are lost.
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
    ASSERT(level <= LOG_DEBUG);
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

static void write_line(enum log_level level, const char *text, uint32_t repeated)
{
    char line[LINE_BYTES + 64], times[40] = "";
    struct timespec now;
    struct tm utc;
    ASSERT(level <= LOG_DEBUG);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    if (repeated > 0)
        snprintf(times, sizeof times, " (repeated %u times)", (unsigned)repeated);
    int n = snprintf(line + len, sizeof line - len, ".%03ldZ %s %.900s%s\n", now.tv_nsec / 1000000,
                     level_names[level], text, times);
    /* A log that cannot be written must not stop a sale, and there is no other channel. */
    ssize_t ignored = n < 0 ? 0 : write(STDERR_FILENO, line, len + (size_t)n);
    (void)ignored;
}

static bool admit(enum log_level level, const char *text, struct flood_text *report)
{
    report->suppressed = 0;
    if (atomic_flag_test_and_set_explicit(&flood_busy, memory_order_acquire))
        return true;
    bool admitted = flood_admit(&flood, (int)level, text, clock_mono_us(), report);
    atomic_flag_clear_explicit(&flood_busy, memory_order_release);
    return admitted;
}

void log_line(enum log_level level, const char *format, ...)
{
    char text[LINE_BYTES];
    struct flood_text report;
    va_list arguments;
    if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0)
        return;
    bool admitted = admit(level, text, &report);
    if (report.suppressed > 0)
        write_line((enum log_level)report.level, report.text, report.suppressed);
    if (admitted)
        write_line(level, text, 0);
}

void log_report_repeated(bool all)
{
    struct flood_text report;
    bool more = true;
    while (more && !atomic_flag_test_and_set_explicit(&flood_busy, memory_order_acquire)) {
        more = flood_report(&flood, clock_mono_us(), all, &report);
        atomic_flag_clear_explicit(&flood_busy, memory_order_release);
        if (more)
            write_line((enum log_level)report.level, report.text, report.suppressed);
    }
}
