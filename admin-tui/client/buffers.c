/*
 * buffers: see buffers.h. The free list is last in, first out, so few pages are ever touched.
 *
 *     chunks  [used ... used | never touched ...]      free list: links chunks that were used
 *                            ^ high_water
 */
#include "admin-tui/client/buffers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct chunk {
    struct chunk *next;
    uint32_t len;
    char bytes[CHUNK_BYTES];
};

struct chain {
    struct buffers *pool;
    struct chunk *first, *last;
    uint32_t count;
    uint32_t reserved; /* chunks of the shared reserve */
    size_t len;        /* bytes in all */
};

struct buffers {
    struct chunk *chunks, *free;
    uint32_t count, high_water; /* chunks 0 .. high_water - 1 have been used */
    uint32_t shared;            /* chunks that remain in the shared reserve */
    uint32_t shared_max;
    uint32_t chain_count, chain_max;
    struct chain chains[];
};

struct buffers *buffers_new(uint32_t chains, uint32_t shared)
{
    struct buffers *b = calloc(1, sizeof *b + chains * sizeof b->chains[0]);
    if (b == NULL)
        return NULL;
    b->count = chains * BUFFERS_EACH + shared;
    b->shared = b->shared_max = shared;
    b->chain_max = chains;
    b->chunks = mmap(NULL, b->count * sizeof *b->chunks, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (b->chunks == MAP_FAILED) {
        free(b);
        return NULL;
    }
    return b;
}

void buffers_free(struct buffers *b)
{
    ASSERT(b->shared == b->shared_max); /* every chain was cleared */
    munmap(b->chunks, b->count * sizeof *b->chunks);
    free(b);
}

struct chain *chain_new(struct buffers *b)
{
    ASSERT(b->chain_count < b->chain_max);
    struct chain *c = &b->chains[b->chain_count++];
    *c = (struct chain){.pool = b};
    return c;
}

size_t chain_len(const struct chain *c)
{
    return c->len;
}

bool chain_reserve(struct chain *c, size_t bytes)
{
    struct buffers *b = c->pool;
    size_t chunks = (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    uint32_t more =
        chunks > BUFFERS_EACH + c->reserved ? (uint32_t)chunks - BUFFERS_EACH - c->reserved : 0;
    ASSERT(c->reserved + more <= b->shared_max); /* else no chain_clear() would ever help */
    if (more > b->shared)
        return false;
    b->shared -= more;
    c->reserved += more;
    return true;
}

static struct chunk *take_chunk(struct buffers *b)
{
    struct chunk *chunk = b->free;
    if (chunk != NULL) {
        b->free = chunk->next;
    } else {
        ASSERT(b->high_water < b->count);
        chunk = &b->chunks[b->high_water++];
    }
    chunk->next = NULL;
    chunk->len = 0;
    return chunk;
}

char *chain_tail(struct chain *c, size_t *len)
{
    ASSERT((c->last == NULL) == (c->count == 0));
    if (c->last == NULL || c->last->len == CHUNK_BYTES) {
        ASSERT(c->count < BUFFERS_EACH + c->reserved);
        struct chunk *chunk = take_chunk(c->pool);
        if (c->last == NULL)
            c->first = chunk;
        else
            c->last->next = chunk;
        c->last = chunk;
        c->count++;
    }
    *len = CHUNK_BYTES - c->last->len;
    return c->last->bytes + c->last->len;
}

void chain_filled(struct chain *c, size_t len)
{
    ASSERT(c->last != NULL && len <= CHUNK_BYTES - c->last->len);
    c->last->len += (uint32_t)len;
    c->len += len;
}

void chain_copy(const struct chain *c, char *out)
{
    size_t copied = 0;
    for (const struct chunk *chunk = c->first; chunk != NULL; chunk = chunk->next) {
        memcpy(out + copied, chunk->bytes, chunk->len);
        copied += chunk->len;
    }
    ASSERT(copied == c->len);
}

bool chain_clear(struct chain *c)
{
    struct buffers *b = c->pool;
    bool gave_back = c->reserved > 0;
    b->shared += c->reserved;
    ASSERT(b->shared <= b->shared_max);
    if (c->last != NULL) {
        c->last->next = b->free;
        b->free = c->first;
    }
    *c = (struct chain){.pool = b};
    return gave_back;
}
