/*
 * Why: an audit that overlooks a broken promise is worse than none, and one that reports a breach
 * in a sound journal is soon ignored. Whole commands run over journals with everything that a
 * record can hold: held, expired, paid late, refused, keys, buyers, acts of operators. (Record by
 * record: audit_totals_test.)
 */
/* needs: storage/log/audit_totals.c storage/log/audit.c storage/log/audit_admin.c
 *        storage/log/audit_journals.c storage/log/audit_keys.c storage/log/audit_stream.c
 * storage/log/findings.c storage/log/audit_redis.c storage/log/export.c storage/log/key_index.c
 * storage/log/buyer_index.c storage/log/name_hash.c storage/log/row.c storage/log/source.c
 * storage/log/stat.c storage/log/tail.c conf/base/conf_diff.c conf/base/conf.c
 * conf/base/conf_addr.c conf/base/conf_finish.c conf/base/conf_lex.c conf/base/conf_settings.c
 * conf/base/conf_value.c conf/base/check.c conf/base/fault.c conf/base/log.c conf/base/key_hash.c
 * conf/base/orderid.c storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/pages.c
 * storage/journal/metas.c storage/journal/leaves.c storage/journal/history.c
 * storage/journal/journal_mend.c storage/journal/record.c storage/journal/node_totals.c
 * storage/journal/verify.c storage/stock/redis_inspect.c storage/stock/redis_inspect_hash.c
 * storage/stock/redis_conn.c conf/base/arena.c -lhiredis -llmdb -lsodium -ldeflate */
#include "tests/unit/journal_fixture.h"

#include "storage/log/commands.h"
#include "storage/stock/stock.h"

#define PAY_BY 5 /* every record here is later: its time is 10 times its seq */
#include "tests/unit/audit_records.h"

/* ---- records, as they follow each other ----------------------------------------------------- */

/* Node 0: the node of the act is unknown. */
static struct record act(uint16_t node, uint8_t state, uint32_t total, uint32_t version)
{
    return (struct record){
        .kind = RECORD_ADMIN, .node = node, .state = state, .total = total, .version = version};
}

/* ---- whole commands over journals ----------------------------------------------------------- */

struct shop {
    struct test_dir where[2];
    struct journal *journal[2]; /* being written */
    uint32_t limit[2];          /* of a buyer, by the configuration; 0 none */
    char *conf[2];              /* the file of the configuration */
    char *output;
    size_t output_len;
};

static int shop_begin(void **state)
{
    struct shop *s = calloc(1, sizeof *s);
    struct record r = sale(5, 1);
    assert_non_null(s);
    for (int i = 0; i < 2; i++) {
        const struct journal_options o = {.dir = s->where[i].dir,
                                          .size = MEGABYTE,
                                          .node = (uint16_t)(i + 1),
                                          .events = {"ticket"},
                                          .event_count = 1};
        struct fault f;
        test_dir_make(&s->where[i]);
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
        if (s->conf[i] != NULL)
            unlink(s->conf[i]);
        free(s->conf[i]);
        if (s->journal[i])
            journal_close(s->journal[i]);
        test_dir_remove(&s->where[i]);
    }
    free(s->output);
    free(s);
    return 0;
}

static void put(struct shop *s, int node, struct record r)
{
    struct journal *j = s->journal[node - 1];
    journal_append(j, 0, &r, (journal_end(j, 0) + 1) * 10);
}

/* Closes the journal of the node and writes its configuration. */
static char *finish(struct shop *s, int i)
{
    char limit[32] = "";
    commit(s->journal[i]);
    journal_close(s->journal[i]);
    s->journal[i] = NULL;
    if (s->limit[i] > 0)
        snprintf(limit, sizeof limit, "limit %u; ", s->limit[i]);
    assert_true(asprintf(&s->conf[i], "%s/conf", s->where[i].root) > 0);
    FILE *conf = fopen(s->conf[i], "we");
    fprintf(conf, "node %d; listen 127.0.0.1:0; journal \"%s\"; event ticket { total 5; %s}\n",
            i + 1, s->where[i].dir, limit);
    assert_int_equal(fclose(conf), 0);
    return s->conf[i];
}

