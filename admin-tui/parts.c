/*
 * parts: see parts.h.
 */
#include "admin-tui/parts.h"

#include <string.h>

#define NARROW 2

static int width_of(const struct part *parts, int count, int gap)
{
    int width = 0;
    for (int i = 0; i < count; i++)
        if (!parts[i].gone)
            width += (width > 0 ? gap : 0) + (int)strlen(parts[i].text);
    return width;
}

int parts_fit(struct part *parts, int count, int room, int wide)
{
    int gap = width_of(parts, count, wide) <= room ? wide : NARROW;
    for (int rank = PARTS_RANK_MAX; rank > 0 && width_of(parts, count, gap) > room; rank--)
        for (int i = 0; i < count; i++)
            parts[i].gone = parts[i].gone || parts[i].rank == rank;
    return gap;
}
