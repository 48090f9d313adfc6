#include "storage/log/name_hash.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "conf/base/check.h"

_Static_assert(NAME_HASH == crypto_shorthash_siphashx24_BYTES, "128 bits");

static const unsigned char *hash_secret(void)
{
    static unsigned char secret[crypto_shorthash_siphashx24_KEYBYTES];
    static bool is_made;
    if (!is_made)
        randombytes_buf(secret, sizeof secret);
    is_made = true;
    return secret;
}

void name_hash(uint8_t out[NAME_HASH], const void *name, size_t len)
{
    ASSERT(name != NULL || len == 0);
    crypto_shorthash_siphashx24(out, name, len, hash_secret());
}

uint64_t name_hash_64(const void *name, size_t len)
{
    uint8_t hash[NAME_HASH];
    uint64_t value;
    name_hash(hash, name, len);
    memcpy(&value, hash, sizeof value);
    return value;
}
