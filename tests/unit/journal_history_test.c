/*
 * Why: a journal may be intact in every byte and still be impossible: records that cannot follow
 * each other, or an index that leads to another buyer's order. The verifier refuses both, and a
 * reader, which does not verify, must not trust the index alone.
 */
/* needs: storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/verify.c
 * storage/journal/pages.c storage/journal/metas.c storage/journal/leaves.c
 * storage/journal/history.c storage/journal/journal_mend.c storage/journal/record.c
 * conf/base/check.c conf/base/fault.c conf/base/log.c -llmdb -ldeflate */
#include "tests/unit/journal_sample.h"

static void drop_entry(struct raw *g, uint64_t number)
{
    MDB_val key = {sizeof number, &number};
    assert_int_equal(mdb_del(g->txn, g->index, &key, NULL), 0);
}

/* The index must say what the records say: each false entry of a seat, and the finding. */
static void false_entries_of_the_index_are_refused(void **state)
{
    const struct sample *s = *state;
    struct raw g;
    uint64_t a[2], b[2];
    /* order 1 was expired and paid late, 2 refused, 3 cancelled */
    raw_open(&g, s->where.dir, "seat", 0);
    get_entry(&g, 1, a);
    get_entry(&g, 2, b);
    assert_true(a[0] == 1 && a[1] > a[0] && b[0] == 2 && b[1] > b[0]);
    put_entry(&g, 1, b[0], b[1]);
    put_entry(&g, 2, a[0], a[1]);
    raw_commit(&g);
    must_refuse(s, "record 1 of event seat: the index does not lead to it");
    raw_open(&g, s->where.dir, "seat", 0);
    put_entry(&g, 2, b[0], b[1]);
    put_entry(&g, 1, a[0], a[0]); /* still held? */
    raw_commit(&g);
    must_refuse(s, "the index does not know it");
    raw_open(&g, s->where.dir, "seat", 0);
    put_entry(&g, 1, a[0], a[1] - 1); /* another order's record */
    raw_commit(&g);
    must_refuse(s, "the index does not know it");
    raw_open(&g, s->where.dir, "seat", 0);
    put_entry(&g, 1, a[0], s->seats + 1);
    raw_commit(&g);
    must_refuse(s, "the index names records that never came");
    raw_open(&g, s->where.dir, "seat", 0);
    put_entry(&g, 1, a[0], a[1]);
    put_entry(&g, 5000, 1, 1);
    raw_commit(&g);
    must_refuse(s, "the index knows more orders");
    raw_open(&g, s->where.dir, "seat", 0);
    drop_entry(&g, 1);
    raw_commit(&g);
    must_refuse(s, "record 1 of event seat: the index does not lead to it");
    raw_open(&g, s->where.dir, "seat", 0);
    put_entry(&g, 5001, 1, 1);
    raw_commit(&g);
    must_refuse(s, "record 1 of event seat: the index does not lead to it");
    raw_open(&g, s->where.dir, "seat", 0);
    drop_entry(&g, 5000);
    drop_entry(&g, 5001);
    put_entry(&g, 1, a[0], a[1]);
    raw_commit(&g);
    raw_open(&g, s->where.dir, "seat",
             0); /* one more commit, for the previous one had more entries */
    put_entry(&g, 1, a[0], a[1]);
    raw_commit(&g);
    assert_false(is_refused(s)); /* only the false entries were refused */
}

/* The number of a late payment is between those of two orders, so an entry moved there keeps the
 * entries in order. */
static void an_entry_under_another_number_is_refused(void **state)
{
    const struct sample *s = *state;
    struct raw g;
    uint64_t late = 0, seqs[2];
    for (uint64_t i = 0; i < s->seats; i++)
        if (s->seat[i].kind == RECORD_LATE)
            late = s->seat[i].number;
    raw_open(&g, s->where.dir, "seat", 0);
    get_entry(&g, late - 1, seqs);
    assert_true(late > 0 && seqs[0] > 0);
    drop_entry(&g, late - 1);
    put_entry(&g, late, seqs[0], seqs[1]);
    raw_commit(&g);
    must_refuse(s, "the index does not lead to it");
}

