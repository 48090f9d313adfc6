/*
 * Why: a time-out that is missed leaves a connection open for ever (P7); one that is early cuts off
 * a buyer. The list must expire in order of joining and follow a changed limit at once.
 */
/* needs: server/net/deadline.c conf/base/check.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "server/net/deadline.h"

static void an_empty_list_is_never_due(void **state)
{
    struct deadline_list l;
    (void)state;
    deadline_list_init(&l);
    assert_null(deadline_first(&l));
    assert_null(deadline_expired(&l, UINT64_MAX - 1, 0));
    assert_true(deadline_next(&l, 5) == DEADLINE_NEVER);
}

static void it_expires_at_the_limit_and_not_before(void **state)
{
    struct deadline_list l;
    struct deadline d = {0};
    (void)state;
    deadline_list_init(&l);
    deadline_join(&l, &d, 100);
    assert_int_equal(deadline_next(&l, 10), 110);
    assert_null(deadline_expired(&l, 109, 10));
    assert_ptr_equal(deadline_expired(&l, 110, 10), &d);
}

static void the_longest_waiting_comes_first(void **state)
{
    struct deadline_list l;
    struct deadline d[3] = {0};
    (void)state;
    deadline_list_init(&l);
    for (size_t i = 0; i < 3; i++)
        deadline_join(&l, &d[i], 100 + i);
    deadline_leave(&d[1]); /* from the middle */
    assert_ptr_equal(deadline_first(&l), &d[0]);
    deadline_leave(&d[0]);
    assert_ptr_equal(deadline_first(&l), &d[2]);
    deadline_join(&l, &d[0], 200); /* again: behind the others */
    assert_ptr_equal(deadline_first(&l), &d[2]);
    deadline_leave(&d[2]);
    deadline_leave(&d[0]);
    assert_null(deadline_first(&l));
}

static void a_changed_limit_counts_at_once(void **state)
{
    struct deadline_list l;
    struct deadline d = {0};
    (void)state;
    deadline_list_init(&l);
    deadline_join(&l, &d, 100);
    assert_null(deadline_expired(&l, 150, 100));
    assert_ptr_equal(deadline_expired(&l, 150, 20), &d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_is_never_due),
        cmocka_unit_test(it_expires_at_the_limit_and_not_before),
        cmocka_unit_test(the_longest_waiting_comes_first),
        cmocka_unit_test(a_changed_limit_counts_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
