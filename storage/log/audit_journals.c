/*
 * audit_journals: checks the journals of an event by themselves and against each other. It reads
 * nothing: audit.c has read them.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/log/audit_private.h"

static void check_chain(const struct event_audit *e, struct findings *to)
{
    for (uint32_t i = 0; i < e->count; i++) {
        const struct audit_totals *t = &e->journals[i].totals;
        const struct source *s = e->journals[i].source;
        if (t->wrong != NULL)
            findings_breach(to, "P2 durable: event %s: journal %s: record %" PRIu64 ": %s", e->name,
                            source_path(s), t->wrong_seq, t->wrong);
        else
            findings_add(to,
                         "P2 durable: event %s: node %u: %" PRIu64 " record%s, chained, numbered "
                         "without gaps, every change legal",
                         e->name, (unsigned)source_node(s), t->node.end, plural(t->node.end));
    }
}

static void report_states(const struct event_audit *e, struct findings *to)
{
    uint64_t orders[ORDER_EXPIRED + 1] = {0}, late = 0, refused = 0;
    char paid[80] = "";
    for (uint32_t i = 0; i < e->count; i++) {
        const struct audit_totals *t = &e->journals[i].totals;
        for (int state = ORDER_HELD; state <= ORDER_EXPIRED; state++)
            orders[state] += t->in_state[state];
        late += t->late;
        refused += t->refused;
    }
    if (late + refused > 0)
        snprintf(paid, sizeof paid, "; paid late: %" PRIu64 " sold again, %" PRIu64 " refused",
                 late, refused);
    findings_add(to,
                 "P3 one state each: event %s: %" PRIu64 " order%s: %" PRIu64 " held, %" PRIu64
                 " sold, %" PRIu64 " cancelled, %" PRIu64 " expired%s",
                 e->name, e->sum.orders, plural(e->sum.orders), orders[ORDER_HELD],
                 orders[ORDER_SOLD], orders[ORDER_CANCELLED], orders[ORDER_EXPIRED], paid);
}

static void check_total(const struct event_audit *e, struct findings *to)
{
    struct audit_sum sum = e->sum;
    ASSERT(sum.journals == e->count);
    char held[48] = "";
    if (e->has_hash && (e->hash.version > sum.version ||
                        (e->hash.version == sum.version && e->hash.total > sum.total)))
        sum.total = e->hash.total;
    if (sum.held > 0)
        snprintf(held, sizeof held, " and %" PRIu64 " held", sum.held);
    for (uint32_t i = 0; i < e->count; i++)
        if (e->journals[i].totals.lost_back > 0)
            findings_add(to,
                         "lost: event %s: %" PRIu64
                         " tickets of a node whose journal is lost came back "
                         "by the word of an operator of node %u; P1 does not cover them",
                         e->name, e->journals[i].totals.lost_back, audit_node(&e->journals[i]));
    findings_check(to, audit_sum_fits(&sum),
                   "P1 no oversell: event %s: %" PRIu64 " sold%s of %" PRIu64 ", %u journal%s",
                   e->name, sum.sold, held, sum.total, sum.journals, plural(sum.journals));
}

static const struct node_totals *totals_at(const struct event_audit *e, uint32_t i)
{
    return &e->journals[i].totals.node;
}

/* Do two journals hold the same order ids? Numbers rise without gaps, so they do if the other parts
 * of an id are equal and both have orders. */
static bool share_ids(const struct event_audit *e, uint32_t i, uint32_t k)
{
    const struct journal_audit *a = &e->journals[i], *b = &e->journals[k];
    ASSERT(i != k);
    return audit_node(a) == audit_node(b) &&
           source_slot(a->source, a->event) == source_slot(b->source, b->event) &&
           totals_at(e, i)->last > 0 && totals_at(e, k)->last > 0 &&
           memcmp(totals_at(e, i)->secret, totals_at(e, k)->secret, SALE_SECRET_BYTES) == 0;
}

/* Pairs of journals with the same order ids. */
static uint64_t check_ids(const struct event_audit *e, struct findings *to)
{
    uint64_t pairs = 0;
    for (uint32_t i = 0; i < e->count; i++)
        for (uint32_t k = i + 1; k < e->count; k++)
            if (share_ids(e, i, k)) {
                pairs++;
                findings_breach(to,
                                "P4 exactly once: event %s: journals %s and %s hold the same order "
                                "ids of node %u",
                                e->name, source_path(e->journals[i].source),
                                source_path(e->journals[k].source), audit_node(&e->journals[i]));
            }
    return pairs;
}