/* An entry that is too short, one that is too long, and an index of another event. */
static void an_index_of_another_form_is_refused(void **state)
{
    const struct sample *s = *state;
    struct raw g;
    uint64_t number = 4, bytes[3] = {4, 4, 4};
    MDB_dbi other;
    MDB_val key = {sizeof number, &number}, data = {0, bytes};
    for (data.mv_size = 15; data.mv_size <= 24; data.mv_size += 9) {
        raw_open(&g, s->where.dir, "ticket", 0);
        assert_int_equal(mdb_put(g.txn, g.index, &key, &data, 0), 0);
        raw_commit(&g);
        must_refuse(s, "record 4 of event ticket: its order is not in the index");
    }
    raw_open(&g, s->where.dir, "ticket", 0);
    assert_int_equal(mdb_drop(g.txn, g.index, 1), 0);
    assert_int_equal(mdb_dbi_open(g.txn, "index:other", MDB_INTEGERKEY | MDB_CREATE, &other), 0);
    for (uint64_t i = 1; i <= s->tickets + 1; i++) { /* as many entries elsewhere */
        MDB_val at = {sizeof i, &i};
        uint64_t seq = s->tickets + i;
        MDB_val key2 = {sizeof seq, &seq};
        assert_int_equal(mdb_put(g.txn, g.dbi, &key2, &at, 0), 0);
    }
    raw_commit(&g);
    must_refuse(s, "the names of its events do not fit together");
}

/* A reader does not verify, and must check the entries that it follows. */
static void a_reader_trusts_no_false_entry(void **state)
{
    const struct sample *s = *state;
    struct raw g;
    struct record grant, last;
    struct fault f;
    const uint64_t entries[][2] = {{2, 2}, {1, 2},
                                   {1, 0}, {1, UINT64_MAX},
                                   {0, 0}, {s->seats + 1, s->seats + 1},
                                   {3, 1}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        raw_open(&g, s->where.dir, "seat", 0);
        put_entry(&g, 1, entries[i][0], entries[i][1]);
        raw_commit(&g);
        struct journal *j = journal_open_reader(s->where.dir, &f);
        assert_non_null(j);
        f.text[0] = '\0';
        assert_int_equal(journal_order(j, 1, 1, &grant, &last, &f), -1);
        assert_non_null(strstr(f.text, "order 1 of event seat cannot be read"));
        check_order(j, 1, &s->seat[1], last_of(s, 2)); /* the others are there */
        journal_close(j);
    }
}

/* Appends records to those of an event without any check; the index matches them. */
static void force(const char *dir, const struct record *records, size_t count)
{
    struct raw g;
    MDB_val key, data;
    MDB_cursor *cursor;
    unsigned char bytes[RECORD_BYTES_MAX];
    uint64_t seq, seqs[2];
    raw_open(&g, dir, "seat", 0);
    assert_int_equal(mdb_cursor_open(g.txn, g.dbi, &cursor), 0);
    assert_int_equal(mdb_cursor_get(cursor, &key, &data, MDB_LAST), 0);
    memcpy(&seq, key.mv_data, sizeof seq);
    uint32_t crc = record_chain(data.mv_data);
    mdb_cursor_close(cursor);
    for (size_t i = 0; i < count && records[i].kind != 0; i++) {
        struct record r = records[i];
        r.seq = ++seq;
        key = (MDB_val){sizeof seq, &seq};
        data = (MDB_val){record_encode(&r, &crc, bytes), bytes};
        assert_int_equal(mdb_put(g.txn, g.dbi, &key, &data, 0), 0);
        get_entry(&g, record_order(&r), seqs);
        if (seqs[0] > 0)
            put_entry(&g, record_order(&r), seqs[0], seq);
        else if (r.kind == RECORD_GRANT)
            put_entry(&g, r.number, seq, seq);
    }
    raw_commit(&g);
}

