/*
 * pages: walks all pages that a meta page refers to; why is in pages.h.
 *
 * Nothing in the file is trusted before it was compared: page numbers with the last page, offsets
 * with the page, keys with the bounds that the branches above set. Reads only; if the process dies
 * here, nothing has happened.
 */
#include "storage/journal/pages.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a tree's leaves hold. An event's index counts as records too: its keys are numbers. */
enum content { CONTENT_FREE, CONTENT_NAMES, CONTENT_RECORDS };

struct walk {
    const struct pages *pages;
    const struct meta *meta; /* of the commit that is walked */
    uint64_t page_size;
    unsigned char *used; /* by page */
    uint64_t last;       /* the highest page in use */
    bool shallow;        /* walk the names alone; their entries state how many records there are */
    uint64_t total;      /* names and records */
    struct fault *fault;
};

/* The walk over one tree. */
struct tree_walk {
    struct walk *walk;
    const struct tree *tree;
    enum content content;
    uint64_t entries;
    struct bytes last; /* key seen */
};

static bool damaged(const struct walk *w, uint64_t page, const char *what)
{
    return fault(w->fault, "%s: page %" PRIu64 " is damaged: %s", pages_path(w->pages), page, what);
}

static const unsigned char *page_at(const struct walk *w, uint64_t number)
{
    ASSERT(number <= w->meta->last_page); /* use_pages() has checked it */
    return pages_at(w->pages, number);
}

/* Marks `count` pages as used. False: one of them does not exist or is in use already. `from` is
 * the page that names them. */
static bool use_pages(struct walk *w, uint64_t number, uint64_t count, uint64_t from)
{
    uint64_t last = w->meta->last_page;
    if (number < META_PAGES || number > last || count == 0 || count > last - number + 1)
        return damaged(w, from, "it names a page outside the file");
    for (uint64_t i = number; i < number + count; i++) {
        if (w->used[i])
            return damaged(w, i, "it is in use twice");
        w->used[i] = 1;
    }
    w->last = number + count - 1 > w->last ? number + count - 1 : w->last;
    return true;
}

static int compare(const struct tree_walk *t, struct bytes a, struct bytes b)
{
    uint64_t x, y;
    ASSERT(a.ptr != NULL && b.ptr != NULL);
    if (t->content == CONTENT_NAMES) {
        int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
        return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
    }
    memcpy(&x, a.ptr, sizeof x);
    memcpy(&y, b.ptr, sizeof y);
    return (x > y) - (x < y);
}

static bool has_key_length(const struct tree_walk *t, struct bytes key)
{
    return t->content == CONTENT_NAMES ? key.len > 0 && key.len <= KEY_MAX
                                       : key.len == sizeof(uint64_t);
}

/* The value of a list of free pages: a count, then as many page numbers in falling order. */
static bool check_free_list(struct tree_walk *t, uint64_t page, struct bytes key, struct bytes data)
{
    struct walk *w = t->walk;
    uint64_t txnid, count, number, above = NO_PAGE;
    ASSERT(key.len == sizeof txnid);
    memcpy(&txnid, key.ptr, sizeof txnid);
    if (txnid == 0 || txnid > w->meta->txnid)
        return damaged(w, page, "pages were freed by a commit that does not exist");
    if (data.len < sizeof count || data.len % sizeof count != 0)
        return damaged(w, page, "a list of free pages has an impossible length");
    memcpy(&count, data.ptr, sizeof count);
    if (count > data.len / sizeof count - 1)
        return damaged(w, page, "a list of free pages is longer than its entry");
    for (uint64_t i = 1; i <= count; i++, above = number) {
        memcpy(&number, data.ptr + i * sizeof number, sizeof number);
        if (number >= above)
            return damaged(w, page, "a list of free pages is out of order");
        if (!use_pages(w, number, 1, page))
            return false;
    }
    return true;
}

static bool walk_tree(struct walk *w, const struct tree *tree, enum content content);

static bool check_name(struct tree_walk *t, uint64_t page, uint16_t flags, struct bytes data)
{
    struct walk *w = t->walk;
    struct tree tree;
    ASSERT(t->content == CONTENT_NAMES);
    w->total++;
    if (flags == 0)
        return true;
    if (flags != NODE_TREE || data.len != sizeof tree)
        return damaged(w, page, "an event's entry is of no known form");
    memcpy(&tree, data.ptr, sizeof tree);
    w->total += tree.entries;
    if (tree.flags != INTEGER_KEYS)
        return damaged(w, page, "an event's keys are of no known form");
    return w->shallow || walk_tree(w, &tree, CONTENT_RECORDS);
}

static bool check_entry(struct tree_walk *t, uint64_t page, uint16_t flags, struct bytes key,
                        struct bytes data)
{
    t->entries++;
    if (t->content == CONTENT_NAMES)
        return check_name(t, page, flags, data);
    if (flags != 0)
        return damaged(t->walk, page, "an entry is of no known form");
    return t->content == CONTENT_RECORDS || check_free_list(t, page, key, data);
}

