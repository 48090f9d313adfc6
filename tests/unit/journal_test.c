/*
 * Why: the journal decides which order has a ticket. What was committed must exist after any end of
 * the process, what was not committed must not, and only the owner may write.
 */
/* needs: storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/verify.c
 * storage/journal/pages.c storage/journal/metas.c storage/journal/leaves.c
 * storage/journal/history.c storage/journal/journal_mend.c storage/journal/record.c
 * conf/base/check.c conf/base/fault.c conf/base/log.c -llmdb -ldeflate */
#include "tests/unit/journal_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void a_new_journal_is_empty(void **state)
{
    const struct test_dir *p = *state;
    struct stat st;
    struct journal *j = test_dir_open(p, MEGABYTE);
    struct record r;
    struct fault f;
    assert_int_equal(journal_end(j, 0), 0);
    assert_int_equal(journal_committed(j, 1), 0);
    assert_int_equal(journal_slot(j, 0), 0);
    assert_int_equal(journal_slot(j, 1), 1);
    assert_int_equal(journal_node(j), 7);
    assert_int_equal(journal_read(j, 0, 1, &r, 1, &f), 0);
    assert_true(journal_commit(j, &f));
    check_orders(j, 0, 0);
    assert_int_equal(journal_size_bytes(j), MEGABYTE);
    assert_true(journal_free_records(j) > 1000);
    journal_close(j);
    assert_int_equal(stat(p->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void reopening_keeps_everything(void **state)
{
    const struct test_dir *p = *state;
    for (uint64_t n = 0; n <= 300; n += 60) {
        struct journal *j = test_dir_open(p, MEGABYTE);
        assert_int_equal(journal_end(j, 0), n);
        assert_int_equal(journal_committed(j, 0), n);
        check_orders(j, 0, n);
        check_orders(j, 1, n / 60);
        append_orders(j, 0, 60);
        append_orders(j, 1, 1); /* two events in one commit */
        commit(j);
        check_orders(j, 0, n + 60);
        check_orders(j, 1, n / 60 + 1);
        journal_close(j);
    }
}

static void reading_sees_what_is_committed(void **state)
{
    struct journal *j = test_dir_open(*state, MEGABYTE);
    struct record out[10];
    struct fault f;
    append_orders(j, 0, 25);
    assert_int_equal(journal_end(j, 0), 25);
    assert_int_equal(journal_committed(j, 0), 0);
    assert_int_equal(journal_read(j, 0, 1, out, 10, &f), 0);
    commit(j);
    append_orders(j, 0, 5); /* a transaction is open while records are read */
    assert_int_equal(journal_read(j, 0, 1, out, 10, &f), 10);
    assert_int_equal(out[9].seq, 10);
    assert_int_equal(journal_read(j, 0, 21, out, 10, &f), 5);
    assert_int_equal(out[0].number, 21);
    assert_int_equal(journal_read(j, 0, 26, out, 10, &f), 0);
    assert_int_equal(journal_read(j, 0, 1000, out, 10, &f), 0);
    check_orders(j, 0, 25);
    commit(j);
    check_orders(j, 0, 30);
    journal_close(j);
}

static bool stop_at_seventy(void *context, const struct record *r)
{
    *(uint64_t *)context = r->seq;
    return r->seq < 70;
}

static void a_walk_can_be_stopped(void **state)
{
    struct journal *j = test_dir_open(*state, MEGABYTE);
    struct fault f;
    uint64_t last = 0;
    append_orders(j, 0, 200);
    commit(j);
    assert_true(journal_walk(j, 0, stop_at_seventy, &last, &f));
    assert_int_equal(last, 70);
    journal_close(j);
}

static void without_a_commit_nothing_stays(void **state)
{
    struct journal *j = test_dir_open(*state, MEGABYTE);
    append_orders(j, 0, 3);
    commit(j);
    append_orders(j, 0, 400);
    append_orders(j, 1, 1);
    journal_close(j);
    j = test_dir_open(*state, MEGABYTE);
    assert_int_equal(journal_end(j, 0), 3);
    assert_int_equal(journal_end(j, 1), 0);
    check_orders(j, 0, 3);
    append_orders(j, 0, 2); /* the chain continues from the committed records */
    commit(j);
    journal_close(j);
    j = test_dir_open(*state, MEGABYTE);
    check_orders(j, 0, 5);
    journal_close(j);
}

/* Commits repeatedly, and writes each end into the pipe, until it is killed. */
static _Noreturn void sell_until_killed(const struct test_dir *p, int out)
{
    struct fault f;
    struct journal *j = test_dir_try(p, 4 * MEGABYTE, &f);
    while (j) {
        append_orders(j, 0, 1 + journal_end(j, 0) % 7);
        if (!journal_commit(j, &f))
            break;
        uint64_t end = journal_end(j, 0);
        if (write(out, &end, sizeof end) != sizeof end)
            break;
    }
    _exit(1);
}

static void a_killed_writer_loses_no_commit(void **state)
{
    const struct test_dir *p = *state;
    uint64_t reported = 0, end;
    for (int i = 0; i < 10; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            sell_until_killed(p, ends[1]);
        close(ends[1]);
        for (int n = 0; n < 20 + 7 * i; n++)
            assert_int_equal(read(ends[0], &reported, sizeof reported), sizeof reported);
        kill(child, SIGKILL);
        while (read(ends[0], &end, sizeof end) == sizeof end)
            reported = end;
        close(ends[0]);
        assert_int_equal(waitpid(child, NULL, 0), child);
        struct journal *j = test_dir_open(p, 4 * MEGABYTE);
        assert_true(journal_end(j, 0) >= reported);
        check_orders(j, 0, journal_end(j, 0));
        journal_close(j);
    }
}

static void a_second_opener_is_refused(void **state)
{
    const struct test_dir *p = *state;
    struct journal *j = test_dir_open(p, MEGABYTE);
    struct fault f;
    char pid[32];
    snprintf(pid, sizeof pid, "(pid %ld)", (long)getpid());
    assert_null(test_dir_try(p, MEGABYTE, &f));
    assert_non_null(strstr(f.text, "in use by another spike-server"));
    assert_non_null(strstr(f.text, pid));
    pid_t child = fork();
    if (child == 0)
        _exit(test_dir_try(p, MEGABYTE, &f) == NULL && strstr(f.text, pid) ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    append_orders(j, 0, 1); /* the first opener still works */
    commit(j);
    journal_close(j);
    journal_close(test_dir_open(p, MEGABYTE));
}

static void another_nodes_journal_is_refused(void **state)
{
    const struct test_dir *p = *state;
    const struct journal_options other = {.dir = p->dir, .size = MEGABYTE, .node = 8};
    struct fault f;
    journal_close(test_dir_open(p, MEGABYTE));
    assert_null(journal_open(&other, &f));
    assert_non_null(strstr(f.text, "belongs to node 7 and this is node 8"));
}

static void slots_never_change(void **state)
{
    const struct test_dir *p = *state;
    const struct journal_options later = {.dir = p->dir,
                                          .size = MEGABYTE,
                                          .node = 7,
                                          .events = {"aaa", "seat", "zzz"},
                                          .event_count = 3};
    struct fault f;
    struct journal *j = test_dir_open(p, MEGABYTE);
    append_orders(j, 0, 9);
    append_orders(j, 1, 4);
    commit(j);
    journal_close(j);
    j = open_and_begin(&later, &f); /* "ticket" is not on sale now, and stays unchanged */
    assert_non_null(j);
    assert_int_equal(journal_slot(j, 0), 2);
    assert_int_equal(journal_slot(j, 1), 1);
    assert_int_equal(journal_slot(j, 2), 3);
    check_orders(j, 0, 0);
    check_orders(j, 1, 4);
    journal_close(j);
    j = test_dir_open(p, MEGABYTE);
    assert_int_equal(journal_slot(j, 0), 0);
    check_orders(j, 0, 9);
    journal_close(j);
}

static unsigned char *whole(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    unsigned char *bytes = malloc((size_t)st.st_size);
    assert_non_null(bytes);
    *size = (size_t)read(fd, bytes, (size_t)st.st_size);
    assert_int_equal(*size, st.st_size);
    close(fd);
    return bytes;
}

/* A journal that turns out to be a copy must stay unchanged: opening writes nothing, even if an
 * event is new and the orders will need more space. */
static void opening_changes_nothing(void **state)
{
    const struct test_dir *p = *state;
    const struct journal_options more = {.dir = p->dir,
                                         .size = 2 * MEGABYTE,
                                         .node = 7,
                                         .events = {"zzz", "seat", "ticket"},
                                         .event_count = 3,
                                         .orders = {500, 500, 500}};
    struct fault f;
    struct record grant, last;
    uint32_t chain;
    struct journal *j = test_dir_open(p, MEGABYTE);
    append_orders(j, 0, 9);
    commit(j);
    journal_close(j);
    size_t size, size_after;
    unsigned char *before = whole(p->data, &size);
    j = journal_open(&more, &f);
    assert_non_null(j);
    assert_int_equal(journal_slot(j, 0), 2);
    assert_int_equal(journal_end(j, 0), 0);
    assert_int_equal(journal_order(j, 0, 1, &grant, &last, &f), 0);
    assert_true(journal_chain(j, 0, 0, &chain, &f));
    check_orders(j, 2, 9);
    journal_close(j);
    unsigned char *after = whole(p->data, &size_after);
    assert_int_equal(size_after, size);
    assert_memory_equal(after, before, size);
    free(before);
    free(after);
    j = journal_open(&more, &f);
    assert_true(journal_begin(j, &f) && journal_begin(j, &f));
    append_orders(j, 0, 3);
    commit(j);
    check_orders(j, 0, 3);
    check_orders(j, 2, 9);
    journal_close(j);
}

/* This distinguishes a journal from a copy of another: the CRC of a record covers all before it. */
static void a_chain_stands_for_all_before_it(void **state)
{
    const struct test_dir *p = *state;
    struct fault f;
    struct journal *j = test_dir_open(p, MEGABYTE);
    uint32_t at_end, between, later;
    append_orders(j, 0, 9);
    commit(j);
    assert_true(journal_chain(j, 0, 9, &at_end, &f));
    assert_true(journal_chain(j, 0, 4, &between, &f));
    assert_int_not_equal(at_end, between);
    append_orders(j, 0, 1);
    assert_true(journal_chain(j, 0, 9, &later, &f)); /* beside what is not committed yet */
    assert_int_equal(later, at_end);
    commit(j);
    journal_close(j);
    j = test_dir_open(p, MEGABYTE);
    assert_true(journal_chain(j, 0, 9, &later, &f));
    assert_int_equal(later, at_end);
    assert_true(journal_chain(j, 0, 4, &later, &f));
    assert_int_equal(later, between);
    journal_close(j);
}

static void the_parent_must_exist(void **state)
{
    const struct test_dir *p = *state;
    char dir[128];
    struct fault f;
    const struct journal_options o = {.dir = dir, .size = MEGABYTE, .node = 7};
    snprintf(dir, sizeof dir, "%s/none/journal", p->root);
    assert_null(journal_open(&o, &f));
    assert_non_null(strstr(f.text, "does its parent exist"));
    assert_null(journal_open_reader(dir, &f));
}

/* In the child: reads until it has seen `count` orders. */
static _Noreturn void follow(const struct test_dir *p, int ready, uint64_t count)
{
    struct record out[16];
    struct fault f;
    uint64_t seen = 0;
    struct journal *j = journal_open_reader(p->dir, &f);
    if (j == NULL || journal_event_count(j) != 2 || strcmp(journal_event_name(j, 1), "seat") != 0 ||
        write(ready, "", 1) != 1)
        _exit(2);
    while (seen < count) {
        int n = journal_read(j, 1, seen + 1, out, ARRAY_LEN(out), &f);
        for (int i = 0; i < n; i++)
            is_order(&seen, &out[i]);
        if (n < 0 || journal_end(j, 1) < seen)
            _exit(3);
    }
    journal_close(j);
    _exit(0);
}

/* The reader spins: whenever it is preempted during a call, its snapshot keeps pages from being
 * used again, so the map is larger than the records need. */
static void a_reader_follows_the_writer(void **state)
{
    const struct test_dir *p = *state;
    int ends[2], status;
    char byte;
    struct journal *j = test_dir_open(p, 16 * MEGABYTE);
    append_orders(j, 1, 2);
    commit(j);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        follow(p, ends[1], 1002);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    for (int i = 0; i < 500; i++) {
        append_orders(j, 1, 2);
        commit(j);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    journal_close(j);
}

/* A limit on the size of files simulates a full disk. */
static _Noreturn void sell_on_a_short_disk(const struct test_dir *p)
{
    struct fault f, again;
    struct journal *j = test_dir_open(p, MEGABYTE);
    const struct rlimit limit = {65536, 65536};
    signal(SIGXFSZ, SIG_IGN);
    append_orders(j, 0, 5);
    if (!journal_commit(j, &f) || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
    append_orders(j, 0, 1000);
    if (journal_commit(j, &f) || strstr(f.text, "commit of 1000 records failed") == NULL)
        _exit(3);
    append_orders(j, 0, 1);
    if (journal_commit(j, &again) || strcmp(f.text, again.text) != 0 ||
        journal_free_records(j) != 0)
        _exit(4);
    if (journal_commit(j, &again) || journal_committed(j, 0) != 5)
        _exit(5);
    journal_close(j);
    _exit(0);
}

static void a_failed_commit_is_final(void **state)
{
    const struct test_dir *p = *state;
    int status;
    pid_t child = fork();
    if (child == 0)
        sell_on_a_short_disk(p);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct journal *j = test_dir_open(p, MEGABYTE);
    check_orders(j, 0, 5);
    journal_close(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_journal_is_empty, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(reopening_keeps_everything, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(reading_sees_what_is_committed, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_walk_can_be_stopped, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(without_a_commit_nothing_stays, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_killed_writer_loses_no_commit, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_second_opener_is_refused, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(another_nodes_journal_is_refused, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(slots_never_change, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(opening_changes_nothing, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_chain_stands_for_all_before_it, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(the_parent_must_exist, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_reader_follows_the_writer, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_failed_commit_is_final, test_dir_setup,
                                        test_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
