/*
 * Why: the file is preallocated so that no commit of the sale waits for it to grow, and so that a
 * disk without space is found before the sale. Only the file itself, and the time that commits
 * take, show that this happens.
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

#define PAGE      4096
#define SOME_FILE (300 * 1024) /* more than an empty journal, less than what ORDERS need */
#define ORDERS    3000

static struct journal *try_for(const struct test_dir *p, uint64_t orders, bool hold, uint64_t size,
                               struct fault *f)
{
    const struct journal_options o = {.dir = p->dir,
                                      .size = size,
                                      .node = 7,
                                      .events = {"ticket", "seat"},
                                      .event_count = 2,
                                      .orders = {orders, orders / 2},
                                      .holds = {hold, false}};
    return open_and_begin(&o, f);
}

static struct journal *open_for(const struct test_dir *p, uint64_t orders, bool hold, uint64_t size)
{
    struct fault f = {""};
    struct journal *j = try_for(p, orders, hold, size, &f);
    if (j == NULL)
        fail_msg("%s", f.text);
    return j;
}

static uint64_t length_of(const struct test_dir *p)
{
    struct stat st;
    assert_int_equal(stat(p->data, &st), 0);
    return (uint64_t)st.st_size;
}

static bool has_all_blocks(const struct test_dir *p)
{
    struct stat st;
    assert_int_equal(stat(p->data, &st), 0);
    return (uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size;
}

static void cut(const struct test_dir *p, uint64_t length)
{
    assert_int_equal(truncate(p->data, (off_t)length), 0);
}

/* A record of the largest size. */
static void append_long(struct journal *j, uint32_t event, struct record r)
{
    r.n = 1;
    r.buyer_len = r.key_len = PARAM_MAX;
    memset(r.buyer, 'b', PARAM_MAX);
    memset(r.key, 'k', PARAM_MAX);
    journal_append(j, event, &r, 1);
}

/* An order of the one event that holds, and for every second one, one of the other. */
static void append_grants(struct journal *j, uint64_t number)
{
    struct record r = {.kind = RECORD_GRANT, .state = ORDER_HELD, .number = number};
    append_long(j, 0, r);
    r.state = ORDER_SOLD;
    r.number = number / 2;
    if (number % 2 == 0)
        append_long(j, 1, r);
}

/* All orders of both events in batches; held ones are paid when everything is sold, scattered over
 * the index. */
static void sell_all(struct journal *j, uint64_t orders, uint64_t batch)
{
    for (uint64_t number = 1; number <= orders; number++) {
        append_grants(j, number);
        if (number % batch == 0)
            commit(j);
    }
    for (uint64_t i = 0; i < orders; i++) {
        append_long(j, 0, change_of(1 + i * 1009 % orders, ORDER_HELD, ORDER_SOLD));
        if (i % batch == 0)
            commit(j);
    }
    commit(j);
}

static void sell_in_batches(const struct test_dir *p, uint64_t batch)
{
    struct journal *j = open_for(p, ORDERS, true, 64 * MEGABYTE);
    uint64_t length = length_of(p), before = journal_used_bytes(j);
    assert_true(before < 20 * PAGE); /* `used` does not count zeros */
    assert_true(has_all_blocks(p));
    sell_all(j, ORDERS, batch);
    assert_int_equal(length_of(p), length);
    assert_true(journal_used_bytes(j) > length / 3); /* the file is not far too long */
    journal_close(j);
}

static void a_sale_never_lengthens_the_file(void **state)
{
    sell_in_batches(*state, 43);
}

static void nor_does_one_of_large_batches(void **state)
{
    sell_in_batches(*state, 512);
}

static void nor_does_one_of_single_orders(void **state)
{
    sell_in_batches(*state, 1);
}

static void a_small_sale_allocates_little(void **state)
{
    const struct test_dir *p = *state;
    journal_close(open_for(p, 10, true, 256 * MEGABYTE));
    assert_true(length_of(p) <= 900 * 1024);
}

/* As spike.conf(5) says; the other event adds half as much. */
static void a_sale_allocates_what_the_manual_says(void **state)
{
    const struct test_dir *p = *state;
    journal_close(open_for(p, 20000, false, 256 * MEGABYTE));
    assert_in_range(length_of(p), 30000 * 250, 30000 * 400 + MEGABYTE);
    journal_close(open_for(p, 20000, true, 256 * MEGABYTE));
    assert_in_range(length_of(p), 20000 * 800, 20000 * 1200 + 10000 * 400 + MEGABYTE);
}

/* If other programs fill the disk meanwhile, the file cannot grow at all, as if the map ended with
 * it. Then the free records must still be as many as the ledger requires for its last order. */
static void the_last_order_fits(void **state)
{
    const struct test_dir *p = *state;
    journal_close(open_for(p, ORDERS, true, 64 * MEGABYTE));
    struct journal *j = open_for(p, ORDERS, true, length_of(p));
    assert_int_equal(journal_size_bytes(j), length_of(p));
    for (uint64_t number = 1; number <= ORDERS; number++) {
        assert_true(journal_free_records(j) >= 2 * (number - 1) + 2 * BATCH_MAX + 3);
        append_grants(j, number);
        if (number % 43 == 0)
            commit(j);
    }
    journal_close(j);
}

static void an_unknown_sale_allocates_nothing(void **state)
{
    const struct test_dir *p = *state;
    struct journal *j = open_for(p, 0, true, 256 * MEGABYTE);
    assert_true(length_of(p) < 20 * PAGE);
    journal_close(j);
}

static void the_file_stays_within_its_size(void **state)
{
    const struct test_dir *p = *state;
    journal_close(open_for(p, 20000, true, 2 * MEGABYTE));
    assert_int_equal(length_of(p), 2 * MEGABYTE);
}

/* Killed in the middle of the zeros; a later start with more to sell is the same thing. */
static void the_next_start_continues(void **state)
{
    const struct test_dir *p = *state;
    struct journal *j = open_for(p, ORDERS, false, 16 * MEGABYTE);
    uint64_t length = length_of(p), used = journal_used_bytes(j);
    journal_close(j);
    for (uint64_t cuts = 0; cuts < 4; cuts++) {
        cut(p, used + cuts * (length - used) / 4 + cuts);
        j = open_for(p, ORDERS, false, 16 * MEGABYTE);
        assert_in_range(length_of(p), length, length + 8 * PAGE);
        assert_true(has_all_blocks(p));
        used = journal_used_bytes(j);
        length = length_of(p);
        journal_close(j);
    }
}

/* A copy, made by a tool that omits zeros. */
static void holes_are_filled(void **state)
{
    const struct test_dir *p = *state;
    struct journal *j = open_for(p, ORDERS, false, 16 * MEGABYTE);
    append_orders(j, 0, 100);
    commit(j);
    uint64_t length = length_of(p), used = journal_used_bytes(j);
    journal_close(j);
    cut(p, used);
    cut(p, length);
    assert_false(has_all_blocks(p));
    j = open_for(p, ORDERS, false, 16 * MEGABYTE);
    assert_true(has_all_blocks(p));
    check_orders(j, 0, 100);
    journal_close(j);
}

/* Once it is all sold, a start adds nothing. */
static void nothing_more_is_allocated_after_the_sale(void **state)
{
    const struct test_dir *p = *state;
    struct journal *j = open_for(p, 1000, true, 16 * MEGABYTE);
    sell_all(j, 1000, 50);
    uint64_t length = length_of(p);
    journal_close(j);
    j = open_for(p, 1000, true, 16 * MEGABYTE);
    assert_int_equal(length_of(p), length);
    journal_close(j);
}

/* A reader beside the server, and the verifier of the next start, see the journal and ignore the
 * zeros, and also what an unfinished commit has written there. */
static void readers_do_not_see_it(void **state)
{
    const struct test_dir *p = *state;
    struct fault f = {""};
    struct journal *j = open_for(p, ORDERS, false, 16 * MEGABYTE);
    append_orders(j, 0, 300);
    commit(j);
    struct journal *reader = journal_open_reader(p->dir, &f);
    assert_non_null(reader);
    check_orders(reader, 0, 300);
    assert_int_equal(journal_used_bytes(reader), journal_used_bytes(j));
    int fd = open(p->data, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "xxxx", 4, (off_t)journal_used_bytes(j) + PAGE), 4);
    close(fd);
    journal_close(reader);
    journal_close(j);
    j = open_for(p, ORDERS, false, 16 * MEGABYTE);
    check_orders(j, 0, 300);
    append_orders(j, 0, 300);
    commit(j);
    check_orders(j, 0, 600);
    journal_close(j);
}

