/*
 * inside: the parts of spike-log(8), the program that reads journals and never writes one.
 *
 *   source   the journals: found through their configurations, opened, walked
 *   row      a record as a line of CSV or JSON
 *   account  what the records of one event add up to, and whether they may follow each other; pure
 *   export, tail, stat, audit (with audit_redis)   one command each
 *
 * Beside a running server: reading takes short LMDB transactions and no lock of ours. Records are
 * never changed, so those up to an end that was seen once are a snapshot.
 *
 * Exit status: 0; 1 a promise is broken; 2 everything else that went wrong.
 *
 * Owner: one thread. Allocates: a tool's, not the server's.
 */
#ifndef SPIKE_LOG_INSIDE_H
#define SPIKE_LOG_INSIDE_H

#include <stdio.h>
#include <sys/types.h>

#include "conf/base/conf.h"
#include "conf/base/orderid.h"
#include "storage/journal/journal.h"
#include "storage/journal/tally.h"
#include "storage/stock/look.h"

#define EXIT_BREACH  1
#define EXIT_TROUBLE 2
#define SLOTS_MAX    256 /* events of one journal: a slot is a byte of the order id */

/* ---- source: one journal -------------------------------------------------------------------- */

struct source {
    struct conf conf;
    struct journal *journal;
    bool running; /* a server had it when it was opened */
    dev_t device; /* of the directory, with its inode: the same one is not read twice */
    ino_t inode;
};

struct sources {
    struct source *at;
    uint32_t count;
};

typedef bool source_visit(void *context, const struct record *r); /* false: stop */

/* From here on a journal that kills its reader ends the program with EXIT_TROUBLE, and its name. */
void source_guard(void);
/* Reads the configurations and opens their journals; one that no server has is checked page by page
 * before. */
MUST_CHECK bool sources_open(struct sources *all, char *const *paths, uint32_t count,
                             struct fault *f);
void sources_close(struct sources *all);
/* Looks how far the event's journal goes now. */
MUST_CHECK bool source_end(const struct source *s, uint32_t event, uint64_t *end, struct fault *f);
/* Visits the records from .. to, which must be there, in order. */
MUST_CHECK bool source_walk(const struct source *s, uint32_t event, uint64_t from, uint64_t to,
                            source_visit *visit, void *context, struct fault *f);
/* Reads up to max records from `from` on; answers how many, -1 for a fault. */
MUST_CHECK int source_fetch(const struct source *s, uint32_t event, uint64_t from,
                            struct record *out, uint32_t max, struct fault *f);
/* The event's index in this journal, or -1. */
int source_event(const struct source *s, const char *event);

/* ---- row: a record as a line ---------------------------------------------------------------- */

#define ROW_BYTES 1024 /* of one line at most */

enum row_format { ROW_CSV, ROW_JSON };

/* Whose records: what an order id is made of, and the event's name. */
struct row_from {
    enum row_format format;
    const char *event;
    uint16_t node;
    uint8_t slot;
    uint8_t secret[ORDERID_SECRET];
};

struct row_from row_from_event(const struct source *s, uint32_t event, enum row_format format);
/* Keeps the secret of a SALE record; others are left alone. */
void row_learn(struct row_from *from, const struct record *r);
/* The order id of a grant or a change: ORDERID_TEXT bytes. */
void row_order(char *out, const struct row_from *from, const struct record *r);
/* Writes the line of a grant or a change, with its newline, and answers its length. */
size_t row_print(char out[ROW_BYTES], const struct row_from *from, const struct record *r);
/* The first line; JSON has none. */
void row_header(enum row_format format);
bool row_is_order(const struct record *r);

/* ---- account: what an event's records add up to --------------------------------------------- */

struct account_order {
    uint32_t n;
    uint8_t state; /* enum order_state; 0: not granted yet */
};

struct account {
    struct tally tally;
    struct account_order *orders; /* by number - 1; the caller's, zeroed, as many as records */
    uint64_t order_max;
    uint64_t pos;                          /* in: up to where Redis has settled */
    uint64_t pos_held, pos_sold, pos_last; /* tickets, and last number, as of `pos` */
    uint64_t mark, mark_last;              /* in; last number as of `mark` */
    uint64_t in_state[ORDER_EXPIRED + 1];  /* orders */
    uint64_t tickets;                      /* granted, ever */
    uint64_t first_wall_ms, last_wall_ms;
    const char *wrong; /* the first thing that cannot be; nothing is folded after it */
    uint64_t wrong_seq;
};

/* False: the record cannot follow, a->wrong says why. */
bool account_fold(struct account *a, const struct record *r);

/* A key and the order that it names. Keys are compared by a 128-bit keyed hash of theirs. */
struct account_key {
    uint8_t hash[16];
    uint16_t node;
    uint8_t slot;
    uint64_t number;
};

void account_key_set(struct account_key *k, const char *key, size_t len);
/* Sorts them; answers how many keys name more than one order, *twice: one of these. */
uint64_t account_doubles(struct account_key *keys, uint64_t count,
                         const struct account_key **twice);

/* The sum of an event over journals. */
struct account_sum {
    uint32_t journals;
    uint64_t held, sold, orders, total, version;
};

void account_add(struct account_sum *sum, const struct tally *t);
/* P1. */
bool account_fits(const struct account_sum *sum);

/* ---- the commands --------------------------------------------------------------------------- */

struct options {
    enum row_format format;
    bool changes;  /* export: a row for each record of an order */
    uint64_t last; /* tail: so many changes of each event first */
};

/* Each answers the exit status; EXIT_TROUBLE: f says why. */
int export_run(const struct sources *all, const struct options *o, struct fault *f);
int tail_run(const struct sources *all, const struct options *o, struct fault *f);
int stat_run(const struct sources *all, const struct options *o, struct fault *f);
int audit_run(const struct sources *all, const struct options *o, struct fault *f);

/* ---- audit, its two halves ------------------------------------------------------------------ */

/* What an audit has found: lines, and how many of them are breaches. */
struct findings {
    FILE *out;
    uint64_t breaches;
};

void audit_say(struct findings *to, const char *format, ...) PRINTF(2, 3);
void audit_breach(struct findings *to, const char *format, ...) PRINTF(2, 3);
/* The line is a breach unless what it says is good. */
void audit_judge(struct findings *to, bool good, const char *format, ...) PRINTF(3, 4);

/* One event in one journal. */
struct audited {
    const struct source *source;
    uint32_t event;       /* its index there */
    uint64_t before, end; /* its end before Redis was asked, and the end of what is audited */
    const struct look_node *redis; /* what Redis says of this node, or NULL */
    struct account account;        /* its orders are gone after the walk */
    uint8_t *order_seqs;           /* a bit for each record of an order */
};

/* Holds what Redis says of the event against its journals. */
MUST_CHECK bool audit_redis(struct findings *to, struct look *look, const struct look_event *hash,
                            const char *event, const struct audited *list, uint32_t count,
                            struct fault *f);

static inline bool bit_get(const uint8_t *bits, uint64_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

static inline void bit_set(uint8_t *bits, uint64_t i)
{
    bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << (i % 8));
}

#endif
