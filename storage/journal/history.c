/*
 * history: the records of a commit, event by event, and beside them the index, whose entries come
 * in the order of the grants. Pure reading; if it dies here, nothing has happened.
 */
#include "storage/journal/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/journal/journal_dir.h"
#include "storage/journal/record.h"

/* What the records have said of an order, and what the index says of it. A number that a late
 * payment took is no order: state 0. */
struct order {
    uint64_t last; /* seq of the last record, says the index */
    uint8_t state; /* enum order_state */
    bool refused;  /* a late payment of it was refused */
} __attribute__((packed));

/* What the records have said so far about one event. */
struct event_check {
    uint64_t seq;
    uint32_t crc;
    uint64_t numbers;     /* 1 .. numbers are taken */
    struct order *orders; /* by number - 1 */
    uint64_t capacity;    /* of orders */
    uint64_t waiting;     /* orders whose last record has not come */
    struct leaves index;
    uint64_t at; /* the chain at this record is kept in at_crc */
    uint32_t at_crc;
    const char *wrong;
};

static bool wrong(struct event_check *c, const char *what)
{
    c->wrong = what;
    return false;
}

static bool take_number(struct event_check *c, uint64_t number)
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
    c->orders[c->numbers++] = (struct order){0, 0, false};
    return true;
}

/* The order's last record, as the index says, is this one or still to come. */
static bool follow_index(struct event_check *c, const struct order *o)
{
    if (o->last < c->seq)
        return wrong(c, "the index knows nothing of it");
    if (o->last == c->seq)
        c->waiting--;
    return true;
}

static bool check_grant(struct event_check *c, const struct record *r)
{
    struct bytes key, data;
    uint64_t number;
    struct index_entry entry;
    if (!take_number(c, r->number))
        return false;
    if (r->state != ORDER_HELD && r->state != ORDER_SOLD)
        return wrong(c, "an order begins neither held nor sold");
    if (!leaves_next(&c->index, &key, &data) || data.len != sizeof entry)
        return wrong(c, "its order is not in the index");
    memcpy(&number, key.ptr, sizeof number);
    memcpy(&entry, data.ptr, sizeof entry);
    if (number != r->number || entry.grant != r->seq)
        return wrong(c, "the index does not lead to it");
    struct order *o = &c->orders[number - 1];
    o->state = r->state;
    o->last = entry.last;
    c->waiting++;
    return follow_index(c, o);
}

static struct order *find_order(struct event_check *c, uint64_t number)
{
    if (number <= c->numbers && c->orders[number - 1].state != 0)
        return &c->orders[number - 1];
    (void)wrong(c, "it speaks of an order that was never granted");
    return NULL;
}

static bool check_change(struct event_check *c, const struct record *r)
{
    /* A bit for each state that may follow. A sold order is cancelled when its buyer left before
     * the answer; an expired one is sold by a late payment alone, under a number of its own. */
    static const uint8_t next[] = {
        [ORDER_HELD] = 1u << ORDER_SOLD | 1u << ORDER_CANCELLED | 1u << ORDER_EXPIRED,
        [ORDER_SOLD] = 1u << ORDER_CANCELLED,
        [ORDER_CANCELLED] = 0,
        [ORDER_EXPIRED] = 0,
    };
    struct order *o = find_order(c, r->number);
    if (o == NULL)
        return false;
    if (r->was != o->state)
        return wrong(c, "the order was in another state before");
    if (!(next[o->state] & 1u << r->state))
        return wrong(c, "an order cannot change in this way");
    o->state = r->state;
    return follow_index(c, o);
}

/* A payment after the hold's end: taken (LATE) or, once and for all, refused. */
static bool check_late(struct event_check *c, const struct record *r)
{
    if (r->kind == RECORD_LATE && !take_number(c, r->number))
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
    return follow_index(c, o);
}

