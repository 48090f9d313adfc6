#include "server/admin/admin_private.h"

/* Main's flags override the ledger's state: a node that drains or stops takes no new orders,
 * whatever the ledger could do. */
const char *node_state_name(const struct board *b)
{
    if (GET(b->tunables.draining) || GET(b->stopping))
        return "draining";
    enum node_state state = (enum node_state)GET(b->node_state);
    ASSERT(state <= NODE_REPAIR); /* the ledger never publishes DRAINING */
    switch (state) {
    case NODE_UP:
        return "up";
    case NODE_REPAIR:
        return "repair";
    default:
        return "starting";
    }
}
