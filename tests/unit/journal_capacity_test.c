/*
 * Why: a journal that is full must stop sales, never returns: the ledger sells only what
 * journal_free_records() says will fit. So every record within that number must be committed, in
 * batches of any size, up to the last one, and pages that commits free must be used again. The
 * index makes that hard: orders change in any order, and each change copies another page.
 */
/* needs: storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/verify.c
 * storage/journal/pages.c storage/journal/metas.c storage/journal/leaves.c
 * storage/journal/history.c storage/journal/journal_mend.c storage/journal/record.c
 * conf/base/check.c conf/base/fault.c conf/base/log.c -llmdb -ldeflate */
#include "tests/unit/journal_fixture.h"

#include <sys/stat.h>

#include "conf/base/log.h"

static uint64_t seed;

/* xorshift64 (G. Marsaglia, 2003): the same run for the same seed. */
static uint64_t below(uint64_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % bound;
}

/* The largest records there are. */
static void append_large(struct journal *j, uint32_t event, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct record r = {.kind = RECORD_GRANT, .state = ORDER_SOLD, .n = 1, .key_len = 1};
        r.number = journal_end(j, event) + 1;
        journal_append(j, event, &r, 1);
    }
}

/* Fills the journal in batches of up to `max`, divided between both events. */
static void fill(struct journal *j, uint64_t max)
{
    for (uint64_t free_records; (free_records = journal_free_records(j)) > 0;) {
        uint64_t batch = 1 + below(max < free_records ? max : free_records);
        uint64_t first = below(batch + 1);
        append_large(j, 0, first);
        append_large(j, 1, batch - first);
        assert_true(journal_free_records(j) <= free_records - batch);
        commit(j);
    }
}

/* The number may fall faster than records are appended, by the pages that commits work in; but
 * every result remains valid for that many records. */
static void keep_promise(struct journal *j, uint64_t promised)
{
    while (journal_end(j, 0) + journal_end(j, 1) < promised) {
        append_large(j, (uint32_t)below(2), 1);
        commit(j);
    }
    assert_true(journal_used_bytes(j) <= journal_size_bytes(j));
}

static void what_fits_can_be_committed(void **state)
{
    static const uint64_t batches[] = {1, 7, 64, 512, UINT64_MAX};
    static const uint64_t sizes[] = {MEGABYTE, 3 * MEGABYTE};
    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
        for (size_t i = s; i < ARRAY_LEN(batches); i++) {
            struct test_dir p = {.root = ""};
            test_dir_make(&p);
            struct journal *j = test_dir_open(&p, sizes[s]);
            uint64_t promised = journal_free_records(j);
            fill(j, batches[i]);
            keep_promise(j, promised);
            journal_close(j);
            test_dir_remove(&p);
        }
}

/* All that fits in one commit, and after a restart. */
static void one_commit_may_fill_it(void **state)
{
    struct journal *j = test_dir_open(*state, 16 * MEGABYTE);
    append_large(j, 0, 500);
    commit(j);
    journal_close(j);
    j = test_dir_open(*state, 16 * MEGABYTE);
    append_large(j, 0, journal_free_records(j));
    assert_int_equal(journal_free_records(j), 0);
    commit(j);
    journal_close(j);
    journal_close(test_dir_open(*state, 16 * MEGABYTE));
}

/* Each event has its own last leaf, hardly filled, and a path to it. */
static void many_events_share_the_space(void **state)
{
    static const char *const names[EVENTS_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h",
                                                  "i", "j", "k", "l", "m", "n", "o", "p"};
    const struct test_dir *p = *state;
    struct journal_options o = {
        .dir = p->dir, .size = 4 * MEGABYTE, .node = 7, .event_count = EVENTS_MAX};
    struct fault f;
    memcpy(o.events, names, sizeof names);
    struct journal *j = journal_open(&o, &f);
    assert_non_null(j);
    assert_true(journal_free_records(j) > 1000);
    for (uint64_t free_records, i = 0; (free_records = journal_free_records(j)) > 0; i++) {
        uint64_t batch = i == 0 ? free_records - 100 : 40;
        for (uint64_t k = 0; k < batch && k < free_records; k++)
            append_large(j, (uint32_t)(k % EVENTS_MAX), 1);
        commit(j);
    }
    journal_close(j);
    j = journal_open(&o, &f);
    assert_non_null(j);
    journal_close(j);
}

/* The ledger stops sales while the records of held orders still fit; these may come one by one. */
static void a_promised_rest_may_come_one_by_one(void **state)
{
    struct journal *j = test_dir_open(*state, MEGABYTE);
    uint64_t rest = 600;
    while (journal_free_records(j) > rest) {
        uint64_t batch = journal_free_records(j) - rest;
        append_large(j, 0, batch < 50 ? batch : 50);
        commit(j);
    }
    rest = journal_free_records(j);
    for (uint64_t i = 0; i < rest; i++) {
        append_large(j, i % 2, 1);
        commit(j);
        if (i % 100 == 0) {
            journal_close(j);
            j = test_dir_open(*state, MEGABYTE);
        }
    }
    journal_close(j);
}

