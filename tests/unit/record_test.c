/*
 * Why: a record is the proof of a sale. Its bytes are read again after every crash, by later
 * versions and by spike-log, so their layout is fixed here byte by byte, and any other bytes must
 * be refused.
 */
/* needs: storage/journal/record.c conf/base/check.c -ldeflate -lz */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "conf/base/orderid.h"
#include "storage/journal/record.h"

static struct record sample(uint8_t kind)
{
    struct record r = {.kind = kind, .seq = 5, .time_wall_ms = 1700000000123};
    switch ((enum record_kind)kind) {
    case RECORD_SALE:
        memset(r.sale, 0xaa, sizeof r.sale);
        memset(r.secret, 0xbb, sizeof r.secret);
        r.state = 2;
        r.total = 10000;
        r.version = 3;
        break;
    case RECORD_EPOCH:
        r.epoch = UINT64_MAX;
        break;
    case RECORD_KNOWN:
        r.node = 65535;
        break;
    case RECORD_LATE:
        r.state = ORDER_SOLD;
        r.was = ORDER_EXPIRED;
        r.number = ORDER_NUMBER_MAX;
        r.of = ORDER_NUMBER_MAX - 1;
        r.pay_by_wall_ms = 78;
        r.n = 3;
        break;
    case RECORD_REFUSAL:
        r.state = ORDER_EXPIRED;
        r.number = ORDER_NUMBER_MAX;
        r.n = UINT32_MAX;
        break;
    case RECORD_GRANT:
    case RECORD_CHANGE:
        r.state = ORDER_CANCELLED;
        r.number = ORDER_NUMBER_MAX;
        r.pay_by_wall_ms = 77;
        r.n = 4;
        r.was = kind == RECORD_CHANGE ? ORDER_SOLD : 0;
        break;
    case RECORD_ADMIN:
        r.state = 6;
        r.total = 1;
        r.version = UINT32_MAX;
        r.node = 65535;
        r.acted_wall_ms = 1700000000456;
        break;
    case RECORD_RECLAIM:
        r.state = RECLAIM_REOPEN;
        r.gone = UINT32_MAX;
        r.back = 7;
        r.node = 65535;
        break;
    }
    return r;
}

static void name(struct record *r, size_t buyer_len, size_t key_len)
{
    r->buyer_len = (uint8_t)buyer_len;
    r->key_len = (uint8_t)key_len;
    memset(r->buyer, '!', buyer_len);
    memset(r->key, '~', key_len);
}

static void every_kind_comes_back(void **state)
{
    (void)state;
    for (unsigned kind = RECORD_SALE; kind <= RECORD_RECLAIM; kind++) {
        unsigned char bytes[RECORD_BYTES_MAX];
        struct record r = sample((uint8_t)kind), back;
        uint32_t crc = 0x1234, again = 0x1234;
        assert_int_equal(record_encode(&r, &crc, bytes), RECORD_BYTES);
        assert_true(record_decode(&back, &again, bytes, RECORD_BYTES));
        assert_memory_equal(&r, &back, sizeof r);
        assert_int_equal(crc, again);
        assert_int_equal(record_chain(bytes), crc);
    }
}

static void names_come_back(void **state)
{
    static const uint8_t kinds[] = {RECORD_GRANT,   RECORD_CHANGE, RECORD_LATE,
                                    RECORD_REFUSAL, RECORD_ADMIN,  RECORD_RECLAIM};
    static const size_t lens[][2] = {
        {1, 0}, {PARAM_MAX, 0}, {0, 1}, {PARAM_MAX, PARAM_MAX}, {3, 64}};
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
            unsigned char bytes[RECORD_BYTES_MAX];
            struct record r = sample(kinds[k]), back;
            uint32_t crc = 0, again = 0;
            if (kinds[k] >= RECORD_ADMIN && !record_is_order(&r) && lens[i][1] > 0)
                continue; /* an act has no key */
            name(&r, lens[i][0], lens[i][1]);
            assert_int_equal(record_encode(&r, &crc, bytes), RECORD_BYTES_MAX);
            assert_true(record_decode(&back, &again, bytes, RECORD_BYTES_MAX));
            assert_memory_equal(&r, &back, sizeof r);
        }
}

