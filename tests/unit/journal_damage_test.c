/*
 * Why: a disk may return other bytes than were written. A server that sells from a damaged journal
 * sells tickets twice, and one damaged page can kill the process that reads it. So every flipped
 * bit and every truncation must have one of two results: refused with a message, or opened with
 * every record as it was (the bit was not in use). The process that opens must survive in either
 * case.
 */
/* needs: storage/journal/journal.c storage/journal/journal_preallocate.c
 * storage/journal/journal_open.c storage/journal/capacity.c storage/journal/journal_figures.c
 * storage/journal/order_index.c storage/journal/snapshot.c storage/journal/writer.c
 * storage/journal/catalog.c storage/journal/journal_dir.c storage/journal/verify.c
 * storage/journal/pages.c storage/journal/metas.c storage/journal/leaves.c
 * storage/journal/history.c storage/journal/journal_mend.c storage/journal/record.c
 * conf/base/check.c conf/base/fault.c conf/base/log.c -llmdb -ldeflate -lz
 */
#include "tests/unit/journal_sample.h"

#include <zlib.h>

/* With a sanitizer each case is so slow that every third one must suffice. */
#if defined(__SANITIZE_ADDRESS__)
#define STEP 3
#else
#define STEP 1
#endif

/* A journal that is opened may have had its last commit completed, which writes a meta page. */
static bool refuses_flip(const struct sample *s, off_t at, unsigned bit)
{
    unsigned char metas[2 * 4096], was, now;
    assert_int_equal(pread(s->fd, metas, sizeof metas, 0), sizeof metas);
    assert_int_equal(pread(s->fd, &was, 1, at), 1);
    now = (unsigned char)(was ^ 1u << bit);
    assert_int_equal(pwrite(s->fd, &now, 1, at), 1);
    bool refused = is_refused(s);
    assert_int_equal(pwrite(s->fd, &was, 1, at), 1);
    assert_int_equal(pwrite(s->fd, metas, sizeof metas, 0), sizeof metas);
    return refused;
}

static void a_sound_journal_is_accepted(void **state)
{
    struct fault f;
    struct leftover l;
    const struct sample *s = *state;
    if (!journal_verify(s->where.dir, &l, &f))
        fail_msg("%s", f.text);
    assert_false(is_refused(s));
}

/* The two meta pages: magic, version, root pages, last page and commit number matter; of the older
 * one only magic, version, page size and number. */
static void flips_in_the_meta_pages(void **state)
{
    unsigned tried = 0, refused = 0;
    for (off_t page = 0; page < 2; page++)
        for (off_t at = 0; at < 16 + 136; at++)
            for (unsigned bit = (unsigned)at % STEP; bit < 8; bit += at < 24 ? 3 : STEP, tried++)
                refused += refuses_flip(*state, 4096 * page + at, bit);
    printf("meta pages: %u of %u flips refused\n", refused, tried);
    assert_true(refused > tried / 5);
}

/* A commit number that is too low by two makes the last commit look like one whose write has
 * failed: then nothing of it is lost. Any other number is impossible. */
static void a_meta_page_out_of_order_loses_nothing(void **state)
{
    unsigned accepted = 0;
    for (off_t page = 0; page < 2; page++)
        for (unsigned bit = 0; bit < 16; bit++)
            accepted += !refuses_flip(*state, 4096 * page + 16 + 128 + bit / 8, bit % 8);
    assert_true(accepted >= 1 && accepted <= 4); /* bit 1, and one that carries */
}

/* Every page, in every region: head, offsets, free space, nodes. */
static void flips_in_every_page(void **state)
{
    const struct sample *s = *state;
    unsigned tried = 0, refused = 0;
    for (off_t page = 2; page < s->bytes / 4096; page++)
        for (off_t at = 0; at < 4096; at += STEP * (at < 40 ? 3 : 173), tried++)
            refused += refuses_flip(s, 4096 * page + at, (unsigned)(page + at) % 8);
    printf("other pages: %u of %u flips refused\n", refused, tried);
    assert_true(refused > tried / 5);
}

static void every_cut_is_refused(void **state)
{
    const struct sample *s = *state;
    unsigned char *all = malloc((size_t)s->bytes);
    assert_int_equal(pread(s->fd, all, (size_t)s->bytes, 0), s->bytes);
    for (off_t at = 0; at < s->bytes; at += at < 8192 ? 311 : 1367) {
        assert_int_equal(ftruncate(s->fd, at), 0);
        if (!is_refused(s))
            fail_msg("cut at %ld was accepted", (long)at);
        assert_int_equal(pwrite(s->fd, all, (size_t)s->bytes, 0), s->bytes);
    }
    free(all);
    assert_false(is_refused(s));
}