/* Runs a command over the first `count` of the journals and keeps its output. They are not
 * verified: the command must find what is wrong. */
static int run(struct shop *s, uint32_t count,
               int (*command)(const struct sources *, const struct options *, struct fault *),
               struct options o)
{
    struct fault f;
    FILE *real = stdout;
    char *confs[] = {finish(s, 0), finish(s, 1)};
    struct sources *all = sources_open(confs, count, false, &f);
    if (all == NULL)
        fail_msg("%s", f.text);
    stdout = open_memstream(&s->output, &s->output_len);
    assert_non_null(stdout);
    int code = command(all, &o, &f);
    fclose(stdout);
    stdout = real;
    sources_close(all);
    return code;
}

static void check_printed(const struct shop *s, const char *line)
{
    if (strstr(s->output, line) == NULL)
        fail_msg("not printed: %s\n%s", line, s->output);
}

static void audit(struct shop *s, int expected)
{
    int code = run(s, 2, audit_run, (struct options){0});
    if (code != expected)
        fail_msg("exit %d, not %d\n%s", code, expected, s->output);
}

static void test_audit_sound(void **state)
{
    struct shop *s = *state;
    struct record one = with(grant(1, ORDER_HELD, 2), "ann", "k1");
    struct record two = with(grant(2, ORDER_HELD, 1), "bob", "k2");
    put(s, 1, one);
    put(s, 1, two);
    put(s, 1, change(one, ORDER_HELD, ORDER_SOLD));
    put(s, 1, change(two, ORDER_HELD, ORDER_EXPIRED));
    put(s, 2, with(grant(1, ORDER_HELD, 2), "bob", "k3"));
    put(s, 1, late(two, 3));
    s->limit[0] = s->limit[1] = 3;
    audit(s, 0);
    check_printed(s, "P1 no oversell: event ticket: 3 sold and 2 held of 5, 2 journals\n");
    check_printed(s, "P2 durable: event ticket: node 1: 6 records, ");
    check_printed(s, "P3 one state each: event ticket: 3 orders: 1 held, 2 sold, 0 cancelled, 0 "
                     "expired; paid late: 1 sold again, 0 refused\n");
    check_printed(s, "P4 exactly once: event ticket: 3 order ids, none twice; 3 keys, one order "
                     "each\n");
    check_printed(s, "limit: event ticket: 2 buyers, none with more than 3\n");
    check_printed(s, "sale: event ticket: 01010101, 2 journals\n");
    check_printed(s, "no breach\n");
}

static void test_audit_oversold(void **state)
{
    struct shop *s = *state;
    put(s, 1, grant(1, ORDER_SOLD, 3));
    put(s, 2, grant(1, ORDER_HELD, 3));
    audit(s, EXIT_BREACH);
    check_printed(s, "BREACH P1 no oversell: event ticket: 3 sold and 3 held of 5, 2 journals\n");
    check_printed(s, "1 breach\n");
}

static void test_audit_illegal_change(void **state)
{
    struct shop *s = *state;
    struct record r = grant(1, ORDER_SOLD, 1);
    put(s, 1, r);
    put(s, 1, change(r, ORDER_SOLD, ORDER_CANCELLED));
    put(s, 1, change(r, ORDER_CANCELLED, ORDER_SOLD));
    audit(s, EXIT_BREACH);
    check_printed(s, "record 4: an order cannot change in this way\n");
}

static void test_audit_refused_for_good(void **state)
{
    struct shop *s = *state;
    struct record r = grant(1, ORDER_HELD, 1);
    put(s, 1, r);
    put(s, 1, change(r, ORDER_HELD, ORDER_EXPIRED));
    put(s, 1, refusal(r));
    put(s, 1, late(r, 2));
    audit(s, EXIT_BREACH);
    check_printed(s, "record 5: the late payment of the order was refused before\n");
}

