/*
 * Why: an audit that overlooks a broken promise is worse than none, and one that cries at a sound
 * journal is soon ignored. First the arithmetic alone, record by record; then whole commands over
 * journals with everything that a record can say: held, expired, paid late, keys, buyers, pay_by.
 */
/* needs: storage/log/account.c storage/log/audit.c storage/log/audit_redis.c storage/log/export.c
 *        storage/log/row.c storage/log/source.c storage/log/stat.c storage/log/tail.c
 *        conf/base/conf.c conf/base/conf_addr.c conf/base/conf_finish.c conf/base/conf_lex.c
 *        conf/base/conf_settings.c conf/base/conf_value.c
 *        conf/base/check.c conf/base/fault.c conf/base/log.c conf/base/orderid.c
 *        storage/journal/journal.c storage/journal/journal_open.c storage/journal/names.c
 *        storage/journal/home.c storage/journal/pages.c storage/journal/record.c
 *        storage/journal/tally.c storage/journal/verify.c
 *        storage/stock/look.c storage/stock/link.c server/mem/arena.c
 *        -lhiredis -llmdb -lsodium -lz */
#include "tests/unit/journal_dir.h"

#include "storage/log/inside.h"

#define ORDERS 16

/* ---- records, as they follow each other ----------------------------------------------------- */

struct ledger {
    struct account a;
    struct account_order orders[ORDERS];
};

static struct record sale(uint32_t total, uint8_t id)
{
    struct record r = {.kind = RECORD_SALE, .state = SALE_UNIFIED, .total = total, .version = 1};
    memset(r.sale, id, sizeof r.sale);
    memset(r.secret, id, sizeof r.secret);
    return r;
}

static struct record grant(uint64_t number, uint8_t state, uint32_t n)
{
    return (struct record){.kind = RECORD_GRANT, .state = state, .number = number, .n = n};
}

static struct record change(uint64_t number, uint8_t was, uint8_t state, uint32_t n)
{
    return (struct record){
        .kind = RECORD_CHANGE, .was = was, .state = state, .number = number, .n = n};
}

static struct record with(struct record r, const char *buyer, const char *key)
{
    r.buyer_len = (uint8_t)strlen(buyer);
    r.key_len = (uint8_t)strlen(key);
    memcpy(r.buyer, buyer, r.buyer_len);
    memcpy(r.key, key, r.key_len);
    return r;
}

static void begin(struct ledger *l)
{
    memset(l, 0, sizeof *l);
    l->a.orders = l->orders;
    l->a.order_max = ORDERS;
}

static bool fold(struct ledger *l, struct record r)
{
    r.seq = l->a.tally.end + 1;
    r.time_wall_ms = r.seq * 100;
    return account_fold(&l->a, &r);
}

static void fold_good(struct ledger *l, struct record r)
{
    if (!fold(l, r))
        fail_msg("record %d: %s", (int)l->a.wrong_seq, l->a.wrong);
}

static void fold_bad(struct ledger *l, struct record r, const char *why)
{
    uint64_t seq = l->a.tally.end + 1;
    assert_false(fold(l, r));
    assert_string_equal(l->a.wrong, why);
    assert_int_equal(l->a.wrong_seq, seq);
    assert_int_equal(l->a.tally.end, seq - 1);
}

static void begin_sale(struct ledger *l)
{
    begin(l);
    fold_good(l, sale(10, 1));
}

/* ---- the arithmetic ------------------------------------------------------------------------- */

static void test_sums(void **state)
{
    struct ledger l;
    (void)state;
    begin_sale(&l);
    fold_good(&l, grant(1, ORDER_SOLD, 1));
    fold_good(&l, grant(2, ORDER_HELD, 4));
    fold_good(&l, grant(3, ORDER_HELD, 2));
    fold_good(&l, grant(4, ORDER_HELD, 1));
    fold_good(&l, change(2, ORDER_HELD, ORDER_SOLD, 4));
    fold_good(&l, change(3, ORDER_HELD, ORDER_EXPIRED, 2));
    assert_int_equal(l.a.tally.sold, 5);
    assert_int_equal(l.a.tally.held, 1);
    assert_int_equal(l.a.tickets, 8);
    assert_int_equal(l.a.in_state[ORDER_SOLD], 2);
    assert_int_equal(l.a.in_state[ORDER_HELD], 1);
    assert_int_equal(l.a.in_state[ORDER_EXPIRED], 1);
    assert_int_equal(l.a.first_wall_ms, 100);
    assert_int_equal(l.a.last_wall_ms, 700);
}