/* A limit on the size of files simulates a full disk. */
static void shorten_the_disk(void)
{
    const struct rlimit limit = {SOME_FILE, SOME_FILE};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
}

static _Noreturn void open_on_a_short_disk(const struct test_dir *p, bool is_new)
{
    struct fault f = {""};
    shorten_the_disk();
    struct journal *j = try_for(p, ORDERS, false, 16 * MEGABYTE, &f);
    if (strstr(f.text, "more bytes, which the orders to come need: File too large") == NULL)
        _exit(3);
    if ((j == NULL) != is_new)
        _exit(4);
    if (j != NULL) {
        append_orders(j, 0, 1);
        _exit(journal_commit(j, &f) ? 0 : 5);
    }
    _exit(0);
}

static void check_short_disk(const struct test_dir *p, bool is_new)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        open_on_a_short_disk(p, is_new);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(length_of(p) < SOME_FILE / 2); /* the file has its old length again */
}

static void a_short_disk_is_reported_before_the_sale(void **state)
{
    check_short_disk(*state, true);
    struct journal *j = open_for(*state, ORDERS, false, 16 * MEGABYTE);
    assert_true(length_of(*state) > SOME_FILE);
    journal_close(j);
}

/* A start must not write a terabyte of zeros. The size that it wants is read from the message of a
 * refusal: to grant it would need the memory of the machine. */
