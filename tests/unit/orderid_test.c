/*
 * Why: an order id is all that a buyer has of an order. It must be parsed as it was printed, must
 * not be accepted in any other spelling (one order, one id), and must not be guessable.
 */
/* needs: conf/base/orderid.c conf/base/check.c -lsodium */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* wants the four above first */

#include <string.h>

#include "conf/base/check.h"
#include "conf/base/orderid.h"

static const uint8_t secret[ORDERID_SECRET] = {0, 1, 2,  3,  4,  5,  6,  7,
                                               8, 9, 10, 11, 12, 13, 14, 15};

static void must_print(const struct orderid *id, const char *expected)
{
    char text[ORDERID_TEXT + 2];
    struct orderid back;
    memset(text, '?', sizeof text);
    orderid_print(text, id);
    assert_int_equal(text[ORDERID_TEXT], '?'); /* not a byte more is written */
    text[ORDERID_TEXT] = '\0';
    assert_string_equal(text, expected);
    assert_true(orderid_parse(text, ORDERID_TEXT, &back));
    assert_int_equal(back.node, id->node);
    assert_int_equal(back.slot, id->slot);
    assert_true(back.number == id->number && back.tag == id->tag);
}

static void an_id_comes_back_as_printed(void **state)
{
    (void)state;
    must_print(&(struct orderid){.node = 1, .slot = 0, .number = 1, .tag = 0},
               "0001-000000000001-0000000000000000");
    must_print(
        &(struct orderid){.node = 0xabc, .slot = 0x12, .number = 0x3456789abc, .tag = 0xfedc},
        "0abc-123456789abc-000000000000fedc");
    must_print(
        &(struct orderid){
            .node = UINT16_MAX, .slot = 255, .number = ORDER_NUMBER_MAX, .tag = UINT64_MAX},
        "ffff-ffffffffffff-ffffffffffffffff");
}

static void nothing_else_is_an_id(void **state)
{
    (void)state;
    static const char good[] = "0001-000000000001-0123456789abcdef";
    struct orderid id;
    for (size_t len = 0; len < ORDERID_TEXT; len++)
        assert_false(orderid_parse(good, len, &id));
    assert_true(orderid_parse(good, ORDERID_TEXT, &id));
    assert_false(orderid_parse(good, ORDERID_TEXT + 1, &id));
    for (size_t at = 0; at < ORDERID_TEXT; at++) {
        static const char wrong[] = "-gGAF/:@`+ \0";
        for (size_t i = 0; i < sizeof wrong; i++) {
            char text[sizeof good];
            memcpy(text, good, sizeof good);
            text[at] = wrong[i];
            if (wrong[i] != good[at])
                assert_false(orderid_parse(text, ORDERID_TEXT, &id));
        }
    }
}

/* Known values of SipHash-2-4: a change of the layout of its input would invalidate every id that a
 * buyer has. */
static void a_tag_stays_what_it_was(void **state)
{
    (void)state;
    assert_true(orderid_tag(1, 0, 1, secret) == UINT64_C(0x5a82272a02e0253b));
    assert_true(orderid_tag(UINT16_MAX, 255, ORDER_NUMBER_MAX, secret) ==
                UINT64_C(0x7c1bf57ae2cb9fda));
}

static void a_tag_depends_on_everything(void **state)
{
    (void)state;
    uint8_t other[ORDERID_SECRET];
    const uint64_t tag = orderid_tag(1, 2, 3, secret);
    assert_true(tag == orderid_tag(1, 2, 3, secret));
    assert_true(tag != orderid_tag(2, 2, 3, secret));
    assert_true(tag != orderid_tag(1, 3, 3, secret));
    assert_true(tag != orderid_tag(1, 2, 4, secret));
    assert_true(tag != orderid_tag(1 << 8, 2, 3, secret));
    for (size_t i = 0; i < ORDERID_SECRET; i++) {
        memcpy(other, secret, sizeof other);
        other[i] ^= 1;
        assert_true(tag != orderid_tag(1, 2, 3, other));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_comes_back_as_printed),
        cmocka_unit_test(nothing_else_is_an_id),
        cmocka_unit_test(a_tag_stays_what_it_was),
        cmocka_unit_test(a_tag_depends_on_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
