/*
 * route: from a parsed request to what is asked: path, event, order, parameters; decoded, checked.
 *
 * Parameters may stand in the query and, with POST, in a form body; `buyer` and `key` also in the
 * headers X-Buyer and Idempotency-Key. Repeated, empty or conflicting ones are wrong; unknown ones
 * are ignored. The answer to a request that is wrong is a verdict.
 *
 * Threads: any; pure; never allocates.
 */
#ifndef SPIKE_ROUTE_H
#define SPIKE_ROUTE_H

#include "conf/base/conf.h"
#include "conf/base/orderid.h"
#include "server/http/request.h"

enum route_kind { ROUTE_BUY, ROUTE_STOCK, ROUTE_STATS, ROUTE_HEALTHZ };

/* Which set of paths a listener has; the other set is 404 there. */
enum route_side { ROUTE_BUYERS, ROUTE_OPERATORS };

struct route {
    enum route_kind kind;
    int event;         /* index in the configuration; -1: none named or unknown */
    const char *allow; /* with VERDICT_METHOD: the value of the Allow header */
    uint32_t n;        /* ROUTE_BUY: tickets, default 1 */
    uint8_t buyer_len, key_len;
    char buyer[PARAM_MAX], key[PARAM_MAX];
};

/* VERDICT_YES: *route is filled. Otherwise the verdict to answer with; `event` is filled as far as
 * the path named one, so that answers to /buy keep their length. */
enum verdict route_find(struct route *route, const struct request *r, const struct conf *conf,
                        enum route_side side);

#endif
