/*
 * fault: a message for the operator about what went wrong: where, the value seen, what to do.
 *
 * A function that can fail returns bool and fills the caller's struct fault:
 *     if (bind(fd, ...) != 0)
 *         return fault(f, "listen %s: %s; is another server running?", text, strerror(errno));
 * Threads: any; a struct fault belongs to its caller. Never allocates.
 */
#ifndef SPIKE_FAULT_H
#define SPIKE_FAULT_H

#include "conf/base/check.h"

#define FAULT_TEXT 640

struct fault {
    char text[FAULT_TEXT]; /* one line without newline; cut if longer */
};

/* Writes the text and is always false; a macro, so that the compiler and the analyzer know that. */
#define fault(f, ...) (fault_set((f), __VA_ARGS__), false)

void fault_set(struct fault *f, const char *format, ...) PRINTF(2, 3);

#endif