/* The data of a leaf's node; *inline_bytes is what they occupy in the page itself. */
static bool find_data(struct tree_walk *t, uint64_t page, const struct node *n,
                      const unsigned char *after_key, struct bytes *data, size_t *inline_bytes)
{
    struct walk *w = t->walk;
    struct head head;
    uint64_t number;
    data->len = (size_t)n->lo | (size_t)n->hi << 16;
    data->ptr = after_key;
    *inline_bytes = data->len;
    if (!(n->flags & NODE_BIG))
        return true;
    *inline_bytes = sizeof number;
    memcpy(&number, after_key, sizeof number);
    uint64_t count = (sizeof head + data->len + w->page_size - 1) / w->page_size;
    if (!use_pages(w, number, count, page))
        return false;
    memcpy(&head, page_at(w, number), sizeof head);
    uint64_t pages = (uint64_t)head.lower | (uint64_t)head.upper << 16;
    if (head.number != number || head.flags != PAGE_OVERFLOW || pages < count)
        return damaged(w, number, "it is not a page of long data");
    if (pages > count && !use_pages(w, number + count, pages - count, page))
        return false;
    data->ptr = page_at(w, number) + sizeof head;
    return true;
}

static bool walk_page(struct tree_walk *t, uint64_t number, uint32_t level, struct bytes low,
                      struct bytes high);

static bool check_bounds(struct tree_walk *t, uint64_t page, struct bytes key, struct bytes low,
                         struct bytes high)
{
    if (!has_key_length(t, key))
        return damaged(t->walk, page, "a key has an impossible length");
    if ((low.ptr && compare(t, key, low) < 0) || (high.ptr && compare(t, key, high) >= 0))
        return damaged(t->walk, page, "a key is outside the bounds of its branch");
    return true;
}

/* One node whose head and key lie inside the page; `capacity` is what the page has from the node to
 * its end. *node_bytes becomes the size of the node. */
static bool check_leaf_node(struct tree_walk *t, uint64_t page, const struct node *n,
                            size_t capacity, struct bytes key, struct bytes low, struct bytes high,
                            size_t *node_bytes)
{
    struct bytes data = {NULL, 0};
    ASSERT(sizeof *n + key.len <= capacity);
    if (!check_bounds(t, page, key, low, high))
        return false;
    if (t->last.ptr && compare(t, key, t->last) <= 0)
        return damaged(t->walk, page, "the keys do not rise");
    t->last = key;
    if ((n->flags & NODE_BIG) && capacity < sizeof *n + key.len + sizeof(uint64_t))
        return damaged(t->walk, page, "a node reaches over its end");
    if (!find_data(t, page, n, key.ptr + key.len, &data, node_bytes))
        return false;
    *node_bytes += sizeof *n + key.len;
    if (*node_bytes > capacity)
        return damaged(t->walk, page, "a node reaches over its end");
    return check_entry(t, page, n->flags & (uint16_t)~NODE_BIG, key, data);
}

/* The node with index i. False, and no fault: it does not lie inside the page. */
static bool find_node(const struct walk *w, const unsigned char *page, const struct head *head,
                      size_t i, struct node *n, struct bytes *key, size_t *capacity)
{
    uint16_t offset;
    ASSERT(sizeof *head + (i + 1) * sizeof offset <= head->lower);
    memcpy(&offset, page + sizeof *head + i * sizeof offset, sizeof offset);
    if (offset < head->upper || offset % 2 != 0 || offset + sizeof *n > w->page_size)
        return false;
    memcpy(n, page + offset, sizeof *n);
    *capacity = w->page_size - offset;
    *key = (struct bytes){page + offset + sizeof *n, n->key_size};
    return sizeof *n + n->key_size <= *capacity;
}

static uint64_t child_of(const struct node *n)
{
    return (uint64_t)n->lo | (uint64_t)n->hi << 16 | (uint64_t)n->flags << 32;
}

/* A branch: the key of a node is the lowest one below it; LMDB ignores that of the first node. */
static bool walk_branch(struct tree_walk *t, uint64_t number, const struct head *head, size_t count,
                        uint32_t level, struct bytes low, struct bytes high, size_t *node_bytes)
{
    const unsigned char *page = page_at(t->walk, number);
    struct node n;
    struct bytes key = {NULL, 0};
    size_t capacity = 0;
    if (!find_node(t->walk, page, head, 0, &n, &key, &capacity))
        return damaged(t->walk, number, "a node lies outside it");
    for (size_t i = 0; i < count; i++) {
        struct node next = {0};
        struct bytes from = i == 0 ? low : key, to = high;
        if (i + 1 < count) {
            if (!find_node(t->walk, page, head, i + 1, &next, &to, &capacity))
                return damaged(t->walk, number, "a node lies outside it");
            if (!check_bounds(t, number, to, from, high))
                return false;
        }
        if (!walk_page(t, child_of(&n), level + 1, from, to))
            return false;
        *node_bytes += (sizeof n + n.key_size + 1) & ~(size_t)1;
        n = next;
        key = to;
    }
    return true;
}

