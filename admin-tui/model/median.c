/*
 * The median. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "admin-tui/model/model_private.h"

static int by_value(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y ? 1 : 0;
}

uint64_t median_of(uint64_t *values, uint32_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof values[0], by_value);
    ASSERT(values[0] <= values[count - 1]);
    return values[(count - 1) / 2];
}
