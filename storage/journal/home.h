/*
 * home: the directory of a journal: made, locked, and known to have held a journal.
 *
 * The file `lock` in it is locked (flock) by the one server that owns the directory and names its
 * process. Once the first commit of a journal is synced the file says so: from then on an empty
 * or missing data.mdb is a loss, not a beginning.
 *
 * Owner: main, while the server starts.
 */
#ifndef SPIKE_HOME_H
#define SPIKE_HOME_H

#include "conf/base/fault.h"

#define HOME_DATA "data.mdb" /* LMDB's name for it */

enum home_content {
    HOME_BLANK,   /* nothing there yet: no file, or one that LMDB has not begun to fill */
    HOME_JOURNAL, /* a file to be verified */
    HOME_LOST,    /* there was a journal, and now it is blank */
};

/* Makes the directory if need be and locks it. Answers the descriptor that holds the lock, or -1:
 * f says who holds it or what else is wrong. */
MUST_CHECK int home_lock(const char *dir, struct fault *f);
enum home_content home_look(const char *dir);
/* Removes a blank data file: LMDB takes only none, or a whole one. */
MUST_CHECK bool home_clear(const char *dir, struct fault *f);
/* After the first commit: says so in the lock file and makes the names of all files durable. */
MUST_CHECK bool home_mark(const char *dir, int lock, struct fault *f);

#endif