/* Every change of state that there can be: these are legal, and no other. */
static void test_every_change(void **state)
{
    static const bool legal[5][5] = {
        [ORDER_HELD] = {[ORDER_SOLD] = true, [ORDER_CANCELLED] = true, [ORDER_EXPIRED] = true},
        [ORDER_SOLD] = {[ORDER_CANCELLED] = true},
        [ORDER_EXPIRED] = {[ORDER_SOLD] = true},
    };
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        uint8_t was = (uint8_t)(ORDER_HELD + i / 4), to = (uint8_t)(ORDER_HELD + i % 4);
        struct ledger l;
        begin_sale(&l);
        fold_good(&l, grant(1, was == ORDER_SOLD ? ORDER_SOLD : ORDER_HELD, 1));
        if (was == ORDER_CANCELLED || was == ORDER_EXPIRED)
            fold_good(&l, change(1, ORDER_HELD, was, 1));
        if (legal[was][to])
            fold_good(&l, change(1, was, to, 1));
        else
            fold_bad(&l, change(1, was, to, 1), "an order cannot change in this way");
    }
}

static void test_what_cannot_follow(void **state)
{
    struct ledger l;
    struct record gap = grant(1, ORDER_SOLD, 1), other = sale(10, 2);
    (void)state;
    begin(&l);
    fold_bad(&l, gap, "an order was granted before there was a sale");
    begin_sale(&l);
    fold_bad(&l, grant(2, ORDER_SOLD, 1), "its order number does not follow the last one");
    begin_sale(&l);
    fold_bad(&l, grant(1, ORDER_CANCELLED, 1), "an order begins neither held nor sold");
    begin_sale(&l);
    fold_bad(&l, change(1, ORDER_HELD, ORDER_SOLD, 1),
             "it changes an order that was never granted");
    begin_sale(&l);
    fold_good(&l, grant(1, ORDER_SOLD, 2));
    fold_bad(&l, change(1, ORDER_HELD, ORDER_SOLD, 2), "the order was in another state before");
    begin_sale(&l);
    fold_good(&l, grant(1, ORDER_SOLD, 2));
    fold_bad(&l, change(1, ORDER_SOLD, ORDER_CANCELLED, 1),
             "the order has another number of tickets");
    begin_sale(&l);
    fold_good(&l, grant(1, ORDER_SOLD, 2));
    fold_bad(&l, other, "it begins another sale, and this one has orders");
    begin_sale(&l);
    gap.seq = 3;
    assert_false(account_fold(&l.a, &gap));
    assert_string_equal(l.a.wrong, "records are missing before it");
}

/* After the first contradiction nothing counts any more. */
static void test_stops_at_the_first(void **state)
{
    struct ledger l;
    (void)state;
    begin_sale(&l);
    fold_bad(&l, grant(2, ORDER_SOLD, 1), "its order number does not follow the last one");
    assert_false(fold(&l, grant(1, ORDER_SOLD, 1)));
    assert_int_equal(l.a.tally.sold, 0);
}

/* Redis is held against the journal as of `pos`, not against what came after. */
static void test_as_of_pos(void **state)
{
    struct ledger l;
    (void)state;
    begin_sale(&l);
    l.a.pos = 3;
    l.a.mark = 4;
    fold_good(&l, grant(1, ORDER_HELD, 2));
    fold_good(&l, grant(2, ORDER_SOLD, 1));
    fold_good(&l, grant(3, ORDER_SOLD, 1));
    fold_good(&l, change(1, ORDER_HELD, ORDER_SOLD, 2));
    assert_int_equal(l.a.pos_held, 2);
    assert_int_equal(l.a.pos_sold, 1);
    assert_int_equal(l.a.pos_last, 2);
    assert_int_equal(l.a.mark_last, 3);
    assert_int_equal(l.a.tally.sold, 4);
}

static void test_p1_over_journals(void **state)
{
    struct account_sum sum = {0};
    struct tally a = {.has_sale = true, .total = 10, .version = 1, .sold = 6};
    struct tally b = {.has_sale = true, .total = 12, .version = 2, .sold = 5, .held = 1};
    (void)state;
    account_add(&sum, &a);
    account_add(&sum, &b);
    assert_int_equal(sum.total, 12);
    assert_true(account_fits(&sum)); /* 12 of 12 */
    account_add(&sum, &(struct tally){.has_sale = true, .total = 99, .version = 1, .held = 1});
    assert_int_equal(sum.total, 12);
    assert_false(account_fits(&sum)); /* 13 of 12 */
}