static void test_audit_expired_too_early(void **state)
{
    struct shop *s = *state;
    struct record r = grant(1, ORDER_HELD, 1);
    r.pay_by_wall_ms = 30; /* which the change is of */
    put(s, 1, r);
    put(s, 1, change(r, ORDER_HELD, ORDER_EXPIRED));
    audit(s, EXIT_BREACH);
    check_printed(s, "record 3: the order expired before its time to be paid was over\n");
}

static void test_audit_key_twice(void **state)
{
    struct shop *s = *state;
    put(s, 1, with(grant(1, ORDER_SOLD, 1), "", "k"));
    put(s, 2, with(grant(1, ORDER_HELD, 1), "", "k"));
    audit(s, EXIT_BREACH);
    check_printed(s, "BREACH P4 exactly once: event ticket: 1 key with more than one order");
}

/* A key is used up by an order that has ended, too. */
static void test_audit_key_of_ended(void **state)
{
    struct shop *s = *state;
    struct record r = with(grant(1, ORDER_HELD, 1), "", "k");
    put(s, 1, r);
    put(s, 1, change(r, ORDER_HELD, ORDER_EXPIRED));
    put(s, 2, r);
    audit(s, EXIT_BREACH);
    check_printed(s, "BREACH P4 exactly once: event ticket: 1 key with more than one order");
}

/* At every moment within a journal, and at the end over all. */
static void test_audit_limit(void **state)
{
    struct shop *s = *state;
    struct record r = with(grant(1, ORDER_HELD, 1), "ann", "");
    put(s, 1, r);
    put(s, 1, with(grant(2, ORDER_SOLD, 2), "ann", ""));
    put(s, 1, change(r, ORDER_HELD, ORDER_EXPIRED));
    s->limit[0] = s->limit[1] = 2;
    audit(s, EXIT_BREACH);
    check_printed(
        s, "BREACH limit: event ticket: node 1: 1 time a buyer was given more than 2; record "
           "3 was the first, and made it 3\n");
    check_printed(s, "\nlimit: event ticket: 1 buyer, none with more than 2\n");
}

static void test_audit_limit_over_nodes(void **state)
{
    struct shop *s = *state;
    put(s, 1, with(grant(1, ORDER_HELD, 1), "ann", ""));
    put(s, 2, with(grant(1, ORDER_HELD, 2), "ann", ""));
    s->limit[0] = s->limit[1] = 2;
    audit(s, EXIT_BREACH);
    check_printed(s, "BREACH limit: event ticket: 1 of 1 buyers with more than 2, up to 3\n");
}

static void test_audit_other_sale(void **state)
{
    struct shop *s = *state;
    put(s, 2, sale(5, 2));
    audit(s, EXIT_BREACH);
    check_printed(s, "BREACH sale: event ticket: 1 of 2 journals are of another sale\n");
}

static void test_audit_known_and_not_given(void **state)
{
    struct shop *s = *state;
    for (uint16_t node = 1; node <= 4; node++)
        put(s, 1, (struct record){.kind = RECORD_KNOWN, .node = node});
    audit(s, 0);
    check_printed(s, "so the sums cannot be closed: 3 4\n");
}

static void test_audit_acts(void **state)
{
    struct shop *s = *state;
    put(s, 1, act(1, STOCK_PAUSED, 9, 2));
    put(s, 2, act(1, STOCK_PAUSED, 9, 2));
    put(s, 1, act(0, STOCK_CLOSED, 9, 3));
    audit(s, 0);
    check_printed(s,
                  "\nacts: event ticket: closed, total 9, version 3, known to 1 of 2 journals\n");
}