/* Written by an earlier version: it must stay readable. */
static void layout_is_fixed(void **state)
{
    static const unsigned char
        want[RECORD_BYTES] = {[4] = 4, 3,    0,    0,    5,           [16] = 0x7b, 0x68,
                              0xe5,    0xcf, 0x8b, 0x01, [24] = 0xff, 0xff,        0xff,
                              0xff,    0xff, 0,    0,    0,           77,          [40] = 4};
    unsigned char bytes[RECORD_BYTES_MAX];
    struct record r = sample(RECORD_GRANT);
    uint32_t crc = 9;
    (void)state;
    record_encode(&r, &crc, bytes);
    assert_memory_equal(bytes + 4, want + 4, RECORD_BYTES - 4);
    assert_int_equal(crc, crc32(9, want + 4, RECORD_BYTES - 4));
}

/* The offsets of the fields of a late payment, a refusal and an admin act. */
static void later_layouts_are_fixed(void **state)
{
    static const struct {
        uint8_t kind;
        unsigned char want[RECORD_BYTES - 24]; /* from the body on */
    } cases[] = {
        {RECORD_LATE,
         {0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 78, [16] = 3, [20] = ORDER_EXPIRED, [24] = 0xfe,
          0xff, 0xff, 0xff, 0xff}},
        {RECORD_REFUSAL, {0xff, 0xff, 0xff, 0xff, 0xff, [16] = 0xff, 0xff, 0xff, 0xff}},
        {RECORD_RECLAIM, {0xff, 0xff, 0xff, 0xff, 7, [8] = 0xff, 0xff}},
        {RECORD_ADMIN,
         {1, [4] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [16] = 0xc8, 0x69, 0xe5, 0xcf, 0x8b, 1}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned char bytes[RECORD_BYTES_MAX];
        struct record r = sample(cases[i].kind);
        uint32_t crc = 0;
        assert_int_equal(record_encode(&r, &crc, bytes), RECORD_BYTES);
        assert_int_equal(bytes[4], cases[i].kind);
        assert_memory_equal(bytes + 24, cases[i].want, sizeof cases[i].want);
    }
}

static void an_order_is_found_by_its_records(void **state)
{
    (void)state;
    for (unsigned kind = RECORD_SALE; kind <= RECORD_RECLAIM; kind++) {
        struct record r = sample((uint8_t)kind);
        bool order = kind == RECORD_GRANT || kind == RECORD_CHANGE || kind == RECORD_LATE ||
                     kind == RECORD_REFUSAL;
        assert_int_equal(record_is_order(&r), order);
        if (order)
            assert_true(record_order(&r) == ORDER_NUMBER_MAX - (kind == RECORD_LATE));
    }
}

static void every_flipped_bit_is_found(void **state)
{
    unsigned char bytes[RECORD_BYTES_MAX];
    struct record r = sample(RECORD_GRANT), back;
    uint32_t crc = 0;
    (void)state;
    name(&r, 7, 9);
    size_t len = record_encode(&r, &crc, bytes);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        uint32_t chain = 0;
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_false(record_decode(&back, &chain, bytes, len));
        assert_int_equal(chain, 0);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

static void other_lengths_are_refused(void **state)
{
    unsigned char bytes[RECORD_BYTES_MAX] = {0};
    struct record r = sample(RECORD_EPOCH), back;
    uint32_t crc = 0;
    (void)state;
    record_encode(&r, &crc, bytes);
    for (size_t len = 0; len <= RECORD_BYTES_MAX; len++) {
        uint32_t chain = 0;
        assert_int_equal(record_decode(&back, &chain, bytes, len), len == RECORD_BYTES);
    }
}

/* A valid CRC does not make invalid fields valid. */
static void invalid_fields_with_a_valid_crc_are_refused(void **state)
{
    static const struct {
        uint8_t kind;
        size_t at;
        unsigned char value;
    } cases[] = {
        {RECORD_GRANT, 4, 0},
        {RECORD_GRANT, 4, 9},
        {RECORD_GRANT, 5, 0},
        {RECORD_GRANT, 5, 5},
        {RECORD_GRANT, 6, 1},
        {RECORD_GRANT, 7, 65},
        {RECORD_GRANT, 8, 0},
        {RECORD_GRANT, 29, 1},
        {RECORD_GRANT, 40, 0},
        {RECORD_GRANT, 44, 1},
        {RECORD_EPOCH, 5, 1},
        {RECORD_EPOCH, 32, 1},
        {RECORD_KNOWN, 26, 1},
        {RECORD_ADMIN, 48, 1},
        {RECORD_SALE, 6, 1},
        {RECORD_CHANGE, 63, 1},
        {RECORD_CHANGE, 44, 0},
        {RECORD_CHANGE, 44, 5},
        {RECORD_ADMIN, 34, 1}, /* a node's third byte */
        {RECORD_ADMIN, 7, 1},  /* a key */
        {RECORD_LATE, 5, ORDER_HELD},
        {RECORD_LATE, 44, ORDER_HELD},
        {RECORD_LATE, 44, 0},
        {RECORD_LATE, 48, 0xff}, /* of itself */
        {RECORD_LATE, 53, 1},    /* of a later one */
        {RECORD_LATE, 45, 1},
        {RECORD_LATE, 40, 0},
        {RECORD_LATE, 56, 1},
        {RECORD_REFUSAL, 5, ORDER_SOLD},
        {RECORD_REFUSAL, 44, ORDER_EXPIRED},
        {RECORD_REFUSAL, 32, 1},
        {RECORD_REFUSAL, 48, 1},
        {RECORD_REFUSAL, 6, 1},
        {RECORD_RECLAIM, 5, 0},
        {RECORD_RECLAIM, 5, RECLAIM_REOPEN + 1},
        {RECORD_RECLAIM, 34, 1}, /* a node's third byte */
        {RECORD_RECLAIM, 40, 1},
        {RECORD_RECLAIM, 7, 1}, /* a key */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned char bytes[RECORD_BYTES_MAX];
        struct record r = sample(cases[i].kind), back;
        uint32_t crc = 0, chain = 0;
        size_t len = record_encode(&r, &crc, bytes);
        bytes[cases[i].at] = cases[i].value;
        crc = (uint32_t)crc32(0, bytes + 4, (uInt)(len - 4));
        memcpy(bytes, &crc, 4);
        if (record_decode(&back, &chain, bytes, len))
            fail_msg("case %zu was accepted", i);
    }
}

/* Fields that a change of one byte cannot make zero. */
static void fields_that_are_zero_are_refused(void **state)
{
    static const struct {
        uint8_t kind;
        size_t from, bytes;
    } cases[] = {{RECORD_LATE, 24, 8},
                 {RECORD_LATE, 40, 4},
                 {RECORD_LATE, 48, 8},
                 {RECORD_REFUSAL, 24, 8},
                 {RECORD_REFUSAL, 40, 4}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned char bytes[RECORD_BYTES_MAX];
        struct record r = sample(cases[i].kind), back;
        uint32_t crc = 0, chain = 0;
        size_t len = record_encode(&r, &crc, bytes);
        memset(bytes + cases[i].from, 0, cases[i].bytes);
        crc = (uint32_t)crc32(0, bytes + 4, (uInt)(len - 4));
        memcpy(bytes, &crc, 4);
        if (record_decode(&back, &chain, bytes, len))
            fail_msg("case %zu was accepted", i);
    }
}

static void the_chain_finds_missing_and_moved_records(void **state)
{
    unsigned char bytes[3][RECORD_BYTES_MAX];
    struct record back;
    uint32_t crc = 0, chain = 0, first;
    (void)state;
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct record r = sample(RECORD_GRANT);
        r.seq = r.number = seq;
        record_encode(&r, &crc, bytes[seq - 1]);
    }
    assert_false(record_decode(&back, &chain, bytes[1], RECORD_BYTES));
    assert_true(record_decode(&back, &chain, bytes[0], RECORD_BYTES));
    first = chain;
    assert_false(record_decode(&back, &chain, bytes[0], RECORD_BYTES));
    assert_false(record_decode(&back, &chain, bytes[2], RECORD_BYTES));
    assert_int_equal(chain, first);
    assert_true(record_decode(&back, &chain, bytes[1], RECORD_BYTES));
    assert_true(record_decode(&back, &chain, bytes[2], RECORD_BYTES));
    assert_int_equal(chain, crc);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(order_state_name(ORDER_HELD), "held");
    assert_string_equal(order_state_name(ORDER_SOLD), "sold");
    assert_string_equal(order_state_name(ORDER_CANCELLED), "cancelled");
    assert_string_equal(order_state_name(ORDER_EXPIRED), "expired");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back),
        cmocka_unit_test(names_come_back),
        cmocka_unit_test(states_have_names),
        cmocka_unit_test(layout_is_fixed),
        cmocka_unit_test(later_layouts_are_fixed),
        cmocka_unit_test(an_order_is_found_by_its_records),
        cmocka_unit_test(other_lengths_are_refused),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(invalid_fields_with_a_valid_crc_are_refused),
        cmocka_unit_test(fields_that_are_zero_are_refused),
        cmocka_unit_test(the_chain_finds_missing_and_moved_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
