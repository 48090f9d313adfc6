/*
 * Why: workers and the ledger exchange messages only through rings and doorbells. A lost message is
 * an order without an answer, a duplicated one is a ticket sold twice. Runs with two threads, and
 * under ThreadSanitizer.
 */
/* needs: server/shared/channel.c server/shared/ring.c server/shared/doorbell.c conf/base/arena.c
 *        conf/base/fault.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/shared/channel.h"

#define OBJECTS 64u
#define ROUNDS  200000u

static struct arena arena;
static struct fault f;

static struct ring *make(uint32_t capacity)
{
    memset(&arena, 0, sizeof arena);
    size_t pool = ring_plan(&arena, capacity);
    assert_true(arena_map(&arena, &f));
    return ring_init(&arena, pool, capacity);
}

static void test_first_in_first_out(void **state)
{
    (void)state;
    int objects[5];
    struct ring *r = make(5); /* eight slots */
    assert_null(ring_pop(r));
    assert_true(ring_is_empty(r));
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 5; i++)
            ring_push(r, &objects[i]);
        assert_false(ring_is_empty(r));
        for (int i = 0; i < 5; i++)
            assert_ptr_equal(ring_pop(r), &objects[i]);
        assert_null(ring_pop(r));
    }
}

/* A ring that is full takes no more before one is popped: the capacity is a power of two. */
static void test_full_to_the_last_slot(void **state)
{
    (void)state;
    int objects[8];
    struct ring *r = make(5);
    for (int i = 0; i < 8; i++)
        ring_push(r, &objects[i]);
    for (int i = 0; i < 8; i++)
        assert_ptr_equal(ring_pop(r), &objects[i]);
    assert_true(ring_is_empty(r));
}

/* Objects go round between two threads, as many as the ring has slots, so that full and empty both
 * happen. The thread that owns an object counts it; the counts are plain integers on purpose, so
 * that ThreadSanitizer sees a double owner. */
static struct channel x;
static uint64_t objects[OBJECTS];

static void *echo(void *unused)
{
    (void)unused;
    for (uint32_t done = 0; done < ROUNDS;) {
        uint64_t *object = ring_pop(x.orders);
        if (object == NULL) {
            doorbell_arm(x.worker);
            if (ring_is_empty(x.orders))
                doorbell_wait(x.worker, 5000000); /* a lost ring makes the test very slow */
            doorbell_disarm(x.worker);
            continue;
        }
        ++*object;
        ring_push(x.verdicts, object);
        done++;
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    pthread_t thread;
    struct doorbell *bell = doorbell_open(&f);
    assert_non_null(bell);
    memset(&arena, 0, sizeof arena);
    channel_plan(&x, &arena, OBJECTS);
    assert_true(arena_map(&arena, &f));
    assert_true(channel_init(&x, &arena, bell, &f));
    assert_int_equal(pthread_create(&thread, NULL, echo, NULL), 0);
    uint32_t sent = 0, got = 0;
    uint32_t out = 0;
    while (got < ROUNDS) {
        while (sent < ROUNDS && out < OBJECTS) {
            objects[sent % OBJECTS]++;
            ring_push(x.orders, &objects[sent % OBJECTS]);
            sent++;
            out++;
        }
        doorbell_ring(x.worker);
        uint64_t *object;
        while ((object = ring_pop(x.verdicts)) != NULL) {
            assert_ptr_equal(object, &objects[got % OBJECTS]); /* in order, none lost */
            got++;
            out--;
        }
    }
    pthread_join(thread, NULL);
    for (uint32_t i = 0; i < OBJECTS; i++)
        assert_int_equal(objects[i], 2 * (uint64_t)(ROUNDS / OBJECTS));
    doorbell_close(x.worker);
    doorbell_close(bell);
}

static void test_a_ring_before_the_wait_ends_it(void **state)
{
    (void)state;
    struct doorbell *d = doorbell_open(&f);
    assert_non_null(d);
    doorbell_ring(d); /* the owner is awake: no effect */
    doorbell_arm(d);
    doorbell_ring(d);
    doorbell_wait(d, UINT64_C(3600) * 1000000); /* returns at once, or the test hangs */
    doorbell_disarm(d);
    doorbell_close(d);
}

static uint64_t slept_us(struct doorbell *d, uint64_t timeout_us)
{
    struct timespec from, to;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &from), 0);
    doorbell_arm(d);
    doorbell_wait(d, timeout_us);
    doorbell_disarm(d);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &to), 0);
    return (uint64_t)((to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
}

/* The ringer is preempted between the exchange and the write, and writes when the owner has found
 * the message and is awake again: one wait may end early, every later one sleeps. */
static void test_a_late_ring_costs_one_sleep(void **state)
{
    (void)state;
    const uint64_t nap_us = 30000, hour_us = UINT64_C(3600) * 1000000, one = 1;
    struct doorbell *d = doorbell_open(&f);
    assert_non_null(d);
    doorbell_arm(d);
    doorbell_disarm(d);
    assert_int_equal(write(doorbell_fd(d), &one, sizeof one), (ssize_t)sizeof one);
    assert_true(slept_us(d, hour_us) < hour_us); /* returns, or the test hangs */
    assert_true(slept_us(d, nap_us) >= nap_us);
    assert_true(slept_us(d, nap_us) >= nap_us);
    doorbell_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_in_first_out),
        cmocka_unit_test(test_full_to_the_last_slot),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_a_ring_before_the_wait_ends_it),
        cmocka_unit_test(test_a_late_ring_costs_one_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
