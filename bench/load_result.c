#include "bench/load_result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/load_base.h"

/* Latencies in microseconds: exact below 128, then 128 buckets an octave (within 0.8 %). */
#define STEP_BITS 7
#define BUCKETS   ((64 - STEP_BITS) << STEP_BITS)

struct result {
    uint64_t answers, others, busy;
    uint32_t buckets[BUCKETS];
    uint64_t max_us;
};

static struct result result;

static uint32_t bucket_of(uint64_t us)
{
    if (us < 1 << STEP_BITS)
        return (uint32_t)us;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(us) - STEP_BITS;
    return ((shift + 1) << STEP_BITS) + (uint32_t)(us >> shift) - (1 << STEP_BITS);
}

/* The upper edge of the bucket, included. */
static uint64_t bucket_us(uint32_t bucket)
{
    ASSERT(bucket < BUCKETS);
    if (bucket < 1 << STEP_BITS)
        return bucket;
    uint32_t shift = (bucket >> STEP_BITS) - 1;
    uint64_t step = (bucket & ((1 << STEP_BITS) - 1)) + (1 << STEP_BITS);
    return ((step + 1) << shift) - 1;
}

void result_add(uint64_t took_us, bool other)
{
    uint32_t bucket = bucket_of(took_us);
    ASSERT(bucket < BUCKETS);
    result.buckets[bucket]++;
    if (took_us > result.max_us)
        result.max_us = took_us;
    result.others += other;
    result.answers++;
}

void result_add_busy(void)
{
    result.busy++;
}

uint64_t result_count(void)
{
    return result.answers;
}

static uint64_t percentile(double share)
{
    uint64_t below = 0;
    ASSERT(share > 0 && share < 1);
    for (uint32_t i = 0; i < BUCKETS; i++) {
        below += result.buckets[i];
        if ((double)below >= share * (double)result.answers)
            return bucket_us(i) < result.max_us ? bucket_us(i) : result.max_us;
    }
    return result.max_us;
}

static void write_distribution(const char *file)
{
    FILE *out = fopen(file, "w");
    if (!out)
        fail("%s: %s", file, strerror(errno));
    uint64_t below = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        below += result.buckets[i];
        if (result.buckets[i] != 0)
            fprintf(out, "%.7f %llu\n", (double)below / (double)result.answers,
                    (unsigned long long)bucket_us(i));
    }
    ASSERT(below == result.answers);
    if (fclose(out) != 0)
        fail("%s: %s", file, strerror(errno));
}

void result_report(uint64_t took_ns, const char *file)
{
    double seconds = (double)took_ns / SECOND_NS;
    ASSERT(result.others <= result.answers);
    printf("answers %llu others %llu seconds %.3f rate %.0f p50 %llu p99 %llu p999 %llu max %llu "
           "busy %llu\n",
           (unsigned long long)result.answers, (unsigned long long)result.others, seconds,
           (double)result.answers / seconds, (unsigned long long)percentile(.5),
           (unsigned long long)percentile(.99), (unsigned long long)percentile(.999),
           (unsigned long long)result.max_us, (unsigned long long)result.busy);
    if (file)
        write_distribution(file);
}