static void commits_use_pages_again(void **state)
{
    struct journal *j = test_dir_open(*state, 8 * MEGABYTE);
    for (int i = 0; i < 10000; i++) {
        struct record r = {.kind = RECORD_EPOCH, .epoch = (uint64_t)i + 1};
        journal_append(j, 0, &r, 1);
        commit(j);
    }
    /* No order, so no index. 82 bytes a record, and a fixed number of pages besides. */
    assert_true(journal_used_bytes(j) < 10000 * 84 + 40 * 4096);
    journal_close(j);
}

static void a_smaller_size_takes_nothing_away(void **state)
{
    struct stat st;
    const struct test_dir *p = *state;
    struct journal *j = test_dir_open(p, 3 * MEGABYTE);
    append_large(j, 0, 6000);
    commit(j);
    uint64_t free_records = journal_free_records(j);
    journal_close(j);
    j = test_dir_open(p, MEGABYTE);
    assert_int_equal(journal_size_bytes(j), 3 * MEGABYTE);
    assert_int_equal(journal_free_records(j), free_records);
    append_large(j, 0, free_records);
    commit(j);
    journal_close(j);
    j = test_dir_open(p, 6 * MEGABYTE);
    assert_int_equal(journal_size_bytes(j), 6 * MEGABYTE);
    assert_true(journal_free_records(j) > 3000);
    assert_int_equal(stat(p->data, &st), 0);
    assert_int_equal(st.st_size, journal_used_bytes(j));
    journal_close(j);
}

/* Two events on sale, as a ledger would sell them: only while two records of every open order still
 * fit. */
struct shop {
    struct test_dir where;
    struct journal *j;
    uint64_t size;
    uint64_t last[2]; /* number */
    struct open {
        uint32_t event, number;
        uint8_t state;
        bool changed; /* once already */
    } * open;
    uint64_t count, capacity;
};

static void shop_append(struct shop *s, const struct open *o, struct record r)
{
    r.n = 1;
    r.buyer_len = r.key_len = PARAM_MAX;
    memset(r.buyer, 'b', PARAM_MAX);
    memset(r.key, 'k', PARAM_MAX);
    journal_append(s->j, o->event, &r, 1);
}

static bool shop_may_sell(const struct shop *s)
{
    return journal_free_records(s->j) >= 1 + 2 * (s->count + 1);
}

static void shop_sell(struct shop *s)
{
    struct open o = {.event = (uint32_t)below(2), .state = below(3) ? ORDER_HELD : ORDER_SOLD};
    assert_true(s->count < s->capacity);
    o.number = (uint32_t)++s->last[o.event];
    shop_append(s, &o, (struct record){.kind = RECORD_GRANT, .state = o.state, .number = o.number});
    s->open[s->count++] = o;
}

/* Two steps at max: held, sold, cancelled; or held, expired, and paid late or refused. */
static void shop_change(struct shop *s)
{
    struct open *o = &s->open[below(s->count)];
    uint8_t was = o->state;
    struct record r = {.kind = RECORD_CHANGE, .number = o->number, .was = was};
    if (was == ORDER_EXPIRED && below(2)) {
        r = (struct record){.kind = RECORD_REFUSAL, .number = o->number, .state = ORDER_EXPIRED};
    } else if (was == ORDER_EXPIRED) {
        r.kind = RECORD_LATE;
        r.number = ++s->last[o->event];
        r.of = o->number;
        r.state = ORDER_SOLD;
    } else {
        r.state = was == ORDER_SOLD ? ORDER_CANCELLED : below(2) ? ORDER_SOLD : ORDER_EXPIRED;
    }
    shop_append(s, o, r);
    o->state = r.state;
    if (o->changed || r.state == ORDER_CANCELLED)
        *o = s->open[--s->count];
    else
        o->changed = true;
}

/* Commits, and sometimes restarts: then everything is verified. */
static void shop_commit(struct shop *s)
{
    commit(s->j);
    assert_true(journal_used_bytes(s->j) <= journal_size_bytes(s->j));
    if (below(64) > 0)
        return;
    journal_close(s->j);
    s->j = test_dir_open(&s->where, s->size);
}

static void shop_open(struct shop *s, uint64_t size)
{
    *s = (struct shop){.size = size, .capacity = size / RECORD_BYTES};
    s->open = calloc(s->capacity, sizeof *s->open);
    assert_non_null(s->open);
    test_dir_make(&s->where);
    s->j = test_dir_open(&s->where, size);
    assert_true(shop_may_sell(s));
}

