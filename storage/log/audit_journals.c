/*
 * audit_journals: what the journals of an event say by themselves, and of each other. It reads
 * nothing: audit.c has read them.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/log/inside.h"

static void judge_chain(const struct event_audit *e, struct findings *to)
{
    for (uint32_t i = 0; i < e->count; i++) {
        const struct account *a = &e->list[i].account;
        const struct source *s = e->list[i].source;
        if (a->wrong != NULL)
            audit_breach(to, "P2 durable: event %s: journal %s: record %" PRIu64 ": %s", e->name,
                         s->conf.journal, a->wrong_seq, a->wrong);
        else
            audit_say(to,
                      "P2 durable: event %s: node %u: %" PRIu64 " record%s, chained, numbered "
                      "without gaps, every change legal",
                      e->name, (unsigned)journal_node(s->journal), a->tally.end,
                      plural(a->tally.end));
    }
}

static void judge_states(const struct event_audit *e, struct findings *to)
{
    uint64_t orders[ORDER_EXPIRED + 1] = {0}, late = 0, refused = 0;
    char paid[80] = "";
    for (uint32_t i = 0; i < e->count; i++) {
        const struct account *a = &e->list[i].account;
        for (int state = ORDER_HELD; state <= ORDER_EXPIRED; state++)
            orders[state] += a->in_state[state];
        late += a->late;
        refused += a->refused;
    }
    if (late + refused > 0)
        snprintf(paid, sizeof paid, "; paid late: %" PRIu64 " sold again, %" PRIu64 " refused",
                 late, refused);
    audit_say(to,
              "P3 one state each: event %s: %" PRIu64 " order%s: %" PRIu64 " held, %" PRIu64
              " sold, %" PRIu64 " cancelled, %" PRIu64 " expired%s",
              e->name, e->sum.orders, plural(e->sum.orders), orders[ORDER_HELD], orders[ORDER_SOLD],
              orders[ORDER_CANCELLED], orders[ORDER_EXPIRED], paid);
}

static void judge_total(const struct event_audit *e, struct findings *to)
{
    struct account_sum sum = e->sum;
    char held[48] = "";
    if (e->has_hash && (e->hash.version > sum.version ||
                        (e->hash.version == sum.version && e->hash.total > sum.total)))
        sum.total = e->hash.total;
    if (sum.held > 0)
        snprintf(held, sizeof held, " and %" PRIu64 " held", sum.held);
    for (uint32_t i = 0; i < e->count; i++)
        if (e->list[i].account.lost_back > 0)
            audit_say(to,
                      "lost: event %s: %" PRIu64
                      " tickets of a node whose journal is lost came back "
                      "by the word of an operator of node %u; P1 does not cover them",
                      e->name, e->list[i].account.lost_back,
                      (unsigned)journal_node(e->list[i].source->journal));
    audit_judge(to, account_fits(&sum),
                "P1 no oversell: event %s: %" PRIu64 " sold%s of %" PRIu64 ", %u journal%s",
                e->name, sum.sold, held, sum.total, sum.journals, plural(sum.journals));
}

static const struct node_totals *tally_at(const struct event_audit *e, uint32_t i)
{
    return &e->list[i].account.tally;
}

/* Numbers rise without gaps, so two journals hold the same ids when what ids are made of is equal.
 */
static bool share_ids(const struct event_audit *e, uint32_t i, uint32_t k)
{
    const struct audited *a = &e->list[i], *b = &e->list[k];
    return journal_node(a->source->journal) == journal_node(b->source->journal) &&
           journal_slot(a->source->journal, a->event) ==
               journal_slot(b->source->journal, b->event) &&
           tally_at(e, i)->last > 0 && tally_at(e, k)->last > 0 &&
           memcmp(tally_at(e, i)->secret, tally_at(e, k)->secret, SALE_SECRET_BYTES) == 0;
}

static uint64_t judge_ids(const struct event_audit *e, struct findings *to)
{
    uint64_t twice = 0;
    for (uint32_t i = 0; i < e->count; i++)
        for (uint32_t k = i + 1; k < e->count; k++)
            if (share_ids(e, i, k)) {
                twice++;
                audit_breach(to,
                             "P4 exactly once: event %s: journals %s and %s hold the same order "
                             "ids of node %u",
                             e->name, e->list[i].source->conf.journal,
                             e->list[k].source->conf.journal,
                             (unsigned)journal_node(e->list[i].source->journal));
            }
    return twice;
}

