/*
 * Why: P4 and the fast refusal. When the event is sold out, a key that is not in this filter is
 * refused at once; if the key has an order, the refusal is false and the buyer loses the ticket. So
 * "no" must be certain, from another thread too; and "maybe" must stay rare, or every refusal goes
 * to the ledger. Runs with two threads under ThreadSanitizer.
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
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/key_hash.h"
#include "server/shared/filter.h"

#define WORST   32768u /* a power of two: exactly 16 bits a hash */
#define FOREIGN 400000u
#define SHARED  20000u

static struct arena arena;
static struct fault f;

/* Main plans and maps; the ledger adds. */
static struct filter *make(uint32_t capacity)
{
    thread_set_role(THREAD_MAIN, "filter-test");
    memset(&arena, 0, sizeof arena);
    size_t pool = filter_plan(&arena, capacity);
    assert_true(arena_map(&arena, &f));
    struct filter *filter = filter_init(&arena, pool, capacity);
    thread_set_role(THREAD_LEDGER, "filter-test");
    return filter;
}

/* Full: then every key gets "maybe", also one whose bits are not set. */
static bool is_full(const struct filter *filter)
{
    uint32_t maybe = 0;
    for (uint64_t i = 1; i <= 1000; i++)
        maybe += filter_may_have(filter, i * UINT64_C(0x9e3779b97f4a7c15));
    return maybe == 1000;
}

static uint64_t hash_number(uint32_t number)
{
    char key[16];
    return key_hash(key, (size_t)snprintf(key, sizeof key, "key-%u", number));
}

static double share_of_foreign(const struct filter *filter)
{
    uint32_t maybe = 0;
    for (uint32_t i = 0; i < FOREIGN; i++)
        maybe += filter_may_have(filter, hash_number(1000000000 + i));
    return (double)maybe / FOREIGN;
}

/* Nodes read each other's key hashes: every build must compute the same. The values come from a
 * SipHash-2-4 that is independent of libsodium's. */
static void a_key_hash_is_the_same_everywhere(void **state)
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
    (void)state;
    struct filter *filter = make(1000);
    assert_false(filter_may_have(filter, hash_number(1)));
    filter_add(filter, hash_number(1));
    assert_true(filter_may_have(filter, hash_number(1)));
    assert_false(filter_may_have(filter, hash_number(2)));
    assert_int_equal(filter_fill(filter), 1);
    assert_int_equal(filter_capacity(filter), 1000);
}

/* A hash may be 0, and each end of the range has bits of its own. */
static void the_ends_of_the_range_are_ordinary(void **state)
{
    static const uint64_t ends[] = {0, UINT64_MAX, 1, UINT64_C(1) << 63, UINT64_C(1) << 28};
    (void)state;
    struct filter *filter = make(1000);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        assert_false(filter_may_have(filter, ends[i]));
        filter_add(filter, ends[i]);
        assert_true(filter_may_have(filter, ends[i]));
    }
}

/* At most twice the 16 bits, and no byte behind the plan is touched: the arena ends in a guard
 * page. */
static void sixteen_bits_a_hash(void **state)
{
    static const uint32_t sizes[] = {1, 31, 32, 33, 1000, WORST, WORST + 1};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct filter *filter = make(sizes[i]);
        assert_true(arena.bytes >= (size_t)2 * sizes[i]);
        assert_true(arena.bytes <= (size_t)4 * sizes[i] + 2 * CACHE_LINE);
        for (uint32_t k = 0; k < 1000; k++)
            filter_add(filter, hash_number(k));
    }
    thread_set_role(THREAD_MAIN, "filter-test");
    memset(&arena, 0, sizeof arena); /* the largest capacity does not overflow */
    filter_plan(&arena, UINT32_MAX);
    assert_true(arena.bytes >= (size_t)2 * UINT32_MAX &&
                arena.bytes <= (size_t)4 * UINT32_MAX + CACHE_LINE);
}

static void at_capacity_few_foreign_keys_pass(void **state)
{
    (void)state;
    struct filter *filter = make(WORST);
    assert_int_equal(arena.bytes, 2 * WORST + CACHE_LINE);
    for (uint32_t i = 0; i < WORST; i++)
        filter_add(filter, hash_number(i));
    for (uint32_t i = 0; i < WORST; i++)
        assert_true(filter_may_have(filter, hash_number(i)));
    double share = share_of_foreign(filter);
    printf("at capacity %.3f %% of the foreign keys pass\n", 100 * share);
    assert_true(share < 0.005); /* 0.27 % by calculation */
    assert_int_equal(filter_fill(filter), WORST);
    assert_false(is_full(filter));
}

static void beyond_capacity_it_says_maybe_to_all(void **state)
{
    (void)state;
    struct filter *filter = make(100);
    for (uint32_t i = 0; i < 100; i++)
        filter_add(filter, hash_number(7)); /* repeats count: the ledger cannot recognize them */
    assert_false(filter_may_have(filter, hash_number(8)));
    filter_add(filter, hash_number(9));
    assert_true(is_full(filter));
    assert_int_equal(filter_fill(filter), 100);
    assert_true(share_of_foreign(filter) == 1);
}

static void without_memory_it_says_maybe_to_all(void **state)
{
    (void)state;
    struct filter *filter = make(0);
    assert_int_equal(arena.bytes, CACHE_LINE);
    assert_true(filter_may_have(filter, 5));
    filter_add(filter, 5);
    assert_true(filter_may_have(filter, 5));
    assert_true(is_full(filter));
    assert_int_equal(filter_fill(filter), 0);
}

/* The writer publishes a count after it has added the hashes, as the ledger does with the gate: a
 * reader that sees the count must find every hash below it. In every third round the filter is too
 * small and becomes full meanwhile. */
static struct filter *shared;
static _Atomic uint32_t published;

static void *add_and_publish(void *unused)
{
    (void)unused;
    thread_set_role(THREAD_LEDGER, "filter-writer");
    for (uint32_t i = 0; i < SHARED; i++) {
        filter_add(shared, hash_number(i));
        atomic_store_explicit(&published, i + 1, memory_order_release);
    }
    return NULL;
}

static uint32_t count_missing(uint32_t from, uint32_t to)
{
    uint32_t missing = 0;
    for (uint32_t i = from; i < to; i++)
        missing += !filter_may_have(shared, hash_number(i));
    return missing;
}

static void a_published_hash_is_found(void **state)
{
    pthread_t thread;
    (void)state;
    for (uint32_t round = 0; round < 6; round++) {
        uint32_t seen = 0, missing = 0;
        shared = make(round % 3 == 2 ? SHARED / 2 : SHARED);
        atomic_store(&published, 0);
        assert_int_equal(pthread_create(&thread, NULL, add_and_publish, NULL), 0);
        while (seen < SHARED) {
            uint32_t count = atomic_load_explicit(&published, memory_order_acquire);
            missing += count_missing(seen, count) + count_missing(0, count < 16 ? count : 16);
            seen = count;
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(missing + count_missing(0, SHARED), 0);
        assert_int_equal(is_full(shared), round % 3 == 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_hash_is_the_same_everywhere),
        cmocka_unit_test(what_was_added_may_be_there),
        cmocka_unit_test(the_ends_of_the_range_are_ordinary),
        cmocka_unit_test(sixteen_bits_a_hash),
        cmocka_unit_test(at_capacity_few_foreign_keys_pass),
        cmocka_unit_test(beyond_capacity_it_says_maybe_to_all),
        cmocka_unit_test(without_memory_it_says_maybe_to_all),
        cmocka_unit_test(a_published_hash_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
