/*
 * record: what one line of the journal says, and its bytes.
 *
 * The journal of an event is a row of records numbered 1, 2, 3 ... (seq). A record is 64 bytes; one
 * that names a buyer or a key has 128 more. All integers little-endian. Its CRC (crc32 as of zlib)
 * covers seq and all other bytes and starts from the CRC of the record before, so that a record
 * that is missing, doubled, moved or changed breaks the chain.
 *
 *   0 crc 4 | 4 kind 1 | 5 state 1 | 6 buyer_len 1 | 7 key_len 1 | 8 seq 8 | 16 time_ms 8 |
 *   24 body 40 | [64 buyer 64 | 128 key 64]
 *
 * body  SALE    sale id 16, secret 16, total 4, version 4
 *       EPOCH   epoch 8
 *       KNOWN   node 8
 *       GRANT   number 8, pay_by_ms 8, n 4
 *       CHANGE  number 8, pay_by_ms 8, n 4, was 1 (state: what the order has become, from `was`)
 *       ADMIN   total 4, version 4, node 8, acted_ms 8 (state: what the event has become)
 *       LATE    number 8, pay_by_ms 8, n 4, was 1, zero 3, of 8: an expired order was paid and its
 *               tickets were taken once more, under a number of their own; `of` is the order's
 *       REFUSAL number 8, zero 8, n 4: an expired order was paid and is to be refunded; final
 *       RECLAIM gone 4, back 4, node 8 (state: enum reclaim_how): by an operator's word the node is
 *               given up; its tickets that stay counted, and those that came back
 *
 * GRANT, CHANGE, LATE and REFUSAL name the order's buyer and key, so that each of them can be
 * settled, and read, by itself. ADMIN and RECLAIM have in `buyer` where the act came from, and no
 * key.
 * A SALE's state says under which stock it is sold (tally.h).
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

/* Why a node was given up. */
enum reclaim_how { RECLAIM_NODE = 1, RECLAIM_LOST /* and its journal */, RECLAIM_REOPEN };

/* What an order can be. */
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
    uint32_t gone, back;     /* RECLAIM: tickets that stay counted, that came back */
    uint16_t node;           /* KNOWN; ADMIN: whose operator acted, 0 unknown; RECLAIM: given up */
    uint64_t acted_wall_ms;  /* ADMIN: when, by that node's clock */
    uint64_t number;         /* of an order; LATE: of the second deduction */
    uint64_t of;             /* LATE: the order's */
    uint64_t pay_by_wall_ms; /* GRANT, CHANGE, LATE; 0 none */
    uint32_t n;              /* of an order: tickets */
    uint8_t buyer_len, key_len;
    char buyer[PARAM_MAX], key[PARAM_MAX];
};

/* Does the record speak of an order, and of which? */
static inline bool record_is_order(const struct record *r)
{
    return r->kind == RECORD_GRANT || r->kind == RECORD_CHANGE || r->kind == RECORD_LATE ||
           r->kind == RECORD_REFUSAL;
}

static inline uint64_t record_order(const struct record *r)
{
    return r->kind == RECORD_LATE ? r->of : r->number;
}

/* Writes the record's bytes and answers how many; *crc is the chain: in, that of the record
 * before (0 for the first); out, this one's. */
size_t record_encode(const struct record *r, uint32_t *crc, unsigned char out[RECORD_BYTES_MAX]);
/* False if length, CRC or a field is wrong; then *crc is unchanged. */
MUST_CHECK bool record_decode(struct record *r, uint32_t *crc, const void *bytes, size_t len);
/* The CRC that a record carries: where the chain goes on. */
uint32_t record_chain(const void *bytes);

#endif