static void test_keys(void **state)
{
    static const char *const names[] = {"a", "b", "a", "c", "b", "a", "ab"};
    struct account_key keys[7] = {0};
    const struct account_key *twice = NULL;
    (void)state;
    for (uint32_t i = 0; i < 7; i++) {
        account_key_set(&keys[i], names[i], strlen(names[i]));
        keys[i].number = i;
    }
    assert_int_equal(account_doubles(keys, 7, &twice), 2);
    assert_non_null(twice);
    account_key_set(&keys[0], "x", 1);
    twice = NULL;
    assert_int_equal(account_doubles(keys, 1, &twice), 0);
    assert_null(twice);
}

/* ---- rows ----------------------------------------------------------------------------------- */

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

/* ---- whole commands over journals ----------------------------------------------------------- */

struct shop {
    struct place place[2];
    struct journal *journal[2]; /* being written */
    struct source source[2];
    struct sources all;
    char *said;
    size_t said_len;
};

static int shop_begin(void **state)
{
    struct shop *s = calloc(1, sizeof *s);
    struct record r = sale(5, 1);
    assert_non_null(s);
    for (int i = 0; i < 2; i++) {
        const struct journal_options o = {.dir = s->place[i].dir,
                                          .size = MEGABYTE,
                                          .node = (uint16_t)(i + 1),
                                          .events = {"ticket"},
                                          .event_count = 1};
        struct fault f;
        place_make(&s->place[i]);
        s->journal[i] = journal_open(&o, &f);
        assert_non_null(s->journal[i]);
        journal_append(s->journal[i], 0, &r, 1);
    }
    *state = s;
    return 0;
}

static int shop_end(void **state)
{
    struct shop *s = *state;
    for (uint32_t i = 0; i < 2; i++) {
        if (s->source[i].journal)
            journal_close(s->source[i].journal);
        if (s->journal[i])
            journal_close(s->journal[i]);
        place_remove(&s->place[i]);
    }
    free(s->said);
    free(s);
    return 0;
}

static void put(struct shop *s, int node, struct record r)
{
    struct journal *j = s->journal[node - 1];
    journal_append(j, 0, &r, (journal_end(j, 0) + 1) * 10);
}

/* Closes what was written and runs a command over `count` of the journals; keeps what it says. */
static int run(struct shop *s, uint32_t count,
               int (*command)(const struct sources *, const struct options *, struct fault *),
               struct options o)
{
    struct fault f;
    FILE *real = stdout;
    s->all = (struct sources){.at = s->source, .count = count};
    for (uint32_t i = 0; i < 2; i++) {
        commit(s->journal[i]);
        journal_close(s->journal[i]);
        s->journal[i] = NULL;
        strcpy(s->source[i].conf.journal, s->place[i].dir);
        s->source[i].journal = journal_open_reader(s->place[i].dir, &f);
        assert_non_null(s->source[i].journal);
    }
    stdout = open_memstream(&s->said, &s->said_len);
    assert_non_null(stdout);
    int code = command(&s->all, &o, &f);
    fclose(stdout);
    stdout = real;
    return code;
}

static void check_said(const struct shop *s, const char *line)
{
    if (strstr(s->said, line) == NULL)
        fail_msg("not said: %s\n%s", line, s->said);
}

static void audit(struct shop *s, int expected)
{
    int code = run(s, 2, audit_run, (struct options){0});
    if (code != expected)
        fail_msg("exit %d, not %d\n%s", code, expected, s->said);
}

static void test_audit_sound(void **state)
{
    struct shop *s = *state;
    put(s, 1, with(grant(1, ORDER_HELD, 2), "ann", "k1"));
    put(s, 1, with(grant(2, ORDER_HELD, 1), "bob", "k2"));
    put(s, 1, change(1, ORDER_HELD, ORDER_SOLD, 2));
    put(s, 1, change(2, ORDER_HELD, ORDER_EXPIRED, 1));
    put(s, 2, with(grant(1, ORDER_HELD, 3), "bob", "k2")); /* its first order has ended */
    audit(s, 0);
    check_said(s, "P1 no oversell: event ticket: 2 sold and 3 held of 5, 2 journals\n");
    check_said(s, "P2 durable: event ticket: node 1: 5 records, ");
    check_said(s, "P3 one state each: event ticket: 3 orders: 1 held, 1 sold, 0 cancelled, 1 "
                  "expired\n");
    check_said(s, "P4 exactly once: event ticket: 3 order ids, none twice; 2 keys with a live "
                  "order, one each\n");
    check_said(s, "sale: event ticket: 01010101, 2 journals\n");
    check_said(s, "no breach\n");
}

static void test_audit_oversold(void **state)
{
    struct shop *s = *state;
    put(s, 1, grant(1, ORDER_SOLD, 3));
    put(s, 2, grant(1, ORDER_HELD, 3));
    audit(s, EXIT_BREACH);
    check_said(s, "BREACH P1 no oversell: event ticket: 3 sold and 3 held of 5, 2 journals\n");
    check_said(s, "1 breach\n");
}

