/*
 * home: the directory of a journal: made, locked, and known to have held a journal.
 *
 * The file `lock` in it is locked (flock) by the one server that owns the directory and names its
 * process. It says `new` while there is no journal yet, and once the first commit of one is synced
 * it says `journal`: from then on an empty or missing data.mdb is a loss, not a beginning. A
 * data.mdb that is there before the file is a journal.
 *
 * Owner: main, while the server starts.
 */
#ifndef SPIKE_JOURNAL_DIR_H
#define SPIKE_JOURNAL_DIR_H

#include <stdint.h>

#include "conf/base/fault.h"

#define JOURNAL_DIR_DATA "data.mdb" /* LMDB's name for it */

/* What every finding of damage ends with. An older copy sells again what was sold since. */
#define JOURNAL_ADVICE                                                                    \
    "; leave the directory as it is and check the disk (dmesg, smartctl); an older copy " \
    "sells tickets twice; what to do: spike-server(8), DIAGNOSTICS"

enum journal_dir_content {
    JOURNAL_DIR_BLANK,      /* nothing there yet: no file, or one that LMDB has not begun to fill */
    JOURNAL_DIR_UNFINISHED, /* a file that a first start has left, and that never held a record */
    JOURNAL_DIR_JOURNAL,    /* a file to be verified */
    JOURNAL_DIR_LOST,       /* there was a journal, and now it is blank */
};

/* Makes the directory if need be and locks it. Answers the descriptor that holds the lock, or -1:
 * f says who holds it or what else is wrong. */
MUST_CHECK int journal_dir_lock(const char *dir, struct fault *f);
enum journal_dir_content journal_dir_inspect(const char *dir);
/* Removes a data file that is blank, or begun and not sound, for LMDB takes only none or a whole
 * one; and the file that LMDB's readers share, for those of the old file are none of the new. */
MUST_CHECK bool journal_dir_clear(const char *dir, struct fault *f);
/* Takes the blocks on the disk that lock.mdb will need with so many readers: LMDB makes it as a
 * hole and maps it, and on a full disk would die of the first byte that it writes. */
MUST_CHECK bool journal_dir_reserve(const char *dir, uint64_t readers, struct fault *f);
/* After the first commit: says so in the lock file and makes the names of all files durable. */
MUST_CHECK bool journal_dir_confirm(const char *dir, int lock, struct fault *f);

#endif
