/*
 * key_hash: a buyer's key as 64 bits, for the filter of granted keys. All nodes of a sale compute
 * the same hash, so it is SipHash-2-4 (libsodium's crypto_shorthash) under a public constant. A
 * client that searches for keys with equal hashes gains nothing: it gets a correct answer by the
 * slower of two ways.
 *
 * Threads: any; pure.
 */
#ifndef SPIKE_KEY_HASH_H
#define SPIKE_KEY_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t key_hash(const char *key, size_t len);

#endif
