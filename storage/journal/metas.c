/*
 * metas: a mapped LMDB file, its two meta pages, and which of them counts.
 *
 * Commit N is written to page N % 2, so the numbers of the two pages differ by one; both are 0
 * before the first commit. This, and what LMDB never changes (magic, version, page size, flags),
 * must hold on both pages: no write of LMDB, failed or whole, leaves anything else. The rest of the
 * older meta page may be anything.
 *
 * Reads only; if the process dies here, nothing has happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/journal/pages.h"

struct pages {
    const char *path; /* the caller's */
    const unsigned char *file;
    uint64_t size, page_size;
    struct meta metas[META_PAGES]; /* of page 0 and page 1 */
    unsigned newest;               /* index into metas */
};

static bool damaged(const struct pages *p, unsigned page, const char *what, struct fault *f)
{
    return fault(f, "%s: page %u is damaged: %s", p->path, page, what);
}

/* One meta page by itself, as far as LMDB relies on it. */
static bool check_meta(const struct pages *p, const struct meta *m, const struct head *head,
                       unsigned page, struct fault *f)
{
    uint64_t page_size = m->free.pad;
    if (m->magic != META_MAGIC || m->version != META_VERSION || head->flags != PAGE_META)
        return damaged(p, page, "it is no meta page of LMDB 0.9", f);
    if (page_size < 512 || page_size > 32768 || (page_size & (page_size - 1)) != 0)
        return damaged(p, page, "it names an impossible page size", f);
    if (m->free.flags != INTEGER_KEYS || m->names.flags != 0)
        return damaged(p, page, "its flags are wrong", f);
    return true;
}

static bool read_metas(struct pages *p, struct fault *f)
{
    struct meta *metas = p->metas;
    struct head head;
    for (unsigned i = 0; i < META_PAGES; i++) {
        /* The first one says where the second one begins. */
        uint64_t at = i == 0 ? 0 : metas[0].free.pad;
        if (p->size < at + sizeof head + sizeof *metas)
            return fault(f, "%s: damaged: cut short at %" PRIu64 " bytes", p->path, p->size);
        memcpy(&head, p->file + at, sizeof head);
        memcpy(&metas[i], p->file + at + sizeof head, sizeof *metas);
        if (!check_meta(p, &metas[i], &head, i, f))
            return false;
    }
    if (metas[0].free.pad != metas[1].free.pad)
        return damaged(p, 1, "it names another page size than page 0", f);
    p->page_size = metas[0].free.pad;
    p->newest = metas[1].txnid > metas[0].txnid;
    return true;
}

static bool check_metas(const struct pages *p, struct fault *f)
{
    const struct meta *newer = &p->metas[p->newest], *older = &p->metas[!p->newest];
    ASSERT(newer->txnid >= older->txnid);
    if (newer->txnid % 2 != p->newest)
        return damaged(p, p->newest, "its commit belongs on the other meta page", f);
    if (newer->txnid != 0 && newer->txnid - older->txnid != 1)
        return fault(f,
                     "%s: damaged: the meta pages are of commits %" PRIu64 " and %" PRIu64
                     ", which do not follow each other",
                     p->path, older->txnid, newer->txnid);
    if (newer->last_page < 1 || newer->last_page >= UINT64_MAX / p->page_size)
        return damaged(p, p->newest, "it names an impossible last page", f);
    uint64_t size_min = (newer->last_page + 1) * p->page_size;
    if (p->size < size_min)
        return fault(f, "%s: damaged: cut short at %" PRIu64 " of %" PRIu64 " bytes", p->path,
                     p->size, size_min);
    return true;
}

static bool map_file(struct pages *p, struct fault *f)
{
    struct stat st;
    int fd = open(p->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) {
        int error = fd < 0 ? errno : 0;
        if (fd >= 0)
            close(fd);
        return fault(f, "%s: %s", p->path, error ? strerror(error) : "it is empty");
    }
    p->size = (uint64_t)st.st_size;
    void *map = mmap(NULL, p->size, PROT_READ, MAP_PRIVATE, fd, 0);
    int error = errno;
    close(fd);
    if (map == MAP_FAILED)
        return fault(f, "%s: mmap of %" PRIu64 " bytes: %s", p->path, p->size, strerror(error));
    p->file = map;
    return true;
}

struct pages *pages_open(const char *path, struct fault *f)
{
    struct pages *p = calloc(1, sizeof *p);
    if (p == NULL) {
        (void)fault(f, "%s: no memory to verify it", path);
        return NULL;
    }
    p->path = path;
    if (map_file(p, f) && read_metas(p, f) && check_metas(p, f))
        return p;
    pages_close(p);
    return NULL;
}

void pages_close(struct pages *p)
{
    void *map;
    memcpy(&map, &p->file, sizeof map); /* without its const */
    if (map != NULL)
        munmap(map, p->size);
    free(p);
}

const char *pages_path(const struct pages *p)
{
    return p->path;
}

uint64_t pages_page_size(const struct pages *p)
{
    return p->page_size;
}

const unsigned char *pages_at(const struct pages *p, uint64_t number)
{
    ASSERT(number < p->size / p->page_size);
    return p->file + number * p->page_size;
}

const struct meta *pages_newest(const struct pages *p)
{
    ASSERT(p->newest < META_PAGES);
    return &p->metas[p->newest];
}

struct meta pages_next(const struct pages *p)
{
    struct meta m = p->metas[!p->newest];
    m.txnid = pages_newest(p)->txnid + 1;
    m.last_page = p->size / p->page_size - 1;
    ASSERT(m.last_page >= pages_newest(p)->last_page); /* check_metas() has compared the size */
    return m;
}

uint64_t pages_next_at(const struct pages *p)
{
    return p->newest == 0 ? p->page_size : 0;
}
