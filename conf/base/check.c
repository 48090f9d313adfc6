/*
 * check: a failed assertion ends the process; the role of a thread is a variable of its own.
 */
#include "conf/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

_Thread_local enum thread_role thread_current = THREAD_MAIN;

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s:%d: impossible: not (%s); this is a bug in spike\n",
                     file, line, what);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    ssize_t ignored =
        write(STDERR_FILENO, text, len); /* without standard error, abort all the same */
    (void)ignored;
    abort();
}

void thread_set_role(enum thread_role role, const char *name)
{
    ASSERT(role <= THREAD_STAT_LOG && name != NULL);
    thread_current = role;
    if (role != THREAD_MAIN)
        prctl(PR_SET_NAME, name);
}
