/*
 * A block is one cache line of 512 bits, so a lookup costs one cache miss however many bits it
 * probes. A key hash is uniform already, so its bits are used directly: the low 28 choose the
 * block, the other 36 are four probes of nine bits each. With 32 hashes in the average block (16
 * bits a hash, the worst case of rounding to a power of two) 0.27 % of the foreign keys get
 * "maybe"; more probes would gain little and need a second hash.
 *
 * Owner: the ledger is the only writer, so a word is loaded, changed and stored without a locked
 * instruction. Order of effects: the bits, then `full`, all relaxed; then the gate, which the
 * ledger releases and a reader acquires (board.h), publishes every hash before it. The bits are set
 * in a full filter, too: a reader that has not seen `full` yet still finds the hash.
 *
 * If the process dies here, no order is lost: the filter is filled again from the stock's grants.
 */
#include "server/shared/filter.h"

#include <stdatomic.h>

#define BLOCK_BITS       (8 * CACHE_LINE)
#define BLOCK_WORDS      (BLOCK_BITS / 64)
#define HASHES_PER_BLOCK 32u
#define BLOCK_INDEX_BITS 28 /* of a hash, for its block */
#define PROBE_BITS       9  /* of a hash, for a bit of the block */
#define PROBES           4

_Static_assert(BLOCK_INDEX_BITS + PROBES * PROBE_BITS == 64, "every bit of a hash is used once");
_Static_assert(1 << PROBE_BITS == BLOCK_BITS, "a probe reaches every bit of a block");
_Static_assert(UINT32_MAX / HASHES_PER_BLOCK < 1u << BLOCK_INDEX_BITS,
               "a hash reaches every block");

struct filter {
    uint32_t blocks; /* a power of two; 0: no memory */
    uint32_t capacity;
    uint64_t count; /* hashes added, repeats included; the ledger's */
    _Atomic bool full;
    _Alignas(CACHE_LINE) _Atomic uint64_t words[];
};

_Static_assert(sizeof(struct filter) == CACHE_LINE, "the blocks begin at a cache line");

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;
    while (p < n)
        p <<= 1;
    return p;
}

static uint32_t blocks_for(uint32_t capacity)
{
    uint32_t min = capacity / HASHES_PER_BLOCK + (capacity % HASHES_PER_BLOCK != 0);
    return capacity == 0 ? 0 : power_of_two(min);
}

size_t filter_plan(struct arena *a, uint32_t capacity)
{
    return arena_plan(a, "filter", (size_t)blocks_for(capacity) + 1, CACHE_LINE);
}

/* The arena's memory is zeroed; pages that no hash has reached stay untouched. */
struct filter *filter_init(const struct arena *a, size_t pool, uint32_t capacity)
{
    struct filter *f = arena_block(a, pool);
    f->capacity = capacity;
    f->blocks = blocks_for(capacity);
    ASSERT(a->pools[pool].count == (size_t)f->blocks + 1);
    atomic_init(&f->full, false);
    return f;
}

static size_t block_of(const struct filter *f, uint64_t key_hash)
{
    return (size_t)(key_hash & (f->blocks - 1)) * BLOCK_WORDS;
}

static uint32_t probe_of(uint64_t key_hash, unsigned i)
{
    return (uint32_t)(key_hash >> (BLOCK_INDEX_BITS + i * PROBE_BITS)) & (BLOCK_BITS - 1);
}

void filter_add(struct filter *f, uint64_t key_hash)
{
    ASSERT_LEDGER();
    for (unsigned i = 0; f->blocks > 0 && i < PROBES; i++) {
        uint32_t bit = probe_of(key_hash, i);
        _Atomic uint64_t *word = &f->words[block_of(f, key_hash) + bit / 64];
        uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
        atomic_store_explicit(word, old | UINT64_C(1) << bit % 64, memory_order_relaxed);
    }
    if (++f->count > f->capacity)
        atomic_store_explicit(&f->full, true, memory_order_relaxed);
}

bool filter_may_have(const struct filter *f, uint64_t key_hash)
{
    if (f->blocks == 0 || atomic_load_explicit(&f->full, memory_order_relaxed))
        return true;
    const _Atomic uint64_t *block = f->words + block_of(f, key_hash);
    for (unsigned i = 0; i < PROBES; i++) {
        uint32_t bit = probe_of(key_hash, i);
        uint64_t word = atomic_load_explicit(block + bit / 64, memory_order_relaxed);
        if ((word >> bit % 64 & 1) == 0)
            return false;
    }
    return true;
}

uint32_t filter_fill(const struct filter *f)
{
    return f->count < f->capacity ? (uint32_t)f->count : f->capacity;
}

uint32_t filter_capacity(const struct filter *f)
{
    return f->capacity;
}