/* Records that are intact as bytes and impossible. Each case begins after one sold order. */
static void impossible_histories_are_refused(void **state)
{
#define GRANT(number_, state_)                                               \
    {                                                                        \
        .kind = RECORD_GRANT, .number = (number_), .state = (state_), .n = 1 \
    }
#define CHANGE(number_, was_, state_)                                                        \
    {                                                                                        \
        .kind = RECORD_CHANGE, .number = (number_), .was = (was_), .state = (state_), .n = 1 \
    }
#define LATE(number_, of_)                                                           \
    {                                                                                \
        .kind = RECORD_LATE, .number = (number_), .of = (of_), .was = ORDER_EXPIRED, \
        .state = ORDER_SOLD, .n = 1                                                  \
    }
#define REFUSAL(number_)                                                            \
    {                                                                               \
        .kind = RECORD_REFUSAL, .number = (number_), .state = ORDER_EXPIRED, .n = 1 \
    }
#define EXPIRED GRANT(2, ORDER_HELD), CHANGE(2, ORDER_HELD, ORDER_EXPIRED)
    static const struct {
        const char *message; /* NULL: possible */
        struct record records[5];
    } cases[] = {
        {NULL, {EXPIRED}},
        {NULL, {GRANT(2, ORDER_SOLD), CHANGE(1, ORDER_SOLD, ORDER_CANCELLED)}},
        {NULL, {GRANT(2, ORDER_HELD), CHANGE(2, ORDER_HELD, ORDER_SOLD)}},
        {NULL, {EXPIRED, LATE(3, 2), CHANGE(2, ORDER_SOLD, ORDER_CANCELLED)}},
        {NULL, {EXPIRED, REFUSAL(2), GRANT(3, ORDER_HELD)}},
        {NULL, {EXPIRED, LATE(3, 2), GRANT(4, ORDER_HELD)}},
        {"does not follow", {GRANT(2, ORDER_SOLD), GRANT(2, ORDER_SOLD)}},
        {"does not follow", {GRANT(3, ORDER_SOLD), GRANT(4, ORDER_SOLD)}},
        {"neither held nor sold", {GRANT(2, ORDER_EXPIRED), GRANT(3, ORDER_SOLD)}},
        {"never granted", {GRANT(2, ORDER_HELD), CHANGE(3, ORDER_HELD, ORDER_SOLD)}},
        {"cannot change", {GRANT(2, ORDER_SOLD), CHANGE(2, ORDER_SOLD, ORDER_EXPIRED)}},
        {"another state", {GRANT(2, ORDER_SOLD), CHANGE(2, ORDER_HELD, ORDER_CANCELLED)}},
        {"another state",
         {CHANGE(1, ORDER_SOLD, ORDER_CANCELLED), CHANGE(1, ORDER_SOLD, ORDER_CANCELLED)}},
        {"cannot change", {EXPIRED, CHANGE(2, ORDER_EXPIRED, ORDER_SOLD)}},
        {"does not follow", {EXPIRED, LATE(4, 2)}},
        {"does not follow", {EXPIRED, LATE(3, 2), GRANT(3, ORDER_SOLD)}},
        {"had not expired", {EXPIRED, LATE(3, 2), LATE(4, 2)}},
        {"had not expired", {EXPIRED, LATE(3, 2), REFUSAL(2)}},
        {"had not expired", {GRANT(2, ORDER_HELD), LATE(3, 2)}},
        {"had not expired", {REFUSAL(1)}},
        {"refused before", {EXPIRED, REFUSAL(2), REFUSAL(2)}},
        {"refused before", {EXPIRED, REFUSAL(2), LATE(3, 2)}},
        {"cannot change", {EXPIRED, REFUSAL(2), CHANGE(2, ORDER_EXPIRED, ORDER_CANCELLED)}},
        {"another state", {EXPIRED, LATE(3, 2), CHANGE(2, ORDER_HELD, ORDER_CANCELLED)}},
        {"never granted", {EXPIRED, LATE(3, 2), CHANGE(3, ORDER_SOLD, ORDER_CANCELLED)}},
        {"never granted", {EXPIRED, LATE(3, 2), LATE(4, 3)}},
        {"never granted", {REFUSAL(2)}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_dir p = {.root = ""};
        struct fault f;
        struct leftover l;
        test_dir_make(&p);
        struct journal *j = test_dir_open(&p, SIZE);
        append_orders(j, 1, 1);
        commit(j);
        journal_close(j);
        force(p.dir, cases[i].records, ARRAY_LEN(cases[i].records));
        bool good = journal_verify(p.dir, &l, &f);
        if (good != (cases[i].message == NULL) || (!good && !strstr(f.text, cases[i].message)))
            fail_msg("case %zu: %s", i, good ? "accepted" : f.text);
        test_dir_remove(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_histories_are_refused),
        cmocka_unit_test_setup_teardown(false_entries_of_the_index_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_entry_under_another_number_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_index_of_another_form_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_trusts_no_false_entry, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
