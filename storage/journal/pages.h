/*
 * pages: is this LMDB file whole? Read page by page, without LMDB.
 *
 * LMDB trusts its file. A flipped bit in a page number, in the list of free pages or in one of the
 * two meta pages makes it crash, lose the last commit without a word, or write over pages that are
 * in use. So before LMDB sees the file, every page that it would reach is looked at here: the two
 * metas, each tree from its root, the list of free pages. No page may be used twice.
 *
 * What counts is the newest commit. The other meta page belongs to the commit before it; but when
 * LMDB fails to write a meta page, it puts back the old number and leaves the new roots, and pages
 * that only such a commit used are written over by the next one. So what hangs on the older meta is
 * never a reason to refuse a file. It may be a whole commit more (verify.c).
 *
 * Threads: any; the file must not be written meanwhile. Maps the file and allocates: for the child
 * of verify, spike-log and tests.
 */
#ifndef SPIKE_PAGES_H
#define SPIKE_PAGES_H

#include "conf/base/fault.h"
#include "storage/journal/layout.h"

struct pages {
    const char *path; /* the caller's */
    const unsigned char *file;
    uint64_t size, page_size;
    struct meta metas[2]; /* of page 0 and page 1 */
    unsigned newest;      /* of the two */
};

/* Maps the file, which must exist, and checks the metas. False: f says what is wrong. */
MUST_CHECK bool pages_open(struct pages *p, const char *path, struct fault *f);
void pages_close(struct pages *p);
/* What the older meta would be as the commit behind the newest one; bounded by the file's length,
 * for it may name the last page of an earlier commit. */
struct meta pages_behind(const struct pages *p);

/* Walks all that hangs on a meta: *last becomes the highest page in use. False: f says what is
 * wrong and at which page. */
MUST_CHECK bool pages_walk(const struct pages *p, const struct meta *m, uint64_t *last,
                           struct fault *f);
/* Counts names and records, as the names say, walking these alone. */
MUST_CHECK bool pages_count(const struct pages *p, const struct meta *m, uint64_t *total,
                            struct fault *f);
/* Opens, walks the newest commit, closes. */
MUST_CHECK bool pages_check(const char *path, struct fault *f);

/* ---- the entries of a tree that was walked --------------------------------------------------- */

struct leaves {
    const struct pages *pages;
    uint32_t depth; /* 0: the tree is empty, or its end is reached */
    uint16_t flags; /* of the entry that was read last: NODE_... */
    struct {
        uint64_t page;
        uint16_t next; /* node */
    } path[DEPTH_MAX]; /* from the root to a leaf */
};

void leaves_begin(struct leaves *l, const struct pages *p, const struct tree *t);
/* The next entry, in order. False: there are no more. */
bool leaves_next(struct leaves *l, struct bytes *key, struct bytes *data);
/* Looks for a tree among the names. */
MUST_CHECK bool leaves_find(const struct pages *p, const struct tree *names, const char *name,
                            struct tree *out);

#endif
