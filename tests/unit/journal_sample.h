/*
 * journal_sample: what the tests of a damaged journal share: a journal with a history, the check
 * whether it is refused or complete, and raw access to its records.
 */
#ifndef SPIKE_TESTS_JOURNAL_SAMPLE_H
#define SPIKE_TESTS_JOURNAL_SAMPLE_H

#include "tests/unit/journal_fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>

#include "storage/journal/verify.h"

#define SIZE (4 * MEGABYTE)

/* A journal of about forty pages with a history: two events, many commits, a restart. Tickets are
 * sold at once; seats are held, and then go through all states. */
struct sample {
    struct test_dir where;
    uint64_t tickets, seats; /* records */
    struct record seat[400];
    int fd; /* of its data */
    off_t bytes;
};

static inline void note_seat(struct sample *s, struct journal *j, struct record r)
{
    assert_true(s->seats < ARRAY_LEN(s->seat));
    s->seat[s->seats++] = append(j, 1, r);
}

static inline const struct record *last_of(const struct sample *s, uint64_t number)
{
    for (uint64_t i = s->seats; i > 0; i--)
        if (record_order(&s->seat[i - 1]) == number)
            return &s->seat[i - 1];
    return NULL;
}

/* The order's next state, if there is one; some are paid late. */
static inline void change_seat(struct sample *s, struct journal *j, uint64_t order,
                               uint64_t *number)
{
    const struct record *last = last_of(s, order);
    if (last == NULL || last->kind == RECORD_LATE || last->kind == RECORD_REFUSAL)
        return;
    if (last->state == ORDER_HELD)
        note_seat(s, j, change_of(order, ORDER_HELD, order % 3 ? ORDER_EXPIRED : ORDER_CANCELLED));
    else if (last->state == ORDER_EXPIRED)
        note_seat(s, j, order % 2 ? late_of(++*number, order) : refusal_of(order));
}

/* One more seat, and an earlier one changes. */
static inline void sell_seat(struct sample *s, struct journal *j, uint64_t *number)
{
    uint64_t before = *number / 2;
    struct record r = order_of(++*number);
    r.state = ORDER_HELD;
    note_seat(s, j, r);
    change_seat(s, j, before, number);
}

static inline int setup(void **state)
{
    static struct sample s;
    struct stat st;
    uint64_t number = 0;
    s.tickets = s.seats = 0;
    test_dir_make(&s.where);
    for (int start = 0; start < 2; start++) {
        struct journal *j = test_dir_open(&s.where, SIZE);
        for (uint64_t i = 1; i <= 40; i++) {
            append_orders(j, 0, i % 8);
            sell_seat(&s, j, &number);
            sell_seat(&s, j, &number);
            commit(j);
        }
        s.tickets = journal_end(j, 0);
        journal_close(j);
    }
    s.fd = open(s.where.data, O_RDWR | O_CLOEXEC);
    assert_true(s.fd >= 0);
    assert_int_equal(fstat(s.fd, &st), 0);
    s.bytes = st.st_size;
    *state = &s;
    return 0;
}

static inline int teardown(void **state)
{
    const struct sample *s = *state;
    close(s->fd);
    test_dir_remove(&s->where);
    return 0;
}

static inline bool is_seat(void *context, const struct record *r)
{
    const struct sample *s = *(const struct sample **)context;
    assert_true(r->seq <= s->seats);
    assert_memory_equal(r, &s->seat[r->seq - 1], sizeof *r);
    return true;
}

/* Every seat is as it was written, and every order as its last record says. */
static inline void check_seats(struct journal *j, const struct sample *s)
{
    struct fault f;
    if (!journal_walk(j, 1, is_seat, &s, &f))
        fail_msg("%s", f.text);
    assert_int_equal(journal_end(j, 1), s->seats);
    for (uint64_t i = 0; i < s->seats; i++)
        if (s->seat[i].kind == RECORD_GRANT)
            check_order(j, 1, &s->seat[i], last_of(s, s->seat[i].number));
}

/* True: refused. Otherwise everything must exist. */
static inline bool is_refused(const struct sample *s)
{
    struct fault f = {""};
    struct journal *j = test_dir_try(&s->where, SIZE, &f);
    if (j == NULL) {
        assert_non_null(strstr(f.text, s->where.dir));
        assert_null(strstr(f.text, "died of")); /* verified before anything could kill the child */
        return true;
    }
    check_orders(j, 0, s->tickets);
    check_seats(j, s);
    journal_close(j);
    return false;
}

/* Access to the records through LMDB alone, to change them in a well-formed file. */
struct raw {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi, index;
};

static inline void raw_open(struct raw *g, const char *dir, const char *event, unsigned flags)
{
    char name[64];
    assert_int_equal(mdb_env_create(&g->env), 0);
    assert_int_equal(mdb_env_set_maxdbs(g->env, 4), 0);
    assert_int_equal(mdb_env_open(g->env, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(g->env, NULL, flags, &g->txn), 0);
    snprintf(name, sizeof name, "event:%s", event);
    assert_int_equal(mdb_dbi_open(g->txn, name, MDB_INTEGERKEY, &g->dbi), 0);
    snprintf(name, sizeof name, "index:%s", event);
    assert_int_equal(mdb_dbi_open(g->txn, name, MDB_INTEGERKEY, &g->index), 0);
}

static inline void raw_commit(struct raw *g)
{
    assert_int_equal(mdb_txn_commit(g->txn), 0);
    mdb_env_close(g->env);
}

static inline void must_refuse(const struct sample *s, const char *words)
{
    struct fault f = {""};
    struct leftover l;
    assert_false(journal_verify(s->where.dir, &l, &f));
    if (strstr(f.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", f.text, words);
    assert_true(is_refused(s));
}

/* Writes 16 bytes as the entry of a number, whether they are true or not. */
static inline void put_entry(struct raw *g, uint64_t number, uint64_t grant, uint64_t last)
{
    uint64_t seqs[2] = {grant, last};
    MDB_val key = {sizeof number, &number}, data = {sizeof seqs, seqs};
    assert_int_equal(mdb_put(g->txn, g->index, &key, &data, 0), 0);
}

/* {0, 0}: there is none. */
static inline void get_entry(const struct raw *g, uint64_t number, uint64_t seqs[2])
{
    MDB_val key = {sizeof number, &number}, data;
    seqs[0] = seqs[1] = 0;
    if (mdb_get(g->txn, g->index, &key, &data) == 0)
        memcpy(seqs, data.mv_data, sizeof(uint64_t[2]));
}

#endif
