/*
 * pack: fields one behind the other in one argument of a command, as Lua's struct.unpack() reads
 * them: little-endian integers, texts behind their length in a byte. An argument of its own costs
 * both sides more than what most fields hold.
 *
 * Owner: the ledger thread. The place is the caller's, large enough for all that it will hold.
 */
#ifndef SPIKE_PACK_H
#define SPIKE_PACK_H

#include <stdint.h>
#include <string.h>

#include "conf/base/check.h"

#define PACK_DIGITS 20 /* of a 64-bit number */

struct pack {
    unsigned char *bytes;
    uint32_t len, max;
};

static inline unsigned char *pack_room(struct pack *p, uint32_t bytes)
{
    ASSERT(bytes <= p->max - p->len);
    unsigned char *at = p->bytes + p->len;
    p->len += bytes;
    return at;
}

/* 'c1' */
static inline void pack_letter(struct pack *p, char letter)
{
    *pack_room(p, 1) = (unsigned char)letter;
}

static inline void pack_put(unsigned char *at, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

/* 'I1' to 'I8' */
static inline void pack_integer(struct pack *p, uint64_t value, uint32_t bytes)
{
    pack_put(pack_room(p, bytes), value, bytes);
}

/* One that was packed before its value was known. */
static inline void pack_integer_at(struct pack *p, uint32_t at, uint64_t value, uint32_t bytes)
{
    ASSERT(at + bytes <= p->len);
    pack_put(p->bytes + at, value, bytes);
}

/* 'cN' */
static inline void pack_bytes(struct pack *p, const void *bytes, uint32_t len)
{
    memcpy(pack_room(p, len), bytes, len);
}

/* 'Bc0' */
static inline void pack_text(struct pack *p, const void *text, uint8_t len)
{
    pack_integer(p, len, 1);
    pack_bytes(p, text, len);
}

/* 'Bc0': in decimal digits. */
static inline void pack_digits(struct pack *p, uint64_t number)
{
    char digits[PACK_DIGITS];
    uint32_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    pack_text(p, digits + at, (uint8_t)(sizeof digits - at));
}

#endif