static void test_audit_sold_after_close(void **state)
{
    struct shop *s = *state;
    put(s, 1, act(1, STOCK_CLOSED, 5, 2));
    put(s, 1, act(0, STOCK_OPEN, 5, 2));
    put(s, 1, grant(1, ORDER_SOLD, 1));
    audit(s, EXIT_BREACH);
    check_printed(s,
                  "BREACH acts: event ticket: node 1: record 2 closed the event, and 1 order got "
                  "tickets after it, the first with record 4\n");
}

/* Two acts of one version: Redis has forgotten one of them. */
static void test_audit_lost_act(void **state)
{
    struct shop *s = *state;
    put(s, 1, act(1, STOCK_PAUSED, 5, 2));
    put(s, 2, act(2, STOCK_OPEN, 5, 2));
    audit(s, EXIT_BREACH);
    check_printed(s,
                  "BREACH acts: event ticket: of version 2 node 1 says paused, total 5, and node 2 "
                  "open, total 5; acts were lost\n");
}

static void test_audit_lost_restock(void **state)
{
    struct shop *s = *state;
    put(s, 1, act(1, STOCK_OPEN, 6, 2));
    put(s, 2, act(1, STOCK_OPEN, 7, 2));
    audit(s, EXIT_BREACH);
    check_printed(s, "of version 2 node 1 says open, total 6, and node 2 open, total 7; acts were "
                     "lost\n");
}

/* A total that is set by hand raises no version; a node that is away does not learn of it. */
static void test_audit_set_by_hand(void **state)
{
    struct shop *s = *state;
    put(s, 1, act(1, STOCK_PAUSED, 6, 2));
    put(s, 2, act(1, STOCK_PAUSED, 6, 2));
    put(s, 1, act(0, STOCK_PAUSED, 8, 2));
    audit(s, 0);
    check_printed(s, "open: event ticket: of version 2 node 1 says paused, total 8, and node 2 "
                     "paused, total 6; somebody set it by hand");
}

/* A node that has just attached has the total; the state is in its next record. */
static void test_audit_newcomer(void **state)
{
    struct shop *s = *state;
    struct record r = sale(5, 1);
    r.version = 2;
    put(s, 1, act(1, STOCK_PAUSED, 5, 2));
    put(s, 2, r);
    audit(s, 0);
    check_printed(s,
                  "\nacts: event ticket: paused, total 5, version 2, known to 2 of 2 journals\n");
    assert_null(strstr(s->output, "open:"));
}

static void check_row(const struct shop *s, int line, const char *before, const char *after)
{
    const char *at = s->output;
    for (; line > 0; line--)
        at = strchr(at, '\n') + 1;
    assert_memory_equal(at, before, strlen(before));
    assert_memory_equal(at + strlen(before) + ORDERID_TEXT, after, strlen(after));
}

static void check_lines(const struct shop *s, int lines)
{
    for (const char *at = s->output; *at != '\0'; at++)
        lines -= *at == '\n';
    assert_int_equal(lines, 0);
}

static void put_some_orders(struct shop *s)
{
    struct record one = with(grant(1, ORDER_HELD, 2), "ann", "k,1");
    struct record two = grant(2, ORDER_HELD, 1);
    put(s, 1, one);
    put(s, 1, two);
    put(s, 1, change(one, ORDER_HELD, ORDER_EXPIRED));
    put(s, 1, change(two, ORDER_HELD, ORDER_EXPIRED));
    put(s, 1, refusal(two));
    put(s, 1, late(one, 3));
}

/* One row an order, as it is now; seq is that of its grant, the time that of its last change. */
static void test_export_orders(void **state)
{
    struct shop *s = *state;
    put_some_orders(s);
    assert_int_equal(run(s, 2, export_run, (struct options){0}), 0);
    static const char header[] = "seq,time_ms,order,event,state,n,buyer,key,pay_by\n";
    assert_memory_equal(s->output, header, sizeof header - 1);
    check_row(s, 1, "2,70,", ",ticket,sold,2,ann,\"k,1\",5\n");
    check_row(s, 2, "3,50,", ",ticket,expired,1,,,5\n");
    check_lines(s, 3);
}

