/*
 * Why: a write or a sync that fails once must cost a restart and nothing else. LMDB leaves more
 * behind than the previous commit: the roots of the failed commit in the older meta page, pages
 * without a commit, half a file. The server's next start must accept all of that, with every record
 * that was acknowledged and none that was never written; otherwise an operator may restore an old
 * copy.
 *
 * Each kind of call that changes or syncs a file fails at the Nth call, once or from there on, in
 * each way, while a journal is begun, sold into, changed, and opened with a commit to be completed.
 * Each case must end with a message or continue, never end by a signal (except the one that is
 * sent), and the journal must open again.
 */
/* needs: storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/verify.c
 * storage/journal/pages.c storage/journal/metas.c storage/journal/leaves.c
 * storage/journal/history.c storage/journal/journal_mend.c storage/journal/record.c
 * conf/base/check.c conf/base/fault.c conf/base/log.c -llmdb -ldeflate -ldl */
#include "tests/lib/disk_faults.h"
#include "tests/unit/journal_fixture.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SIZE        (2 * MEGABYTE)
#define N_MAX       40
#define COMMITS     4
#define META_BYTES  4096
#define META_NUMBER (16 + 128)
#define BASE        60 /* records of each event, unless the phase begins the journal */

enum phase { PHASE_START, PHASE_SALES, PHASE_RETURNS, PHASE_MEND, PHASES };
enum end { END_NONE, END_CONTINUED, END_WITH_MESSAGE, END_WITHOUT_MESSAGE };

static const char *const phase_names[PHASES] = {"start", "sales", "returns", "mend"};

/* The report of the process that works on the failing disk; it may die at any time. */
static struct shared {
    uint64_t committed[2], appended[2]; /* records of "ticket", of "seat" */
    enum end end;
    unsigned seen; /* calls of the kind that fails */
    char message[FAULT_TEXT];
} * shared;

/* The record of "seat" with this seq: of every three orders one is paid and cancelled, one is
 * cancelled, one expires and is refused. */
static struct record seat_at(uint64_t seq)
{
    uint64_t first = (seq - 1) / 8 * 3 + 1;
    struct record r = order_of(first + (seq - 1) % 8);
    switch ((seq - 1) % 8) {
    case 3:
        return change_of(first, ORDER_HELD, ORDER_SOLD);
    case 4:
        return change_of(first + 1, ORDER_HELD, ORDER_CANCELLED);
    case 5:
        return change_of(first + 2, ORDER_HELD, ORDER_EXPIRED);
    case 6:
        return refusal_of(first + 2);
    case 7:
        return change_of(first, ORDER_SOLD, ORDER_CANCELLED);
    default:
        r.state = ORDER_HELD;
        return r;
    }
}

static void append_seats(struct journal *j, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct record r = seat_at(journal_end(j, 1) + 1);
        journal_append(j, 1, &r, 7);
    }
}

static bool is_seat(void *context, const struct record *r)
{
    uint64_t *seen = context;
    struct record want = seat_at(++*seen);
    want.seq = *seen;
    want.time_wall_ms = 7;
    assert_memory_equal(r, &want, sizeof want);
    return true;
}

static void check_all(struct journal *j)
{
    struct fault f;
    uint64_t seen = 0;
    check_orders(j, 0, journal_end(j, 0));
    if (!journal_walk(j, 1, is_seat, &seen, &f))
        fail_msg("%s", f.text);
    assert_int_equal(seen, journal_end(j, 1));
}

/* ---- the process whose disk fails ------------------------------------------------------------ */

static _Noreturn void end_with(const struct test_dir *p, enum end end, const char *message)
{
    if (end == END_WITH_MESSAGE && strstr(message, p->dir) == NULL)
        end = END_WITHOUT_MESSAGE;
    snprintf(shared->message, sizeof shared->message, "%s", message);
    shared->seen = atomic_load(&disk_fault.seen);
    shared->end = end;
    _exit(0);
}

static void arm(const struct test_dir *p, enum disk_call call)
{
    atomic_store(&disk_fault.seen, 0);
    strcpy(disk_fault.dir, p->dir);
    disk_fault.call = call;
}

static void step(const struct test_dir *p, struct journal *j, uint64_t tickets, uint64_t seats)
{
    struct fault f = {""};
    append_orders(j, 0, tickets);
    append_seats(j, seats);
    for (uint32_t i = 0; i < 2; i++)
        shared->appended[i] = journal_end(j, i);
    if (!journal_commit(j, &f))
        end_with(p, END_WITH_MESSAGE, f.text);
    for (uint32_t i = 0; i < 2; i++)
        shared->committed[i] = journal_committed(j, i);
}

static _Noreturn void work(const struct test_dir *p, enum phase phase, enum disk_call call)
{
    struct fault f = {""};
    if (phase == PHASE_START || phase == PHASE_MEND)
        arm(p, call);
    struct journal *j = test_dir_try(p, SIZE, &f);
    if (j == NULL)
        end_with(p, END_WITH_MESSAGE, f.text);
    if (phase != PHASE_START && phase != PHASE_MEND)
        arm(p, call);
    for (uint64_t i = 1; i <= COMMITS; i++)
        step(p, j, phase == PHASE_RETURNS ? 0 : i % 4, phase == PHASE_RETURNS ? i % 3 : i % 2);
    journal_close(j);
    end_with(p, END_CONTINUED, "");
}

/* ---- the cases ------------------------------------------------------------------------------- */

static void make_base(const struct test_dir *p)
{
    struct journal *j = test_dir_open(p, SIZE);
    for (int i = 0; i < 4; i++) {
        append_orders(j, 0, BASE / 4);
        append_seats(j, BASE / 4);
        commit(j);
    }
    journal_close(j);
}

