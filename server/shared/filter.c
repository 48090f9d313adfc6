/*
 * A block is one cache line of 512 bits, so a question costs one miss however many bits it probes.
 * A mark is a hash already and is cut up as it is: its low 28 bits choose the block, the other 36
 * are four probes of nine bits, which no two share. With 32 marks in the average block (16 bits a
 * mark, the worst that rounding to a power of two leaves) 0.27 % of the foreign marks are taken for
 * known ones; more probes would gain little and want a second hash.
 *
 * Owner: the ledger is the only writer, so a word is loaded, changed and stored, without a locked
 * instruction. Order of effects: the bits, then `full`, all relaxed; then the gate, which the
 * ledger releases and a reader acquires (board.h), brings every mark before it. The bits are set
 * also when the filter is full: a reader that has not heard of `full` yet still finds the mark.
 *
 * If it dies here: nothing is lost, the filter is read again from the stock's grants.
 */
#include "server/shared/filter.h"

#define BLOCK_BITS       (8 * CACHE_LINE)
#define BLOCK_WORDS      (BLOCK_BITS / 64)
#define HASHES_PER_BLOCK 32u
#define PLACE_BITS       28 /* of a mark, for its block */
#define PROBE_BITS       9  /* of a mark, for a bit of the block */
#define PROBES           4

_Static_assert(PLACE_BITS + PROBES * PROBE_BITS == 64, "every bit of a mark is used once");
_Static_assert(1 << PROBE_BITS == BLOCK_BITS, "a probe reaches every bit of a block");
_Static_assert(UINT32_MAX / HASHES_PER_BLOCK < 1u << PLACE_BITS, "a mark reaches every block");

static uint32_t power_of_two(uint32_t n)
{
    uint32_t p = 1;
    while (p < n)
        p <<= 1;
    return p;
}

void filter_plan(struct filter *f, struct arena *a, uint32_t marks)
{
    uint32_t least = marks / HASHES_PER_BLOCK + (marks % HASHES_PER_BLOCK != 0);
    f->capacity = marks;
    f->blocks = marks == 0 ? 0 : power_of_two(least);
    f->pool = arena_plan(a, "filter", f->blocks, CACHE_LINE);
}

/* The arena's memory is zeroed: what no mark has reached is not even touched. */
void filter_init(struct filter *f, const struct arena *a)
{
    f->words = arena_block(a, f->pool);
    f->count = 0;
    atomic_init(&f->full, false);
}

static _Atomic uint64_t *block_of(const struct filter *f, uint64_t mark)
{
    return f->words + (size_t)(mark & (f->blocks - 1)) * BLOCK_WORDS;
}

static uint32_t probe_of(uint64_t mark, unsigned i)
{
    return (uint32_t)(mark >> (PLACE_BITS + i * PROBE_BITS)) & (BLOCK_BITS - 1);
}

void filter_add(struct filter *f, uint64_t mark)
{
    for (unsigned i = 0; f->blocks > 0 && i < PROBES; i++) {
        uint32_t bit = probe_of(mark, i);
        _Atomic uint64_t *word = block_of(f, mark) + bit / 64;
        uint64_t was = atomic_load_explicit(word, memory_order_relaxed);
        atomic_store_explicit(word, was | UINT64_C(1) << bit % 64, memory_order_relaxed);
    }
    if (++f->count > f->capacity)
        atomic_store_explicit(&f->full, true, memory_order_relaxed);
}

bool filter_may_have(const struct filter *f, uint64_t mark)
{
    if (f->blocks == 0 || atomic_load_explicit(&f->full, memory_order_relaxed))
        return true;
    const _Atomic uint64_t *block = block_of(f, mark);
    for (unsigned i = 0; i < PROBES; i++) {
        uint32_t bit = probe_of(mark, i);
        uint64_t word = atomic_load_explicit(block + bit / 64, memory_order_relaxed);
        if ((word >> bit % 64 & 1) == 0)
            return false;
    }
    return true;
}
