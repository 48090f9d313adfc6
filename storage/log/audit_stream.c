/*
 * audit_stream: compares the stream of orders of an event with its journals.
 *
 * Each node adds its changes in the order of its journal, and the stream is trimmed from its head.
 * So what is missing before a node's first entry may have been trimmed; what is missing behind an
 * entry was lost.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log/audit_private.h"
#include "storage/log/row.h"

#define CHUNK 256 /* records of a journal read ahead of the stream */

/* A journal and the stream: the records read ahead, and which ones the stream has. */
struct reading {
    const struct journal_audit *a;
    struct row_from from;
    uint8_t *seen;    /* a bit for each record that the stream has */
    uint64_t highest; /* seq seen so far */
    uint64_t twice, disordered;
    int count;
    struct record chunk[CHUNK];
};

struct stream_check {
    struct findings *to;
    const char *event;
    const struct event_audit *e;
    struct reading *list;
    uint32_t count;
    uint64_t entries, strangers; /* strangers: of nodes whose journal was not given */
    uint64_t wrong;              /* entries that contradict the journal */
    bool failed;
    struct fault *fault;
};

/* NULL: the journal has no such record, or (c->failed) cannot be read. */
static const struct record *record_at(struct stream_check *c, struct reading *r, uint64_t seq)
{
    if (r->count <= 0 || seq < r->chunk[0].seq || seq >= r->chunk[0].seq + (uint64_t)r->count)
        r->count =
            seq == 0 ? 0 : source_fetch(r->a->source, r->a->event, seq, r->chunk, CHUNK, c->fault);
    if (r->count < 0)
        c->failed = true;
    ASSERT(r->count <= CHUNK);
    return r->count > 0 ? &r->chunk[seq - r->chunk[0].seq] : NULL;
}

static bool is_text(const char *text, const char *wanted, size_t len)
{
    return strlen(text) == len && memcmp(text, wanted, len) == 0;
}

/* Is the entry what the record says? */
static bool agrees(const struct row_from *from, const struct record *r,
                   const struct inspect_entry *e)
{
    char order[ORDERID_TEXT];
    ASSERT(r->buyer_len <= PARAM_MAX);
    if (!row_is_order(r))
        return false;
    row_order(order, from, r);
    return is_text(e->order, order, sizeof order) && is_text(e->buyer, r->buyer, r->buyer_len) &&
           strcmp(e->event, from->event) == 0 &&
           strcmp(e->state, order_state_name((enum order_state)r->state)) == 0 && e->n == r->n &&
           e->time_wall_ms == r->time_wall_ms;
}

/* Compares an entry with the record that it is of. */
static void check_entry(void *context, const struct inspect_entry *e)
{
    struct stream_check *c = context;
    struct reading *r = NULL;
    c->entries++;
    for (uint32_t i = 0; i < c->count; i++)
        if (audit_node(c->list[i].a) == e->node)
            r = &c->list[i];
    if (r == NULL) {
        c->strangers++;
        return;
    }
    const struct record *record = c->failed ? NULL : record_at(c, r, e->seq);
    if (c->failed)
        return;
    if (record == NULL || !agrees(&r->from, record, e)) {
        if (c->wrong++ == 0)
            findings_breach(c->to,
                            "stream: event %s: the entry of node %" PRIu64 ", record %" PRIu64
                            ", contradicts the journal",
                            c->event, e->node, e->seq);
        return;
    }
    if (e->seq > r->a->end)
        return; /* later than what is audited */
    r->twice += bit_get(r->seen, e->seq);
    r->disordered += !bit_get(r->seen, e->seq) && e->seq < r->highest;
    r->highest = e->seq > r->highest ? e->seq : r->highest;
    bit_set(r->seen, e->seq);
}

/* The seq up to which the stream must have the changes: those that were streamed, also if they are
 * being settled again. */
static uint64_t streamed_up_to(const struct journal_audit *a, bool has_rebuilt)
{
    if (a->redis == NULL)
        return 0;
    uint64_t up_to = a->redis->streamed_seq;
    if (has_rebuilt && a->redis->pos > up_to)
        up_to = a->redis->pos;
    return up_to < a->end ? up_to : a->end;
}

/* Changes of one node, or of all, and how many of them the stream has. */
struct stream_count {
    uint64_t settled; /* those that must be there */
    uint64_t head;    /* missing before the first one that is there */
    uint64_t holes;   /* missing behind one */
    uint64_t hole;    /* seq of the first of these */
    uint64_t twice;
};

static struct stream_count count_changes(const struct reading *r, bool has_rebuilt)
{
    const struct journal_audit *a = r->a;
    struct stream_count t = {.twice = r->twice};
    bool has_entry = false;
    for (uint64_t seq = 1, up_to = streamed_up_to(a, has_rebuilt); seq <= up_to; seq++) {
        if (!bit_get(a->order_seqs, seq))
            continue;
        t.settled++;
        if (bit_get(r->seen, seq))
            has_entry = true;
        else if (!has_entry)
            t.head++;
        else if (t.holes++ == 0)
            t.hole = seq;
    }
    ASSERT(t.head + t.holes <= t.settled);
    return t;
}

