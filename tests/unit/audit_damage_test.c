/*
 * Why: an audit that finds no breach in a journal that no server accepts tells an operator that a
 * damaged journal is sound. What the server's verifier refuses, the audit must not pass; and what
 * the verifier accepts is as sound as it was written, so the audit must pass it.
 *
 * Random damage: flipped bits, cuts, pages that are swapped. The seed is printed; given as the
 * argument it repeats the run.
 */
/* needs: storage/log/audit_totals.c storage/log/audit.c storage/log/audit_admin.c
 * storage/log/audit_journals.c storage/log/audit_keys.c storage/log/audit_stream.c
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

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "storage/journal/verify.h"
#include "storage/log/commands.h"

#define PAY_BY 5
#include "tests/unit/audit_records.h"

#define PAGE_BYTES 4096
#define DAMAGES    400
#define ORDERS     400

static uint64_t seed;

/* xorshift64 (G. Marsaglia, 2003): the same run for the same seed. */
static uint64_t below(uint64_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % bound;
}

struct books {
    struct test_dir where;
    char conf[80];
    int fd; /* of data.mdb */
    size_t bytes;
    unsigned char *sound; /* what it holds */
};

static void put(struct journal *j, struct record r)
{
    journal_append(j, 0, &r, (journal_end(j, 0) + 1) * 10);
}

/* Held and then paid, cancelled, expired, or expired and refused. */
static void sell(struct journal *j, uint64_t number)
{
    struct record r = with(grant(number, ORDER_HELD, 1), "ann", "");
    put(j, r);
    if (number % 4 == 0)
        put(j, change(r, ORDER_HELD, ORDER_SOLD));
    else
        put(j, change(r, ORDER_HELD, number % 4 == 1 ? ORDER_CANCELLED : ORDER_EXPIRED));
    if (number % 4 == 3)
        put(j, refusal(r));
}

static int begin(void **state)
{
    static struct books b;
    struct stat st;
    test_dir_make(&b.where);
    struct journal *j = test_dir_open(&b.where, 4 * MEGABYTE);
    put(j, sale(ORDERS, 1));
    for (uint64_t number = 1; number <= ORDERS; number++) {
        sell(j, number);
        if (number % 10 == 0)
            commit(j);
    }
    journal_close(j);
    snprintf(b.conf, sizeof b.conf, "%s/conf", b.where.root);
    FILE *conf = fopen(b.conf, "we");
    fprintf(conf, "node 7; listen 127.0.0.1:0; journal \"%s\"; event ticket { total %d; }\n",
            b.where.dir, ORDERS);
    assert_int_equal(fclose(conf), 0);
    b.fd = open(b.where.data, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(b.fd, &st), 0);
    b.bytes = (size_t)st.st_size;
    b.sound = malloc(b.bytes);
    assert_int_equal(pread(b.fd, b.sound, b.bytes, 0), b.bytes);
    *state = &b;
    return 0;
}

static int end(void **state)
{
    struct books *b = *state;
    free(b->sound);
    close(b->fd);
    unlink(b->conf);
    test_dir_remove(&b->where);
    return 0;
}

/* The exit status of an audit. */
static int audit(const struct books *b, bool deep)
{
    struct fault f;
    struct options o = {.format = ROW_CSV};
    char path[sizeof b->conf], *paths[] = {path}, *said = NULL;
    size_t len = 0;
    FILE *real = stdout;
    strcpy(path, b->conf);
    struct sources *all = sources_open(paths, 1, deep, &f);
    if (all == NULL)
        return EXIT_TROUBLE;
    stdout = open_memstream(&said, &len);
    int code = audit_run(all, &o, &f);
    fclose(stdout);
    stdout = real;
    free(said);
    sources_close(all);
    return code;
}

static void write_page(const struct books *b, uint64_t page, uint64_t from)
{
    assert_int_equal(
        pwrite(b->fd, b->sound + PAGE_BYTES * from, PAGE_BYTES, (off_t)(PAGE_BYTES * page)),
        PAGE_BYTES);
}

static void damage(const struct books *b, char words[96])
{
    uint64_t pages = b->bytes / PAGE_BYTES, one = below(pages), other = below(pages);
    uint64_t at = below(b->bytes), bit = below(8);
    switch (below(8)) {
    case 0:
        snprintf(words, 96, "cut at %" PRIu64, at);
        assert_int_equal(ftruncate(b->fd, (off_t)at), 0);
        return;
    case 1:
        snprintf(words, 96, "pages %" PRIu64 " and %" PRIu64 " swapped", one, other);
        write_page(b, one, other);
        write_page(b, other, one);
        return;
    case 2:
        snprintf(words, 96, "page %" PRIu64 " over page %" PRIu64, one, other);
        write_page(b, other, one);
        return;
    default:
        snprintf(words, 96, "bit %" PRIu64 " of byte %" PRIu64 " flipped", bit, at);
        unsigned char byte = (unsigned char)(b->sound[at] ^ 1u << bit);
        assert_int_equal(pwrite(b->fd, &byte, 1, (off_t)at), 1);
    }
}

static void the_audit_passes_what_the_server_accepts(void **state)
{
    const struct books *b = *state;
    unsigned refused = 0, by_pages = 0;
    char words[96] = "nothing";
    for (unsigned i = 0; i <= DAMAGES; i++) {
        struct fault f = {""};
        struct leftover l;
        bool accepted = journal_verify(b->where.dir, &l, &f);
        int code = audit(b, true);
        if (accepted != (code == 0))
            fail_msg("%s: the audit exits %d, and the server %s", words, code,
                     accepted ? "accepts it" : f.text);
        refused += !accepted;
        by_pages += !accepted && audit(b, false) == 0;
        assert_int_equal(pwrite(b->fd, b->sound, b->bytes, 0), b->bytes);
        damage(b, words);
    }
    printf("%u of %d refused; of these %u were passed by a check of pages and records alone\n",
           refused, DAMAGES, by_pages);
    assert_true(refused > DAMAGES / 10);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_audit_passes_what_the_server_accepts, begin, end),
    };
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)getpid() + 1;
    printf("seed %" PRIu64 "\n", seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
