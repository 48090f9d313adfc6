/*
 * Why: the standalone stock keeps every key and every buyer here. A name that is lost is a second
 * ticket for one key (P4), or a ticket above the limit; a slot that leaks is, in a long sale, a
 * full table. A full table must report that it is full, and go on.
 */
/* needs: storage/stock/name_table.c conf/base/arena.c conf/base/fault.c conf/base/check.c -lsodium
 */
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
#include "storage/stock/name_table.h"

#define NAMES 300u
#define STEPS 200000u

static uint64_t seed;
static struct arena arena;
static struct fault f;

static struct name_table *make(uint32_t capacity)
{
    memset(&arena, 0, sizeof arena);
    struct name_table *t = name_table_plan(NAME_TABLE_KEYS, &arena, "names", capacity);
    assert_true(arena_map(&arena, &f));
    name_table_init(t, &arena);
    assert_int_equal(name_table_capacity(t), capacity);
    return t;
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
    struct name_table *t;
    (void)state;
    t = make(8);
    assert_int_equal(name_table_find(t, 0, "ann", 3), NAME_TABLE_NONE);
    uint32_t ann = name_table_add(t, 0, "ann", 3), bob = name_table_add(t, 0, "bob", 3);
    assert_true(ann < 8 && bob < 8 && ann != bob);
    assert_int_equal(name_table_find(t, 0, "ann", 3), ann);
    assert_int_equal(name_table_find(t, 0, "bob", 3), bob);
    name_table_remove(t, ann);
    assert_int_equal(name_table_find(t, 0, "ann", 3), NAME_TABLE_NONE);
    assert_int_equal(name_table_find(t, 0, "bob", 3), bob);
}

static void tells_events_and_bytes_apart(void **state)
{
    struct name_table *t;
    char longest[2][PARAM_MAX];
    (void)state;
    t = make(16);
    memset(longest, '~', sizeof longest);
    longest[1][PARAM_MAX - 1] = '}';
    uint32_t slot = name_table_add(t, 0, longest[0], PARAM_MAX);
    assert_int_equal(name_table_find(t, 0, longest[1], PARAM_MAX), NAME_TABLE_NONE);
    assert_int_equal(name_table_find(t, 0, longest[0], PARAM_MAX - 1), NAME_TABLE_NONE);
    assert_int_equal(name_table_find(t, EVENTS_MAX - 1, longest[0], PARAM_MAX), NAME_TABLE_NONE);
    uint32_t other = name_table_add(t, EVENTS_MAX - 1, longest[0], PARAM_MAX);
    assert_int_not_equal(other, slot);
    name_table_remove(t, slot);
    assert_int_equal(name_table_find(t, EVENTS_MAX - 1, longest[0], PARAM_MAX), other);
}

static void a_full_table_reports_it_and_goes_on(void **state)
{
    static const uint32_t capacities[] = {1, 2, 3, 7, 64};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        struct name_table *t;
        char name[16];
        uint32_t capacity = capacities[i], slot = 0;
        (void)state;
        t = make(capacity);
        for (uint32_t k = 0; k < capacity; k++) {
            snprintf(name, sizeof name, "name %u", k);
            slot = name_table_add(t, 3, name, strlen(name));
            assert_true(slot < capacity);
        }
        assert_int_equal(name_table_add(t, 3, "one more", 8), NAME_TABLE_NONE);
        assert_int_equal(name_table_find(t, 3, "one more", 8), NAME_TABLE_NONE);
        assert_int_equal(name_table_find(t, 3, name, strlen(name)), slot);
        name_table_remove(t, slot);
        assert_int_equal(name_table_add(t, 3, "one more", 8), slot);
        assert_int_equal(name_table_find(t, 3, "one more", 8), slot);
        assert_int_equal(name_table_add(t, 3, name, strlen(name)), NAME_TABLE_NONE);
    }
}

/* Compares it with an array: every name keeps its slot, no two share one, none is lost. */
static void does_as_a_plain_array_does(void **state)
{
    struct name_table *t;
    uint32_t slot_of[NAMES], used = 0, capacity = NAMES / 2;
    (void)state;
    t = make(capacity);
    memset(slot_of, 0xff, sizeof slot_of);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t k = below(NAMES), event = k % EVENTS_MAX;
        char name[16];
        size_t len = (size_t)snprintf(name, sizeof name, "%u", k / EVENTS_MAX);
        assert_int_equal(name_table_find(t, event, name, len), slot_of[k]);
        assert_int_equal(name_table_used(t), used);
        if (slot_of[k] != NAME_TABLE_NONE) {
            name_table_remove(t, slot_of[k]);
            slot_of[k] = NAME_TABLE_NONE;
            used--;
            continue;
        }
        slot_of[k] = name_table_add(t, event, name, len);
        assert_true(used == capacity ? slot_of[k] == NAME_TABLE_NONE : slot_of[k] < capacity);
        used += slot_of[k] != NAME_TABLE_NONE;
        for (uint32_t other = 0; other < NAMES && i % 64 == 0; other++)
            assert_true(other == k || slot_of[other] == NAME_TABLE_NONE ||
                        slot_of[other] != slot_of[k]);
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
        cmocka_unit_test(a_full_table_reports_it_and_goes_on),
        cmocka_unit_test(does_as_a_plain_array_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