static void test_audit_illegal_change(void **state)
{
    struct shop *s = *state;
    put(s, 1, grant(1, ORDER_SOLD, 1));
    put(s, 1, change(1, ORDER_SOLD, ORDER_CANCELLED, 1));
    put(s, 1, change(1, ORDER_CANCELLED, ORDER_SOLD, 1));
    audit(s, EXIT_BREACH);
    check_said(s, "record 4: an order cannot change in this way\n");
}

static void test_audit_key_twice(void **state)
{
    struct shop *s = *state;
    put(s, 1, with(grant(1, ORDER_SOLD, 1), "", "k"));
    put(s, 2, with(grant(1, ORDER_HELD, 1), "", "k"));
    audit(s, EXIT_BREACH);
    check_said(s, "BREACH P4 exactly once: event ticket: 1 key with more than one live order");
}

static void test_audit_other_sale(void **state)
{
    struct shop *s = *state;
    put(s, 2, sale(5, 2));
    audit(s, EXIT_BREACH);
    check_said(s, "BREACH sale: event ticket: 1 of 2 journals are of another sale\n");
}

static void test_audit_known_and_not_given(void **state)
{
    struct shop *s = *state;
    for (uint16_t node = 1; node <= 4; node++)
        put(s, 1, (struct record){.kind = RECORD_KNOWN, .node = node});
    audit(s, 0);
    check_said(s, "so the sums cannot be closed: 3 4\n");
}

static void check_row(const struct shop *s, int line, const char *before, const char *after)
{
    const char *at = s->said;
    for (; line > 0; line--)
        at = strchr(at, '\n') + 1;
    assert_memory_equal(at, before, strlen(before));
    assert_memory_equal(at + strlen(before) + ORDERID_TEXT, after, strlen(after));
}

static void put_some_orders(struct shop *s)
{
    struct record held = with(grant(1, ORDER_HELD, 2), "ann", "k,1");
    struct record late = change(1, ORDER_EXPIRED, ORDER_SOLD, 2);
    held.pay_by_wall_ms = 777;
    put(s, 1, held);
    put(s, 1, grant(2, ORDER_SOLD, 1));
    put(s, 1, change(1, ORDER_HELD, ORDER_EXPIRED, 2));
    put(s, 1, late);
}

/* One row an order, as it is now; seq is that of its grant, the time that of its last change. */
static void test_export_orders(void **state)
{
    struct shop *s = *state;
    put_some_orders(s);
    assert_int_equal(run(s, 2, export_run, (struct options){0}), 0);
    static const char header[] = "seq,time_ms,order,event,state,n,buyer,key,pay_by\n";
    assert_memory_equal(s->said, header, sizeof header - 1);
    check_row(s, 1, "2,50,", ",ticket,sold,2,ann,\"k,1\",0\n");
    check_row(s, 2, "3,30,", ",ticket,sold,1,,,0\n");
    assert_null(strstr(s->said, "expired"));
}

static void test_export_changes(void **state)
{
    struct shop *s = *state;
    put_some_orders(s);
    assert_int_equal(run(s, 1, export_run, (struct options){.changes = true}), 0);
    check_row(s, 1, "2,20,", ",ticket,held,2,ann,\"k,1\",777\n");
    check_row(s, 2, "3,30,", ",ticket,sold,1,,,0\n");
    check_row(s, 3, "4,40,", ",ticket,expired,2,,,0\n");
    check_row(s, 4, "5,50,", ",ticket,sold,2,,,0\n");
}

static void test_stat(void **state)
{
    struct shop *s = *state;
    put_some_orders(s);
    assert_int_equal(run(s, 1, stat_run, (struct options){0}), 0);
    check_said(s, "\n  node      1\n");
    check_said(s, "\n  sale      01010101 unified\n");
    check_said(s, "\n  records   5\n  orders    2\n  held      0\n  sold      2\n");
    check_said(s,
               "\n  tickets   3 granted, 0 held, 3 sold\n  first     1970-01-01T00:00:00.001Z\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_every_change),
        cmocka_unit_test(test_what_cannot_follow),
        cmocka_unit_test(test_stops_at_the_first),
        cmocka_unit_test(test_as_of_pos),
        cmocka_unit_test(test_p1_over_journals),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_longest_row),
        cmocka_unit_test_setup_teardown(test_audit_sound, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_oversold, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_illegal_change, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_key_twice, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_other_sale, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_known_and_not_given, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_export_orders, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_export_changes, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_stat, shop_begin, shop_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
