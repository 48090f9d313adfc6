/*
 * audit_redis: the hash and the stream of an event against its journals.
 *
 * A node's fields stand for its journal up to the record `pos`, and nothing else: so they must be
 * equal to the sums of the journal up to there, whatever has happened since. Records behind `pos`
 * are not settled yet, grants above the journal's last number are in doubt (given back when the
 * node attaches); neither is a breach. Nor is a Redis that has lost writes: the next attach finds
 * and repairs that, before anything is sold. A breach is what no later step could put right.
 *
 * The stream is told in the order of the journal and trimmed from its head. So what is missing
 * before a node's first entry may have been trimmed; what is missing behind an entry was lost.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log/inside.h"

#define CHUNK 256 /* records of a journal read ahead of the stream */

static const struct audited *audited_of(const struct audited *list, uint32_t count, uint64_t node)
{
    for (uint32_t i = 0; i < count; i++)
        if (journal_node(list[i].source->journal) == node)
            return &list[i];
    return NULL;
}

/* ---- a node's fields ------------------------------------------------------------------------ */

/* What the fields say of each other. A node that has not come back since Redis has lost writes is
 * counted as the others last saw it, whatever its other fields say. */
static void judge_fields(struct findings *to, const char *event, const struct inspect_node *n,
                         bool may_be_away)
{
    uint64_t parts = n->held + n->sold + n->pending;
    if (n->gone > parts && may_be_away)
        audit_say(to,
                  "open: event %s: node %u: %" PRIu64 " tickets more are counted as gone, as the "
                  "others last saw it, until it attaches again",
                  event, n->node, n->gone - parts);
    else if (n->gone != parts)
        audit_breach(to,
                     "P3 redis: event %s: node %u: %" PRIu64 " gone, but %" PRIu64 " held, %" PRIu64
                     " sold, %" PRIu64 " pending",
                     event, n->node, n->gone, n->held, n->sold, n->pending);
    if (n->last_number < n->settled_number || n->last_number - n->settled_number != n->pending_orders)
        audit_breach(to,
                     "P3 redis: event %s: node %u: numbers %" PRIu64 " to %" PRIu64
                     " are pending, and there are %" PRIu64,
                     event, n->node, n->settled_number + 1, n->last_number, n->pending_orders);
}

/* What they say of the journal up to pos. */
static void judge_settled(struct findings *to, const char *event, const struct audited *a)
{
    const struct inspect_node *n = a->redis;
    const struct account *j = &a->account;
    if (n->pos > a->end) {
        audit_breach(to,
                     "P2 redis: event %s: node %u: settled up to record %" PRIu64
                     ", the journal ends at %" PRIu64 "; is it an old copy?",
                     event, n->node, n->pos, a->end);
        return;
    }
    if (n->held != j->pos_held || n->sold != j->pos_sold || n->settled_number != j->pos_last)
        audit_breach(to,
                     "P3 redis: event %s: node %u: up to record %" PRIu64
                     " the journal has %" PRIu64 " held, %" PRIu64 " sold, %" PRIu64
                     " orders; Redis %" PRIu64 " held, %" PRIu64 " sold, %" PRIu64 " orders",
                     event, n->node, n->pos, j->pos_held, j->pos_sold, j->pos_last, n->held,
                     n->sold, n->settled_number);
}

/* What is under way, or waits for the node to attach again. */
static void say_open(struct findings *to, const char *event, const struct audited *a)
{
    const struct inspect_node *n = a->redis;
    if (n->pos < a->end)
        audit_say(to, "open: event %s: node %u: %" PRIu64 " records are not settled yet", event,
                  n->node, a->end - n->pos);
    if (n->last_number > a->account.tally.last)
        audit_say(to, "open: event %s: node %u: %" PRIu64 " orders are in doubt%s", event, n->node,
                  n->last_number - a->account.tally.last,
                  a->source->running ? "" : "; given back when the node starts again");
    if (n->last_number < a->account.mark_last)
        audit_say(to,
                  "open: event %s: node %u: Redis has lost writes: it knows %" PRIu64 " of %" PRIu64
                  " orders; repaired when the node attaches again",
                  event, n->node, n->last_number, a->account.mark_last);
}

