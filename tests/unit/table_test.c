/*
 * Why: the standalone stock keeps every key and every buyer here. A name that is lost is a second
 * ticket for one key (P4) or one more than the limit; a place that leaks is, in a long sale, a full
 * table. A full one must say so and go on.
 */
/* needs: storage/stock/table.c conf/base/arena.c conf/base/fault.c conf/base/check.c -lsodium */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/limits.h"
#include "storage/stock/table.h"

#define NAMES 300u
#define STEPS 200000u

static uint64_t seed;
static struct arena arena;
static struct fault f;

static void make(struct table *t, uint32_t capacity)
{
    memset(&arena, 0, sizeof arena);
    memset(t, 0, sizeof *t);
    table_plan(t, &arena, "names", capacity);
    assert_true(arena_map(&arena, &f));
    table_init(t, &arena);
}

/* xorshift64 (G. Marsaglia, 2003): the same run for the same seed. */
static uint32_t below(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % bound);
}

static void finds_what_was_added(void **state)
{
    struct table t;
    (void)state;
    make(&t, 8);
    assert_int_equal(table_find(&t, 0, "ann", 3), TABLE_NONE);
    uint32_t ann = table_add(&t, 0, "ann", 3), bob = table_add(&t, 0, "bob", 3);
    assert_true(ann < 8 && bob < 8 && ann != bob);
    assert_int_equal(table_find(&t, 0, "ann", 3), ann);
    assert_int_equal(table_find(&t, 0, "bob", 3), bob);
    table_remove(&t, ann);
    assert_int_equal(table_find(&t, 0, "ann", 3), TABLE_NONE);
    assert_int_equal(table_find(&t, 0, "bob", 3), bob);
}

static void tells_events_and_bytes_apart(void **state)
{
    struct table t;
    char longest[2][PARAM_MAX];
    (void)state;
    make(&t, 16);
    memset(longest, '~', sizeof longest);
    longest[1][PARAM_MAX - 1] = '}';
    uint32_t place = table_add(&t, 0, longest[0], PARAM_MAX);
    assert_int_equal(table_find(&t, 0, longest[1], PARAM_MAX), TABLE_NONE);
    assert_int_equal(table_find(&t, 0, longest[0], PARAM_MAX - 1), TABLE_NONE);
    assert_int_equal(table_find(&t, EVENTS_MAX - 1, longest[0], PARAM_MAX), TABLE_NONE);
    uint32_t other = table_add(&t, EVENTS_MAX - 1, longest[0], PARAM_MAX);
    assert_int_not_equal(other, place);
    table_remove(&t, place);
    assert_int_equal(table_find(&t, EVENTS_MAX - 1, longest[0], PARAM_MAX), other);
}

static void a_full_table_says_so_and_goes_on(void **state)
{
    static const uint32_t capacities[] = {1, 2, 3, 7, 64};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        struct table t;
        char name[16];
        uint32_t capacity = capacities[i], place = 0;
        (void)state;
        make(&t, capacity);
        for (uint32_t k = 0; k < capacity; k++) {
            snprintf(name, sizeof name, "name %u", k);
            place = table_add(&t, 3, name, strlen(name));
            assert_true(place < capacity);
        }
        assert_int_equal(table_add(&t, 3, "one more", 8), TABLE_NONE);
        assert_int_equal(table_find(&t, 3, "one more", 8), TABLE_NONE);
        assert_int_equal(table_find(&t, 3, name, strlen(name)), place);
        table_remove(&t, place);
        assert_int_equal(table_add(&t, 3, "one more", 8), place);
        assert_int_equal(table_find(&t, 3, "one more", 8), place);
        assert_int_equal(table_add(&t, 3, name, strlen(name)), TABLE_NONE);
    }
}

/* Against an array: every name at its place, no place twice, none lost. */
static void does_as_a_plain_array_does(void **state)
{
    struct table t;
    uint32_t place_of[NAMES], used = 0, capacity = NAMES / 2;
    (void)state;
    make(&t, capacity);
    memset(place_of, 0xff, sizeof place_of);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t k = below(NAMES), event = k % EVENTS_MAX;
        char name[16];
        size_t len = (size_t)snprintf(name, sizeof name, "%u", k / EVENTS_MAX);
        assert_int_equal(table_find(&t, event, name, len), place_of[k]);
        assert_int_equal(t.used, used);
        if (place_of[k] != TABLE_NONE) {
            table_remove(&t, place_of[k]);
            place_of[k] = TABLE_NONE;
            used--;
            continue;
        }
        place_of[k] = table_add(&t, event, name, len);
        assert_true(used == capacity ? place_of[k] == TABLE_NONE : place_of[k] < capacity);
        used += place_of[k] != TABLE_NONE;
        for (uint32_t other = 0; other < NAMES && i % 64 == 0; other++)
            assert_true(other == k || place_of[other] == TABLE_NONE ||
                        place_of[other] != place_of[k]);
    }
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0)
        return 1;
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)getpid() + 1;
    printf("seed %" PRIu64 "\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(tells_events_and_bytes_apart),
        cmocka_unit_test(a_full_table_says_so_and_goes_on),
        cmocka_unit_test(does_as_a_plain_array_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
