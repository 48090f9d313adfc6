/*
 * Why: a hold that is lost here never ends and its tickets are stranded (P3); one that ends early
 * takes a ticket from a buyer who still has time to pay. The first to end must come first whatever
 * the clock did, and joining must stay cheap when it was set back: the ledger does nothing else
 * meanwhile.
 */
/* needs: server/ledger/hold_queue.c conf/base/arena.c conf/base/fault.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/ledger/hold_queue.h"

#define MANY  20000u
#define MODEL 50u
#define STEPS 200000u

static uint64_t seed;
static struct arena arena;
static struct fault f;

static void make(struct hold_queue *h, uint32_t capacity)
{
    memset(&arena, 0, sizeof arena);
    memset(h, 0, sizeof *h);
    hold_queue_plan(h, &arena, capacity);
    assert_true(arena_map(&arena, &f));
    hold_queue_init(h, &arena);
}

/* xorshift64 (G. Marsaglia, 2003): the same run for the same seed. */
static uint64_t below(uint64_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % bound;
}

static void expect_first(const struct hold_queue *h, uint64_t number, uint64_t pay_by)
{
    const struct hold *first = hold_queue_first(h);
    assert_non_null(first);
    assert_int_equal(first->number, number);
    assert_int_equal(first->pay_by_wall_ms, pay_by);
}

