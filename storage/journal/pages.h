/*
 * pages: is this LMDB file whole? Read page by page, without LMDB.
 *
 * LMDB trusts its file. A flipped bit in a page number, in the list of free pages or in one of the
 * two meta pages makes it crash, lose the last commit without a word, or write over pages that are
 * in use. So before LMDB sees the file, every page that it would reach is looked at here: the two
 * metas, each tree from its root, the list of free pages. No page may be used twice.
 *
 * The layout is that of LMDB's data version 1 (0.9.x), little-endian, 64 bits.
 *
 * Threads: any; the file must not be written meanwhile. Maps the file and allocates: for the child
 * of verify and for tests.
 */
#ifndef SPIKE_PAGES_H
#define SPIKE_PAGES_H

#include "conf/base/fault.h"

/* The file must exist. False: f says what is wrong and at which page. */
MUST_CHECK bool pages_check(const char *path, struct fault *f);

#endif
