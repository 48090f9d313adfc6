/*
 * Why: P4 and the fast refusal. When the event is sold out, a key that this filter misses is
 * refused at once; if the key has an order, that refusal is a lie and the buyer loses his ticket.
 * So "no" must be certain, from another thread too, and "maybe" must stay rare, or every refusal
 * crosses the ring. Run with two threads under ThreadSanitizer.
 */
/* needs: server/shared/filter.c conf/base/key_hash.c conf/base/arena.c conf/base/fault.c
 *        conf/base/check.c -lsodium */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/key_hash.h"
#include "server/shared/filter.h"

#define WORST   32768u /* a power of two: 16 bits a mark and no more */
#define FOREIGN 400000u
#define MEETING 20000u

static struct arena arena;
static struct fault f;

static void make(struct filter *filter, uint32_t marks)
{
    memset(&arena, 0, sizeof arena);
    memset(filter, 0, sizeof *filter);
    filter_plan(filter, &arena, marks);
    assert_true(arena_map(&arena, &f));
    filter_init(filter, &arena);
}

static uint64_t mark_number(uint32_t number)
{
    char key[16];
    return key_hash(key, (size_t)snprintf(key, sizeof key, "key-%u", number));
}

static double share_of_foreign(const struct filter *filter)
{
    uint32_t maybe = 0;
    for (uint32_t i = 0; i < FOREIGN; i++)
        maybe += filter_may_have(filter, mark_number(1000000000 + i));
    return (double)maybe / FOREIGN;
}

/* Nodes read each other's marks: they must be the same in every build. Worked out by a SipHash-2-4
 * written apart from libsodium's. */
static void a_mark_is_the_same_everywhere(void **state)
{
    char longest[64];
    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_true(key_hash("a", 1) == UINT64_C(0x3728afb66aecf0d7));
    assert_true(key_hash("order-4711", 10) == UINT64_C(0x6d8144b8c67a4e9c));
    assert_true(key_hash(longest, sizeof longest) == UINT64_C(0x9a83bc7f04bdc11c));
}

static void what_was_added_may_be_there(void **state)
{
    struct filter filter;
    (void)state;
    make(&filter, 1000);
    assert_false(filter_may_have(&filter, mark_number(1)));
    filter_add(&filter, mark_number(1));
    assert_true(filter_may_have(&filter, mark_number(1)));
    assert_false(filter_may_have(&filter, mark_number(2)));
    assert_int_equal(filter.count, 1);
}

/* Marks come from hashing, so 0 is as good as any; and each end of the range has its own bits. */
static void the_ends_of_the_range_are_ordinary(void **state)
{
    static const uint64_t ends[] = {0, UINT64_MAX, 1, UINT64_C(1) << 63, UINT64_C(1) << 28};
    struct filter filter;
    (void)state;
    make(&filter, 1000);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        assert_false(filter_may_have(&filter, ends[i]));
        filter_add(&filter, ends[i]);
        assert_true(filter_may_have(&filter, ends[i]));
    }
}

/* At most twice the 16 bits, and nothing behind the plan is touched: the arena ends in a guard. */
static void sixteen_bits_a_mark(void **state)
{
    static const uint32_t sizes[] = {1, 31, 32, 33, 1000, WORST, WORST + 1};
    struct filter filter;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        make(&filter, sizes[i]);
        assert_true(arena.bytes >= (size_t)2 * sizes[i]);
        assert_true(arena.bytes <= (size_t)4 * sizes[i] + CACHE_LINE);
        for (uint32_t k = 0; k < 1000; k++)
            filter_add(&filter, mark_number(k));
    }
    memset(&arena, 0, sizeof arena); /* the largest there can be still fits its numbers */
    filter_plan(&filter, &arena, UINT32_MAX);
    assert_true(arena.bytes >= (size_t)2 * UINT32_MAX && arena.bytes <= (size_t)4 * UINT32_MAX);
}

static void at_capacity_few_foreign_marks_pass(void **state)
{
    struct filter filter;
    (void)state;
    make(&filter, WORST);
    assert_int_equal(arena.bytes, 2 * WORST);
    for (uint32_t i = 0; i < WORST; i++)
        filter_add(&filter, mark_number(i));
    for (uint32_t i = 0; i < WORST; i++)
        assert_true(filter_may_have(&filter, mark_number(i)));
    double share = share_of_foreign(&filter);
    printf("at capacity %.3f %% of the foreign marks pass\n", 100 * share);
    assert_true(share < 0.005); /* 0.27 % by calculation */
    assert_false(filter.full);
}

static void beyond_capacity_it_says_maybe_to_all(void **state)
{
    struct filter filter;
    (void)state;
    make(&filter, 100);
    for (uint32_t i = 0; i < 100; i++)
        filter_add(&filter, mark_number(7)); /* repeats count: the ledger cannot tell them */
    assert_false(filter_may_have(&filter, mark_number(8)));
    filter_add(&filter, mark_number(9));
    assert_true(filter.full);
    assert_true(share_of_foreign(&filter) == 1);
}

static void without_memory_it_says_maybe_to_all(void **state)
{
    struct filter filter, never = {0};
    (void)state;
    make(&filter, 0);
    assert_int_equal(arena.bytes, 0);
    assert_true(filter_may_have(&filter, 5));
    filter_add(&filter, 5);
    assert_true(filter_may_have(&filter, 5));
    assert_true(filter_may_have(&never, 5));
    filter_add(&never, 5);
    assert_true(never.full);
}

/* The writer tells only after it has added, as the ledger does with the gate: whoever hears of a
 * mark must find it. Every third round the filter is too small and becomes full meanwhile. */
static struct meeting {
    struct filter filter;
    _Atomic uint32_t told;
} m;

static void *add_and_tell(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < MEETING; i++) {
        filter_add(&m.filter, mark_number(i));
        atomic_store_explicit(&m.told, i + 1, memory_order_release);
    }
    return NULL;
}

static uint32_t count_missing(uint32_t from, uint32_t to)
{
    uint32_t missing = 0;
    for (uint32_t i = from; i < to; i++)
        missing += !filter_may_have(&m.filter, mark_number(i));
    return missing;
}

static void who_has_heard_of_a_mark_finds_it(void **state)
{
    pthread_t thread;
    (void)state;
    for (uint32_t round = 0; round < 6; round++) {
        uint32_t seen = 0, missing = 0;
        make(&m.filter, round % 3 == 2 ? MEETING / 2 : MEETING);
        atomic_store(&m.told, 0);
        assert_int_equal(pthread_create(&thread, NULL, add_and_tell, NULL), 0);
        while (seen < MEETING) {
            uint32_t told = atomic_load_explicit(&m.told, memory_order_acquire);
            missing += count_missing(seen, told) + count_missing(0, told < 16 ? told : 16);
            seen = told;
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(missing + count_missing(0, MEETING), 0);
        assert_int_equal(m.filter.full, round % 3 == 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mark_is_the_same_everywhere),
        cmocka_unit_test(what_was_added_may_be_there),
        cmocka_unit_test(the_ends_of_the_range_are_ordinary),
        cmocka_unit_test(sixteen_bits_a_mark),
        cmocka_unit_test(at_capacity_few_foreign_marks_pass),
        cmocka_unit_test(beyond_capacity_it_says_maybe_to_all),
        cmocka_unit_test(without_memory_it_says_maybe_to_all),
        cmocka_unit_test(who_has_heard_of_a_mark_finds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
