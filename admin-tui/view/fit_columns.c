/*
 * fit_columns: see fit_columns.h.
 */
#include "admin-tui/view/fit_columns.h"

#include <string.h>

#include "conf/base/check.h"

#define GAP_NARROW 2

static int width_of(const struct fit_column *columns, int count, int gap)
{
    int width = 0;
    for (int i = 0; i < count; i++)
        if (!columns[i].hidden)
            width += (width > 0 ? gap : 0) + (int)strlen(columns[i].text);
    return width;
}

int fit_columns(struct fit_column *columns, int count, int width, int gap)
{
    ASSERT(count > 0 && gap >= GAP_NARROW);
    for (int i = 0; i < count; i++)
        ASSERT(columns[i].rank >= 0 && columns[i].rank <= FIT_RANK_MAX);
    if (width_of(columns, count, gap) > width)
        gap = GAP_NARROW;
    for (int rank = FIT_RANK_MAX; rank > 0 && width_of(columns, count, gap) > width; rank--)
        for (int i = 0; i < count; i++)
            columns[i].hidden = columns[i].hidden || columns[i].rank == rank;
    return gap;
}
