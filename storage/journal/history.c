/*
 * history: reads the records of a commit, event by event, and in step with them the index, whose
 * entries come in the order of the grants.
 *
 * Every entry names the seq of the order's last record. An order whose last record was not read yet
 * is pending; at the end of the event none may be. Reads only; if the process dies here, nothing
 * has happened.
 */
#include "storage/journal/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/journal/catalog.h"
#include "storage/journal/journal_dir.h"
#include "storage/journal/order_index.h"
#include "storage/journal/record.h"

struct history {
    struct catalog *catalog;
    struct event_end {
        uint64_t end;  /* seq of the last record */
        uint32_t crc;  /* the chain at `end` */
        uint64_t fork; /* in: a seq, and out: the chain there, which shows whether this history */
        uint32_t fork_crc;       /* continues the one that ended at `fork` */
    } events[JOURNAL_SLOTS_MAX]; /* by slot */
};

/* What the records read so far say of an order, and what the index says. A number that a late
 * payment took is no order: its state is 0. */
struct order {
    uint64_t last; /* seq of its last record, according to the index */
    uint8_t state; /* enum order_state */
    bool refused;  /* a late payment of it was refused */
} __attribute__((packed));

/* The check of one event. */
struct event_check {
    uint64_t seq;
    uint32_t crc;
    uint64_t numbers;     /* 1 .. numbers are in use */
    struct order *orders; /* by number - 1 */
    uint64_t capacity;    /* of `orders` */
    uint64_t pending;     /* orders whose last record was not read yet */
    struct leaves *index;
    uint64_t fork; /* the chain at this record is kept in fork_crc */
    uint32_t fork_crc;
    const char *wrong; /* the first finding, a literal */
};

static bool wrong(struct event_check *c, const char *what)
{
    c->wrong = what;
    return false;
}

/* The next number of the event, which an order or a late payment takes. */
static bool add_number(struct event_check *c, uint64_t number)
{
    if (number != c->numbers + 1)
        return wrong(c, "its order number does not follow the last one");
    if (c->numbers == c->capacity) {
        uint64_t capacity = c->capacity > 0 ? 2 * c->capacity : 4096;
        struct order *orders = realloc(c->orders, capacity * sizeof *orders);
        if (orders == NULL)
            return wrong(c, "no memory to verify so many orders");
        c->orders = orders;
        c->capacity = capacity;
    }
    ASSERT(c->numbers < c->capacity);
    c->orders[c->numbers++] = (struct order){0, 0, false};
    return true;
}

/* The record just read is the order's last one, according to the index, or a later one is. */
static bool match_index(struct event_check *c, const struct order *o)
{
    if (o->last < c->seq)
        return wrong(c, "the index does not know it");
    ASSERT(c->pending > 0);
    if (o->last == c->seq)
        c->pending--;
    return true;
}

static bool check_grant(struct event_check *c, const struct record *r)
{
    struct bytes key, data;
    uint64_t number, grant, last;
    if (!add_number(c, r->number))
        return false;
    if (r->state != ORDER_HELD && r->state != ORDER_SOLD)
        return wrong(c, "an order begins neither held nor sold");
    if (!leaves_next(c->index, &key, &data) || !order_index_parse(data, &grant, &last))
        return wrong(c, "its order is not in the index");
    memcpy(&number, key.ptr, sizeof number);
    if (number != r->number || grant != r->seq)
        return wrong(c, "the index does not lead to it");
    struct order *o = &c->orders[number - 1];
    o->state = r->state;
    o->last = last;
    c->pending++;
    return match_index(c, o);
}

static struct order *find_order(struct event_check *c, uint64_t number)
{
    ASSERT(number > 0); /* record_decode() lets no other pass */
    if (number <= c->numbers && c->orders[number - 1].state != 0)
        return &c->orders[number - 1];
    (void)wrong(c, "it refers to an order that was never granted");
    return NULL;
}

static bool check_change(struct event_check *c, const struct record *r)
{
    /* A bit for each state that may follow. A sold order is cancelled when its buyer disconnected
     * before the answer; an expired one is sold only by a late payment, under another number. */
    static const uint8_t next[] = {
        [ORDER_HELD] = 1u << ORDER_SOLD | 1u << ORDER_CANCELLED | 1u << ORDER_EXPIRED,
        [ORDER_SOLD] = 1u << ORDER_CANCELLED,
        [ORDER_CANCELLED] = 0,
        [ORDER_EXPIRED] = 0,
    };
    struct order *o = find_order(c, r->number);
    if (o == NULL)
        return false;
    ASSERT(o->state >= ORDER_HELD && o->state < ARRAY_LEN(next));
    if (r->was != o->state)
        return wrong(c, "the order was in another state before");
    if (!(next[o->state] & 1u << r->state))
        return wrong(c, "an order cannot change in this way");
    o->state = r->state;
    return match_index(c, o);
}

/* A payment after the end of the hold: accepted (LATE) or finally refused (REFUSAL). */
static bool check_late(struct event_check *c, const struct record *r)
{
    if (r->kind == RECORD_LATE && !add_number(c, r->number))
        return false;
    struct order *o = find_order(c, record_order(r));
    if (o == NULL)
        return false;
    if (o->state != ORDER_EXPIRED)
        return wrong(c, "a late payment of an order that had not expired");
    if (o->refused)
        return wrong(c, "the order's payment was refused before");
    if (r->kind == RECORD_LATE)
        o->state = r->state;
    else
        o->refused = true;
    return match_index(c, o);
}

