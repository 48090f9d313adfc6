/*
 * Why: when LMDB fails to write a meta page, the older one keeps the old number and gets the new
 * roots. A start that mistakes this for damage makes an operator restore an old copy; one that
 * ignores the new roots may lose a commit that was acknowledged, for a flipped bit looks the same;
 * and one that trusts them without a check reads pages that were overwritten since.
 */
/* needs: storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/verify.c
 * storage/journal/pages.c storage/journal/metas.c storage/journal/leaves.c
 * storage/journal/history.c storage/journal/journal_mend.c storage/journal/record.c
 * conf/base/check.c conf/base/fault.c conf/base/log.c -llmdb -ldeflate */
#include "tests/unit/journal_sample.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PAGE_BYTES 4096
#define WRITTEN_AT 32  /* in the page: LMDB writes a meta from the map's size on */
#define WRITTEN    120 /* ... to its end */
#define ROOTS      104 /* of these the roots; then the last page, then the number */
#define LAST_PAGE  112

/* A journal before and after its last commit: the bytes of the meta page that it has written. */
struct last_commit {
    uint64_t tickets[2];
    off_t at;
    unsigned char meta[2][WRITTEN];
};

static int newest_page(const struct sample *s)
{
    uint64_t numbers[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pread(s->fd, &numbers[i], 8, PAGE_BYTES * i + WRITTEN_AT + LAST_PAGE), 8);
    return numbers[1] > numbers[0];
}

static struct last_commit sell_once_more(struct sample *s)
{
    struct last_commit c = {.tickets = {s->tickets, s->tickets + 5}};
    struct journal *j = test_dir_open(&s->where, SIZE);
    c.at = PAGE_BYTES * !newest_page(s) + WRITTEN_AT;
    assert_int_equal(pread(s->fd, c.meta[0], WRITTEN, c.at), WRITTEN);
    append_orders(j, 0, 5);
    commit(j);
    journal_close(j);
    assert_int_equal(pread(s->fd, c.meta[1], WRITTEN, c.at), WRITTEN);
    s->tickets += 5;
    return c;
}

/* The first `arrived` bytes are of the new meta, the others of the old one. */
static void leave(const struct sample *s, const struct last_commit *c, size_t arrived)
{
    assert_int_equal(pwrite(s->fd, c->meta[0], WRITTEN, c->at), WRITTEN);
    assert_int_equal(pwrite(s->fd, c->meta[1], arrived, c->at), arrived);
}

/* Opens the journal and returns its number of tickets, all checked; 0: refused. */
static uint64_t tickets_of(const struct sample *s)
{
    struct fault f;
    struct journal *j = test_dir_try(&s->where, SIZE, &f);
    if (j == NULL)
        return 0;
    uint64_t tickets = journal_end(j, 0);
    check_orders(j, 0, tickets);
    check_seats(j, s);
    journal_close(j);
    return tickets;
}

/* However much of the meta page was written. (No write ends within the eight bytes of the number.)
 */
static void a_failed_meta_write_is_no_damage(void **state)
{
    struct sample *s = *state;
    struct last_commit c = sell_once_more(s);
    for (size_t arrived = 0; arrived <= LAST_PAGE; arrived++) {
        leave(s, &c, arrived);
        uint64_t tickets = tickets_of(s);
        if (tickets != c.tickets[1] && (arrived >= ROOTS || tickets != c.tickets[0]))
            fail_msg("%zu bytes: %lu tickets", arrived, (unsigned long)tickets);
    }
}

/* Once completed, it is a commit like any other. */
static void a_commit_is_completed_once(void **state)
{
    struct sample *s = *state;
    struct last_commit c = sell_once_more(s);
    struct leftover l;
    struct fault f;
    leave(s, &c, ROOTS);
    assert_true(journal_verify(s->where.dir, &l, &f));
    assert_int_equal(l.records, 5);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tickets_of(s), c.tickets[1]);
        assert_true(journal_verify(s->where.dir, &l, &f));
        assert_int_equal(l.records, 0);
    }
}