static void check_once(struct event_audit *e, struct findings *to)
{
    const struct key *duplicate = NULL;
    uint64_t duplicates = key_index_sort(e->keys, &duplicate), keys = key_index_count(e->keys);
    ASSERT((duplicates > 0) == (duplicate != NULL));
    if (duplicates > 0)
        findings_breach(
            to,
            "P4 exactly once: event %s: %" PRIu64 " key%s with more than one order, one "
            "of them number %" PRIu64 " of node %u",
            e->name, duplicates, plural(duplicates), duplicate->number, (unsigned)duplicate->node);
    if (check_ids(e, to) == 0 && duplicates == 0)
        findings_add(to,
                     "P4 exactly once: event %s: %" PRIu64 " order id%s, none twice; %" PRIu64
                     " key%s, one order each",
                     e->name, e->sum.orders, plural(e->sum.orders), keys, plural(keys));
}

/* The highest limit of all; 0: a node sells without one. */
static uint32_t highest_limit(const struct event_audit *e)
{
    uint32_t limit = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->journals[i].limit == 0)
            return 0;
        limit = e->journals[i].limit > limit ? e->journals[i].limit : limit;
    }
    return limit;
}

static void check_limit(const struct event_audit *e, struct findings *to)
{
    uint32_t limit = highest_limit(e);
    uint64_t most, above = buyer_index_above(e->buyers, limit, &most);
    for (uint32_t i = 0; i < e->count; i++) {
        const struct journal_audit *a = &e->journals[i];
        if (a->excess.times > 0)
            findings_breach(to,
                            "limit: event %s: node %u: %" PRIu64
                            " time%s a buyer was given more than "
                            "%u; record %" PRIu64 " was the first, and made it %u",
                            e->name, audit_node(a), a->excess.times, plural(a->excess.times),
                            a->limit, a->excess.seq, a->excess.n);
    }
    if (limit == 0)
        return;
    if (above > 0)
        findings_breach(to,
                        "limit: event %s: %" PRIu64 " of %" PRIu64 " buyers with more than %u, "
                        "up to %" PRIu64,
                        e->name, above, buyer_index_count(e->buyers), limit, most);
    else
        findings_add(to, "limit: event %s: %" PRIu64 " buyer%s, none with more than %u", e->name,
                     buyer_index_count(e->buyers), plural(buyer_index_count(e->buyers)), limit);
}

static void check_sale(const struct event_audit *e, struct findings *to)
{
    const struct node_totals *first = NULL;
    uint32_t count = 0, others = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct node_totals *t = totals_at(e, i);
        if (!t->has_sale)
            continue;
        first = first != NULL ? first : t;
        count++;
        others += memcmp(first->sale, t->sale, sizeof t->sale) != 0;
    }
    ASSERT(first == NULL || others < count);
    if (first == NULL) {
        findings_add(to, "sale: event %s: none has begun", e->name);
        return;
    }
    if (others > 0)
        findings_breach(to, "sale: event %s: %u of %u journals are of another sale", e->name,
                        others, count);
    else
        findings_add(to, "sale: event %s: %02x%02x%02x%02x, %u journal%s", e->name, first->sale[0],
                     first->sale[1], first->sale[2], first->sale[3], count, plural(count));
}

/* Names each node that the journals or Redis know and whose journal was not given, once. */
static void report_missing(const struct event_audit *e, struct findings *to)
{
    static uint8_t named[NODE_MAX / 8 + 1];
    char text[512] = "";
    size_t used = 0;
    memset(named, 0, sizeof named);
    for (uint32_t i = 0; i <= e->count; i++) {
        uint32_t count = i < e->count ? totals_at(e, i)->known_count : e->hash.node_count;
        for (uint32_t k = 0; k < count; k++) {
            uint16_t node = i < e->count ? totals_at(e, i)->known[k] : e->hash.nodes[k].node;
            if (audit_find_node(e, node) != NULL || bit_get(named, node))
                continue;
            bit_set(named, node);
            if (used < sizeof text - 16)
                used += (size_t)snprintf(text + used, sizeof text - used, " %u", (unsigned)node);
        }
    }
    ASSERT(used < sizeof text);
    if (used > 0)
        findings_add(
            to,
            "open: event %s: the journals of these nodes of the sale were not given, so the "
            "sums cannot be closed:%s",
            e->name, text);
}

void audit_journals(struct findings *to, struct event_audit *e)
{
    ASSERT(e->count > 0);
    check_sale(e, to);
    check_chain(e, to);
    check_total(e, to);
    report_states(e, to);
    check_once(e, to);
    check_limit(e, to);
    audit_admin(to, e);
    report_missing(e, to);
}
