/*
 * buffers: see buffers.h. A free chunk is the one that was used last, so the pages that are touched
 * stay few. If this dies, nothing has happened.
 */
#include "admin-tui/buffers.h"

#include <string.h>
#include <sys/mman.h>

bool buffers_init(struct buffers *b, uint32_t chains, uint32_t rest)
{
    *b = (struct buffers){.count = chains * BUFFERS_EACH + rest, .rest = rest};
    b->all = mmap(NULL, b->count * sizeof *b->all, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return b->all != MAP_FAILED;
}

void buffers_free(struct buffers *b)
{
    munmap(b->all, b->count * sizeof *b->all);
}

bool chain_reserve(struct buffers *b, struct chain *c, size_t bytes)
{
    size_t chunks = (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    uint32_t more =
        chunks > BUFFERS_EACH + c->reserved ? (uint32_t)chunks - BUFFERS_EACH - c->reserved : 0;
    if (more > b->rest)
        return false;
    b->rest -= more;
    c->reserved += more;
    return true;
}

static struct chunk *take(struct buffers *b)
{
    struct chunk *chunk = b->free;
    if (chunk != NULL) {
        b->free = chunk->next;
    } else {
        ASSERT(b->fresh < b->count);
        chunk = &b->all[b->fresh++];
    }
    chunk->next = NULL;
    chunk->len = 0;
    return chunk;
}

char *chain_room(struct buffers *b, struct chain *c, size_t *len)
{
    if (c->last == NULL || c->last->len == CHUNK_BYTES) {
        ASSERT(c->count < BUFFERS_EACH + c->reserved);
        struct chunk *chunk = take(b);
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
    for (const struct chunk *chunk = c->first; chunk != NULL; chunk = chunk->next) {
        memcpy(out, chunk->bytes, chunk->len);
        out += chunk->len;
    }
}

void chain_clear(struct buffers *b, struct chain *c)
{
    b->rest += c->reserved;
    if (c->last != NULL) {
        c->last->next = b->free;
        b->free = c->first;
    }
    *c = (struct chain){0};
}