/* Does the hash show that Redis has lost something of the node? */
static bool shows_loss(const struct event_audit *e, const struct journal_audit *a)
{
    const struct inspect_node *n = a->redis;
    return n == NULL || e->hash.repair || !audit_has_rebuilt(e, n) ||
           n->streamed_seq != n->streamed_registry || n->last_number < a->totals.early_last;
}

/* Reports the breaches of one node, and adds what is no breach to *open. */
static void check_changes(const struct stream_check *c, const struct reading *r, bool trimmed,
                          struct stream_count *open)
{
    const struct inspect_node *n = r->a->redis;
    struct stream_count t = count_changes(r, n != NULL && audit_has_rebuilt(c->e, n));
    unsigned node = audit_node(r->a);
    open->settled += t.settled;
    open->head += t.head;
    if (t.holes > 0 && !trimmed)
        findings_breach(c->to,
                        "stream: event %s: node %u: %" PRIu64
                        " settled change%s missing behind one "
                        "that is there, the first of them record %" PRIu64,
                        c->event, node, t.holes, t.holes == 1 ? " is" : "s are", t.hole);
    else
        open->head += t.holes;
    if (t.twice > 0 && !shows_loss(c->e, r->a))
        findings_breach(c->to,
                        "stream: event %s: node %u: %" PRIu64 " settled change%s in it again, and "
                        "Redis has lost nothing",
                        c->event, node, t.twice, t.twice == 1 ? " is" : "s are");
    else
        open->twice += t.twice;
}

/* trimmed: while it was read, so that anything may be missing. */
static void report_stream(const struct stream_check *c, bool shortened, bool trimmed)
{
    struct stream_count open = {0};
    ASSERT(c->count == c->e->count && !c->failed);
    uint64_t before = findings_breaches(c->to), twice = 0, disordered = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        check_changes(c, &c->list[i], trimmed, &open);
        twice += c->list[i].twice;
        disordered += c->list[i].disordered;
    }
    if (disordered > 0 && twice == 0)
        findings_breach(c->to, "stream: event %s: %" PRIu64 " entries are not in order", c->event,
                        disordered);
    if (c->wrong > 1)
        findings_add(c->to, "stream: event %s: %" PRIu64 " entries contradict the journals",
                     c->event, c->wrong);
    else if (open.head + open.twice + c->wrong == 0 && findings_breaches(c->to) == before)
        findings_add(c->to,
                     "stream: event %s: %" PRIu64
                     " settled changes, each exactly once, each node's "
                     "in order",
                     c->event, open.settled);
    if (open.head + open.twice > 0)
        findings_add(c->to,
                     "open: event %s: of %" PRIu64 " settled changes %" PRIu64
                     " are not in the stream and %" PRIu64 " are in it again; %s",
                     c->event, open.settled, open.head, open.twice,
                     shortened ? "it was trimmed"
                               : "Redis has lost writes, or somebody changed it");
    if (c->strangers > 0)
        findings_add(c->to, "open: event %s: %" PRIu64 " entries of the stream are of other nodes",
                     c->event, c->strangers);
}

static bool prepare(struct stream_check *c, const struct event_audit *e)
{
    ASSERT(e->count > 0 && c->count == 0);
    c->list = calloc(e->count, sizeof *c->list);
    if (c->list == NULL)
        return false;
    for (; c->count < e->count; c->count++) {
        struct reading *r = &c->list[c->count];
        r->a = &e->journals[c->count];
        r->from = row_from_event(r->a->source, r->a->event, ROW_CSV);
        memcpy(r->from.secret, r->a->totals.node.secret, sizeof r->from.secret);
        r->seen = calloc(r->a->end / 8 + 1, 1);
        if (r->seen == NULL)
            return false;
    }
    return true;
}

bool audit_stream(struct findings *to, struct redis_inspect *redis, const struct event_audit *e,
                  struct fault *f)
{
    const char *event = e->name;
    struct stream_check c = {.to = to, .event = event, .e = e, .fault = f};
    struct fault why;
    uint64_t length, added, length_after, added_after;
    ASSERT(e->has_hash);
    bool good = prepare(&c, e) || fault(f, "no memory for the stream");
    if (good && inspect_stream_size(redis, event, &length, &added, &why) &&
        inspect_stream(redis, event, check_entry, &c, &why) &&
        inspect_stream_size(redis, event, &length_after, &added_after, &why)) {
        good = !c.failed;
        if (good)
            report_stream(&c, added > length, added - length != added_after - length_after);
    } else if (good)
        findings_add(to, "open: event %s: the stream was not read: %s", event, why.text);
    for (uint32_t i = 0; i < c.count; i++)
        free(c.list[i].seen);
    free(c.list);
    return good;
}
