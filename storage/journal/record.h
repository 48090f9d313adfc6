/*
 * record: one entry of the journal: its meaning and its bytes.
 *
 * The journal of an event is a sequence of records numbered 1, 2, 3 ... (seq). A record has 64
 * bytes; one that names a buyer or a key has 128 more. All integers are little-endian. Its CRC
 * (crc32 as of zlib) covers seq and all other bytes and starts from the CRC of the previous record,
 * so that a record that is missing, duplicated, moved or changed breaks the chain.
 *
 *   0 crc 4 | 4 kind 1 | 5 state 1 | 6 buyer_len 1 | 7 key_len 1 | 8 seq 8 | 16 time_ms 8 |
 *   24 body 40 | [64 buyer 64 | 128 key 64]
 *
 * body  SALE    sale id 16, secret 16, total 4, version 4
 *       EPOCH   epoch 8
 *       KNOWN   node 8
 *       GRANT   number 8, pay_by_ms 8, n 4
 *       CHANGE  number 8, pay_by_ms 8, n 4, was 1 (state: the order's new state; `was`: its old
 * one) ADMIN   total 4, version 4, node 8, acted_ms 8 (state: the event's new state) LATE    number
 * 8, pay_by_ms 8, n 4, was 1, zero 3, of 8: an expired order was paid, and its tickets were
 * deducted again under another number; `of` is the order's number REFUSAL number 8, zero 8, n 4: an
 * expired order was paid and is to be refunded; final RECLAIM gone 4, back 4, node 8 (state: enum
 * reclaim_how): an operator has given the node up; its tickets that stay counted, and those that
 * returned to the stock
 *
 * GRANT, CHANGE, LATE and REFUSAL name the order's buyer and key, so that each of them can be
 * settled and read on its own. ADMIN and RECLAIM have in `buyer` the origin of the act, and no key.
 * A SALE's state is the stock that it is sold from (enum sale_stock, node_totals.h).
 *
 * Threads: any; pure.
 */
#ifndef SPIKE_RECORD_H
#define SPIKE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "conf/base/check.h"
#include "conf/base/limits.h"

#define RECORD_BYTES      64
#define RECORD_BYTES_MAX  192
#define SALE_ID_BYTES     16
#define SALE_SECRET_BYTES 16

enum record_kind {
    RECORD_SALE = 1,
    RECORD_EPOCH,
    RECORD_KNOWN,
    RECORD_GRANT,
    RECORD_CHANGE,
    RECORD_ADMIN,
    RECORD_LATE,
    RECORD_REFUSAL,
    RECORD_RECLAIM,
};

/* How a node was given up: the node; the node and its journal; the node, by reopening the sale. */
enum reclaim_how { RECLAIM_NODE = 1, RECLAIM_LOST, RECLAIM_REOPEN };

enum order_state { ORDER_HELD = 1, ORDER_SOLD, ORDER_CANCELLED, ORDER_EXPIRED };

/* "held", "sold", "cancelled", "expired". */
const char *order_state_name(enum order_state s);

struct record {
    uint8_t kind;  /* enum record_kind */
    uint8_t state; /* GRANT, CHANGE, LATE, REFUSAL: enum order_state; REFUSAL: EXPIRED;
                    * RECLAIM: enum reclaim_how */
    uint8_t was;   /* CHANGE, LATE: enum order_state */
    uint64_t seq;
    uint64_t time_wall_ms;
    /* SALE */
    uint8_t sale[SALE_ID_BYTES], secret[SALE_SECRET_BYTES];
    uint32_t total, version; /* SALE, ADMIN */
    uint64_t epoch;          /* EPOCH */
    uint32_t gone, back;     /* RECLAIM: tickets that stay counted, that returned */
    uint16_t node;           /* KNOWN; ADMIN: where the act began, 0 unknown; RECLAIM: given up */
    uint64_t acted_wall_ms;  /* ADMIN: when, by that node's clock */
    uint64_t number;         /* of an order; LATE: of the second deduction */
    uint64_t of;             /* LATE: the order's */
    uint64_t pay_by_wall_ms; /* GRANT, CHANGE, LATE; 0 none */
    uint32_t n;              /* of an order: tickets */
    uint8_t buyer_len, key_len;
    char buyer[PARAM_MAX], key[PARAM_MAX];
};

/* Does the record refer to an order, and to which one? */
static inline bool record_is_order(const struct record *r)
{
    return r->kind == RECORD_GRANT || r->kind == RECORD_CHANGE || r->kind == RECORD_LATE ||
           r->kind == RECORD_REFUSAL;
}

static inline uint64_t record_order(const struct record *r)
{
    return r->kind == RECORD_LATE ? r->of : r->number;
}

/* Writes the record's bytes and returns how many: RECORD_BYTES or RECORD_BYTES_MAX. *crc is the
 * chain: in, that of the previous record (0 for the first); out, this one's. */
size_t record_encode(const struct record *r, uint32_t *crc, unsigned char out[RECORD_BYTES_MAX]);
/* False: length, CRC or a field is wrong; *crc is unchanged then, *r undefined. */
MUST_CHECK bool record_decode(struct record *r, uint32_t *crc, const void *bytes, size_t len);
/* The CRC that a record carries, from which the chain continues. At least RECORD_BYTES bytes. */
uint32_t record_chain(const void *bytes);

#endif
