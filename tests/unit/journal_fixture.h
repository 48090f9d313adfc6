/*
 * journal_fixture: what the tests of the journal share: a directory of their own, orders to fill a
 * journal with, and checks of what is in it.
 */
#ifndef SPIKE_TESTS_JOURNAL_FIXTURE_H
#define SPIKE_TESTS_JOURNAL_FIXTURE_H

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/journal/journal.h"

#define MEGABYTE (UINT64_C(1) << 20)

struct test_dir {
    char root[64]; /* created by the test, and removed */
    char dir[96];  /* the journal in it */
    char data[112];
};

/* In /dev/shm if it exists: these tests commit ten thousand times, and their results do not depend
 * on a disk. They also open a thousand journals, for each of which LMDB allocates megabytes of
 * zeros; with mmap these cost nothing. */
static inline void test_dir_make(struct test_dir *p)
{
    (void)mallopt(M_MMAP_THRESHOLD, 65536);
    const char *base = getenv("TMPDIR");
    if (base == NULL)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(p->root, sizeof p->root, "%.32s/spike-test-XXXXXX", base);
    assert_non_null(mkdtemp(p->root));
    snprintf(p->dir, sizeof p->dir, "%s/journal", p->root);
    snprintf(p->data, sizeof p->data, "%s/data.mdb", p->dir);
}

static inline void test_dir_remove(const struct test_dir *p)
{
    static const char *const names[] = {"journal/data.mdb", "journal/lock.mdb", "journal/lock"};
    char path[160];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", p->root, names[i]);
        unlink(path);
    }
    rmdir(p->dir);
    assert_int_equal(rmdir(p->root), 0);
}

/* As a standalone server does: opened and begun. */
static inline struct journal *open_and_begin(const struct journal_options *o, struct fault *f)
{
    struct journal *j = journal_open(o, f);
    if (j == NULL || journal_begin(j, f))
        return j;
    journal_close(j);
    return NULL;
}

/* Opens it for node 7 with the events "ticket" and "seat". */
static inline struct journal *test_dir_try(const struct test_dir *p, uint64_t size, struct fault *f)
{
    const struct journal_options o = {
        .dir = p->dir, .size = size, .node = 7, .events = {"ticket", "seat"}, .event_count = 2};
    return open_and_begin(&o, f);
}

static inline struct journal *test_dir_open(const struct test_dir *p, uint64_t size)
{
    struct fault f = {""};
    struct journal *j = test_dir_try(p, size, &f);
    if (j == NULL)
        fail_msg("%s", f.text);
    return j;
}

/* An order whose fields follow from its number, so that a test knows what it must find. */
static inline struct record order_of(uint64_t number)
{
    struct record r = {.kind = RECORD_GRANT, .state = ORDER_SOLD, .number = number, .n = 1};
    if (number % 3 == 0) {
        r.buyer_len = PARAM_MAX;
        r.key_len = (uint8_t)(number % PARAM_MAX);
        memset(r.buyer, 'b', PARAM_MAX);
        memset(r.key, 'k', r.key_len);
    }
    return r;
}

/* Appends `count` orders behind the last one of an event that holds nothing else. */
static inline void append_orders(struct journal *j, uint32_t event, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct record r = order_of(journal_end(j, event) + 1);
        journal_append(j, event, &r, r.number * 10);
    }
}

/* Records that may follow the grant of an order. */
static inline struct record change_of(uint64_t number, uint8_t was, uint8_t state)
{
    return (struct record){
        .kind = RECORD_CHANGE, .number = number, .was = was, .state = state, .n = 1};
}

static inline struct record late_of(uint64_t number, uint64_t of)
{
    return (struct record){.kind = RECORD_LATE,
                           .number = number,
                           .of = of,
                           .was = ORDER_EXPIRED,
                           .state = ORDER_SOLD,
                           .n = 1};
}

static inline struct record refusal_of(uint64_t number)
{
    return (struct record){
        .kind = RECORD_REFUSAL, .number = number, .state = ORDER_EXPIRED, .n = 1};
}

static inline struct record append(struct journal *j, uint32_t event, struct record r)
{
    journal_append(j, event, &r, 5);
    return r;
}

static inline struct record append_held(struct journal *j, uint32_t event, uint64_t number)
{
    struct record r = order_of(number);
    r.state = ORDER_HELD;
    return append(j, event, r);
}

/* The journal finds these two records of the order. */
static inline void check_order(struct journal *j, uint32_t event, const struct record *want_grant,
                               const struct record *want_last)
{
    struct record grant, last;
    struct fault f;
    int found = journal_order(j, event, want_grant->number, &grant, &last, &f);
    if (found < 0)
        fail_msg("%s", f.text);
    assert_int_equal(found, 1);
    assert_memory_equal(&grant, want_grant, sizeof grant);
    assert_memory_equal(&last, want_last, sizeof last);
}

static inline void check_no_order(struct journal *j, uint32_t event, uint64_t number)
{
    struct record grant, last;
    struct fault f;
    assert_int_equal(journal_order(j, event, number, &grant, &last, &f), 0);
}

static inline int test_dir_setup(void **state)
{
    static struct test_dir where;
    test_dir_make(&where);
    *state = &where;
    return 0;
}

static inline int test_dir_teardown(void **state)
{
    test_dir_remove(*state);
    return 0;
}

static inline void commit(struct journal *j)
{
    struct fault f;
    if (!journal_commit(j, &f))
        fail_msg("%s", f.text);
}

static inline bool is_order(void *context, const struct record *r)
{
    uint64_t *seen = context;
    struct record want = order_of(++*seen);
    want.seq = *seen;
    want.time_wall_ms = *seen * 10;
    assert_memory_equal(r, &want, sizeof want);
    return true;
}

/* Exactly the orders 1 .. count are there, each as it was written. */
static inline void check_orders(struct journal *j, uint32_t event, uint64_t count)
{
    struct fault f;
    uint64_t seen = 0;
    if (!journal_walk(j, event, is_order, &seen, &f))
        fail_msg("%s", f.text);
    assert_int_equal(seen, count);
}

#endif
