/*
 * check: what is impossible, what must be looked at, and who may call.
 *
 * ASSERT states what cannot happen unless this program itself is wrong. It stays on in
 * production: a seller that has lost its mind must stop before it sells. What a client, a
 * network, a disk or Redis can do is never "impossible"; that is a fault (fault.h).
 *
 * Threads: any. A thread says once who it is (thread_is); owners are then asserted by name.
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

_Noreturn void check_failed(const char *file, int line, const char *what);

enum thread_role { THREAD_MAIN, THREAD_WORKER, THREAD_LEDGER, THREAD_STAT_LOG };

/* Names the calling thread, for ASSERT_* here and for the system's tools (prctl). */
void thread_is(enum thread_role role, const char *name);
extern _Thread_local enum thread_role thread_current; /* written by thread_is() alone */
static inline enum thread_role thread_role(void)
{
    return thread_current;
}

#define ASSERT_LEDGER() ASSERT(thread_role() == THREAD_LEDGER)
#define ASSERT_MAIN()   ASSERT(thread_role() == THREAD_MAIN)

#endif