/* Every change by itself; a refusal changes nothing. */
static void test_export_changes(void **state)
{
    struct shop *s = *state;
    put_some_orders(s);
    assert_int_equal(run(s, 1, export_run, (struct options){.changes = true}), 0);
    check_row(s, 1, "2,20,", ",ticket,held,2,ann,\"k,1\",5\n");
    check_row(s, 2, "3,30,", ",ticket,held,1,,,5\n");
    check_row(s, 3, "4,40,", ",ticket,expired,2,ann,\"k,1\",5\n");
    check_row(s, 4, "5,50,", ",ticket,expired,1,,,5\n");
    check_row(s, 5, "7,70,", ",ticket,sold,2,ann,\"k,1\",5\n");
    check_lines(s, 6);
    const char *granted = strstr(s->output, "\n2,20,"), *paid = strstr(s->output, "\n7,70,");
    assert_memory_equal(granted + 6, paid + 6, ORDERID_TEXT); /* an order keeps its id */
}

/* The orders to refund: what was refused and when, and else as the order is. */
static void test_export_refused(void **state)
{
    struct shop *s = *state;
    struct record r = with(grant(4, ORDER_HELD, 3), "bob", "k2");
    put_some_orders(s);
    r.pay_by_wall_ms = 6;
    put(s, 1, r);
    put(s, 1, change(r, ORDER_HELD, ORDER_EXPIRED));
    put(s, 1, act(0, STOCK_OPEN, 5, 2));
    put(s, 1, refusal(r));
    assert_int_equal(run(s, 2, export_run, (struct options){.refused = true}), 0);
    check_row(s, 1, "6,60,", ",ticket,expired,1,,,5\n");
    check_row(s, 2, "11,110,", ",ticket,expired,3,bob,k2,6\n");
    check_lines(s, 3);
}

static void test_stat(void **state)
{
    struct shop *s = *state;
    struct record paused = with(act(2, STOCK_PAUSED, 9, 2), "127.0.0.1", "");
    paused.acted_wall_ms = UINT64_C(1764554400123);
    put_some_orders(s);
    put(s, 1, paused);
    put(s, 1, act(2, STOCK_OPEN, 9, 3));
    put(s, 1, act(0, STOCK_OPEN, 8, 3));
    assert_int_equal(run(s, 1, stat_run, (struct options){0}), 0);
    check_printed(s, "\n  node      1\n");
    check_printed(s, "\n  sale      01010101 unified\n  total     8\n  version   3\n");
    check_printed(s, "\n  records   10\n  orders    2\n  held      0\n  sold      1\n"
                     "  cancelled 0\n  expired   1\n  tickets   3 granted, 0 held, 2 sold\n"
                     "  late      1 sold again, 1 refused, to be refunded: export --refused lists "
                     "them\n  first     1970-01-01T00:00:00.001Z\n");
    check_printed(s, "\n  acts      3\n"
                     "  act       2025-12-01T02:00:00.123Z paused, total 9, version 2, by node 2, "
                     "from 127.0.0.1\n"
                     "  act       - open, total 9, version 3, by node 2\n"
                     "  act       1970-01-01T00:00:00.100Z open, total 8, version 3, by somebody "
                     "unknown\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_audit_sound, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_oversold, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_illegal_change, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_refused_for_good, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_expired_too_early, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_key_twice, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_key_of_ended, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_limit, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_limit_over_nodes, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_other_sale, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_known_and_not_given, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_acts, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_sold_after_close, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_lost_act, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_lost_restock, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_set_by_hand, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_audit_newcomer, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_export_refused, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_export_orders, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_export_changes, shop_begin, shop_end),
        cmocka_unit_test_setup_teardown(test_stat, shop_begin, shop_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
