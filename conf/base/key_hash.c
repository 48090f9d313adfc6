/*
 * key_hash: nodes exchange these hashes through Redis, and every node of a sale must find the hash
 * that another one wrote, whatever its build. So neither the SipHash key nor the order of the bytes
 * may change during a sale.
 */
#include "conf/base/key_hash.h"

#include <sodium.h>

#include "conf/base/check.h"

_Static_assert(crypto_shorthash_KEYBYTES == 16, "the constant is a SipHash key");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "a key hash is 64 bits");

/* Sixteen bytes; the NUL is not part of it. */
static const unsigned char constant[] = "spike grant mark";
_Static_assert(sizeof constant == crypto_shorthash_KEYBYTES + 1, "and a NUL");

uint64_t key_hash(const char *key, size_t len)
{
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t value = 0;
    crypto_shorthash(hash, (const unsigned char *)key, len, constant);
    for (size_t i = sizeof hash; i-- > 0;)
        value = value << 8 | hash[i];
    return value;
}
