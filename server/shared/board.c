#include "server/shared/board.h"

const char *sale_state_name(enum sale_state s)
{
    static const char *const names[] = {
        [SALE_UNKNOWN] = "repair", [SALE_WAITING] = "waiting", [SALE_OPEN] = "open",
        [SALE_PAUSED] = "paused",  [SALE_SOLDOUT] = "soldout", [SALE_CLOSED] = "closed",
        [SALE_REPAIR] = "repair",
    };
    ASSERT((size_t)s < ARRAY_LEN(names));
    return names[s];
}
