/*
 * orderid: the id of an order, NNNN-SSSSSSSSSSSS-TTTTTTTTTTTTTTTT in lower-case hex: node, number,
 * tag. The tag is SipHash-2-4 (libsodium's crypto_shorthash) of node and number under the sale's
 * secret, so that an id cannot be guessed. Tags are secrets: never in a log.
 *
 * One node sells several events, and each has its own rising number. So the 48 bits in the middle
 * are the event's slot in this node's journal (8 bits) and the event's number (40 bits).
 *
 * Threads: any; pure.
 */
#ifndef SPIKE_ORDERID_H
#define SPIKE_ORDERID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORDERID_TEXT     34 /* bytes, without NUL */
#define ORDERID_SECRET   16 /* bytes: crypto_shorthash_KEYBYTES */
#define ORDER_NUMBER_MAX ((UINT64_C(1) << 40) - 1)

struct orderid {
    uint16_t node;
    uint8_t slot;    /* of the event in the node's journal */
    uint64_t number; /* 1 .. ORDER_NUMBER_MAX */
    uint64_t tag;
};

/* The tag for these; number is at most ORDER_NUMBER_MAX. */
uint64_t orderid_tag(uint16_t node, uint8_t slot, uint64_t number,
                     const uint8_t secret[ORDERID_SECRET]);
/* Writes exactly ORDERID_TEXT bytes, no NUL. */
void orderid_print(char *out, const struct orderid *id);
/* False: the text is no order id in form. The caller checks the tag. */
bool orderid_parse(const char *text, size_t len, struct orderid *id);

#endif