/* Takes all out, first to last; they must be these. */
static void expect_numbers(struct hold_queue *h, const uint64_t *numbers, size_t count)
{
    assert_int_equal(h->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(hold_queue_first(h));
        assert_int_equal(hold_queue_first(h)->number, numbers[i]);
        hold_queue_remove(h, numbers[i]);
    }
    assert_null(hold_queue_first(h));
    assert_int_equal(h->count, 0);
}
#define EXPECT(h, ...)                                 \
    expect_numbers(h, (const uint64_t[]){__VA_ARGS__}, \
                   sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void the_first_to_end_comes_first(void **state)
{
    struct hold_queue h;
    (void)state;
    make(&h, 8);
    assert_null(hold_queue_first(&h));
    assert_true(hold_queue_add(&h, 1, 100));
    expect_first(&h, 1, 100);
    assert_true(hold_queue_add(&h, 2, 101));
    assert_true(hold_queue_add(&h, 3, 105));
    expect_first(&h, 1, 100);
    EXPECT(&h, 1, 2, 3);
}

static void any_may_leave(void **state)
{
    (void)state;
    for (uint64_t out = 1; out <= 4; out++) {
        struct hold_queue h;
        make(&h, 8);
        assert_true(hold_queue_add(&h, 1, 100)); /* the first */
        assert_true(hold_queue_add(&h, 3, 300));
        assert_true(hold_queue_add(&h, 4, 400)); /* the last */
        assert_true(hold_queue_add(&h, 2, 200)); /* the one that went in at last */
        hold_queue_remove(&h, out);
        assert_int_equal(h.count, 3);
        assert_true(hold_queue_add(&h, 5, 250)); /* the search goes on from there */
        assert_true(hold_queue_add(&h, 6, 50));
        assert_true(hold_queue_add(&h, 7, 500));
        uint64_t want[6];
        size_t count = 0;
        for (size_t i = 0; i < 7; i++) {
            static const uint64_t order[] = {6, 1, 2, 5, 3, 4, 7};
            if (order[i] != out)
                want[count++] = order[i];
        }
        expect_numbers(&h, want, count);
    }
}

static void the_only_one_leaves_and_the_next_comes(void **state)
{
    struct hold_queue h;
    (void)state;
    make(&h, 1);
    for (uint64_t i = 1; i <= 5; i++) {
        assert_true(hold_queue_add(&h, i, 1000 - i));
        expect_first(&h, i, 1000 - i);
        EXPECT(&h, i);
    }
}

static void full_is_said_and_changes_nothing(void **state)
{
    struct hold_queue h;
    (void)state;
    make(&h, 5); /* eight buckets: the next number would find one */
    for (uint64_t i = 1; i <= 5; i++)
        assert_true(hold_queue_add(&h, i, 100 + i));
    assert_false(hold_queue_add(&h, 6, 50));
    assert_int_equal(h.count, 5);
    expect_first(&h, 1, 101);
    hold_queue_remove(&h, 3);
    assert_true(hold_queue_add(&h, 6, 50));
    assert_false(hold_queue_add(&h, 7, 60));
    EXPECT(&h, 6, 1, 2, 4, 5);
}

static void without_room_it_is_always_full(void **state)
{
    struct hold_queue h;
    (void)state;
    make(&h, 0); /* `hold 0`: sold outright */
    assert_null(hold_queue_first(&h));
    assert_false(hold_queue_add(&h, 1, 100));
    assert_null(hold_queue_first(&h));
}

/* Fairness, and the order of the entries in the stream: the first to come is the first to end. */
static void equal_ends_keep_the_order_of_joining(void **state)
{
    struct hold_queue h;
    (void)state;
    make(&h, 16);
    assert_true(hold_queue_add(&h, 1, 100));
    assert_true(hold_queue_add(&h, 2, 100));
    assert_true(hold_queue_add(&h, 3, 200));
    assert_true(hold_queue_add(&h, 4, 200));
    assert_true(hold_queue_add(&h, 5, 100)); /* from behind */
    assert_true(hold_queue_add(&h, 6, 200)); /* from the front */
    assert_true(hold_queue_add(&h, 7, 50));
    assert_true(hold_queue_add(&h, 8, 100));
    EXPECT(&h, 7, 1, 2, 5, 8, 3, 4, 6);
}

/* Numbers that share a bucket, in every order of leaving. */
static void one_bucket_holds_many(void **state)
{
    static const uint64_t leave[][3] = {{4, 8, 12}, {12, 8, 4}, {8, 4, 12}, {8, 12, 4}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(leave); i++) {
        struct hold_queue h;
        make(&h, 4);
        for (uint64_t k = 1; k <= 3; k++)
            assert_true(hold_queue_add(&h, 4 * k, 100));
        for (size_t k = 0; k < 3; k++)
            hold_queue_remove(&h, leave[i][k]);
        assert_null(hold_queue_first(&h));
        assert_true(hold_queue_add(&h, 4, 100));
        EXPECT(&h, 4);
    }
}

static void expect_sorted(const struct hold_queue *h)
{
    uint32_t count = 0, before = 0;
    for (uint32_t i = h->first; i != 0; before = i, i = h->all[i - 1].next, count++) {
        assert_int_equal(h->all[i - 1].prev, before);
        if (before != 0)
            assert_true(h->all[before - 1].pay_by_wall_ms <= h->all[i - 1].pay_by_wall_ms);
    }
    assert_int_equal(h->last, before);
    assert_int_equal(h->count, count);
}

/* All but the last two claim to end last: a search that starts at one of them goes astray at once.
 * So joining costs the same however many there are, of one millisecond too, and also when the
 * newest was just paid. */
static void joining_asks_the_newest_alone(void **state)
{
    struct hold_queue h;
    (void)state;
    make(&h, MANY);
    for (uint64_t i = 1; i <= MANY; i++) {
        assert_true(hold_queue_add(&h, i, 1000 + i / 1000));
        assert_int_equal(h.all[h.last - 1].number, i);
        uint32_t third = h.count < 3 ? 0 : h.all[h.all[h.last - 1].prev - 1].prev;
        if (third != 0)
            h.all[third - 1].pay_by_wall_ms = UINT64_MAX;
        if (i % 3 == 0)
            hold_queue_remove(&h, i);
    }
    assert_int_equal(h.count, MANY - MANY / 3);
}

/* All holds lie meanwhile but the neighbours of the last one that went in: the first claims to end
 * last and the old ones to end long ago, so that a search from either end of the list goes astray
 * at once. A hold that is not searched costs nothing: joining takes a few steps however many there
 * are. */
static void a_clock_set_back_costs_one_search(void **state)
{
    struct hold_queue h;
    (void)state;
    make(&h, 2 * MANY);
    for (uint32_t i = 1; i <= MANY; i++)
        assert_true(hold_queue_add(&h, i, 1000000 + i));
    assert_true(
        hold_queue_add(&h, MANY + 1, 1000)); /* the clock was set back: this one may search */
    assert_true(hold_queue_add(&h, MANY + 2, 1001));
    h.all[h.first - 1].pay_by_wall_ms = UINT64_MAX;
    for (uint32_t i = 1; i < MANY; i++)
        h.all[i].pay_by_wall_ms = 0;
    for (uint32_t i = 3; i <= MANY; i++) {
        assert_true(hold_queue_add(&h, MANY + i, 1001 + i / 3));
        if (i % 4 == 0)
            hold_queue_remove(&h, MANY + i); /* paid at once: the search goes on beside it */
    }
    for (uint32_t i = 1; i < MANY; i++)
        h.all[i].pay_by_wall_ms = 1000000 + i + 1;
    h.all[h.first - 1].pay_by_wall_ms = 1000;
    expect_first(&h, MANY + 1, 1000);
    expect_sorted(&h);
}

/* Against an array that is searched from end to end. */
struct model {
    struct {
        uint64_t number, pay_by;
    } holds[MODEL];
    uint32_t count;
};

static void model_add(struct model *m, uint64_t number, uint64_t pay_by)
{
    uint32_t i = m->count++;
    for (; i > 0 && m->holds[i - 1].pay_by > pay_by; i--)
        m->holds[i] = m->holds[i - 1];
    m->holds[i].number = number;
    m->holds[i].pay_by = pay_by;
}

static uint64_t model_remove(struct model *m, uint32_t i)
{
    uint64_t number = m->holds[i].number;
    m->count--;
    memmove(&m->holds[i], &m->holds[i + 1], (m->count - i) * sizeof m->holds[0]);
    return number;
}

static void expect_equal(const struct hold_queue *h, const struct model *m)
{
    uint32_t place = h->first;
    expect_sorted(h);
    assert_int_equal(h->count, m->count);
    for (uint32_t i = 0; i < m->count; i++, place = h->all[place - 1].next)
        assert_int_equal(h->all[place - 1].number, m->holds[i].number);
    if (m->count == 0)
        assert_null(hold_queue_first(h));
    else
        expect_first(h, m->holds[0].number, m->holds[0].pay_by);
}

/* A clock that mostly goes on and now and then jumps; numbers with gaps; full and empty happen. */
static void it_does_what_a_plain_list_does(void **state)
{
    struct hold_queue h;
    struct model m = {.count = 0};
    uint64_t clock = 1000, number = 1;
    bool filling = true;
    (void)state;
    make(&h, MODEL);
    for (uint32_t i = 0; i < STEPS; i++) {
        if (m.count == 0 || m.count == MODEL)
            filling = m.count == 0 || below(4) == 0;
        clock = below(40) == 0 ? 500 + below(1000) : clock + below(3);
        number += below(5) == 0 ? 1 + below(100) : 1;
        if (m.count == 0 || below(10) < (filling ? 7 : 3)) {
            assert_int_equal(hold_queue_add(&h, number, clock), m.count < MODEL);
            if (m.count < MODEL)
                model_add(&m, number, clock);
        } else
            hold_queue_remove(&h, model_remove(&m, below(2) == 0 ? 0 : (uint32_t)below(m.count)));
        expect_equal(&h, &m);
    }
}

/* What must never go on is tried in a child. */
static int signal_of(void (*crime)(struct hold_queue *h))
{
    struct hold_queue h;
    int status;
    make(&h, 8);
    assert_true(hold_queue_add(&h, 1, 100));
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        crime(&h);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void add_again(struct hold_queue *h)
{
    (void)!hold_queue_add(h, 1, 200);
}

static void remove_unknown(struct hold_queue *h)
{
    hold_queue_remove(h, 2);
}

static void remove_twice(struct hold_queue *h)
{
    hold_queue_remove(h, 1);
    hold_queue_remove(h, 1);
}

static void crimes_end_the_process(void **state)
{
    (void)state;
    assert_int_equal(signal_of(add_again), SIGABRT);
    assert_int_equal(signal_of(remove_unknown), SIGABRT);
    assert_int_equal(signal_of(remove_twice), SIGABRT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_to_end_comes_first),
        cmocka_unit_test(any_may_leave),
        cmocka_unit_test(the_only_one_leaves_and_the_next_comes),
        cmocka_unit_test(full_is_said_and_changes_nothing),
        cmocka_unit_test(without_room_it_is_always_full),
        cmocka_unit_test(equal_ends_keep_the_order_of_joining),
        cmocka_unit_test(one_bucket_holds_many),
        cmocka_unit_test(joining_asks_the_newest_alone),
        cmocka_unit_test(a_clock_set_back_costs_one_search),
        cmocka_unit_test(it_does_what_a_plain_list_does),
        cmocka_unit_test(crimes_end_the_process),
    };
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)getpid() + 1;
    printf("seed %" PRIu64 "\n", seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
