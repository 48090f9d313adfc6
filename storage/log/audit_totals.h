/*
 * audit_totals: what the records of one event in one journal add up to, and whether each record may
 * follow those before it.
 *
 * It decides anew what the server has decided (which change may follow which state, that numbers
 * rise by one), and shares with the server only the sums of node_totals.h.
 *
 * Owner: one thread. Pure, but for the memory of the orders: 24 bytes for each record.
 */
#ifndef SPIKE_LOG_AUDIT_TOTALS_H
#define SPIKE_LOG_AUDIT_TOTALS_H

#include "storage/journal/journal.h"
#include "storage/journal/node_totals.h"

/* Total and state of an event, as the journal's last SALE or ADMIN record has them. */
struct audit_settings {
    uint32_t version, total;
    uint8_t state;  /* enum stock_state */
    bool from_act;  /* by an ADMIN record; a SALE does not have the state */
    bool corrected; /* an earlier record of this version differs: set by hand, or lost */
};

struct audit_order;

struct audit_totals {
    /* in */
    uint64_t pos;       /* up to where Redis has settled */
    uint64_t early_end; /* the journal's end before Redis was asked */
    /* out */
    struct node_totals node;
    uint64_t pos_held, pos_sold, pos_last; /* tickets, and last number, as of `pos` */
    uint64_t early_last;                   /* last number as of `early_end` */
    uint32_t early_version;                /* ... and the event's version */
    uint64_t in_state[ORDER_EXPIRED + 1];  /* orders */
    uint64_t late, refused;                /* orders paid late and sold again; refused */
    uint64_t acts, first_act;              /* of operators; seq of the first one */
    uint64_t lost_back; /* tickets that came back because another node's journal is lost */
    struct audit_settings settings;
    uint64_t closed;                   /* seq of the act that closed the event, or 0 */
    uint64_t after_close, first_after; /* orders that got tickets since; seq of the first */
    uint64_t tickets;                  /* granted, ever; sold again is not counted again */
    uint64_t first_wall_ms, last_wall_ms;
    const char *wrong; /* the first contradiction; nothing is folded after it */
    uint64_t wrong_seq;
    struct audit_order *orders; /* by number - 1 */
    uint64_t order_max;
};

/* Begins with no record; at most record_max records can be folded. False: no memory. */
MUST_CHECK bool audit_totals_begin(struct audit_totals *t, uint64_t record_max);
/* False: the record cannot follow, t->wrong says why. */
bool audit_totals_fold(struct audit_totals *t, const struct record *r);
/* Is the order of this number, which was granted, held or sold? */
bool audit_totals_is_live(const struct audit_totals *t, uint64_t number);
/* Frees the orders; the figures stay. */
void audit_totals_end(struct audit_totals *t);

/* The sum of an event over its journals. */
struct audit_sum {
    uint32_t journals;
    uint64_t held, sold, orders, total, version;
};

void audit_sum_add(struct audit_sum *sum, const struct node_totals *t);
/* Promise P1: no more tickets are out than the total. */
bool audit_sum_fits(const struct audit_sum *sum);

#endif
