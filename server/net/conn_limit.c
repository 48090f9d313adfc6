#include "server/net/conn_limit.h"

#include <stdatomic.h>

#include "conf/base/check.h"

struct conn_limit {
    _Alignas(CACHE_LINE) _Atomic uint32_t open;
    uint32_t max;
};

struct conn_limit *conn_limit_new(uint32_t max)
{
    static struct conn_limit all[2];
    static uint32_t made;
    ASSERT_MAIN();
    ASSERT(made < ARRAY_LEN(all) && max > 0);
    all[made].max = max;
    return &all[made++];
}

uint32_t conn_limit_max(const struct conn_limit *limit)
{
    return limit->max;
}

uint32_t conn_limit_open(const struct conn_limit *limit)
{
    return atomic_load_explicit(&limit->open, memory_order_relaxed);
}

/* Counts first and compares after: two workers that take the last one at once may both be refused,
 * and try again a moment later. */
bool conn_limit_take(struct conn_limit *limit)
{
    if (atomic_fetch_add_explicit(&limit->open, 1, memory_order_relaxed) < limit->max)
        return true;
    conn_limit_give(limit);
    return false;
}

void conn_limit_give(struct conn_limit *limit)
{
    uint32_t before = atomic_fetch_sub_explicit(&limit->open, 1, memory_order_relaxed);
    ASSERT(before > 0);
}
