/*
 * check: assertions, results that must be checked, and the roles of threads.
 *
 * ASSERT states what cannot happen unless this program itself is wrong. It stays on in production:
 * a server whose state is inconsistent must stop before it sells. What a client, a network, a disk
 * or Redis can do is never "impossible"; that is a fault (fault.h).
 *
 * Threads: any. A thread sets its role once (thread_set_role); functions then assert their owner.
 */
#ifndef SPIKE_CHECK_H
#define SPIKE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK   __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CACHE_LINE   64
#define LIKELY(c)    __builtin_expect(!!(c), 1)

#define ASSERT(c)    (LIKELY(c) ? (void)0 : check_failed(__FILE__, __LINE__, #c))

/* Prints "FILE:LINE: impossible: ..." to standard error and aborts. */
_Noreturn void check_failed(const char *file, int line, const char *what);

enum thread_role { THREAD_MAIN, THREAD_WORKER, THREAD_LEDGER, THREAD_STAT_LOG };

/* Sets the role of the calling thread, for ASSERT_*; unless it is main, also its name, for the
 * tools of the system (prctl). A thread that sets no role is main. */
void thread_set_role(enum thread_role role, const char *name);
extern _Thread_local enum thread_role thread_current; /* written by thread_set_role() alone */
static inline enum thread_role thread_role(void)
{
    return thread_current;
}

#define ASSERT_LEDGER() ASSERT(thread_role() == THREAD_LEDGER)
#define ASSERT_MAIN()   ASSERT(thread_role() == THREAD_MAIN)

#endif