static void spoil(const struct sample *s, off_t page, int how, unsigned char was[PAGE_BYTES])
{
    unsigned char other[PAGE_BYTES];
    assert_int_equal(pread(s->fd, was, PAGE_BYTES, PAGE_BYTES * page), PAGE_BYTES);
    memset(other, how == 0 ? 0 : 0xff, PAGE_BYTES);
    if (how == 2)
        assert_int_equal(pread(s->fd, other, PAGE_BYTES, PAGE_BYTES * (page - 1)), PAGE_BYTES);
    assert_int_equal(pwrite(s->fd, other, PAGE_BYTES, PAGE_BYTES * page), PAGE_BYTES);
}

/* The commit after a failed one uses its pages again, and may die in the middle. What the older
 * meta page then refers to must neither be trusted nor be a reason to refuse. */
static void pages_of_a_failed_commit_may_be_anything(void **state)
{
    struct sample *s = *state;
    struct last_commit c = sell_once_more(s);
    unsigned char was[PAGE_BYTES];
    struct stat st;
    unsigned passed_over = 0;
    assert_int_equal(fstat(s->fd, &st), 0);
    for (off_t page = 2; page < st.st_size / PAGE_BYTES; page++)
        for (int how = 0; how < 3; how++) {
            spoil(s, page, how, was);
            leave(s, &c, 0);
            uint64_t without = tickets_of(s);
            leave(s, &c, ROOTS);
            uint64_t with = tickets_of(s);
            assert_true(without == 0 ? with == 0 : with >= without);
            passed_over += with == c.tickets[0];
            assert_int_equal(pwrite(s->fd, was, PAGE_BYTES, PAGE_BYTES * page), PAGE_BYTES);
        }
    assert_true(passed_over > 0);
    leave(s, &c, ROOTS);
    assert_int_equal(tickets_of(s), c.tickets[1]);
}

/* In the child: reads, from before the failure until all tickets exist. */
static _Noreturn void follow(const struct test_dir *p, int ready, uint64_t tickets)
{
    struct fault f;
    uint64_t seen = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct journal *j = journal_open_reader(p->dir, &f);
    if (j == NULL || write(ready, "", 1) != 1)
        _exit(2);
    while (seen < tickets) {
        seen = 0;
        if (!journal_walk(j, 0, is_order, &seen, &f))
            _exit(3);
    }
    _exit(0);
}

/* A reader keeps LMDB's shared memory alive, and in it the number of the previous commit. */
static void a_reader_may_survive(void **state)
{
    struct sample *s = *state;
    struct last_commit c = sell_once_more(s);
    int ends[2], status;
    char byte;
    leave(s, &c, ROOTS);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        follow(&s->where, ends[1], c.tickets[1] + 60);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    struct journal *j = test_dir_open(&s->where, SIZE);
    assert_int_equal(journal_end(j, 0), c.tickets[1]);
    for (int i = 0; i < 20; i++) {
        append_orders(j, 0, 3);
        commit(j);
    }
    check_orders(j, 0, c.tickets[1] + 60);
    journal_close(j);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(tickets_of(s), c.tickets[1] + 60);
    close(ends[0]);
    close(ends[1]);
}

/* A bit of the number of the newest commit is flipped, although the commit was acknowledged. */
static void no_flipped_number_loses_a_commit(void **state)
{
    struct sample *s = *state;
    struct last_commit c = sell_once_more(s);
    unsigned kept = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        leave(s, &c, WRITTEN);
        unsigned char byte = (unsigned char)(c.meta[1][LAST_PAGE + bit / 8] ^ 1u << bit % 8);
        off_t at = c.at + LAST_PAGE + bit / 8;
        assert_int_equal(pwrite(s->fd, &byte, 1, at), 1);
        uint64_t tickets = tickets_of(s);
        assert_true(tickets == 0 || tickets == c.tickets[1]);
        kept += tickets > 0;
    }
    printf("flipped numbers: kept %u of 64, the others refused\n", kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_failed_meta_write_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(a_commit_is_completed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_of_a_failed_commit_may_be_anything, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_may_survive, setup, teardown),
        cmocka_unit_test_setup_teardown(no_flipped_number_loses_a_commit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
