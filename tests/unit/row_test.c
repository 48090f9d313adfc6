/*
 * Why: rows of spike-log(8) go into other programs. A comma, a quote or a long name that breaks a
 * line there makes an export worthless, and one that outgrows its buffer does worse.
 */
/* needs: storage/log/row.c storage/log/source.c conf/base/conf.c conf/base/conf_addr.c
 * conf/base/conf_finish.c conf/base/conf_lex.c conf/base/conf_settings.c conf/base/conf_value.c
 *        conf/base/check.c conf/base/fault.c conf/base/log.c conf/base/orderid.c
 *        storage/journal/journal_dir.c storage/journal/journal.c
 * storage/journal/journal_preallocate.c storage/journal/journal_open.c storage/journal/capacity.c
 * storage/journal/journal_figures.c storage/journal/order_index.c storage/journal/snapshot.c
 * storage/journal/writer.c storage/journal/catalog.c storage/journal/pages.c
 * storage/journal/metas.c storage/journal/leaves.c storage/journal/history.c
 * storage/journal/journal_mend.c storage/journal/record.c storage/journal/node_totals.c
 * storage/journal/verify.c -llmdb -lsodium -ldeflate */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "storage/log/row.h"

#define PAY_BY 250
#include "tests/unit/audit_records.h"

static const char *row(struct record r, enum row_format format)
{
    static char line[ROW_BYTES + 1];
    struct row_from from = {.format = format, .event = "ticket", .node = 7, .slot = 0};
    r.seq = 5;
    r.time_wall_ms = 1234;
    line[row_print(line, &from, &r)] = '\0';
    memset(strstr(line, "0007-") + 18, 'T', 16); /* the tag */
    return line;
}

static void test_rows(void **state)
{
    struct record r = with(grant(3, ORDER_HELD, 2), "a,b", "say \"x\"\\");
    (void)state;
    r.pay_by_wall_ms = UINT64_MAX;
    assert_string_equal(row(r, ROW_CSV),
                        "5,1234,0007-000000000003-TTTTTTTTTTTTTTTT,ticket,held,2,\"a,b\","
                        "\"say \"\"x\"\"\\\",18446744073709551615\n");
    assert_string_equal(row(r, ROW_JSON),
                        "{\"seq\":5,\"time_ms\":1234,\"order\":\"0007-000000000003-"
                        "TTTTTTTTTTTTTTTT\",\"event\":\"ticket\",\"state\":\"held\",\"n\":2,"
                        "\"buyer\":\"a,b\",\"key\":\"say \\\"x\\\"\\\\\","
                        "\"pay_by\":18446744073709551615}\n");
    assert_string_equal(row(grant(3, ORDER_SOLD, 1), ROW_CSV),
                        "5,1234,0007-000000000003-TTTTTTTTTTTTTTTT,ticket,sold,1,,,0\n");
}

/* The row of a late payment has the number of the order, not the one that the payment took. A
 * refusal is no change of the order; it has a row in an export of refusals. */
static void test_row_of_late(void **state)
{
    struct record r = with(grant(3, ORDER_HELD, 2), "ann", "k");
    (void)state;
    r.kind = RECORD_LATE;
    r.state = ORDER_SOLD;
    r.of = 3;
    r.number = 9;
    assert_string_equal(row(r, ROW_CSV),
                        "5,1234,0007-000000000003-TTTTTTTTTTTTTTTT,ticket,sold,2,ann,k,250\n");
    r.kind = RECORD_REFUSAL;
    r.state = ORDER_EXPIRED;
    r.number = 3;
    assert_false(row_is_order(&r));
    assert_string_equal(row(r, ROW_CSV),
                        "5,1234,0007-000000000003-TTTTTTTTTTTTTTTT,ticket,expired,2,ann,k,250\n");
}

/* The longest row there can be fits its buffer. */
static void test_longest_row(void **state)
{
    char line[ROW_BYTES];
    struct record r = {.kind = RECORD_CHANGE,
                       .state = ORDER_CANCELLED,
                       .seq = UINT64_MAX,
                       .time_wall_ms = UINT64_MAX,
                       .number = ORDER_NUMBER_MAX,
                       .n = UINT32_MAX,
                       .pay_by_wall_ms = UINT64_MAX,
                       .buyer_len = PARAM_MAX,
                       .key_len = PARAM_MAX};
    struct row_from from = {.event = "e2345678901234567890123456789012"};
    (void)state;
    memset(r.buyer, '"', PARAM_MAX);
    memset(r.key, '"', PARAM_MAX);
    for (from.format = ROW_CSV; from.format <= ROW_JSON; from.format++)
        assert_in_range(row_print(line, &from, &r), 400, ROW_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_row_of_late),
        cmocka_unit_test(test_longest_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
