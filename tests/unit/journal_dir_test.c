/*
 * Why: a first start on a full disk leaves half a file, in which nothing was ever sold; it must not
 * need an operator once there is space. And a journal whose lock file is lost, or came from
 * elsewhere, must never be mistaken for such a first start and removed.
 */
/* needs: storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/verify.c
 * storage/journal/pages.c storage/journal/metas.c storage/journal/leaves.c
 * storage/journal/history.c storage/journal/journal_mend.c storage/journal/record.c
 * conf/base/check.c conf/base/fault.c conf/base/log.c -llmdb -ldeflate */
#include "tests/unit/journal_sample.h"

#include "storage/journal/journal_dir.h"

#define STATE_NEW     "spike new    \n"
#define STATE_JOURNAL "spike journal\n"

static void write_state(const struct test_dir *p, const char *state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/lock", p->dir);
    if (state == NULL) {
        assert_int_equal(unlink(path), 0);
        return;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, state, strlen(state), 0), strlen(state));
    close(fd);
}

static void cut(const struct test_dir *p, off_t bytes)
{
    assert_int_equal(truncate(p->data, bytes), 0);
}

/* A journal with its events and no record: a first start that ended before it set the state. */
static void begin(struct test_dir *p, off_t bytes, const char *state)
{
    test_dir_make(p);
    journal_close(test_dir_open(p, SIZE));
    cut(p, bytes);
    write_state(p, state);
}

static bool opens(const struct test_dir *p)
{
    struct fault f = {""};
    struct journal *j = test_dir_try(p, SIZE, &f);
    if (j == NULL) {
        assert_non_null(strstr(f.text, p->dir));
        return false;
    }
    append_orders(j, 0, 3);
    commit(j);
    journal_close(j);
    j = test_dir_open(p, SIZE);
    check_orders(j, 0, 3);
    journal_close(j);
    return true;
}

/* LMDB begins with two pages in one write, and the first commit adds others. */
static void a_first_start_begins_again(void **state)
{
    static const off_t lengths[] = {1,    15,   16,   100,  144,  152,   4095,  4096,
                                    4097, 4200, 8191, 8192, 8193, 12288, 16384, 20479};
    struct test_dir p = {.root = ""};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        begin(&p, lengths[i], STATE_NEW);
        if (!opens(&p))
            fail_msg("with %ld bytes it does not begin again", (long)lengths[i]);
        test_dir_remove(&p);
    }
}

/* The same files, but the state is another one, torn, or missing; and repeating it changes nothing.
 */
static void what_may_be_a_journal_is_kept(void **state)
{
    static const char *const states[] = {STATE_JOURNAL, NULL, "spike joew    \n", "\0"};
    static const off_t lengths[] = {100, 4096, 8191, 8192};
    struct test_dir p = {.root = ""};
    struct stat st;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
            begin(&p, lengths[k], states[i]);
            if (i == 3) { /* an empty lock file */
                char path[128];
                snprintf(path, sizeof path, "%s/lock", p.dir);
                assert_int_equal(truncate(path, 0), 0);
            }
            for (int again = 0; again < 3; again++)
                assert_false(opens(&p));
            assert_int_equal(stat(p.data, &st), 0);
            assert_int_equal(st.st_size, lengths[k]);
            test_dir_remove(&p);
        }
}

/* The journal holds records, whatever the state is. */
static void records_are_never_thrown_away(void **state)
{
    const struct sample *s = *state;
    unsigned char was;
    struct stat st;
    for (off_t at = 4096; at < s->bytes; at += 4096) {
        unsigned char now;
        write_state(&s->where, STATE_NEW);
        assert_int_equal(pread(s->fd, &was, 1, at + 40), 1);
        now = (unsigned char)~was;
        assert_int_equal(pwrite(s->fd, &now, 1, at + 40), 1);
        (void)is_refused(s); /* or complete */
        write_state(&s->where, STATE_NEW);
        (void)is_refused(s);
        assert_int_equal(stat(s->where.data, &st), 0);
        assert_int_equal(st.st_size, s->bytes);
        assert_int_equal(pwrite(s->fd, &was, 1, at + 40), 1);
        assert_false(is_refused(s));
    }
}

/* The first state depends on the data file, so a copy without its lock file does not become `new`.
 */
static void a_copy_without_its_lock_is_a_journal(void **state)
{
    const struct sample *s = *state;
    struct fault f;
    write_state(&s->where, NULL);
    int lock = journal_dir_lock(s->where.dir, &f);
    assert_true(lock >= 0);
    close(lock);
    assert_int_equal(journal_dir_inspect(s->where.dir), JOURNAL_DIR_JOURNAL);
    assert_int_equal(unlink(s->where.data), 0);
    assert_int_equal(journal_dir_inspect(s->where.dir), JOURNAL_DIR_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_start_begins_again),
        cmocka_unit_test(what_may_be_a_journal_is_kept),
        cmocka_unit_test_setup_teardown(records_are_never_thrown_away, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_without_its_lock_is_a_journal, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
