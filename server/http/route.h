/*
 * route: from a parsed request to what is asked: path, event, order, parameters; decoded, checked.
 *
 * Parameters may stand in the query and, with POST, in a form body; `buyer` and `key` also in the
 * headers X-Buyer and Idempotency-Key. Repeated, empty or conflicting ones are wrong; unknown ones
 * are ignored. The answer to a request that is wrong is a verdict. Whether an order exists, and
 * whether its tag is right, only the ledger of its node can say.
 *
 * Threads: any; pure; never allocates.
 */
#ifndef SPIKE_ROUTE_H
#define SPIKE_ROUTE_H

#include "conf/base/conf.h"
#include "conf/base/orderid.h"
#include "server/http/request.h"

enum route_kind {
    /* answered from what is published */
    ROUTE_STOCK,
    ROUTE_STATS,
    ROUTE_HEALTHZ,
    ROUTE_METRICS,
    ROUTE_DRAIN, /* done by the operators' desk itself */
    /* what only the ledger can answer: buying, orders, the operators' acts on an event */
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

/* Which set of paths a listener has; the other set is 404 there. */
enum route_side { ROUTE_BUYERS, ROUTE_OPERATORS };

struct route {
    enum route_kind kind;
    int event;            /* index in the configuration; -1: none named or unknown */
    const char *allow;    /* with VERDICT_METHOD: the value of the Allow header */
    struct orderid order; /* LOOK, CANCEL, PAY; and with VERDICT_ELSEWHERE: whose it is */
    uint32_t n;           /* ROUTE_BUY: tickets, default 1 */
    uint32_t total;       /* ROUTE_RESTOCK: 1 .. stock-max */
    uint32_t node;        /* ROUTE_RECLAIM */
    bool journal_lost;    /* ROUTE_RECLAIM: and its journal, for good */
    uint8_t buyer_len, key_len;
    char buyer[PARAM_MAX], key[PARAM_MAX];
};

static inline bool route_is_for_ledger(const struct route *route)
{
    return route->kind >= ROUTE_BUY;
}

/* VERDICT_YES: *route is filled. Otherwise the verdict to answer with; `kind` and `event` are
 * filled as far as the path named them (else BUY and -1), so that answers to /buy keep their
 * length. */
enum verdict route_find(struct route *route, const struct request *r, const struct conf *conf,
                        enum route_side side);

/* The event that a path offers for sale (/buy/EVENT); -1: none. For requests that were wrong before
 * they could be routed. */
int route_buys(struct slice path, const struct conf *conf);

#endif
