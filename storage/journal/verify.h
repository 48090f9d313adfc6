/*
 * verify: is this journal sound? A damaged LMDB page can kill the process that reads it (a bad
 * page number, a file cut short: SIGSEGV, SIGBUS, an assert inside the library), so the whole file
 * is read in a child process first, and only a sound one is opened here.
 *
 * Checked: format, every database's tree, seq without gaps, every record's CRC chain and meaning
 * (states, numbers that rise by one, a change of an order that was granted), the index (it says
 * exactly what the records say), the list of free pages.
 *
 * Owner: main, before any thread is started (it forks).
 */
#ifndef SPIKE_VERIFY_H
#define SPIKE_VERIFY_H

#include "conf/base/fault.h"

/* True: sound, or nothing there yet. False: f says what is damaged and where, or which signal the
 * reader died of. */
MUST_CHECK bool journal_verify(const char *dir, struct fault *f);

#endif
