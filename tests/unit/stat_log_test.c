/*
 * Why: the stat log must never cost a sale: a full disk, a renamed file or a burst may lose lines,
 * and then the number of lost lines must be right, or statistics made from the file are wrong.
 */
/* needs: server/stat/stat_log.c server/shared/doorbell.c conf/base/arena.c conf/base/check.c
 *        conf/base/fault.c conf/base/log.c conf/base/verdict.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "server/stat/stat_log.h"

#define WORKERS 2

static char dir[] = "/tmp/spike-stat-XXXXXX", file[64], old[64];
static struct conf conf;
static struct arena arena;
static struct stat_log *stats;
static struct fault f;
static pthread_t writer;

static int set_up(void **state)
{
    (void)state;
    strcpy(dir + sizeof dir - 7, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/stat.log", dir);
    snprintf(old, sizeof old, "%s/old.log", dir);
    memset(&conf, 0, sizeof conf);
    memset(&arena, 0, sizeof arena);
    conf.workers = WORKERS;
    conf.event_count = 1;
    strcpy(conf.events[0].name, "ticket");
    strcpy(conf.stat_log, file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(file);
    unlink(old);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static void open_log(void)
{
    stats = stat_log_plan(&conf, &arena);
    assert_non_null(stats);
    assert_true(arena_map(&arena, &f));
    assert_true(stat_log_open(stats, &arena, &f));
}

static void start(void)
{
    assert_int_equal(pthread_create(&writer, NULL, stat_log_run, stats), 0);
}

static void stop(void)
{
    stat_log_stop(stats);
    assert_int_equal(pthread_join(writer, NULL), 0);
}

static void put(uint32_t worker, uint32_t sold)
{
    struct stat_line line = {.wall_ms = UINT64_C(1795333631454) + sold,
                             .sold = sold,
                             .event = 0,
                             .verdict = VERDICT_YES};
    stat_ring_put(stat_log_ring(stats, worker), &line);
}

static char *read_all(const char *name, size_t *len)
{
    FILE *in = fopen(name, "re");
    assert_non_null(in);
    char *text = malloc(8u << 20);
    assert_non_null(text);
    *len = fread(text, 1, (8u << 20) - 1, in);
    text[*len] = '\0';
    fclose(in);
    return text;
}

static size_t lines_of(const char *text, const char *with)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, with)) != NULL; at++)
        count++;
    return count;
}

static void wait_for(uint64_t lines)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    uint64_t end = clock_mono_us() + 10000000;
    while (stat_log_lines(stats) < lines && clock_mono_us() < end)
        nanosleep(&moment, NULL);
    assert_int_equal(stat_log_lines(stats), lines);
}

static void off_is_off(void **state)
{
    (void)state;
    conf.stat_log[0] = '\0';
    stats = stat_log_plan(&conf, &arena);
    assert_null(stats);
    assert_int_equal(arena.pool_count, 0);
    assert_true(stat_log_open(stats, &arena, &f));
    assert_null(stat_log_ring(stats, 0));
}

static void lines_have_all_fields(void **state)
{
    (void)state;
    size_t len;
    open_log();
    put(0, 12);
    struct stat_line here = {
        .wall_ms = UINT64_C(1795333632000), .sold = 12, .verdict = VERDICT_SOLD_OUT_HERE};
    stat_ring_put(stat_log_ring(stats, 0), &here);
    here.verdict = VERDICT_SOLD_OUT;
    stat_ring_put(stat_log_ring(stats, 0), &here);
    struct stat_line other = {
        .wall_ms = UINT64_C(1795333632000), .event = STAT_NO_EVENT, .verdict = VERDICT_NOT_FOUND};
    stat_ring_put(stat_log_ring(stats, 0), &other);
    start();
    stop();
    char *text = read_all(file, &len);
    assert_string_equal(
        text, "2026-11-22T07:47:11.466Z code=1 event=ticket sold=12 verdict=yes\n"
              "2026-11-22T07:47:12.000Z code=-1 event=ticket sold=12 verdict=sold_out_here\n"
              "2026-11-22T07:47:12.000Z code=-1 event=ticket sold=12 verdict=sold_out\n"
              "2026-11-22T07:47:12.000Z code=-404 event=- sold=- verdict=not_found\n");
    free(text);
    assert_int_equal(stat_log_lines(stats), 4);
    assert_int_equal(stat_log_dropped(stats), 0);
}

static void a_full_ring_drops_and_reports(void **state)
{
    (void)state;
    size_t len;
    open_log();
    for (uint32_t i = 0; i < STAT_RING_LINES + 17; i++)
        put(1, i);
    assert_int_equal(stat_log_dropped(stats), 17);
    start();
    wait_for(STAT_RING_LINES);
    put(1, 7); /* the ring is free again */
    stop();
    char *text = read_all(file, &len);
    assert_int_equal(lines_of(text, "code=1"), STAT_RING_LINES + 1);
    assert_int_equal(lines_of(text, "Z dropped 17\n"), 1);
    assert_int_equal(lines_of(text, "dropped"), 1);
    free(text);
}

