/*
 * route: turns a parsed request into an operation with its event, order and parameters, decoded and
 * checked.
 *
 * Parameters are accepted in the query and, with POST, in a form body; `buyer` and `key` also in
 * the fields X-Buyer and Idempotency-Key. Repeated, empty or conflicting ones are errors; unknown
 * ones are ignored. An error is a verdict. Whether an order exists, and whether its tag is right,
 * is known only to the ledger of its node.
 *
 * Threads: any; pure; never allocates.
 */
#ifndef SPIKE_ROUTE_H
#define SPIKE_ROUTE_H

#include "conf/base/conf.h"
#include "conf/base/orderid.h"
#include "server/http/request.h"

enum route_kind {
    /* answered from the board and the counters */
    ROUTE_STOCK,
    ROUTE_STATS,
    ROUTE_HEALTHZ,
    ROUTE_METRICS,
    ROUTE_DRAIN, /* done by the admin worker itself */
    /* answered by the ledger: buying, orders, the operators' acts on an event */
    ROUTE_BUY,
    ROUTE_GET_ORDER,
    ROUTE_CANCEL,
    ROUTE_PAY,
    ROUTE_PAUSE,
    ROUTE_RESUME,
    ROUTE_CLOSE,
    ROUTE_RESTOCK,
    ROUTE_REOPEN,
    ROUTE_RECLAIM, /* of all events */
};

/* The set of paths that a listener serves; the other set is 404 there. */
enum route_side { ROUTE_BUYERS, ROUTE_OPERATORS };

struct route {
    enum route_kind kind;
    int event;            /* index in the configuration; -1: none named, or unknown */
    const char *allow;    /* with VERDICT_METHOD: the value of the Allow header */
    struct orderid order; /* GET_ORDER, CANCEL, PAY; with VERDICT_ELSEWHERE its node serves it */
    uint32_t n;           /* ROUTE_BUY: tickets, default 1 */
    uint32_t total;       /* ROUTE_RESTOCK: 1 .. stock-max */
    uint32_t node;        /* ROUTE_RECLAIM */
    bool journal_lost;    /* ROUTE_RECLAIM: the journal of the node is lost for good */
    uint8_t buyer_len, key_len;
    char buyer[PARAM_MAX], key[PARAM_MAX];
};

static inline bool route_is_for_ledger(const struct route *route)
{
    return route->kind >= ROUTE_BUY;
}

/* VERDICT_YES: *route is filled. Any other verdict is the answer; `kind` and `event` are then
 * filled as far as the path names them (else ROUTE_BUY and -1), because a refusal of /buy has the
 * body length of its event. */
enum verdict route_find(struct route *route, const struct request *r, const struct conf *conf,
                        enum route_side side);

/* The event of a path /buy/EVENT; -1: another path. For requests that are wrong and cannot be
 * routed.
 */
int route_buy_event(struct slice path, const struct conf *conf);

#endif
