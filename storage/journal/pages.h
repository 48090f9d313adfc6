/*
 * pages: is this LMDB file whole? Read page by page, without LMDB.
 *
 * LMDB trusts its file. A flipped bit in a page number, in the list of free pages or in one of the
 * two meta pages makes it crash, lose the last commit silently, or write over pages that are in
 * use. So every page that LMDB would reach is checked here before LMDB opens the file: the two meta
 * pages, each tree from its root, the list of free pages. No page may be used twice.
 *
 * The newest commit counts. The other meta page belongs to the commit before it; but when LMDB
 * fails to write a meta page, it restores the old number and leaves the new roots, and the next
 * commit overwrites pages that only the failed one used. So what the older meta page refers to is
 * never a reason to refuse a file. It may be one whole commit more (verify.c).
 *
 * Threads: any; the file must not be written meanwhile. Maps the file and allocates: for the child
 * process of verify, for spike-log and for tests, never for a server that sells.
 */
#ifndef SPIKE_PAGES_H
#define SPIKE_PAGES_H

#include "conf/base/fault.h"
#include "storage/journal/layout.h"

/* ---- the file and its two meta pages (metas.c) ------------------------------------------------
 */

struct pages;

/* Maps the file, which must exist, and checks the meta pages. `path` must outlive the handle. NULL:
 * f says what is wrong. */
MUST_CHECK struct pages *pages_open(const char *path, struct fault *f);
void pages_close(struct pages *p);
const char *pages_path(const struct pages *p);
/* Bytes of a page. */
uint64_t pages_page_size(const struct pages *p);
/* The bytes of a page; its number must be below that of the first page behind the file. */
const unsigned char *pages_at(const struct pages *p, uint64_t number);
/* The meta of the newest commit. */
const struct meta *pages_newest(const struct pages *p);
/* The older meta page read as the commit after the newest one. Its last page is that of the file,
 * for the stored number may be that of an earlier commit. */
struct meta pages_next(const struct pages *p);
/* Where in the file that meta page begins, in bytes. */
uint64_t pages_next_at(const struct pages *p);

/* ---- the walk over all that a meta refers to (pages.c) ----------------------------------------
 */

/* *last becomes the highest page in use. False: f says what is wrong and on which page. */
MUST_CHECK bool pages_walk(const struct pages *p, const struct meta *m, uint64_t *last,
                           struct fault *f);
/* Counts names and records as the names state them; walks the names alone. */
MUST_CHECK bool pages_count(const struct pages *p, const struct meta *m, uint64_t *total,
                            struct fault *f);
/* Opens, walks the newest commit, closes. */
MUST_CHECK bool pages_check(const char *path, struct fault *f);

/* ---- the entries of a tree that was walked before (leaves.c) ----------------------------------
 */

struct leaves;

/* NULL: no memory. The tree must have passed pages_walk(). */
MUST_CHECK struct leaves *leaves_open(const struct pages *p, const struct tree *t);
/* The next entry, in order. False: there are no more. */
bool leaves_next(struct leaves *l, struct bytes *key, struct bytes *data);
/* NULL: nothing to do. */
void leaves_close(struct leaves *l);
/* Finds a tree by its name. */
MUST_CHECK bool leaves_find(const struct pages *p, const struct tree *names, const char *name,
                            struct tree *out);

#endif
