/*
 * Why: workers and the ledger meet on rings and bells and nowhere else. A message that is lost
 * there is an order without an answer, one that is doubled is a ticket sold twice. Run with two
 * threads, and under ThreadSanitizer.
 */
/* needs: server/shared/ring.c server/shared/doorbell.c conf/base/arena.c conf/base/fault.c
 *        conf/base/check.c */
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

#include "server/shared/doorbell.h"
#include "server/shared/ring.h"

#define OBJECTS 64u
#define ROUNDS  200000u

static struct arena arena;
static struct fault f;

static void make(struct ring *r, uint32_t capacity)
{
    memset(&arena, 0, sizeof arena);
    memset(r, 0, sizeof *r);
    ring_plan(r, &arena, capacity);
    assert_true(arena_map(&arena, &f));
    ring_init(r, &arena);
}

static void test_first_in_first_out(void **state)
{
    (void)state;
    struct ring r;
    int objects[5];
    make(&r, 5); /* eight places */
    assert_null(ring_pop(&r));
    assert_true(ring_is_empty(&r));
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 5; i++)
            ring_push(&r, &objects[i]);
        assert_false(ring_is_empty(&r));
        for (int i = 0; i < 5; i++)
            assert_ptr_equal(ring_pop(&r), &objects[i]);
        assert_null(ring_pop(&r));
    }
}

/* Objects go round between two threads: as many as the ring has places, so that full and empty
 * both happen. Each is counted by who holds it; the counts are plain integers on purpose. */
static struct meeting {
    struct ring there, back;
    struct doorbell bell;
    uint64_t objects[OBJECTS];
} m;

static void *echo(void *unused)
{
    (void)unused;
    for (uint32_t done = 0; done < ROUNDS;) {
        uint64_t *object = ring_pop(&m.there);
        if (object == NULL) {
            doorbell_arm(&m.bell);
            if (ring_is_empty(&m.there))
                doorbell_wait(&m.bell, 5000000); /* a ring that is lost makes the test crawl */
            doorbell_disarm(&m.bell);
            continue;
        }
        ++*object;
        ring_push(&m.back, object);
        done++;
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    pthread_t thread;
    memset(&arena, 0, sizeof arena);
    ring_plan(&m.there, &arena, OBJECTS);
    ring_plan(&m.back, &arena, OBJECTS);
    assert_true(arena_map(&arena, &f));
    ring_init(&m.there, &arena);
    ring_init(&m.back, &arena);
    assert_true(doorbell_open(&m.bell, &f));
    assert_int_equal(pthread_create(&thread, NULL, echo, NULL), 0);
    uint32_t sent = 0, got = 0;
    uint32_t out = 0;
    while (got < ROUNDS) {
        while (sent < ROUNDS && out < OBJECTS) {
            m.objects[sent % OBJECTS]++;
            ring_push(&m.there, &m.objects[sent % OBJECTS]);
            sent++;
            out++;
        }
        doorbell_ring(&m.bell);
        uint64_t *object;
        while ((object = ring_pop(&m.back)) != NULL) {
            assert_ptr_equal(object, &m.objects[got % OBJECTS]); /* in order, none lost */
            got++;
            out--;
        }
    }
    pthread_join(thread, NULL);
    for (uint32_t i = 0; i < OBJECTS; i++)
        assert_int_equal(m.objects[i], 2 * (uint64_t)(ROUNDS / OBJECTS));
    doorbell_close(&m.bell);
}

static void test_a_bell_rung_before_the_wait_is_heard(void **state)
{
    (void)state;
    struct doorbell d;
    assert_true(doorbell_open(&d, &f));
    doorbell_ring(&d); /* nobody sleeps: nothing is left behind */
    doorbell_arm(&d);
    doorbell_ring(&d);
    doorbell_wait(&d, UINT64_C(3600) * 1000000); /* returns at once, or the test hangs */
    doorbell_disarm(&d);
    doorbell_close(&d);
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

/* The ringer is put aside between the word and the write, and its ring arrives when the owner has
 * found the message and is up again: one wait may end early by it, every later one sleeps. */
static void test_a_late_ring_costs_one_sleep(void **state)
{
    (void)state;
    const uint64_t nap_us = 30000, hour_us = UINT64_C(3600) * 1000000, one = 1;
    struct doorbell d;
    assert_true(doorbell_open(&d, &f));
    doorbell_arm(&d);
    doorbell_disarm(&d);
    assert_int_equal(write(d.fd, &one, sizeof one), (ssize_t)sizeof one);
    assert_true(slept_us(&d, hour_us) < hour_us); /* heard, or the test hangs */
    assert_true(slept_us(&d, nap_us) >= nap_us);
    assert_true(slept_us(&d, nap_us) >= nap_us);
    doorbell_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_in_first_out),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_a_bell_rung_before_the_wait_is_heard),
        cmocka_unit_test(test_a_late_ring_costs_one_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