static bool walk_leaf(struct tree_walk *t, uint64_t number, const struct head *head, size_t count,
                      struct bytes low, struct bytes high, size_t *node_bytes)
{
    const unsigned char *page = page_at(t->walk, number);
    for (size_t i = 0; i < count; i++) {
        struct node n;
        struct bytes key;
        size_t capacity, size = 0;
        if (!find_node(t->walk, page, head, i, &n, &key, &capacity))
            return damaged(t->walk, number, "a node lies outside it");
        if (!check_leaf_node(t, number, &n, capacity, key, low, high, &size))
            return false;
        *node_bytes += (size + 1) & ~(size_t)1;
    }
    return true;
}

/* A page of a tree. Levels count from 1, so a cycle of pages ends at the tree's depth. */
static bool walk_page(struct tree_walk *t, uint64_t number, uint32_t level, struct bytes low,
                      struct bytes high)
{
    struct walk *w = t->walk;
    struct head head;
    bool leaf = level == t->tree->depth;
    ASSERT(level >= 1 && level <= t->tree->depth);
    if (!use_pages(w, number, 1, number))
        return false;
    memcpy(&head, page_at(w, number), sizeof head);
    if (head.number != number || head.flags != (leaf ? PAGE_LEAF : PAGE_BRANCH))
        return damaged(w, number, "it is not the page that belongs here");
    if (head.lower < sizeof head || head.lower % 2 != 0 || head.lower > head.upper ||
        head.upper > w->page_size)
        return damaged(w, number, "its bounds are wrong");
    size_t count = (head.lower - sizeof head) / 2, node_bytes = 0;
    /* LMDB itself allows a lone node while it rebalances its own tree. */
    if (count < (leaf || t->content == CONTENT_FREE ? 1u : 2u))
        return damaged(w, number, "it has too few nodes");
    if (leaf ? !walk_leaf(t, number, &head, count, low, high, &node_bytes)
             : !walk_branch(t, number, &head, count, level, low, high, &node_bytes))
        return false;
    if (node_bytes != w->page_size - head.upper)
        return damaged(w, number, "its nodes do not fill their space");
    return true;
}

static bool walk_tree(struct walk *w, const struct tree *tree, enum content content)
{
    static const struct bytes none = {NULL, 0};
    struct tree_walk t = {.walk = w, .tree = tree, .content = content};
    if (tree->root == NO_PAGE && tree->depth == 0 && tree->entries == 0)
        return true;
    if (tree->depth == 0 || tree->depth > DEPTH_MAX)
        return fault(w->fault, "%s: damaged: a tree of %u levels", pages_path(w->pages),
                     tree->depth);
    if (!walk_page(&t, tree->root, 1, none, none))
        return false;
    if (t.entries != tree->entries)
        return fault(w->fault, "%s: damaged: a tree has %" PRIu64 " entries and claims %" PRIu64,
                     pages_path(w->pages), t.entries, tree->entries);
    return true;
}

/* The names of a commit and, unless shallow, the trees that they name and the free pages. */
static bool walk_commit(struct walk *w)
{
    const struct meta *m = w->meta;
    ASSERT(m->last_page >= META_PAGES - 1);
    w->last = META_PAGES - 1;
    w->page_size = pages_page_size(w->pages);
    w->used = calloc(m->last_page + 1, 1);
    if (w->used == NULL)
        return fault(w->fault, "%s: no memory to verify %" PRIu64 " pages", pages_path(w->pages),
                     m->last_page);
    bool good = walk_tree(w, &m->names, CONTENT_NAMES) &&
                (w->shallow || walk_tree(w, &m->free, CONTENT_FREE));
    free(w->used);
    return good;
}

bool pages_walk(const struct pages *p, const struct meta *m, uint64_t *last, struct fault *f)
{
    struct walk w = {.pages = p, .meta = m, .fault = f};
    bool good = walk_commit(&w);
    *last = w.last;
    return good;
}

bool pages_count(const struct pages *p, const struct meta *m, uint64_t *total, struct fault *f)
{
    struct walk w = {.pages = p, .meta = m, .shallow = true, .fault = f};
    bool good = walk_commit(&w);
    *total = w.total;
    return good;
}

bool pages_check(const char *path, struct fault *f)
{
    uint64_t last;
    struct pages *p = pages_open(path, f);
    if (p == NULL)
        return false;
    bool good = pages_walk(p, pages_newest(p), &last, f);
    pages_close(p);
    return good;
}
