/*
 * mark: a key in 64 bits, for the filter of granted keys. All nodes of a sale make the same one, so
 * it is SipHash-2-4 (libsodium's crypto_shorthash) under a constant: a buyer who looks for keys of
 * one mark gains nothing but the slower of two right answers.
 *
 * Threads: any; pure.
 */
#ifndef SPIKE_KEY_HASH_H
#define SPIKE_KEY_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t key_hash(const char *key, size_t len);

#endif
