/*
 * layout: an LMDB file as it lies on the disk: data version 1 (0.9.x), little-endian, 64 bits. Only
 * for the files of storage/journal.
 *
 *   page 0, 1   meta: of the last commit and of the one before, in turn; the higher txnid counts
 *   page        | head 16 | offsets of nodes ... lower |  free  | upper ... nodes |
 *   node        | lo 2 | hi 2 | flags 2 | key size 2 | key | data, or a page number |
 */
#ifndef SPIKE_JOURNAL_LAYOUT_H
#define SPIKE_JOURNAL_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define META_MAGIC    0xBEEFC0DEu
#define META_VERSION  1u
#define META_PAGES    2 /* pages 0 and 1; all others belong to trees or are free */
#define NO_PAGE       UINT64_MAX
#define DEPTH_MAX     32 /* LMDB's own limit */
#define KEY_MAX       511
#define INTEGER_KEYS  0x08u
#define PAGE_BRANCH   0x01u
#define PAGE_LEAF     0x02u
#define PAGE_OVERFLOW 0x04u
#define PAGE_META     0x08u
#define NODE_BIG      0x01u /* the data are on pages of their own */
#define NODE_TREE     0x02u /* the data are a struct tree */

/* A B+tree: the list of free pages, the names, or one named database. */
struct tree {
    uint32_t pad; /* in the free tree: the page size */
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows; /* for statistics only */
    uint64_t entries;
    uint64_t root;
};

struct meta {
    uint32_t magic, version;
    uint64_t address, map_size;
    struct tree free, names;
    uint64_t last_page, txnid;
};

struct head {
    uint64_t number;
    uint16_t pad, flags;
    uint16_t lower, upper; /* of an overflow page: together the number of pages */
};

struct node {
    uint16_t lo, hi, flags, key_size;
};

_Static_assert(sizeof(struct tree) == 48 && sizeof(struct meta) == 136, "as LMDB lays them out");
_Static_assert(sizeof(struct head) == 16 && sizeof(struct node) == 8, "as LMDB lays them out");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "page numbers are read as stored");

/* The two fields of a meta page that make its commit count; both are in one sector. */
#define META_COMMIT_AT (sizeof(struct head) + offsetof(struct meta, last_page))

struct bytes {
    const unsigned char *ptr; /* NULL: none */
    size_t len;
};

#endif
