/*
 * verify: is this journal sound? A damaged LMDB page can kill the process that reads it (a bad
 * page number, a file cut short: SIGSEGV, SIGBUS, an assertion inside the library), so the whole
 * file is read in a child process first, without the library, and only a sound one is opened.
 *
 * Checked: all pages of the newest commit (pages.h), its names, records and index (history.h).
 * LMDB may have failed in the last write of the next commit: what that left is found, too.
 *
 * Owner: main, before any thread is started (it forks).
 */
#ifndef SPIKE_VERIFY_H
#define SPIKE_VERIFY_H

#include <stdint.h>

#include "conf/base/fault.h"

/* A commit that is whole and lacks only its number: `records` more than the newest one's. */
struct leftover {
    uint64_t records; /* 0: there is none */
    uint64_t at;      /* byte of data.mdb where the two following belong, in this order */
    uint64_t last_page, txnid;
};

/* True: sound, or nothing there yet; *l is the commit after the newest one. False: f says what is
 * damaged and where, or which signal killed the child. */
MUST_CHECK bool journal_verify(const char *dir, struct leftover *l, struct fault *f);

#endif
