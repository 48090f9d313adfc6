/*
 * name_hash: a name that a buyer has chosen, as a 128-bit SipHash under a secret of this process:
 * names cannot be chosen so that they collide, and every one has the same size.
 *
 * Owner: one thread.
 */
#ifndef SPIKE_LOG_NAME_HASH_H
#define SPIKE_LOG_NAME_HASH_H

#include <stddef.h>
#include <stdint.h>

#define NAME_HASH 16 /* bytes */

void name_hash(uint8_t out[NAME_HASH], const void *name, size_t len);
/* The first 64 bits of it. */
uint64_t name_hash_64(const void *name, size_t len);

#endif
