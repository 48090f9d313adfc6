/*
 * record: what one line of the journal says, and its bytes.
 *
 * The journal of an event is a row of records numbered 1, 2, 3 ... (seq). A record is 64 bytes; one
 * that names a buyer or a key has 128 more. All integers little-endian. Its CRC (zlib's crc32)
 * covers seq and all other bytes and starts from the CRC of the record before, so that a record
 * that is missing, doubled, moved or changed breaks the chain.
 *
 *   0 crc 4 | 4 kind 1 | 5 state 1 | 6 buyer_len 1 | 7 key_len 1 | 8 seq 8 | 16 time_ms 8 |
 *   24 body 40 | [64 buyer 64 | 128 key 64]
 *
 * body  SALE   sale id 16, secret 16, total 4, version 4
 *       EPOCH  epoch 8
 *       KNOWN  node 8
 *       GRANT  number 8, pay_by_ms 8, n 4
 *       CHANGE number 8, pay_by_ms 8, n 4, was 1  (state: what the order has become, from `was`)
 *       ADMIN  total 4, version 4                 (state: what the event has become)
 *
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
};

/* What an order can be. */
enum order_state { ORDER_HELD = 1, ORDER_SOLD, ORDER_CANCELLED, ORDER_EXPIRED };

/* "held", "sold", "cancelled", "expired". */
const char *order_state_word(enum order_state s);

struct record {
    uint8_t kind;  /* enum record_kind */
    uint8_t state; /* GRANT, CHANGE: enum order_state */
    uint8_t was;   /* CHANGE: enum order_state */
    uint64_t seq;
    uint64_t time_wall_ms;
    /* SALE */
    uint8_t sale[SALE_ID_BYTES], secret[SALE_SECRET_BYTES];
    uint32_t total, version; /* SALE, ADMIN */
    uint64_t epoch;          /* EPOCH */
    uint16_t node;           /* KNOWN */
    uint64_t number;         /* GRANT, CHANGE */
    uint64_t pay_by_wall_ms; /* GRANT, CHANGE; 0 none */
    uint32_t n;              /* GRANT, CHANGE: tickets */
    uint8_t buyer_len, key_len;
    char buyer[PARAM_MAX], key[PARAM_MAX];
};

/* Writes the record's bytes and answers how many; *crc is the chain: in, that of the record
 * before (0 for the first); out, this one's. */
size_t record_encode(const struct record *r, uint32_t *crc, unsigned char out[RECORD_BYTES_MAX]);
/* False if length, CRC or a field is wrong; then *crc is unchanged. */
MUST_CHECK bool record_decode(struct record *r, uint32_t *crc, const void *bytes, size_t len);
/* The CRC that a record carries: where the chain goes on. */
uint32_t record_chain(const void *bytes);

#endif
