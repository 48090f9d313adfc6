/*
 * Why: P6. Every byte that a request needs is planned and mapped at start; a pool that hands out
 * one object twice would mix two buyers, and one that loses an object shrinks for ever.
 */
/* needs: conf/base/arena.c conf/base/pool.c conf/base/fault.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/base/pool.h"

#define COUNT 100u

struct object {
    _Alignas(max_align_t) uint64_t owner;
};

static struct arena arena;
static struct fault f;

static int reset(void **state)
{
    (void)state;
    memset(&arena, 0, sizeof arena);
    return 0;
}

static void test_the_plan_is_the_sum(void **state)
{
    (void)state;
    size_t a = arena_plan(&arena, "a", 3, 10), b = arena_plan(&arena, "b", 1, 64);
    size_t none = arena_plan(&arena, "none", 0, 8);
    assert_int_equal(arena.bytes, 128); /* each pool is rounded to a cache line */
    assert_true(arena_map(&arena, &f));
    unsigned char *pa = arena_block(&arena, a), *pb = arena_block(&arena, b);
    assert_int_equal(pb - pa, 64);
    assert_int_equal((uintptr_t)pa % 64, 0);
    assert_non_null(arena_block(&arena, none));
    for (int i = 0; i < 128; i++)
        assert_int_equal(pa[i], 0);
    arena_seal(&arena);
}

static void test_a_pool_gives_each_object_once(void **state)
{
    (void)state;
    struct pool p;
    struct object *held[COUNT];
    pool_plan(&p, &arena, "objects", COUNT, sizeof(struct object));
    assert_true(arena_map(&arena, &f));
    pool_init(&p, &arena);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            held[i] = pool_get(&p);
            assert_non_null(held[i]);
            held[i]->owner = i;
        }
        assert_null(pool_get(&p));
        assert_int_equal(p.used, COUNT);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(held[i]->owner, i);
        for (uint32_t i = 0; i < COUNT; i++)
            pool_put(&p, held[(i * 37 + (uint32_t)round) % COUNT]);
        assert_int_equal(p.used, 0);
    }
}

static void test_the_last_used_is_used_next(void **state)
{
    (void)state;
    struct pool p;
    pool_plan(&p, &arena, "objects", COUNT, sizeof(struct object));
    assert_true(arena_map(&arena, &f));
    pool_init(&p, &arena);
    void *one = pool_get(&p), *two = pool_get(&p);
    pool_put(&p, one);
    assert_ptr_equal(pool_get(&p), one);
    pool_put(&p, two);
    assert_ptr_equal(pool_get(&p), two);
}

/* Misuse that must end the process runs in a child. */
static int signal_of(void (*misuse)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        close(STDERR_FILENO);
        misuse();
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void get_block_after_seal(void)
{
    size_t a = arena_plan(&arena, "a", 1, 64);
    if (!arena_map(&arena, &f))
        _exit(0);
    arena_seal(&arena);
    (void)arena_block(&arena, a);
}

static void put_foreign(void)
{
    static struct object foreign;
    struct pool p;
    pool_plan(&p, &arena, "objects", COUNT, sizeof(struct object));
    if (!arena_map(&arena, &f))
        _exit(0);
    pool_init(&p, &arena);
    pool_put(&p, &foreign);
}

static void test_misuse_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(signal_of(get_block_after_seal), SIGABRT);
    assert_int_equal(signal_of(put_foreign), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_plan_is_the_sum, reset),
        cmocka_unit_test_setup(test_a_pool_gives_each_object_once, reset),
        cmocka_unit_test_setup(test_the_last_used_is_used_next, reset),
        cmocka_unit_test_setup(test_misuse_ends_the_process, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