static void a_lost_file_is_no_first_start(void **state)
{
    const struct sample *s = *state;
    struct fault f;
    assert_int_equal(unlink(s->where.data), 0);
    assert_null(test_dir_try(&s->where, SIZE, &f));
    assert_non_null(strstr(f.text, "empty or gone, and it held a journal"));
}

/* A power cut before the first commit leaves an empty file, or zeros. */
static void a_first_start_may_be_repeated(void **state)
{
    struct test_dir p = {.root = ""};
    (void)state;
    for (off_t bytes = 0; bytes <= 8192; bytes += 4096) {
        test_dir_make(&p);
        assert_int_equal(mkdir(p.dir, 0700), 0);
        int fd = open(p.data, O_RDWR | O_CREAT, 0600);
        assert_int_equal(ftruncate(fd, bytes), 0);
        close(fd);
        journal_close(test_dir_open(&p, SIZE));
        test_dir_remove(&p);
    }
}

/* Every list of free pages in sequence: count, numbers, count, numbers ... */
static size_t free_lists(const struct sample *s, uint64_t *out, size_t max)
{
    struct raw g;
    MDB_cursor *cursor;
    MDB_val key, data;
    size_t len = 0;
    raw_open(&g, s->where.dir, "ticket", MDB_RDONLY);
    assert_int_equal(mdb_cursor_open(g.txn, 0, &cursor), 0);
    while (mdb_cursor_get(cursor, &key, &data, MDB_NEXT) == 0) {
        assert_true(len + data.mv_size / 8 <= max);
        memcpy(out + len, data.mv_data, data.mv_size);
        len += data.mv_size / 8;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(g.txn);
    mdb_env_close(g.env);
    return len;
}

/* Replaces a number of a list in every copy of the list in the file. */
static void patch_list(const struct sample *s, uint64_t *list, size_t at, uint64_t number)
{
    size_t bytes = (size_t)s->bytes;
    unsigned char *all = malloc(bytes), *hit;
    assert_int_equal(pread(s->fd, all, bytes, 0), s->bytes);
    for (size_t i = 0; (hit = memmem(all + i, bytes - i, list, 8 * (list[0] + 1))) != NULL;) {
        memcpy(hit + 8 * at, &number, 8);
        i = (size_t)(hit - all) + 8;
    }
    assert_int_equal(pwrite(s->fd, all, bytes, 0), s->bytes);
    free(all);
    list[at] = number;
}

/* The next commits would overwrite records; reading the records does not reveal it. */
static void a_page_in_use_among_the_free_is_refused(void **state)
{
    const struct sample *s = *state;
    uint64_t lists[512];
    size_t len = free_lists(s, lists, ARRAY_LEN(lists)), tried = 0;
    for (size_t list = 0; list < len; list += lists[list] + 1)
        for (size_t i = 1; i <= lists[list]; i++) {
            uint64_t was = lists[list + i], next = i < lists[list] ? lists[list + i + 1] : 1;
            for (uint64_t other = was - 1; other > next; other--, tried++) {
                patch_list(s, lists + list, i, other);
                must_refuse(s, "in use twice");
                patch_list(s, lists + list, i, was);
            }
        }
    assert_true(tried > 0);
    assert_false(is_refused(s));
}

static void a_missing_record_is_refused(void **state)
{
    const struct sample *s = *state;
    struct raw g;
    uint64_t seq = 30;
    MDB_val key = {sizeof seq, &seq};
    raw_open(&g, s->where.dir, "ticket", 0);
    assert_int_equal(mdb_del(g.txn, g.dbi, &key, NULL), 0);
    raw_commit(&g);
    must_refuse(s, "record 29 of event ticket: records are missing");
}

/* As many records are added at the end as are missing, so only their numbers reveal it. */
static void a_gap_is_refused(void **state)
{
    const struct sample *s = *state;
    struct raw g;
    uint64_t seq = 30, end = s->tickets + 1;
    MDB_val key = {sizeof seq, &seq}, last = {sizeof end, &end}, data;
    unsigned char bytes[RECORD_BYTES_MAX];
    raw_open(&g, s->where.dir, "ticket", 0);
    assert_int_equal(mdb_get(g.txn, g.dbi, &key, &data), 0);
    size_t len = data.mv_size;
    memcpy(bytes, data.mv_data, len);
    assert_int_equal(mdb_del(g.txn, g.dbi, &key, NULL), 0);
    data = (MDB_val){len, bytes};
    assert_int_equal(mdb_put(g.txn, g.dbi, &last, &data, 0), 0);
    raw_commit(&g);
    must_refuse(s, "record 29 of event ticket: records are missing");
}

static void a_changed_record_is_refused(void **state)
{
    const struct sample *s = *state;
    struct raw g;
    uint64_t seq = 30;
    MDB_val key = {sizeof seq, &seq}, data;
    unsigned char bytes[RECORD_BYTES_MAX];
    struct record r = order_of(30);
    uint32_t crc = 0;
    raw_open(&g, s->where.dir, "ticket", 0);
    assert_int_equal(mdb_get(g.txn, g.dbi, &key, &data), 0);
    r.seq = 30;
    r.n = 2;
    data.mv_size = record_encode(&r, &crc, bytes); /* sound in itself, but not in the chain */
    data.mv_data = bytes;
    assert_int_equal(mdb_put(g.txn, g.dbi, &key, &data, 0), 0);
    raw_commit(&g);
    must_refuse(s, "record 30 of event ticket: its bytes");
}

static void moved_records_are_refused(void **state)
{
    const struct sample *s = *state;
    struct raw g;
    uint64_t seqs[2] = {40, 43}; /* of one length */
    unsigned char bytes[2][RECORD_BYTES_MAX];
    size_t lens[2];
    raw_open(&g, s->where.dir, "ticket", 0);
    for (int i = 0; i < 2; i++) {
        MDB_val key = {sizeof seqs[i], &seqs[i]}, data;
        assert_int_equal(mdb_get(g.txn, g.dbi, &key, &data), 0);
        lens[i] = data.mv_size;
        memcpy(bytes[i], data.mv_data, data.mv_size);
    }
    for (int i = 0; i < 2; i++) {
        MDB_val key = {sizeof seqs[i], &seqs[i]}, data = {lens[!i], bytes[!i]};
        assert_int_equal(mdb_put(g.txn, g.dbi, &key, &data, 0), 0);
    }
    raw_commit(&g);
    must_refuse(s, "record 40 of event ticket: its bytes");
}

static void another_format_is_refused(void **state)
{
    struct raw g;
    struct fault f;
    const struct sample *s = *state;
    char name[] = "meta:format";
    MDB_val key = {sizeof name - 1, name}, data;
    unsigned char bytes[8] = {1}; /* the number, then the CRC of key and number */
    MDB_dbi names;
    raw_open(&g, s->where.dir, "ticket", 0);
    assert_int_equal(mdb_dbi_open(g.txn, NULL, 0, &names), 0);
    uint32_t crc = (uint32_t)crc32(crc32(0, key.mv_data, (uInt)key.mv_size), bytes, 4);
    memcpy(bytes + 4, &crc, 4);
    data = (MDB_val){sizeof bytes, bytes};
    assert_int_equal(mdb_put(g.txn, names, &key, &data, 0), 0);
    raw_commit(&g);
    assert_null(test_dir_try(&s->where, SIZE, &f));
    assert_non_null(strstr(f.text, "has format 1, this program reads format 2"));
}

/* Every bit of one entry, in the page that is in use: an index has no CRC, but the records have.
 * Pages of earlier commits contain the entry, too, and are not read. */
static void flips_in_an_entry_of_the_index(void **state)
{
    const struct sample *s = *state;
    struct raw g;
    uint64_t entry[3] = {30}; /* key, grant, last */
    unsigned used = 0;
    size_t bytes = (size_t)s->bytes;
    unsigned char *all = malloc(bytes), *hit;
    raw_open(&g, s->where.dir, "seat", MDB_RDONLY);
    get_entry(&g, entry[0], entry + 1);
    mdb_txn_abort(g.txn);
    mdb_env_close(g.env);
    assert_true(entry[2] > entry[1]);
    assert_int_equal(pread(s->fd, all, bytes, 0), s->bytes);
    for (size_t i = 0; (hit = memmem(all + i, bytes - i, entry, sizeof entry)) != NULL;) {
        i = (size_t)(hit - all) + 1;
        if (!refuses_flip(s, hit - all + 8, 0))
            continue;
        used++;
        for (unsigned bit = 0; bit < 8 * sizeof entry; bit++)
            assert_true(refuses_flip(s, hit - all + bit / 8, bit % 8));
    }
    free(all);
    assert_int_equal(used, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_journal_is_accepted, setup, teardown),
        cmocka_unit_test(a_first_start_may_be_repeated),
        cmocka_unit_test_setup_teardown(a_lost_file_is_no_first_start, setup, teardown),
        cmocka_unit_test_setup_teardown(another_format_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_record_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_record_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(moved_records_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_in_use_among_the_free_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(flips_in_an_entry_of_the_index, setup, teardown),
        cmocka_unit_test_setup_teardown(every_cut_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_meta_page_out_of_order_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(flips_in_the_meta_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(flips_in_every_page, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
