/*
 * journal_dir: the directory of a journal: created, locked, and known to have held a journal.
 *
 * The file `lock` in it is locked (flock) by the one server that owns the directory, and names the
 * server's process. Its state is `new` while there is no journal yet, and becomes `journal` once
 * the first commit of one is synced: from then on an empty or missing data.mdb is a loss, not a
 * first start. A data.mdb that is older than the lock file is a journal.
 *
 * Owner: main, while the server starts; journal_dir_confirm(): the journal's owner.
 */
#ifndef SPIKE_JOURNAL_DIR_H
#define SPIKE_JOURNAL_DIR_H

#include <stdint.h>

#include "conf/base/fault.h"

#define JOURNAL_DIR_DATA "data.mdb" /* LMDB's name for it */

/* The end of every message about damage. An older copy sells again what was sold since. */
#define JOURNAL_ADVICE                                                                    \
    "; leave the directory as it is and check the disk (dmesg, smartctl); an older copy " \
    "sells tickets twice; what to do: spike-server(8), DIAGNOSTICS"

enum journal_dir_content {
    JOURNAL_DIR_BLANK,      /* nothing yet: no file, or one that LMDB has not begun to fill */
    JOURNAL_DIR_UNFINISHED, /* the file of a first start that did not end; it never held a record */
    JOURNAL_DIR_JOURNAL,    /* a file to be verified */
    JOURNAL_DIR_LOST,       /* there was a journal, and now the file is blank or missing */
};

/* Creates the directory if it does not exist, and locks it. Returns the descriptor that holds the
 * lock, or -1: f names the process that holds it, or says what else is wrong. */
MUST_CHECK int journal_dir_lock(const char *dir, struct fault *f);
enum journal_dir_content journal_dir_inspect(const char *dir);
/* Removes a data file that is blank, or unfinished and not sound, because LMDB accepts only none or
 * a whole one; and the file that LMDB's readers share, because readers of the old data file are
 * none of the new one. */
MUST_CHECK bool journal_dir_clear(const char *dir, struct fault *f);
/* Allocates the blocks on the disk that lock.mdb needs for so many readers: LMDB creates it as a
 * hole and maps it, and on a full disk would die of the first byte that it writes. */
MUST_CHECK bool journal_dir_reserve(const char *dir, uint64_t readers, struct fault *f);
/* After the first commit: sets the state `journal` and makes the names of all files durable. */
MUST_CHECK bool journal_dir_confirm(const char *dir, int lock, struct fault *f);

#endif
