/*
 * Why: only held orders are in memory; every other order that is paid late, cancelled or requested
 * is found in the journal. Its owner and readers must find it in its current state, and a number
 * that was never granted must not be found.
 */
/* needs: storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/verify.c
 * storage/journal/pages.c storage/journal/metas.c storage/journal/leaves.c
 * storage/journal/history.c storage/journal/journal_mend.c storage/journal/record.c
 * conf/base/check.c conf/base/fault.c conf/base/log.c -llmdb -ldeflate */
#include "tests/unit/journal_fixture.h"

#include <sys/wait.h>

/* One order through all that can happen to it, at every step before the commit and after it. */
static void an_order_is_found_as_it_stands(void **state)
{
    struct journal *j = test_dir_open(*state, MEGABYTE);
    append_orders(j, 0, 4);
    struct record grant = append_held(j, 0, 5), last = grant;
    const struct record steps[] = {change_of(5, ORDER_HELD, ORDER_EXPIRED), late_of(6, 5),
                                   change_of(5, ORDER_SOLD, ORDER_CANCELLED)};
    for (size_t i = 0;; i++) {
        check_order(j, 0, &grant, &last);
        commit(j);
        check_order(j, 0, &grant, &last);
        if (i == ARRAY_LEN(steps))
            break;
        last = append(j, 0, steps[i]);
    }
    check_no_order(j, 0, 6); /* a late payment's number */
    check_no_order(j, 1, 5); /* another event's */
    grant = append(j, 0, order_of(7));
    check_order(j, 0, &grant, &grant);
    commit(j);
    journal_close(j);
    j = test_dir_open(*state, MEGABYTE);
    check_order(j, 0, &grant, &grant);
    journal_close(j);
}

static void a_refused_order_shows_its_refusal(void **state)
{
    struct journal *j = test_dir_open(*state, MEGABYTE);
    struct record grant = append_held(j, 1, 1);
    append(j, 1, change_of(1, ORDER_HELD, ORDER_EXPIRED));
    struct record last = append(j, 1, refusal_of(1));
    check_order(j, 1, &grant, &last);
    commit(j);
    check_order(j, 1, &grant, &last);
    journal_close(j);
}

static void what_was_never_granted_is_no_order(void **state)
{
    static const uint64_t numbers[] = {0, 51, 1000, UINT64_MAX};
    struct journal *j = test_dir_open(*state, MEGABYTE);
    check_no_order(j, 0, 1);
    append_orders(j, 0, 50);
    commit(j);
    for (int open = 0; open < 2; open++) {
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
            check_no_order(j, 0, numbers[i]);
        append(j, 1, order_of(1)); /* a transaction is open from here on */
    }
    journal_close(j);
    j = test_dir_open(*state, MEGABYTE);
    check_no_order(j, 1, 1); /* it was not committed */
    journal_close(j);
}

/* Among so many that the index has branches; a change is found even if others follow. */
static void any_order_is_found_among_many(void **state)
{
    struct journal *j = test_dir_open(*state, 8 * MEGABYTE);
    append_orders(j, 0, 20000);
    commit(j);
    for (uint64_t n = 1; n <= 20000; n += 7) {
        append(j, 0, change_of(n, ORDER_SOLD, ORDER_CANCELLED));
        if (n % 5 == 0)
            commit(j);
    }
    for (uint64_t n = 1; n <= 20000; n++) {
        struct record grant = order_of(n), last;
        grant.seq = n;
        grant.time_wall_ms = 10 * n;
        last = grant;
        if (n % 7 == 1) {
            last = change_of(n, ORDER_SOLD, ORDER_CANCELLED);
            last.seq = 20001 + n / 7;
            last.time_wall_ms = 5;
        }
        check_order(j, 0, &grant, &last);
    }
    commit(j);
    journal_close(j);
    journal_close(test_dir_open(*state, 8 * MEGABYTE));
}

/* Records of an order that does not exist: nothing of the step may be committed. */
static void a_change_of_no_order_is_a_failed_commit(void **state)
{
    const struct record strays[] = {change_of(9, ORDER_HELD, ORDER_SOLD), late_of(5, 4),
                                    refusal_of(9), order_of(2)};
    struct fault f;
    struct record r;
    for (size_t i = 0; i < ARRAY_LEN(strays); i++) {
        struct journal *j = test_dir_open(*state, MEGABYTE);
        if (i == 0) {
            append_orders(j, 0, 3);
            commit(j);
        }
        append(j, 1, order_of(1));
        append(j, 0, strays[i]);
        assert_int_equal(journal_order(j, 0, 1, &r, &r, &f), -1);
        assert_non_null(strstr(f.text, "order 1 of event ticket cannot be read"));
        assert_false(journal_commit(j, &f));
        assert_non_null(strstr(f.text, "commit of 2 records failed"));
        assert_int_equal(journal_order(j, 0, 1, &r, &r, &f), -1);
        journal_close(j);
    }
    struct journal *j = test_dir_open(*state, MEGABYTE);
    check_orders(j, 0, 3);
    check_orders(j, 1, 0);
    journal_close(j);
}

/* In the child: finds each order as it comes, until `count` were sold and cancelled. */
static _Noreturn void follow(const struct test_dir *p, int ready, uint64_t count)
{
    struct record grant, last;
    struct fault f;
    struct journal *j = journal_open_reader(p->dir, &f);
    if (j == NULL || write(ready, "", 1) != 1)
        _exit(2);
    for (uint64_t n = 1; n <= count;) {
        int found = journal_order(j, 0, n, &grant, &last, &f);
        if (found < 0 || (found > 0 && grant.number != n))
            _exit(3);
        n += found > 0 && last.kind == RECORD_CHANGE;
    }
    journal_close(j);
    _exit(0);
}

static void a_reader_finds_orders_beside_the_writer(void **state)
{
    int ends[2], status;
    char byte;
    struct journal *j = test_dir_open(*state, 16 * MEGABYTE);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        follow(*state, ends[1], 300);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    for (uint64_t n = 1; n <= 300; n++) {
        append(j, 0, order_of(n));
        commit(j);
        append(j, 0, change_of(n, ORDER_SOLD, ORDER_CANCELLED));
        commit(j);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    journal_close(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_order_is_found_as_it_stands, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_refused_order_shows_its_refusal, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(what_was_never_granted_is_no_order, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(any_order_is_found_among_many, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_reader_finds_orders_beside_the_writer, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_change_of_no_order_is_a_failed_commit, test_dir_setup,
                                        test_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