/* All open orders end, in commits of any size; then everything is verified. */
static void shop_close(struct shop *s, uint64_t max)
{
    while (s->count > 0) {
        for (uint64_t n = 1 + below(max); n > 0 && s->count > 0; n--)
            shop_change(s);
        shop_commit(s);
    }
    journal_close(s->j);
    journal_close(test_dir_open(&s->where, s->size));
    test_dir_remove(&s->where);
    free(s->open);
}

#define CHANGES_MAX (OPS_MAX + EXPIRE_MAX)

static void sales_stop_and_returns_never_do(void **state)
{
    static const uint64_t sizes[] = {1, 2, 2, 3, 12};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct shop s;
        uint64_t max = 1 + below(CHANGES_MAX);
        shop_open(&s, sizes[i] * MEGABYTE);
        while (shop_may_sell(&s)) {
            for (uint64_t n = below(BATCH_MAX + 1); n > 0 && shop_may_sell(&s); n--)
                shop_sell(&s);
            for (uint64_t n = below(max + 1) / 4; n > 0 && s.count > 0; n--)
                shop_change(&s);
            shop_commit(&s);
        }
        shop_close(&s, i % 2 == 0 ? CHANGES_MAX : max);
    }
}

/* Nothing changes during the sale: so all copying happens when the journal is full. */
static void all_may_change_at_the_end(void **state)
{
    static const uint64_t maxima[] = {1, 20, CHANGES_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
        struct shop s;
        shop_open(&s, 2 * MEGABYTE);
        while (shop_may_sell(&s)) {
            for (uint64_t n = 0; n < BATCH_MAX && shop_may_sell(&s); n++)
                shop_sell(&s);
            shop_commit(&s);
        }
        shop_close(&s, maxima[i]);
    }
}

/* A result remains valid, whatever follows: here orders without names, so that the index is as
 * large as possible, and then as many of the largest records as were promised, mostly changes.
 * These orders change more often than real ones, so the journal is not verified. */
static void promise_and_keep(uint64_t size, uint64_t part, uint64_t grants, uint64_t max)
{
    struct test_dir p = {.root = ""};
    test_dir_make(&p);
    struct journal *j = test_dir_open(&p, size);
    uint64_t last = 0, stop = 1 + journal_free_records(j) * part / 8;
    for (; last == 0 || journal_free_records(j) > stop; commit(j))
        for (uint64_t n = 0; n < 64; n++) {
            struct record r = {.kind = RECORD_GRANT, .state = ORDER_SOLD, .n = 1, .number = ++last};
            journal_append(j, 0, &r, 1);
        }
    for (uint64_t rest = journal_free_records(j); rest > 0; commit(j))
        for (uint64_t n = 1 + below(max); n > 0 && rest > 0; n--, rest--) {
            struct record r = {.kind = RECORD_CHANGE, .state = ORDER_SOLD, .n = 1, .key_len = 1};
            bool grant = below(8) < grants;
            r.kind = grant ? RECORD_GRANT : RECORD_CHANGE;
            r.was = grant ? 0 : ORDER_SOLD;
            r.number = grant ? ++last : 1 + below(last);
            journal_append(j, 0, &r, 1);
        }
    journal_close(j);
    test_dir_remove(&p);
}

static void changes_anywhere_may_fill_it(void **state)
{
    static const uint64_t maxima[] = {1, 5, 40, 200, CHANGES_MAX};
    (void)state;
    for (uint64_t part = 0; part < 8; part++)
        for (size_t i = 0; i < ARRAY_LEN(maxima); i++)
            promise_and_keep((1 + below(2)) * MEGABYTE, part, below(3) == 0 ? below(8) : 0,
                             maxima[i]);
    promise_and_keep(16 * MEGABYTE, 1, 0, 1);
    promise_and_keep(16 * MEGABYTE, 1, 0, CHANGES_MAX);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commits_use_pages_again, test_dir_setup, test_dir_teardown),
        cmocka_unit_test(what_fits_can_be_committed),
        cmocka_unit_test_setup_teardown(one_commit_may_fill_it, test_dir_setup, test_dir_teardown),
        cmocka_unit_test_setup_teardown(many_events_share_the_space, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test_setup_teardown(a_promised_rest_may_come_one_by_one, test_dir_setup,
                                        test_dir_teardown),
        cmocka_unit_test(sales_stop_and_returns_never_do),
        cmocka_unit_test(all_may_change_at_the_end),
        cmocka_unit_test(changes_anywhere_may_fill_it),
        cmocka_unit_test_setup_teardown(a_smaller_size_takes_nothing_away, test_dir_setup,
                                        test_dir_teardown),
    };
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)getpid() + 1;
    log_set_level(LOG_ERROR); /* full and shrunk journals warn, as they should */
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
