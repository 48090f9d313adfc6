/*
 * leaves: iterates over the entries of a tree in their order, straight from the file.
 *
 * The tree was walked before (pages.c), so each of its pages and nodes lies where its parent says;
 * anything else is a bug of this program and asserted. Reads only.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/journal/pages.h"

/* The iterator stands in front of node path[depth - 1].next of a leaf. */
struct leaves {
    const struct pages *pages;
    uint32_t depth; /* levels of the tree; 0: it is empty, or its end is reached */
    uint16_t flags; /* NODE_..., of the entry that was read last */
    struct {
        uint64_t page;
        uint16_t next; /* node */
    } path[DEPTH_MAX]; /* from the root to a leaf */
};

static const unsigned char *page_of(const struct leaves *l, uint32_t level)
{
    ASSERT(level < l->depth);
    return pages_at(l->pages, l->path[level].page);
}

static uint16_t node_count(const unsigned char *page)
{
    struct head head;
    memcpy(&head, page, sizeof head);
    ASSERT(head.lower >= sizeof head);
    return (uint16_t)((head.lower - sizeof head) / sizeof(uint16_t));
}

static const unsigned char *node_at(const unsigned char *page, uint16_t i, struct node *n)
{
    uint16_t offset;
    memcpy(&offset, page + sizeof(struct head) + i * sizeof offset, sizeof offset);
    memcpy(n, page + offset, sizeof *n);
    return page + offset + sizeof *n;
}

/* From a branch at `level` down to the first leaf below its next node. */
static void descend(struct leaves *l, uint32_t level)
{
    for (; level + 1 < l->depth; level++) {
        struct node n;
        (void)node_at(page_of(l, level), l->path[level].next++, &n);
        l->path[level + 1].page = (uint64_t)n.lo | (uint64_t)n.hi << 16 | (uint64_t)n.flags << 32;
        l->path[level + 1].next = 0;
    }
}

static void begin(struct leaves *l, const struct pages *p, const struct tree *t)
{
    ASSERT(t->depth <= DEPTH_MAX);
    *l = (struct leaves){.pages = p, .depth = t->depth};
    l->path[0].page = t->root;
    if (l->depth > 0)
        descend(l, 0);
}

struct leaves *leaves_open(const struct pages *p, const struct tree *t)
{
    struct leaves *l = malloc(sizeof *l);
    if (l != NULL)
        begin(l, p, t);
    return l;
}

void leaves_close(struct leaves *l)
{
    free(l);
}

/* Up to the lowest page that has another node, and down again. False: there is none. */
static bool find_leaf(struct leaves *l)
{
    for (uint32_t level = l->depth; level-- > 0;)
        if (l->path[level].next < node_count(page_of(l, level))) {
            descend(l, level);
            return true;
        }
    l->depth = 0;
    return false;
}

bool leaves_next(struct leaves *l, struct bytes *key, struct bytes *data)
{
    struct node n;
    uint64_t number;
    if (!find_leaf(l))
        return false;
    uint32_t leaf = l->depth - 1;
    const unsigned char *at = node_at(page_of(l, leaf), l->path[leaf].next++, &n);
    l->flags = n.flags;
    *key = (struct bytes){at, n.key_size};
    *data = (struct bytes){at + n.key_size, (size_t)n.lo | (size_t)n.hi << 16};
    if (n.flags & NODE_BIG) {
        memcpy(&number, data->ptr, sizeof number);
        data->ptr = pages_at(l->pages, number) + sizeof(struct head);
    }
    return true;
}

bool leaves_find(const struct pages *p, const struct tree *names, const char *name,
                 struct tree *out)
{
    struct leaves l;
    struct bytes key, data;
    begin(&l, p, names);
    while (leaves_next(&l, &key, &data))
        if (key.len == strlen(name) && memcmp(key.ptr, name, key.len) == 0 &&
            l.flags == NODE_TREE) {
            memcpy(out, data.ptr, sizeof *out);
            return true;
        }
    return false;
}