static void judge_node(struct findings *to, const char *event, const struct inspect_node *n,
                       const struct audited *a)
{
    judge_fields(to, event, n, n->epoch == 0 || a == NULL || n->last_number < a->account.mark_last);
    if (a == NULL) {
        audit_say(to,
                  "open: event %s: node %u: %" PRIu64 " held, %" PRIu64 " sold, %" PRIu64
                  " pending are the word of Redis alone",
                  event, n->node, n->held, n->sold, n->pending);
        return;
    }
    if (a->account.wrong != NULL)
        return;
    if (n->pos == 0 && n->settled_number > 0) {
        audit_say(to,
                  "open: event %s: node %u was given up with its journal; what that says is told "
                  "when the node attaches again",
                  event, n->node);
        return;
    }
    judge_settled(to, event, a);
    say_open(to, event, a);
}

/* ---- the sums ------------------------------------------------------------------------------- */

struct hash_sum {
    uint64_t held, sold, gone, pending;
    uint64_t more; /* of nodes that are away: gone, and nobody knows how */
};

static void judge_gone(struct findings *to, const char *event, const struct inspect_event *h,
                       const struct hash_sum *sum)
{
    if (h->sold_by_us != sum->gone)
        audit_breach(to,
                     "P3 redis: event %s: ours is %" PRIu64 ", the nodes' gone add up to %" PRIu64,
                     event, h->sold_by_us, sum->gone);
    if (h->gone < h->sold_by_us)
        audit_breach(to, "P3 redis: event %s: %" PRIu64 " gone, of which %" PRIu64 " are ours",
                     event, h->gone, h->sold_by_us);
    if (h->sold_by_us > h->total)
        audit_breach(to, "P1 redis: event %s: %" PRIu64 " tickets of ours are gone, of %" PRIu64,
                     event, h->sold_by_us, h->total);
    else if (h->gone > h->total)
        audit_say(to,
                  "redis: event %s: %" PRIu64 " of %" PRIu64 " are gone, with %" PRIu64
                  " through other programs",
                  event, h->gone, h->total, h->gone - h->sold_by_us);
}

static void judge_sum(struct findings *to, const char *event, const struct inspect_event *h,
                      const struct hash_sum *sum)
{
    uint64_t left = h->total > h->gone ? h->total - h->gone : 0;
    uint64_t foreign = h->gone > h->sold_by_us ? h->gone - h->sold_by_us : 0;
    uint64_t out = left + sum->held + sum->sold + sum->pending + sum->more + foreign;
    char pending[64] = "", more[64] = "";
    if (sum->pending > 0)
        snprintf(pending, sizeof pending, " + %" PRIu64 " in batches under way", sum->pending);
    if (sum->more > 0)
        snprintf(more, sizeof more, " + %" PRIu64 " of nodes that are away", sum->more);
    if (h->gone > h->total && foreign > 0)
        return; /* said above: others have sold too many */
    audit_judge(to, out == h->total,
                "P3 no undersell: event %s: total %" PRIu64 " %s %" PRIu64 " left + %" PRIu64
                " held + %" PRIu64 " sold + %" PRIu64 " foreign%s%s",
                event, h->total, out == h->total ? "=" : "is not", left, sum->held, sum->sold,
                foreign, pending, more);
}

static void judge_sums(struct findings *to, const char *event, const struct inspect_event *h)
{
    struct hash_sum sum = {0};
    for (uint32_t i = 0; i < h->node_count; i++) {
        const struct inspect_node *n = &h->nodes[i];
        uint64_t parts = n->held + n->sold + n->pending;
        sum.more += n->gone > parts ? n->gone - parts : 0;
        sum.held += n->held;
        sum.sold += n->sold;
        sum.gone += n->gone;
        sum.pending += n->pending;
    }
    judge_gone(to, event, h, &sum);
    judge_sum(to, event, h, &sum);
    if (h->repair)
        audit_say(to,
                  "open: event %s: in repair: these figures are not whole until every known node "
                  "has settled",
                  event);
}

/* False: it is another sale, or none of ours; nothing else can be compared. */
static bool judge_sale(struct findings *to, const char *event, const struct inspect_event *h,
                       const struct audited *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct node_totals *t = &list[i].account.tally;
        char text[INSPECT_SALE_TEXT + 1];
        if (!t->has_sale)
            continue;
        for (size_t k = 0; k < sizeof t->sale; k++)
            snprintf(text + 2 * k, 3, "%02x", t->sale[k]);
        if (h->sale[0] == '\0') {
            audit_say(to, "open: event %s: the hash has lost its sale; repaired by the next attach",
                      event);
            return false;
        }
        if (strcmp(text, h->sale) != 0) {
            audit_breach(to, "sale: event %s: Redis holds sale %.8s, journal %s is of %.8s", event,
                         h->sale, list[i].source->conf.journal, text);
            return false;
        }
    }
    return true;
}

/* ---- the stream ----------------------------------------------------------------------------- */

