/*
 * The key of the hash and the order of its bytes are part of what nodes tell each other: a mark
 * that one node wrote is looked for by all others, whatever their build. Neither may ever change
 * while a sale is on.
 */
#include "conf/base/key_hash.h"

#include <sodium.h>

#include "conf/base/check.h"

_Static_assert(crypto_shorthash_KEYBYTES == 16, "the constant is a SipHash key");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "a mark is 64 bits");

/* Sixteen bytes; the NUL is not part of it. */
static const unsigned char constant[] = "spike grant mark";
_Static_assert(sizeof constant == crypto_shorthash_KEYBYTES + 1, "and a NUL");

uint64_t key_hash(const char *key, size_t len)
{
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t mark = 0;
    crypto_shorthash(hash, (const unsigned char *)key, len, constant);
    for (size_t i = sizeof hash; i-- > 0;)
        mark = mark << 8 | hash[i];
    return mark;
}
