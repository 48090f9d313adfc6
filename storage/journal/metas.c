/*
 * metas: the two meta pages of an LMDB file, and which of them counts.
 *
 * Commit N is written to page N % 2, so the two differ by one; both are 0 before the first. All of
 * that, and what LMDB never changes (magic, version, page size, flags), must be so on both: no
 * write of LMDB, failed or whole, leaves it otherwise. The rest of the older meta may be anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/journal/pages.h"

static bool damaged(const struct pages *p, unsigned page, const char *what, struct fault *f)
{
    return fault(f, "%s: page %u is damaged: %s", p->path, page, what);
}

/* Each meta by itself, as far as LMDB would rely on it. */
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
    for (unsigned i = 0; i < 2; i++) {
        /* Where the second one lies is known from the first. */
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
    if (newer->txnid % 2 != p->newest)
        return damaged(p, p->newest, "its commit belongs on the other meta page", f);
    if (newer->txnid != 0 && newer->txnid - older->txnid != 1)
        return fault(f,
                     "%s: damaged: the meta pages are of commits %" PRIu64 " and %" PRIu64
                     ", which do not follow each other",
                     p->path, older->txnid, newer->txnid);
    if (newer->last_page < 1 || newer->last_page >= UINT64_MAX / p->page_size)
        return damaged(p, p->newest, "it names an impossible last page", f);
    uint64_t least = (newer->last_page + 1) * p->page_size;
    if (p->size < least)
        return fault(f, "%s: damaged: cut short at %" PRIu64 " of %" PRIu64 " bytes", p->path,
                     p->size, least);
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

bool pages_open(struct pages *p, const char *path, struct fault *f)
{
    *p = (struct pages){.path = path};
    if (!map_file(p, f))
        return false;
    if (read_metas(p, f) && check_metas(p, f))
        return true;
    pages_close(p);
    return false;
}

void pages_close(struct pages *p)
{
    void *map;
    memcpy(&map, &p->file, sizeof map);
    munmap(map, p->size);
    p->file = NULL;
}

struct meta pages_behind(const struct pages *p)
{
    struct meta m = p->metas[!p->newest];
    m.txnid = p->metas[p->newest].txnid + 1;
    m.last_page = p->size / p->page_size - 1;
    return m;
}
