/*
 * node_totals: the sums of the records of one event. The ledger folds every record into them, at
 * start those of the journal and then each one as it is appended; so its totals always match its
 * journal.
 *
 * Pure. Owner: the caller; in the server the ledger thread.
 */
#ifndef SPIKE_NODE_TOTALS_H
#define SPIKE_NODE_TOTALS_H

#include "storage/journal/record.h"

/* The `state` of a SALE record: the stock that it is sold from. */
enum sale_stock { SALE_STANDALONE = 1, SALE_UNIFIED = 2 };

/* Transitions of a node's orders since its journal began. An order that was held, expired and paid
 * late counts in granted, expired and late. */
struct order_totals {
    uint64_t granted, granted_tickets;
    uint64_t paid;         /* held -> sold */
    uint64_t cancelled;    /* held or sold -> cancelled */
    uint64_t expired;      /* held -> expired */
    uint64_t late;         /* expired -> sold: paid late, and there were tickets */
    uint64_t late_refused; /* paid late, and finally refused */
};

struct node_totals {
    uint64_t end;   /* seq of the last record */
    uint64_t last;  /* number of the last grant or late payment */
    uint64_t epoch; /* the highest so far */
    bool has_sale, unified;
    uint8_t sale[SALE_ID_BYTES], secret[SALE_SECRET_BYTES];
    uint32_t total, version;
    uint8_t state; /* of the event, as the last ADMIN record says */
    struct {       /* the origin of that act; node 0: unknown */
        uint16_t node;
        uint64_t wall_ms;
        uint8_t from_len;
        char from[PARAM_MAX];
    } act;
    uint32_t held; /* tickets of this node's held orders */
    uint32_t sold; /* tickets of its sold orders */
    struct order_totals orders;
    uint16_t known[NODES_MAX]; /* other nodes of the sale */
    uint32_t known_count;
};

/* The change of held and sold, in tickets, that a record makes. */
void node_totals_delta(const struct record *r, int32_t *held, int32_t *sold);
/* False: the record cannot follow those folded so far; *t is unchanged. */
MUST_CHECK bool node_totals_fold(struct node_totals *t, const struct record *r);

#endif