/* A journal beside the stream: what it has read ahead, and which records the stream has. */
struct reading {
    const struct audited *a;
    struct row_from from;
    uint8_t *seen;
    uint64_t highest; /* seq of those that were seen */
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
    uint64_t wrong;
    bool failed;
    struct fault *fault;
};

/* NULL: the journal has no such record, or cannot be read. */
static const struct record *record_at(struct stream_check *c, struct reading *r, uint64_t seq)
{
    if (r->count <= 0 || seq < r->chunk[0].seq || seq >= r->chunk[0].seq + (uint64_t)r->count)
        r->count =
            seq == 0 ? 0 : source_fetch(r->a->source, r->a->event, seq, r->chunk, CHUNK, c->fault);
    if (r->count < 0)
        c->failed = true;
    return r->count > 0 ? &r->chunk[seq - r->chunk[0].seq] : NULL;
}

static bool is_text(const char *text, const char *wanted, size_t len)
{
    return strlen(text) == len && memcmp(text, wanted, len) == 0;
}

static bool agrees(const struct row_from *from, const struct record *r,
                   const struct inspect_entry *e)
{
    char order[ORDERID_TEXT];
    if (!row_is_order(r))
        return false;
    row_order(order, from, r);
    return is_text(e->order, order, sizeof order) && is_text(e->buyer, r->buyer, r->buyer_len) &&
           strcmp(e->event, from->event) == 0 &&
           strcmp(e->state, order_state_name((enum order_state)r->state)) == 0 && e->n == r->n &&
           e->time_wall_ms == r->time_wall_ms;
}

static void check_entry(void *context, const struct inspect_entry *e)
{
    struct stream_check *c = context;
    struct reading *r = NULL;
    c->entries++;
    for (uint32_t i = 0; i < c->count; i++)
        if (journal_node(c->list[i].a->source->journal) == e->node)
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
            audit_breach(c->to,
                         "stream: event %s: the entry of node %" PRIu64 ", record %" PRIu64
                         ", contradicts the journal",
                         c->event, e->node, e->seq);
        return;
    }
    if (e->seq > r->a->end)
        return; /* younger than what is audited */
    r->twice += bit_get(r->seen, e->seq);
    r->disordered += !bit_get(r->seen, e->seq) && e->seq < r->highest;
    r->highest = e->seq > r->highest ? e->seq : r->highest;
    bit_set(r->seen, e->seq);
}

/* Up to which record the stream should have the changes: what was told, also if it is settled anew
 * just now. */
static uint64_t told_up_to(const struct audited *a, bool has_told)
{
    if (a->redis == NULL)
        return 0;
    uint64_t up_to = a->redis->streamed_seq;
    if (has_told && a->redis->pos > up_to)
        up_to = a->redis->pos;
    return up_to < a->end ? up_to : a->end;
}

/* Changes of one node, or of all, and how they are in the stream. */
struct told {
    uint64_t settled; /* those that should be there */
    uint64_t head;    /* missing before the first one that is there */
    uint64_t holes;   /* missing behind one */
    uint64_t hole;    /* seq of the first of these */
    uint64_t twice;
};

static struct told count_told(const struct reading *r, bool has_told)
{
    const struct audited *a = r->a;
    struct told t = {.twice = r->twice};
    bool begun = false;
    for (uint64_t seq = 1, up_to = told_up_to(a, has_told); seq <= up_to; seq++) {
        if (!bit_get(a->order_seqs, seq))
            continue;
        t.settled++;
        if (bit_get(r->seen, seq))
            begun = true;
        else if (!begun)
            t.head++;
        else if (t.holes++ == 0)
            t.hole = seq;
    }
    return t;
}

/* Does the hash show that Redis has lost something of the node? */
static bool shows_loss(const struct event_audit *e, const struct audited *a)
{
    const struct inspect_node *n = a->redis;
    return n == NULL || e->hash.repair || !audit_has_told(e, n) || n->streamed_seq != n->streamed_registry ||
           n->last_number < a->account.mark_last;
}

/* Breaches of one node. What they do not explain is added to *open. */
static void judge_told(const struct stream_check *c, const struct reading *r, bool trimmed,
                       struct told *open)
{
    const struct inspect_node *n = r->a->redis;
    struct told t = count_told(r, n != NULL && audit_has_told(c->e, n));
    unsigned node = journal_node(r->a->source->journal);
    open->settled += t.settled;
    open->head += t.head;
    if (t.holes > 0 && !trimmed)
        audit_breach(c->to,
                     "stream: event %s: node %u: %" PRIu64 " settled change%s missing behind one "
                     "that is there, the first of them record %" PRIu64,
                     c->event, node, t.holes, t.holes == 1 ? " is" : "s are", t.hole);
    else
        open->head += t.holes;
    if (t.twice > 0 && !shows_loss(c->e, r->a))
        audit_breach(c->to,
                     "stream: event %s: node %u: %" PRIu64 " settled change%s in it again, and "
                     "Redis has lost nothing",
                     c->event, node, t.twice, t.twice == 1 ? " is" : "s are");
    else
        open->twice += t.twice;
}

