/*
 * record: fields to bytes and back; the layout is in record.h.
 *
 * The encoder writes only what belongs to the record's kind and leaves the rest zero, so a record
 * has exactly one encoding. The decoder uses that: it reads the fields, checks their ranges,
 * encodes the record again and compares. So the code that writes length, CRC, padding and the
 * fields of other kinds also checks them.
 *
 * Pure; it has no effect outside its arguments.
 */
#include "storage/journal/record.h"

#include <libdeflate.h>
#include <string.h>

#include "conf/base/orderid.h"

/* Offsets of record.h. */
enum {
    AT_CRC = 0,
    AT_KIND = 4,
    AT_STATE = 5,
    AT_BUYER_LEN = 6,
    AT_KEY_LEN = 7,
    AT_SEQ = 8,
    AT_TIME = 16,
    AT_BODY = 24,
    AT_BUYER = 64,
    AT_KEY = 128,
};

_Static_assert(AT_KEY + PARAM_MAX == RECORD_BYTES_MAX, "the key is the last field");
_Static_assert(AT_BODY + SALE_ID_BYTES + SALE_SECRET_BYTES + 8 == RECORD_BYTES,
               "a SALE fills the body");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers are copied as stored");

const char *order_state_name(enum order_state s)
{
    static const char *const names[] = {
        [ORDER_HELD] = "held",
        [ORDER_SOLD] = "sold",
        [ORDER_CANCELLED] = "cancelled",
        [ORDER_EXPIRED] = "expired",
    };
    ASSERT(s >= ORDER_HELD && s <= ORDER_EXPIRED);
    return names[s];
}

static void put(unsigned char *out, uint64_t value, size_t bytes)
{
    ASSERT(bytes <= sizeof value);
    memcpy(out, &value, bytes);
}

static uint64_t get(const unsigned char *in, size_t bytes)
{
    uint64_t value = 0;
    ASSERT(bytes <= sizeof value);
    memcpy(&value, in, bytes);
    return value;
}

static bool is_act(const struct record *r)
{
    return r->kind == RECORD_ADMIN || r->kind == RECORD_RECLAIM;
}

/* Its buyer and key are written. */
static bool has_names(const struct record *r)
{
    return record_is_order(r) || is_act(r);
}

static bool is_state(uint8_t state)
{
    return state >= ORDER_HELD && state <= ORDER_EXPIRED;
}

static bool is_valid_order(const struct record *r)
{
    if (!is_state(r->state) || r->number == 0 || r->number > ORDER_NUMBER_MAX || r->n == 0 ||
        r->buyer_len > PARAM_MAX || r->key_len > PARAM_MAX)
        return false;
    if (r->kind == RECORD_LATE)
        return r->of > 0 && r->of < r->number && r->state == ORDER_SOLD && r->was == ORDER_EXPIRED;
    if (r->kind == RECORD_REFUSAL)
        return r->state == ORDER_EXPIRED && r->was == 0;
    return r->kind == RECORD_GRANT ? r->was == 0 : is_state(r->was);
}

/* Every record that is written must satisfy this, and every one that was decoded does. */
static bool is_valid(const struct record *r)
{
    if (r->kind < RECORD_SALE || r->kind > RECORD_RECLAIM || r->seq == 0)
        return false;
    if (r->kind == RECORD_RECLAIM && (r->state < RECLAIM_NODE || r->state > RECLAIM_REOPEN))
        return false;
    if (is_act(r))
        return r->buyer_len <= PARAM_MAX && r->key_len == 0;
    return !record_is_order(r) || is_valid_order(r);
}

static void encode_order(const struct record *r, unsigned char *body)
{
    ASSERT(record_is_order(r));
    put(body, r->number, 8);
    put(body + 16, r->n, 4);
    if (r->kind == RECORD_REFUSAL)
        return;
    put(body + 8, r->pay_by_wall_ms, 8);
    if (r->kind == RECORD_GRANT)
        return;
    body[20] = r->was;
    if (r->kind == RECORD_LATE)
        put(body + 24, r->of, 8);
}

static void encode_body(const struct record *r, unsigned char *body)
{
    switch ((enum record_kind)r->kind) {
    case RECORD_SALE:
        memcpy(body, r->sale, SALE_ID_BYTES);
        memcpy(body + SALE_ID_BYTES, r->secret, SALE_SECRET_BYTES);
        put(body + 32, r->total, 4);
        put(body + 36, r->version, 4);
        return;
    case RECORD_EPOCH:
        put(body, r->epoch, 8);
        return;
    case RECORD_KNOWN:
        put(body, r->node, 8);
        return;
    case RECORD_GRANT:
    case RECORD_CHANGE:
    case RECORD_LATE:
    case RECORD_REFUSAL:
        encode_order(r, body);
        return;
    case RECORD_ADMIN:
        put(body, r->total, 4);
        put(body + 4, r->version, 4);
        put(body + 8, r->node, 8);
        put(body + 16, r->acted_wall_ms, 8);
        return;
    case RECORD_RECLAIM:
        put(body, r->gone, 4);
        put(body + 4, r->back, 4);
        put(body + 8, r->node, 8);
        return;
    }
    check_failed(__FILE__, __LINE__, "a record has a kind");
}