static void copy_file(const struct test_dir *from, const struct test_dir *to, const char *name)
{
    static char bytes[SIZE];
    char path[128];
    snprintf(path, sizeof path, "%s/%s", from->dir, name);
    FILE *in = fopen(path, "rb");
    snprintf(path, sizeof path, "%s/%s", to->dir, name);
    FILE *out = fopen(path, "wb");
    assert_true(in && out);
    size_t n = fread(bytes, 1, sizeof bytes, in);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(in) | fclose(out), 0);
}

/* Lowers the number of the newest commit by two, as LMDB does after a failed write. */
static void unfinish(const struct test_dir *p)
{
    uint64_t numbers[2];
    int fd = open(p->data, O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pread(fd, &numbers[i], 8, META_BYTES * i + META_NUMBER), 8);
    int newest = numbers[1] > numbers[0];
    numbers[newest] -= 2;
    assert_int_equal(pwrite(fd, &numbers[newest], 8, META_BYTES * newest + META_NUMBER), 8);
    close(fd);
}

/* The same state for every case. */
static void lay(const struct test_dir *base, struct test_dir *p, enum phase phase)
{
    test_dir_make(p);
    memset(shared, 0, sizeof *shared);
    if (phase == PHASE_START)
        return;
    assert_int_equal(mkdir(p->dir, 0700), 0);
    copy_file(base, p, "data.mdb");
    copy_file(base, p, "lock");
    if (phase == PHASE_MEND)
        unfinish(p);
    shared->committed[0] = shared->committed[1] = BASE / 4 * 4;
    shared->appended[0] = shared->appended[1] = BASE / 4 * 4;
}

/* Everything that was acknowledged exists, nothing that was never written does, and the journal can
 * be used further. */
static void check_after(const struct test_dir *p)
{
    for (int again = 0; again < 2; again++) { /* what this start writes can be opened as well */
        struct fault f = {""};
        struct journal *j = test_dir_try(p, SIZE, &f);
        if (j == NULL)
            fail_msg("it does not open again: %s (before: %s)", f.text, shared->message);
        for (uint32_t i = 0; i < 2; i++) {
            assert_true(journal_end(j, i) >= shared->committed[i]);
            assert_true(journal_end(j, i) <= shared->appended[i]);
        }
        check_all(j);
        append_orders(j, 0, 3);
        append_seats(j, 3);
        commit(j);
        for (uint32_t i = 0; i < 2; i++)
            shared->committed[i] = shared->appended[i] = journal_end(j, i);
        journal_close(j);
    }
}

/* False: there were fewer calls. */
static bool try_one(const struct test_dir *base, enum phase phase, enum disk_call call,
                    unsigned nth)
{
    struct test_dir p = {.root = ""};
    int status;
    lay(base, &p, phase);
    disk_fault.nth = nth;
    pid_t child = fork();
    if (child == 0)
        work(&p, phase, call);
    assert_int_equal(waitpid(child, &status, 0), child);
    bool killed = disk_fault.how == FAIL_KILL && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed &&
        (!WIFEXITED(status) || shared->end < END_CONTINUED || shared->end > END_WITH_MESSAGE))
        fail_msg("status %#x, end %d: %s", status, shared->end, shared->message);
    bool hit = killed || shared->seen >= nth || shared->end == END_WITH_MESSAGE;
    check_after(&p);
    test_dir_remove(&p);
    return hit;
}

/* With a sanitizer each case is so slow that every fourth one must suffice. */
#if defined(__SANITIZE_ADDRESS__)
#define STEP 4
#else
#define STEP 1
#endif

/* The Nth call, until there are no more. */
static unsigned try_all(const struct test_dir *base, enum phase phase, enum disk_call call)
{
    unsigned nth = 1 + (unsigned)call % STEP, tried = 0;
    for (; nth <= N_MAX; nth += STEP, tried++) {
        print_message("%s: %s %u, %s%s\n", phase_names[phase], disk_call_names[call], nth,
                      disk_failure_names[disk_fault.how], disk_fault.stays ? ", on and on" : "");
        if (!try_one(base, phase, call, nth))
            break;
    }
    return tried;
}

static void in_phase(enum phase phase)
{
    struct test_dir base = {.root = ""};
    unsigned tried = 0;
    test_dir_make(&base);
    make_base(&base);
    for (int call = CALL_WRITE; call < CALLS; call++)
        for (int how = 0; how < FAILURES; how++)
            for (int stays = 0; stays < (how == FAIL_KILL || how == FAIL_ENOSPC ? 1 : 2); stays++) {
                disk_fault.how = (enum disk_failure)how;
                disk_fault.stays = stays != 0;
                tried += try_all(&base, phase, (enum disk_call)call);
            }
    disk_fault.call = CALL_NONE;
    test_dir_remove(&base);
    print_message("%s: %u cases\n", phase_names[phase], tried);
    assert_true(tried > 20 / STEP);
}

static void while_a_journal_begins(void **state)
{
    (void)state;
    in_phase(PHASE_START);
}

static void in_sales(void **state)
{
    (void)state;
    in_phase(PHASE_SALES);
}

static void in_returns(void **state)
{
    (void)state;
    in_phase(PHASE_RETURNS);
}

static void while_a_commit_is_finished(void **state)
{
    (void)state;
    in_phase(PHASE_MEND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_a_journal_begins),
        cmocka_unit_test(in_sales),
        cmocka_unit_test(in_returns),
        cmocka_unit_test(while_a_commit_is_finished),
    };
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
