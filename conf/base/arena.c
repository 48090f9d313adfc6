/*
 * arena: one mapping with guard pages at both ends, and a plan with the offset of each pool. An
 * overrun at either end of the arena is a SIGSEGV at once instead of a ticket sold twice.
 *
 * Owner: main, until arena_seal().
 */
#include "conf/base/arena.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD_BYTES 4096u

static size_t rounded(size_t bytes)
{
    return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

size_t arena_plan(struct arena *a, const char *name, size_t count, size_t size)
{
    ASSERT_MAIN();
    ASSERT(a->base == NULL && !a->sealed);
    ASSERT(a->pool_count < ARENA_POOLS_MAX);
    ASSERT(size == 0 || count < SIZE_MAX / 2 / size);
    a->pools[a->pool_count].name = name;
    a->pools[a->pool_count].count = count;
    a->pools[a->pool_count].size = size;
    a->pools[a->pool_count].offset = a->bytes;
    a->bytes += rounded(count * size);
    return a->pool_count++;
}

bool arena_map(struct arena *a, struct fault *f)
{
    ASSERT_MAIN();
    ASSERT(a->base == NULL && !a->sealed);
    size_t inside = (a->bytes + GUARD_BYTES - 1) / GUARD_BYTES * GUARD_BYTES;
    unsigned char *all = mmap(NULL, inside + 2 * GUARD_BYTES, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return fault(f, "memory: cannot map %zu bytes: %s; see the plan with -t", inside,
                     strerror(errno));
    if (inside > 0 && mmap(all + GUARD_BYTES, inside, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return fault(f, "memory: cannot reserve %zu bytes: %s; see the plan with -t", inside,
                     strerror(errno));
    a->base = all + GUARD_BYTES;
    return true;
}

void *arena_block(const struct arena *a, size_t pool)
{
    ASSERT(a->base != NULL && !a->sealed);
    ASSERT(pool < a->pool_count);
    return a->base + a->pools[pool].offset;
}

void arena_seal(struct arena *a)
{
    ASSERT_MAIN();
    ASSERT(a->base != NULL && !a->sealed);
    a->sealed = true;
}

/* Pools of one name, such as the pool that every worker has, are one line. */
static bool has_earlier(const struct arena *a, size_t pool)
{
    for (size_t i = 0; i < pool; i++)
        if (strcmp(a->pools[i].name, a->pools[pool].name) == 0)
            return true;
    return false;
}

size_t arena_named(const struct arena *a, size_t pool, size_t *objects)
{
    size_t count = 0, bytes = 0;
    ASSERT(pool < a->pool_count);
    for (size_t k = has_earlier(a, pool) ? a->pool_count : pool; k < a->pool_count; k++) {
        if (strcmp(a->pools[k].name, a->pools[pool].name) != 0)
            continue;
        count += a->pools[k].count;
        bytes += rounded(a->pools[k].count * a->pools[k].size);
    }
    if (objects != NULL)
        *objects = count;
    return bytes;
}

void arena_print(const struct arena *a)
{
    printf("%-16s %12s %16s\n", "pool", "objects", "bytes");
    for (size_t i = 0; i < a->pool_count; i++) {
        size_t count, bytes = arena_named(a, i, &count);
        if (bytes > 0 || !has_earlier(a, i))
            printf("%-16s %12zu %16zu\n", a->pools[i].name, count, bytes);
    }
    printf("total %zu bytes\n", a->bytes);
}