static void a_full_disk_drops_and_goes_on(void **state)
{
    (void)state;
    strcpy(conf.stat_log, "/dev/full");
    open_log();
    for (uint32_t i = 0; i < 1000; i++)
        put(0, i);
    start();
    stop();
    assert_int_equal(stat_log_lines(stats), 0);
    assert_int_equal(stat_log_dropped(stats), 1000);
}

static void allow_bytes(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void wait_for_dropped(uint64_t lines)
{
    uint64_t end = clock_mono_us() + 10000000;
    while (stat_log_dropped(stats) < lines && clock_mono_us() < end)
        sched_yield();
    assert_int_equal(stat_log_dropped(stats), lines);
}

static void wait_for_text(const char *with)
{
    uint64_t end = clock_mono_us() + 10000000;
    size_t found = 0, len;
    while (found == 0 && clock_mono_us() < end) {
        char *text = read_all(file, &len);
        found = lines_of(text, with);
        free(text);
    }
    assert_int_equal(found, 1);
}

/* Reads every line of the file; a partial line fails. */
static void count_whole_lines(uint64_t *seen, uint64_t *dropped)
{
    FILE *in = fopen(file, "re");
    assert_non_null(in);
    char line[128], end;
    *seen = *dropped = 0;
    while (fgets(line, sizeof line, in) != NULL) {
        unsigned long n = 0;
        if (sscanf(line, "%*24[0-9T:.Z-] dropped %lu%c", &n, &end) == 2 && end == '\n')
            *dropped += n;
        else if (sscanf(line, "%*24[0-9T:.Z-] code=1 event=ticket sold=%lu verdict=yes%c", &n,
                        &end) == 2 &&
                 end == '\n')
            ++*seen;
        else
            fail_msg("no line: %s", line);
    }
    fclose(in);
}

/* The disk fills up in the middle of a line, and has free space again later. */
static void a_partial_line_is_truncated(void **state)
{
    (void)state;
    uint64_t seen, dropped;
    open_log();
    signal(SIGXFSZ, SIG_IGN);
    for (uint32_t i = 0; i < 100; i++)
        put(0, 100 + i);
    allow_bytes(66 * 50 + 10);
    start();
    wait_for_dropped(50);
    count_whole_lines(&seen, &dropped);
    assert_int_equal(seen, 50);
    allow_bytes(RLIM_INFINITY);
    put(0, 1);
    stop();
    count_whole_lines(&seen, &dropped);
    assert_int_equal(seen, 51);
    assert_int_equal(dropped, 50);
    assert_int_equal(stat_log_lines(stats), 51);
    assert_int_equal(stat_log_dropped(stats), 50);
}

static int saved_stderr;
static FILE *captured;

static void capture_log(void)
{
    captured = tmpfile();
    assert_non_null(captured);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(saved_stderr >= 0 && dup2(fileno(captured), STDERR_FILENO) >= 0);
}

/* Returns the lines in the server's log; counts[i]: those that contain phrases[i]. */
static size_t end_capture(const char *const phrases[], size_t counts[], size_t count)
{
    char text[4096];
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    close(saved_stderr);
    rewind(captured);
    size_t len = fread(text, 1, sizeof text - 1, captured);
    text[len] = '\0';
    fclose(captured);
    for (size_t i = 0; i < count; i++)
        counts[i] = lines_of(text, phrases[i]);
    return lines_of(text, "\n");
}

/* The free bytes of the disk suffice for "dropped 50", but not for a stat line. */
static void a_report_of_dropped_lines_is_no_recovery(void **state)
{
    (void)state;
    static const char *const phrases[] = {"lines are dropped until", "is written again"};
    size_t counts[2], len;
    open_log();
    signal(SIGXFSZ, SIG_IGN);
    for (uint32_t i = 0; i < 100; i++)
        put(0, 100 + i);
    allow_bytes(66 * 50 + 50);
    capture_log();
    start();
    wait_for_dropped(50);
    wait_for_text("dropped 50\n");
    for (uint32_t i = 0; i < 7; i++) {
        put(0, 200 + i);
        wait_for_dropped(51 + i);
    }
    allow_bytes(RLIM_INFINITY);
    put(0, 300);
    wait_for(51);
    stop();
    assert_int_equal(end_capture(phrases, counts, 2), 2);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
    char *text = read_all(file, &len);
    assert_int_equal(lines_of(text, "Z dropped 7\n"), 1);
    free(text);
}

static void a_renamed_file_is_reopened(void **state)
{
    (void)state;
    size_t len;
    open_log();
    start();
    put(0, 1);
    wait_for(1);
    assert_int_equal(rename(file, old), 0);
    put(0, 2);
    wait_for(2);
    stat_log_reopen(stats);
    while (access(file, F_OK) != 0)
        sched_yield();
    put(0, 3);
    stop();
    char *text = read_all(old, &len);
    assert_true(lines_of(text, "sold=1 ") == 1 && lines_of(text, "sold=2 ") == 1);
    assert_int_equal(lines_of(text, "sold=3 "), 0);
    free(text);
    text = read_all(file, &len);
    assert_int_equal(lines_of(text, "sold=3 "), 1);
    free(text);
}

static void a_file_that_cannot_be_opened_fails_at_start(void **state)
{
    (void)state;
    snprintf(conf.stat_log, sizeof conf.stat_log, "%s/nowhere/stat.log", dir);
    stats = stat_log_plan(&conf, &arena);
    assert_non_null(stats);
    assert_true(arena_map(&arena, &f));
    assert_false(stat_log_open(stats, &arena, &f));
    assert_non_null(strstr(f.text, "nowhere/stat.log: No such file"));
    strcpy(conf.stat_log, dir);
    assert_false(stat_log_open(stats, &arena, &f));
}

#define MANY 200000u

static void *work(void *worker)
{
    for (uint32_t i = 1; i <= MANY; i++)
        put(*(const uint32_t *)worker, i);
    return NULL;
}

/* Each line of two busy workers is complete in the file, or counted as dropped. */
static void every_line_is_written_or_counted(void **state)
{
    (void)state;
    pthread_t threads[WORKERS];
    uint32_t numbers[WORKERS] = {0, 1};
    uint64_t seen, dropped;
    open_log();
    start();
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    stop();
    assert_int_equal(stat_log_lines(stats) + stat_log_dropped(stats), WORKERS * MANY);
    count_whole_lines(&seen, &dropped);
    assert_int_equal(seen, stat_log_lines(stats));
    assert_int_equal(dropped, stat_log_dropped(stats));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(off_is_off),
        TEST(lines_have_all_fields),
        TEST(a_full_ring_drops_and_reports),
        TEST(a_full_disk_drops_and_goes_on),
        TEST(a_partial_line_is_truncated),
        TEST(a_report_of_dropped_lines_is_no_recovery),
        TEST(a_renamed_file_is_reopened),
        TEST(a_file_that_cannot_be_opened_fails_at_start),
        TEST(every_line_is_written_or_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
