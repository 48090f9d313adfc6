/*
 * inside: the parts of spike-log(8), the program that reads journals and never writes one.
 *
 *   source   the journals: found through their configurations, opened, walked
 *   row      a record as a line of CSV or JSON
 *   account  what the records of one event add up to, and whether they may follow each other; pure
 *   names    keys and buyers, as hashes: whose order, how many tickets; pure
 *   export, tail, stat, audit (with audit_journals, audit_acts, audit_redis, audit_names)
 *            one command each
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
#include "storage/journal/node_totals.h"
#include "storage/journal/verify.h"
#include "storage/stock/redis_inspect.h"

#define EXIT_BREACH  1
#define EXIT_TROUBLE 2
#define SLOTS_MAX    256 /* events of one journal: a slot is a byte of the order id */

/* ---- source: one journal -------------------------------------------------------------------- */

struct source {
    struct conf conf;
    struct journal *journal;
    bool running;             /* a server had it when it was opened */
    struct leftover leftover; /* ... none had, and the next one will find this */
    dev_t device;             /* of the directory, with its inode: the same one is not read twice */
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
 * before, or (deep) verified as a server does. */
MUST_CHECK bool sources_open(struct sources *all, char *const *paths, uint32_t count, bool deep,
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
/* Does the journal's index lead to the record? False: it does not, and f says so. */
MUST_CHECK bool source_index(const struct source *s, uint32_t event, const struct record *r,
                             struct fault *f);
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
/* The id of the order that a record speaks of: ORDERID_TEXT bytes. */
void row_order(char *out, const struct row_from *from, const struct record *r);
/* Writes the line of a record of an order, with its newline, and answers its length. */
size_t row_print(char out[ROW_BYTES], const struct row_from *from, const struct record *r);
/* The first line; JSON has none. */
void row_header(enum row_format format);
/* Does it change what an order is? Such records have an entry in the stream, and a row wherever
 * changes are written. */
bool row_is_order(const struct record *r);

/* ---- account: what an event's records add up to --------------------------------------------- */

struct account_order {
    uint64_t who; /* buyer and key, as a hash */
    uint64_t pay_by_wall_ms;
    uint32_t n;
    uint8_t state; /* enum order_state; 0: not granted yet, or a late payment's number */
    bool outright; /* granted as sold: nobody has paid it since */
    bool refused;  /* its late payment was */
};

/* What the event is, as a journal has heard it last. */
struct account_said {
    uint32_t version, total;
    uint8_t state; /* enum stock_state */
    bool acted;    /* an ADMIN record says so; a SALE does not tell the state */
    bool
        corrected; /* of this version the journal was told otherwise before: set by hand, or lost */
};

struct account {
    struct node_totals tally;
    struct account_order *orders; /* by number - 1; the caller's, zeroed, as many as records */
    uint64_t order_max;
    uint64_t pos;                          /* in: up to where Redis has settled */
    uint64_t pos_held, pos_sold, pos_last; /* tickets, and last number, as of `pos` */
    uint64_t mark, mark_last;              /* in; last number as of `mark` */
    uint32_t mark_version;                 /* ... the event's version then */
    uint64_t in_state[ORDER_EXPIRED + 1];  /* orders */
    uint64_t late, refused;                /* orders paid late and sold again; refused */
    uint64_t acts, first_act;              /* of operators; seq of the first one */
    uint64_t lost_back; /* tickets that came back because another node's journal is lost */
    struct account_said said;
    uint64_t closed;                   /* seq of the act that closed the event, or 0 */
    uint64_t after_close, first_after; /* orders that were given tickets since; seq */
    uint64_t tickets;                  /* granted, ever; sold again not counted again */
    uint64_t first_wall_ms, last_wall_ms;
    const char *wrong; /* the first thing that cannot be; nothing is folded after it */
    uint64_t wrong_seq;
};

/* False: the record cannot follow, a->wrong says why. */
bool account_fold(struct account *a, const struct record *r);

/* The sum of an event over journals. */
struct account_sum {
    uint32_t journals;
    uint64_t held, sold, orders, total, version;
};

void account_add(struct account_sum *sum, const struct node_totals *t);
/* P1. */
bool account_fits(const struct account_sum *sum);

/* ---- names: keys and buyers ----------------------------------------------------------------- */

/* They come from buyers; under a secret of this process none can be made to collide. */
#define NAME_HASH 16

void name_hash(uint8_t out[NAME_HASH], const void *name, size_t len);

/* A key and the order that it names. */
struct key {
    uint8_t hash[NAME_HASH];
    uint64_t value; /* key_value() of what Redis has for it, but for live or ended */
    uint64_t mark;
    uint64_t number;
    uint16_t node;
    uint8_t slot;
    bool settled;           /* Redis has been told of the grant */
    bool live;              /* the order is held or sold */
    bool found, found_live; /* Redis has it, so */
};

struct keys {
    struct key *at;
    uint64_t count, max;
};

/* Appends the key of a grant. NULL: no memory. */
struct key *keys_add(struct keys *k, const struct record *grant, uint16_t node, uint8_t slot);
/* Sorts them; answers how many keys name more than one order, *twice: one of these. */
uint64_t keys_doubles(struct keys *k, const struct key **twice);
/* The first of that name, in sorted ones, or NULL; *count: how many there are. */
struct key *keys_find(const struct keys *k, const char *name, size_t len, uint64_t *count);
uint64_t key_value(const char *text, size_t len);

/* The tickets of a buyer: held and sold. */
struct buyer {
    uint8_t hash[NAME_HASH];
    uint64_t tickets; /* in all journals */
    uint32_t here;    /* in the one at hand */
    bool used;        /* the place is taken */
    bool found;       /* Redis has it */
};

/* Where a journal gave a buyer more than the limit. */
struct above {
    uint64_t times;
    uint64_t seq; /* of the first of these records */
    uint32_t n;   /* tickets that the buyer then had */
};

struct buyers {
    struct buyer *at; /* a table of `size` places, by hash */
    uint64_t count, size;
    uint32_t limit;
    struct above above; /* in the journal at hand */
};

/* Goes on to the next journal, in which `limit` holds (0: none). */
void buyers_begin(struct buyers *b, uint32_t limit);
/* False: no memory. */
MUST_CHECK bool buyers_fold(struct buyers *b, const struct record *r);
/* NULL: no such buyer. */
struct buyer *buyers_find(const struct buyers *b, const char *name, size_t len);
/* How many buyers have more than `limit` tickets over all journals; *most: the most that one has.
 */
uint64_t buyers_above(const struct buyers *b, uint32_t limit, uint64_t *most);

/* ---- the commands --------------------------------------------------------------------------- */

struct options {
    enum row_format format;
    bool changes;  /* export: a row for each record of an order */
    bool refused;  /* export: a row for each late payment that was refused */
    uint64_t last; /* tail: so many changes of each event first */
};

/* Each answers the exit status; EXIT_TROUBLE: f says why. */
int export_run(const struct sources *all, const struct options *o, struct fault *f);
int tail_run(const struct sources *all, const struct options *o, struct fault *f);
int stat_run(const struct sources *all, const struct options *o, struct fault *f);
int audit_run(const struct sources *all, const struct options *o, struct fault *f);

/* ---- audit, its parts ------------------------------------------------------------------------ */

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
    const struct inspect_node *redis; /* what Redis says of this node, or NULL */
    uint32_t limit;                   /* of a buyer, as the configuration says; 0 none */
    struct account account;           /* its orders are gone after the walk */
    struct above above;
    uint8_t *order_seqs; /* a bit for each record that has a row */
    bool still;          /* Redis has all of it, and nothing moved while we looked */
};

/* One event over all journals that have it. */
struct event_audit {
    const char *name;
    struct audited *list;
    uint32_t count;
    struct inspect_event hash;
    bool has_hash; /* Redis was asked and has it */
    struct account_sum sum;
    struct keys keys;
    struct buyers buyers;
};

/* What the journals say by themselves, and of each other. Sorts the keys. */
void audit_journals(struct findings *to, struct event_audit *e);
/* What operators have done: the journals of each other, and the hash against them. */
void audit_acts(struct findings *to, const struct event_audit *e);
void audit_acts_redis(struct findings *to, struct redis_inspect *look, const struct event_audit *e);
/* Holds what Redis says of the event against its journals. */
MUST_CHECK bool audit_redis(struct findings *to, struct redis_inspect *look, struct event_audit *e,
                            struct fault *f);
/* ... its part for keys, buyers and marks; the keys are sorted. */
MUST_CHECK bool audit_names(struct findings *to, struct redis_inspect *look, struct event_audit *e,
                            struct fault *f);

static inline bool audit_is_given(const struct event_audit *e, uint16_t node)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (journal_node(e->list[i].source->journal) == node)
            return true;
    return false;
}

/* Has Redis heard this node's keys, since it was last found that some were lost? */
static inline bool audit_has_told(const struct event_audit *e, const struct inspect_node *n)
{
    return e->hash.rebuild != 0 && n->rebuild == e->hash.rebuild;
}

static inline const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static inline bool bit_get(const uint8_t *bits, uint64_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

static inline void bit_set(uint8_t *bits, uint64_t i)
{
    bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << (i % 8));
}

#endif
