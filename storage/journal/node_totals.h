/*
 * tally: what the records of one event add up to. The ledger folds every record into it, at start
 * those of the journal and then each one as it is appended; so what it knows is always what its
 * journal says.
 *
 * Pure; the owner is who folds.
 */
#ifndef SPIKE_NODE_TOTALS_H
#define SPIKE_NODE_TOTALS_H

#include "storage/journal/record.h"

/* SALE records say in `state` under which stock the sale was made. */
enum sale_stock { SALE_STANDALONE = 1, SALE_UNIFIED = 2 };

/* What has become of a node's orders, counted since its journal began. An order that was held,
 * expired and paid late counts in granted, expired and late. */
struct order_totals {
    uint64_t granted, granted_tickets;
    uint64_t paid;         /* held -> sold */
    uint64_t cancelled;    /* held or sold -> cancelled */
    uint64_t expired;      /* held -> expired */
    uint64_t late;         /* expired -> sold: paid late, and there were tickets */
    uint64_t late_refused; /* paid late, and refused for good */
};

struct node_totals {
    uint64_t end;   /* seq of the last record */
    uint64_t last;  /* number of the last grant or late payment */
    uint64_t epoch; /* the highest */
    bool has_sale, unified;
    uint8_t sale[SALE_ID_BYTES], secret[SALE_SECRET_BYTES];
    uint32_t total, version;
    uint8_t state; /* of the event, as the last ADMIN record says */
    struct {       /* who wrote that; node 0: nobody known */
        uint16_t node;
        uint64_t wall_ms;
        uint8_t from_len;
        char from[PARAM_MAX];
    } act;
    uint32_t held; /* tickets of this node's held orders */
    uint32_t sold; /* ... of its sold ones */
    struct order_totals orders;
    uint16_t known[NODES_MAX];
    uint32_t known_count;
};

/* By how many tickets a record changes held and sold. */
void node_totals_delta(const struct record *r, int32_t *held, int32_t *sold);
/* False: the record cannot follow what was folded so far (which stays as it was). */
MUST_CHECK bool node_totals_fold(struct node_totals *t, const struct record *r);

#endif