static void judge_once(struct event_audit *e, struct findings *to)
{
    const struct key *twice = NULL;
    uint64_t doubles = keys_doubles(&e->keys, &twice);
    if (doubles > 0)
        audit_breach(to,
                     "P4 exactly once: event %s: %" PRIu64 " key%s with more than one order, one "
                     "of them number %" PRIu64 " of node %u",
                     e->name, doubles, plural(doubles), twice->number, (unsigned)twice->node);
    if (judge_ids(e, to) == 0 && doubles == 0)
        audit_say(to,
                  "P4 exactly once: event %s: %" PRIu64 " order id%s, none twice; %" PRIu64
                  " key%s, one order each",
                  e->name, e->sum.orders, plural(e->sum.orders), e->keys.count,
                  plural(e->keys.count));
}

/* The highest of all; 0: somebody sells without one. */
static uint32_t highest_limit(const struct event_audit *e)
{
    uint32_t limit = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->list[i].limit == 0)
            return 0;
        limit = e->list[i].limit > limit ? e->list[i].limit : limit;
    }
    return limit;
}

static void judge_limit(const struct event_audit *e, struct findings *to)
{
    uint32_t limit = highest_limit(e);
    uint64_t most, above = buyers_above(&e->buyers, limit, &most);
    for (uint32_t i = 0; i < e->count; i++) {
        const struct audited *a = &e->list[i];
        if (a->above.times > 0)
            audit_breach(to,
                         "limit: event %s: node %u: %" PRIu64 " time%s a buyer was given more than "
                         "%u; record %" PRIu64 " was the first, and made it %u",
                         e->name, (unsigned)journal_node(a->source->journal), a->above.times,
                         plural(a->above.times), a->limit, a->above.seq, a->above.n);
    }
    if (limit == 0)
        return;
    if (above > 0)
        audit_breach(to,
                     "limit: event %s: %" PRIu64 " of %" PRIu64 " buyers with more than %u, "
                     "up to %" PRIu64,
                     e->name, above, e->buyers.count, limit, most);
    else
        audit_say(to, "limit: event %s: %" PRIu64 " buyer%s, none with more than %u", e->name,
                  e->buyers.count, plural(e->buyers.count), limit);
}

static void judge_sale(const struct event_audit *e, struct findings *to)
{
    const struct node_totals *first = NULL;
    uint32_t count = 0, others = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct node_totals *t = tally_at(e, i);
        if (!t->has_sale)
            continue;
        first = first != NULL ? first : t;
        count++;
        others += memcmp(first->sale, t->sale, sizeof t->sale) != 0;
    }
    if (first == NULL) {
        audit_say(to, "sale: event %s: none has begun", e->name);
        return;
    }
    if (others > 0)
        audit_breach(to, "sale: event %s: %u of %u journals are of another sale", e->name, others,
                     count);
    else
        audit_say(to, "sale: event %s: %02x%02x%02x%02x, %u journal%s", e->name, first->sale[0],
                  first->sale[1], first->sale[2], first->sale[3], count, plural(count));
}

/* Nodes that the journals or Redis know, and whose journal was not given: each is named once. */
static void judge_known(const struct event_audit *e, struct findings *to)
{
    static uint8_t named[NODE_MAX / 8 + 1];
    char text[512] = "";
    size_t used = 0;
    memset(named, 0, sizeof named);
    for (uint32_t i = 0; i <= e->count; i++) {
        uint32_t count = i < e->count ? tally_at(e, i)->known_count : e->hash.node_count;
        for (uint32_t k = 0; k < count; k++) {
            uint16_t node = i < e->count ? tally_at(e, i)->known[k] : e->hash.nodes[k].node;
            if (audit_is_given(e, node) || bit_get(named, node))
                continue;
            bit_set(named, node);
            if (used < sizeof text - 16)
                used += (size_t)snprintf(text + used, sizeof text - used, " %u", (unsigned)node);
        }
    }
    if (used > 0)
        audit_say(to,
                  "open: event %s: the journals of these nodes of the sale were not given, so the "
                  "sums cannot be closed:%s",
                  e->name, text);
}

void audit_journals(struct findings *to, struct event_audit *e)
{
    judge_sale(e, to);
    judge_chain(e, to);
    judge_total(e, to);
    judge_states(e, to);
    judge_once(e, to);
    judge_limit(e, to);
    audit_acts(to, e);
    judge_known(e, to);
}