static bool check_record(struct event_check *c, uint64_t key, struct bytes data)
{
    struct record r;
    if (key != c->seq + 1)
        return wrong(c, "records are missing before it");
    c->seq = key;
    if (!record_decode(&r, &c->crc, data.ptr, data.len) || r.seq != key)
        return wrong(c, "its bytes, or the record before it, have changed");
    if (key == c->at)
        c->at_crc = c->crc;
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

/* After the last record: no entry of the index is left, and none waits for a later record. */
static bool check_index_end(struct event_check *c)
{
    struct bytes key, data;
    if (leaves_next(&c->index, &key, &data))
        return wrong(c, "it is the last one, and the index knows more orders");
    return c->waiting == 0 ||
           wrong(c, "it is the last one, and the index names records that never came");
}

static bool check_event(struct event_check *c, const struct pages *p, const struct tree *records,
                        const struct tree *index)
{
    struct leaves l;
    struct bytes key, data;
    uint64_t seq;
    leaves_begin(&l, p, records);
    leaves_begin(&c->index, p, index);
    while (leaves_next(&l, &key, &data)) {
        memcpy(&seq, key.ptr, sizeof seq);
        if (!check_record(c, seq, data))
            return false;
    }
    return check_index_end(c);
}

/* Names as they come, and judged; none at all is a journal that has not begun. */
static bool read_names(struct catalog *n, const struct pages *p, const struct tree *names,
                       const char *dir, struct fault *f)
{
    struct leaves l;
    struct bytes key, data;
    struct tree tree;
    char text[2][CATALOG_DBI_TEXT];
    bool whole = true;
    if (names->entries == 0)
        return true;
    leaves_begin(&l, p, names);
    while (whole && leaves_next(&l, &key, &data))
        whole = catalog_parse(n, key, data);
    for (uint32_t slot = 0; whole && slot < n->count; slot++) {
        catalog_dbi_names(n, slot, text[0], text[1]);
        whole = leaves_find(p, names, text[0], &tree) && leaves_find(p, names, text[1], &tree);
    }
    return catalog_check(n, whole, dir, f);
}

bool history_check(struct history *h, const struct pages *p, const struct meta *m, const char *dir,
                   struct fault *f)
{
    if (!read_names(&h->catalog, p, &m->names, dir, f))
        return false;
    for (uint32_t slot = 0; slot < h->catalog.count; slot++) {
        struct event_check c = {.at = h->events[slot].at};
        struct tree trees[2];
        char text[2][CATALOG_DBI_TEXT];
        catalog_dbi_names(&h->catalog, slot, text[0], text[1]);
        bool good = leaves_find(p, &m->names, text[0], &trees[0]) &&
                    leaves_find(p, &m->names, text[1], &trees[1]) &&
                    check_event(&c, p, &trees[0], &trees[1]);
        free(c.orders);
        if (!good)
            return fault(f,
                         "journal %s: damaged: record %" PRIu64 " of event %s: %s" JOURNAL_ADVICE,
                         dir, c.seq, h->catalog.events[slot], c.wrong);
        h->events[slot].end = c.seq;
        h->events[slot].crc = c.crc;
        h->events[slot].at_crc = c.at_crc;
    }
    return true;
}

/* Event by event: the same slot, and the same records up to where the other one ends. */
static bool goes_on(const struct history *h, const struct history *before)
{
    if (h->catalog.node != before->catalog.node || h->catalog.count < before->catalog.count)
        return false;
    for (uint32_t slot = 0; slot < before->catalog.count; slot++)
        if (strcmp(h->catalog.events[slot], before->catalog.events[slot]) != 0 ||
            h->events[slot].end < before->events[slot].end ||
            h->events[slot].at_crc != before->events[slot].crc)
            return false;
    return true;
}

uint64_t history_more(const struct history *before, const struct pages *p, const struct meta *m,
                      const char *dir)
{
    struct fault why;
    uint64_t more = 0;
    struct history *h = calloc(1, sizeof *h);
    if (h == NULL)
        return 0;
    for (uint32_t slot = 0; slot < before->catalog.count; slot++)
        h->events[slot].at = before->events[slot].end;
    if (history_check(h, p, m, dir, &why) && goes_on(h, before))
        for (uint32_t slot = 0; slot < h->catalog.count; slot++)
            more += h->events[slot].end - before->events[slot].end;
    free(h);
    return more;
}