static _Noreturn void open_far_too_large(const struct test_dir *p)
{
    struct fault f = {""};
    static const char before[] = "the disk cannot take ";
    shorten_the_disk();
    struct journal *j = try_for(p, 100000000, true, UINT64_C(1024) << 30, &f);
    const char *at = strstr(f.text, before);
    if (j != NULL || at == NULL)
        _exit(3);
    unsigned long long bytes = strtoull(at + sizeof before - 1, NULL, 10);
    _exit(bytes > 200 * MEGABYTE && bytes <= 256 * MEGABYTE ? 0 : 4);
}

static void a_start_has_an_end(void **state)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        open_far_too_large(*state);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Its orders were sold: it starts, to settle and to record returns. */
static void a_journal_with_orders_starts_on_a_short_disk(void **state)
{
    struct journal *j = test_dir_open(*state, 16 * MEGABYTE);
    append_orders(j, 0, 10);
    commit(j);
    journal_close(j);
    check_short_disk(*state, false);
    j = test_dir_open(*state, 16 * MEGABYTE);
    check_orders(j, 0, 11);
    journal_close(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sale_never_lengthens_the_file, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(nor_does_one_of_large_batches, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(nor_does_one_of_single_orders, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_small_sale_allocates_little, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_sale_allocates_what_the_manual_says, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(the_last_order_fits, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(an_unknown_sale_allocates_nothing, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(the_file_stays_within_its_size, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(the_next_start_continues, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(holes_are_filled, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(nothing_more_is_allocated_after_the_sale, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(readers_do_not_see_it, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_short_disk_is_reported_before_the_sale, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_start_has_an_end, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_journal_with_orders_starts_on_a_short_disk,
                                        test_dir_setup, test_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
