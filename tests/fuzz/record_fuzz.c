/*
 * Why: the journal's bytes may be anything after a disk has failed. The decoder must neither crash
 * nor accept two encodings of one record. The first four bytes of the input are the chain; the
 * record is decoded as it is and once more with a valid CRC, to get past that check.
 */
/* needs: storage/journal/record.c conf/base/check.c -ldeflate -lz */
#include <string.h>
#include <zlib.h>

#include "storage/journal/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try(uint32_t before, const unsigned char *bytes, size_t len)
{
    struct record r;
    unsigned char again[RECORD_BYTES_MAX];
    uint32_t chain = before, crc = before;
    if (!record_decode(&r, &chain, bytes, len)) {
        ASSERT(chain == before);
        return;
    }
    ASSERT(chain == record_chain(bytes));
    ASSERT(record_encode(&r, &crc, again) == len);
    ASSERT(crc == chain && memcmp(again, bytes, len) == 0);
    ASSERT(!record_is_order(&r) || (record_order(&r) > 0 && record_order(&r) <= r.number));
    ASSERT(r.buyer_len <= PARAM_MAX && r.key_len <= PARAM_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t before, crc;
    unsigned char copy[RECORD_BYTES_MAX + 1];
    if (size < sizeof before || size - sizeof before > sizeof copy)
        return 0;
    memcpy(&before, data, sizeof before);
    size_t len = size - sizeof before;
    memcpy(copy, data + sizeof before, len);
    try(before, copy, len);
    if (len < sizeof crc)
        return 0;
    crc = (uint32_t)crc32(before, copy + sizeof crc, (uInt)(len - sizeof crc));
    memcpy(copy, &crc, sizeof crc);
    try(before, copy, len);
    return 0;
}