static bool check_record(struct event_check *c, uint64_t key, struct bytes data)
{
    struct record r;
    if (key != c->seq + 1)
        return wrong(c, "records are missing before it");
    c->seq = key;
    if (!record_decode(&r, &c->crc, data.ptr, data.len) || r.seq != key)
        return wrong(c, "its bytes, or the record before it, have changed");
    if (key == c->fork)
        c->fork_crc = c->crc;
    if (!record_is_order(&r))
        return true;
    switch ((enum record_kind)r.kind) {
    case RECORD_GRANT:
        return check_grant(c, &r);
    case RECORD_CHANGE:
        return check_change(c, &r);
    default:
        return check_late(c, &r);
    }
}

/* After the last record: the index has no further entry, and no order is pending. */
static bool check_index_end(struct event_check *c)
{
    struct bytes key, data;
    if (leaves_next(c->index, &key, &data))
        return wrong(c, "it is the last one, and the index knows more orders");
    return c->pending == 0 ||
           wrong(c, "it is the last one, and the index names records that never came");
}

static bool check_records(struct event_check *c, struct leaves *records)
{
    struct bytes key, data;
    uint64_t seq;
    while (leaves_next(records, &key, &data)) {
        ASSERT(key.len == sizeof seq);
        memcpy(&seq, key.ptr, sizeof seq);
        if (!check_record(c, seq, data))
            return false;
    }
    return check_index_end(c);
}

static bool check_event(struct event_check *c, const struct pages *p, const struct tree *records,
                        const struct tree *index)
{
    struct leaves *l = leaves_open(p, records);
    c->index = leaves_open(p, index);
    bool good = l != NULL && c->index != NULL ? check_records(c, l)
                                              : wrong(c, "no memory to verify its event");
    leaves_close(c->index);
    leaves_close(l);
    free(c->orders);
    return good;
}

/* Every slot has the trees of its two databases. */
static bool find_trees(const struct catalog *catalog, uint32_t slot, const struct pages *p,
                       const struct tree *names, struct tree *records, struct tree *index)
{
    char text[2][CATALOG_DBI_TEXT];
    catalog_dbi_names(catalog, slot, text[0], text[1]);
    return leaves_find(p, names, text[0], records) && leaves_find(p, names, text[1], index);
}

/* No names at all: a journal that has not begun. */
static bool read_names(struct catalog *catalog, const struct pages *p, const struct tree *names,
                       const char *dir, struct fault *f)
{
    struct bytes key, data;
    struct tree records, index;
    bool whole = true;
    if (names->entries == 0)
        return true;
    struct leaves *l = leaves_open(p, names);
    if (l == NULL)
        return fault(f, "journal %s: no memory to verify its names", dir);
    while (whole && leaves_next(l, &key, &data))
        whole = catalog_parse(catalog, key, data);
    leaves_close(l);
    for (uint32_t slot = 0; whole && slot < catalog_count(catalog); slot++)
        whole = find_trees(catalog, slot, p, names, &records, &index);
    return catalog_check(catalog, whole, dir, f);
}

struct history *history_new(void)
{
    struct history *h = calloc(1, sizeof *h);
    if (h != NULL && (h->catalog = catalog_new()) == NULL) {
        free(h);
        return NULL;
    }
    return h;
}

void history_free(struct history *h)
{
    catalog_free(h->catalog);
    free(h);
}

bool history_check(struct history *h, const struct pages *p, const struct meta *m, const char *dir,
                   struct fault *f)
{
    ASSERT(catalog_is_empty(h->catalog));
    if (!read_names(h->catalog, p, &m->names, dir, f))
        return false;
    for (uint32_t slot = 0; slot < catalog_count(h->catalog); slot++) {
        struct event_end *e = &h->events[slot];
        struct event_check c = {.fork = e->fork, .wrong = "its databases cannot be found"};
        struct tree records, index;
        bool good = find_trees(h->catalog, slot, p, &m->names, &records, &index) &&
                    check_event(&c, p, &records, &index);
        if (!good)
            return fault(f,
                         "journal %s: damaged: record %" PRIu64 " of event %s: %s" JOURNAL_ADVICE,
                         dir, c.seq, catalog_event(h->catalog, slot), c.wrong);
        *e = (struct event_end){.end = c.seq, .crc = c.crc, .fork = c.fork, .fork_crc = c.fork_crc};
    }
    return true;
}

/* Each event has the slot it had, and the same records up to its end in `before`. */
static bool continues(const struct history *h, const struct history *before)
{
    const struct catalog *new = h->catalog, *old = before->catalog;
    if (catalog_node(new) != catalog_node(old) || catalog_count(new) < catalog_count(old))
        return false;
    for (uint32_t slot = 0; slot < catalog_count(old); slot++)
        if (strcmp(catalog_event(new, slot), catalog_event(old, slot)) != 0 ||
            h->events[slot].end < before->events[slot].end ||
            h->events[slot].fork_crc != before->events[slot].crc)
            return false;
    return true;
}

static uint64_t count_added(const struct history *h, const struct history *before)
{
    uint64_t more = 0;
    for (uint32_t slot = 0; slot < catalog_count(h->catalog); slot++)
        more += h->events[slot].end - before->events[slot].end;
    return more;
}

uint64_t history_more(const struct history *before, const struct pages *p, const struct meta *m,
                      const char *dir)
{
    struct fault why;
    struct history *h = history_new();
    if (h == NULL)
        return 0;
    for (uint32_t slot = 0; slot < catalog_count(before->catalog); slot++)
        h->events[slot].fork = before->events[slot].end;
    bool more = history_check(h, p, m, dir, &why) && continues(h, before);
    uint64_t records = more ? count_added(h, before) : 0;
    history_free(h);
    return records;
}