/* trimmed: while it was read, so that anything may be missing. */
static void say_stream(const struct stream_check *c, bool shortened, bool trimmed)
{
    struct told open = {0};
    uint64_t before = c->to->breaches, twice = 0, disordered = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        judge_told(c, &c->list[i], trimmed, &open);
        twice += c->list[i].twice;
        disordered += c->list[i].disordered;
    }
    if (disordered > 0 && twice == 0)
        audit_breach(c->to, "stream: event %s: %" PRIu64 " entries are not in order", c->event,
                     disordered);
    if (c->wrong > 1)
        audit_say(c->to, "stream: event %s: %" PRIu64 " entries contradict the journals", c->event,
                  c->wrong);
    else if (open.head + open.twice + c->wrong == 0 && c->to->breaches == before)
        audit_say(c->to,
                  "stream: event %s: %" PRIu64 " settled changes, each exactly once, each node's "
                  "in order",
                  c->event, open.settled);
    if (open.head + open.twice > 0)
        audit_say(c->to,
                  "open: event %s: of %" PRIu64 " settled changes %" PRIu64
                  " are not in the stream and %" PRIu64 " are in it again; %s",
                  c->event, open.settled, open.head, open.twice,
                  shortened ? "it was trimmed" : "Redis has lost writes, or somebody changed it");
    if (c->strangers > 0)
        audit_say(c->to, "open: event %s: %" PRIu64 " entries of the stream are of other nodes",
                  c->event, c->strangers);
}

static bool prepare(struct stream_check *c, const struct audited *list, uint32_t count)
{
    ASSERT(count > 0);
    c->list = calloc(count, sizeof *c->list);
    if (c->list == NULL)
        return false;
    for (; c->count < count; c->count++) {
        struct reading *r = &c->list[c->count];
        r->a = &list[c->count];
        r->from = row_from_event(r->a->source, r->a->event, ROW_CSV);
        memcpy(r->from.secret, r->a->account.tally.secret, sizeof r->from.secret);
        r->seen = calloc(r->a->end / 8 + 1, 1);
        if (r->seen == NULL)
            return false;
    }
    return true;
}

static bool judge_stream(struct findings *to, struct redis_inspect *look,
                         const struct event_audit *e, struct fault *f)
{
    const char *event = e->name;
    struct stream_check c = {.to = to, .event = event, .e = e, .fault = f};
    struct fault why;
    uint64_t length, added, length_after, added_after;
    bool good = prepare(&c, e->list, e->count) || fault(f, "no memory for the stream");
    if (good && inspect_stream_size(look, event, &length, &added, &why) &&
        inspect_stream(look, event, check_entry, &c, &why) &&
        inspect_stream_size(look, event, &length_after, &added_after, &why)) {
        good = !c.failed;
        if (good)
            say_stream(&c, added > length, added - length != added_after - length_after);
    } else if (good)
        audit_say(to, "open: event %s: the stream was not read: %s", event, why.text);
    for (uint32_t i = 0; i < c.count; i++)
        free(c.list[i].seen);
    free(c.list);
    return good;
}

bool audit_redis(struct findings *to, struct redis_inspect *look, struct event_audit *e,
                 struct fault *f)
{
    const struct inspect_event *hash = &e->hash;
    bool whole = true;
    if (!judge_sale(to, e->name, hash, e->list, e->count))
        return true;
    audit_acts_redis(to, look, e);
    for (uint32_t i = 0; i < hash->node_count; i++)
        judge_node(to, e->name, &hash->nodes[i],
                   audited_of(e->list, e->count, hash->nodes[i].node));
    judge_sums(to, e->name, hash);
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->list[i].redis == NULL && e->list[i].account.tally.last > 0)
            audit_say(to, "open: event %s: Redis does not know node %u; repaired when it attaches",
                      e->name, (unsigned)journal_node(e->list[i].source->journal));
        whole = whole && e->list[i].account.wrong == NULL;
    }
    return !whole || (audit_names(to, look, e, f) && judge_stream(to, look, e, f));
}
