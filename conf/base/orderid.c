/*
 * orderid: prints and parses order ids, and computes tags. Printing is on the way of every sale.
 */
#include "conf/base/orderid.h"

#include <endian.h>
#include <sodium.h>
#include <string.h>

#include "conf/base/check.h"

_Static_assert(ORDERID_SECRET == crypto_shorthash_KEYBYTES, "the secret is a SipHash key");
_Static_assert(crypto_shorthash_BYTES == 8, "a tag is 64 bits");

#define NUMBER_BITS 40

/* Eight digits at once: each half byte becomes a byte; those of ten and above, which overflow into
 * the next half byte when six is added, become letters. */
static void put_hex(char out[8], uint32_t value)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t digits = value;
    digits = (digits | digits << 16) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits | digits << 8) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits | digits << 4) & (15 * ones);
    uint64_t letters = (digits + 6 * ones) >> 4 & ones;
    digits = htobe64(digits + '0' * ones + letters * ('a' - '9' - 1));
    memcpy(out, &digits, sizeof digits);
}

static bool get_hex(const char *text, int digits, uint64_t *value)
{
    *value = 0;
    ASSERT(digits > 0 && digits <= 16);
    for (int i = 0; i < digits; i++) {
        char c = text[i];
        if (c >= '0' && c <= '9')
            *value = *value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *value = *value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

uint64_t orderid_tag(uint16_t node, uint8_t slot, uint64_t number,
                     const uint8_t secret[ORDERID_SECRET])
{
    uint8_t input[10], output[8];
    uint64_t tag = 0;
    ASSERT(number <= ORDER_NUMBER_MAX);
    input[0] = (uint8_t)(node >> 8);
    input[1] = (uint8_t)node;
    uint64_t joined = (uint64_t)slot << NUMBER_BITS | number;
    joined = htobe64(joined);
    memcpy(input + 2, &joined, sizeof joined);
    crypto_shorthash(output, input, sizeof input, secret);
    memcpy(&tag, output, sizeof tag);
    return tag;
}

void orderid_print(char *out, const struct orderid *id)
{
    char digits[8];
    ASSERT(id->number <= ORDER_NUMBER_MAX);
    uint64_t joined = (uint64_t)id->slot << NUMBER_BITS | id->number;
    put_hex(digits, (uint32_t)id->node << 16 | (uint32_t)(joined >> 32));
    memcpy(out, digits, 4);
    out[4] = '-';
    memcpy(out + 5, digits + 4, 4);
    put_hex(out + 9, (uint32_t)joined);
    out[17] = '-';
    put_hex(out + 18, (uint32_t)(id->tag >> 32));
    put_hex(out + 26, (uint32_t)id->tag);
}

bool orderid_parse(const char *text, size_t len, struct orderid *id)
{
    uint64_t node, joined;
    if (len != ORDERID_TEXT || text[4] != '-' || text[17] != '-')
        return false;
    if (!get_hex(text, 4, &node) || !get_hex(text + 5, 12, &joined) ||
        !get_hex(text + 18, 16, &id->tag))
        return false;
    id->node = (uint16_t)node;
    id->slot = (uint8_t)(joined >> NUMBER_BITS);
    id->number = joined & ORDER_NUMBER_MAX;
    return true;
}