static size_t encode_names(const struct record *r, unsigned char *out)
{
    if (!has_names(r) || (r->buyer_len == 0 && r->key_len == 0))
        return RECORD_BYTES;
    ASSERT(r->buyer_len <= PARAM_MAX && r->key_len <= PARAM_MAX);
    out[AT_BUYER_LEN] = r->buyer_len;
    out[AT_KEY_LEN] = r->key_len;
    memset(out + AT_BUYER, 0, RECORD_BYTES_MAX - RECORD_BYTES);
    memcpy(out + AT_BUYER, r->buyer, r->buyer_len);
    memcpy(out + AT_KEY, r->key, r->key_len);
    return RECORD_BYTES_MAX;
}

/* Of a valid record. */
static size_t encode(const struct record *r, uint32_t *crc, unsigned char *out)
{
    memset(out, 0, RECORD_BYTES);
    out[AT_KIND] = r->kind;
    if (r->kind != RECORD_EPOCH && r->kind != RECORD_KNOWN)
        out[AT_STATE] = r->state;
    put(out + AT_SEQ, r->seq, 8);
    put(out + AT_TIME, r->time_wall_ms, 8);
    encode_body(r, out + AT_BODY);
    size_t len = encode_names(r, out);
    *crc = libdeflate_crc32(*crc, out + AT_KIND, len - AT_KIND);
    put(out + AT_CRC, *crc, 4);
    return len;
}

size_t record_encode(const struct record *r, uint32_t *crc, unsigned char out[RECORD_BYTES_MAX])
{
    ASSERT(is_valid(r));
    return encode(r, crc, out);
}

static void decode_body(struct record *r, const unsigned char *body)
{
    switch ((enum record_kind)r->kind) {
    case RECORD_SALE:
        memcpy(r->sale, body, SALE_ID_BYTES);
        memcpy(r->secret, body + SALE_ID_BYTES, SALE_SECRET_BYTES);
        r->total = (uint32_t)get(body + 32, 4);
        r->version = (uint32_t)get(body + 36, 4);
        return;
    case RECORD_EPOCH:
        r->epoch = get(body, 8);
        return;
    case RECORD_KNOWN:
        r->node = (uint16_t)get(body, 2);
        return;
    case RECORD_GRANT:
    case RECORD_CHANGE:
    case RECORD_LATE:
    case RECORD_REFUSAL:
        r->number = get(body, 8);
        r->pay_by_wall_ms = get(body + 8, 8);
        r->n = (uint32_t)get(body + 16, 4);
        r->was = body[20];
        r->of = r->kind == RECORD_LATE ? get(body + 24, 8) : 0;
        return;
    case RECORD_ADMIN:
        r->total = (uint32_t)get(body, 4);
        r->version = (uint32_t)get(body + 4, 4);
        r->node = (uint16_t)get(body + 8, 2);
        r->acted_wall_ms = get(body + 16, 8);
        return;
    case RECORD_RECLAIM:
        r->gone = (uint32_t)get(body, 4);
        r->back = (uint32_t)get(body + 4, 4);
        r->node = (uint16_t)get(body + 8, 2);
        return;
    }
}

bool record_decode(struct record *r, uint32_t *crc, const void *bytes, size_t len)
{
    const unsigned char *in = bytes;
    unsigned char again[RECORD_BYTES_MAX];
    uint32_t chain = *crc;
    if (len != RECORD_BYTES && len != RECORD_BYTES_MAX)
        return false;
    memset(r, 0, sizeof *r);
    r->kind = in[AT_KIND];
    r->state = in[AT_STATE];
    r->buyer_len = in[AT_BUYER_LEN];
    r->key_len = in[AT_KEY_LEN];
    r->seq = get(in + AT_SEQ, 8);
    r->time_wall_ms = get(in + AT_TIME, 8);
    decode_body(r, in + AT_BODY);
    if (!is_valid(r))
        return false;
    if (len == RECORD_BYTES_MAX && has_names(r)) {
        memcpy(r->buyer, in + AT_BUYER, r->buyer_len);
        memcpy(r->key, in + AT_KEY, r->key_len);
    }
    if (encode(r, &chain, again) != len || memcmp(again, in, len) != 0)
        return false;
    *crc = chain;
    return true;
}

uint32_t record_chain(const void *bytes)
{
    return (uint32_t)get((const unsigned char *)bytes + AT_CRC, 4);
}
