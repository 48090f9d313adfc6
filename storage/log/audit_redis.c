/*
 * audit_redis: compares the hash of an event with its journals.
 *
 * A node's fields stand for its journal up to the record `pos`, and for nothing else, so they must
 * be equal to the sums of the journal up to there, whatever has happened since. Records behind
 * `pos` are not settled yet, and grants above the journal's last number are in doubt (given back
 * when the node attaches); neither is a breach. Nor is a Redis that has lost writes: the next
 * attach finds and repairs that, before anything is sold. A breach is what no later step could
 * repair.
 */
#include <inttypes.h>
#include <string.h>

#include "storage/log/audit_private.h"

/* ---- the fields of a node -------------------------------------------------------------------- */

/* Compares the fields with each other. A node that has not attached since Redis lost writes is
 * counted as gone as the others last saw it, whatever its other fields are. */
static void check_fields(struct findings *to, const char *event, const struct inspect_node *n,
                         bool may_be_away)
{
    uint64_t parts = n->held + n->sold + n->pending;
    ASSERT(n->node >= 1);
    if (n->gone > parts && may_be_away)
        findings_add(to,
                     "open: event %s: node %u: %" PRIu64
                     " tickets more are counted as gone, as the "
                     "others last saw it, until it attaches again",
                     event, n->node, n->gone - parts);
    else if (n->gone != parts)
        findings_breach(to,
                        "P3 redis: event %s: node %u: %" PRIu64 " gone, but %" PRIu64
                        " held, %" PRIu64 " sold, %" PRIu64 " pending",
                        event, n->node, n->gone, n->held, n->sold, n->pending);
    if (n->last_number < n->settled_number ||
        n->last_number - n->settled_number != n->pending_orders)
        findings_breach(to,
                        "P3 redis: event %s: node %u: numbers %" PRIu64 " to %" PRIu64
                        " are pending, and there are %" PRIu64,
                        event, n->node, n->settled_number + 1, n->last_number, n->pending_orders);
}

/* Compares the fields with the journal up to pos. */
static void check_settled(struct findings *to, const char *event, const struct journal_audit *a)
{
    const struct inspect_node *n = a->redis;
    const struct audit_totals *j = &a->totals;
    ASSERT(n != NULL && j->wrong == NULL);
    if (n->pos > a->end) {
        findings_breach(to,
                        "P2 redis: event %s: node %u: settled up to record %" PRIu64
                        ", the journal ends at %" PRIu64 "; is it an old copy?",
                        event, n->node, n->pos, a->end);
        return;
    }
    if (n->held != j->pos_held || n->sold != j->pos_sold || n->settled_number != j->pos_last)
        findings_breach(to,
                        "P3 redis: event %s: node %u: up to record %" PRIu64
                        " the journal has %" PRIu64 " held, %" PRIu64 " sold, %" PRIu64
                        " orders; Redis %" PRIu64 " held, %" PRIu64 " sold, %" PRIu64 " orders",
                        event, n->node, n->pos, j->pos_held, j->pos_sold, j->pos_last, n->held,
                        n->sold, n->settled_number);
}

/* Reports what is under way, or waits for the node to attach again. */
static void report_open(struct findings *to, const char *event, const struct journal_audit *a)
{
    const struct inspect_node *n = a->redis;
    ASSERT(n != NULL);
    if (n->pos < a->end)
        findings_add(to, "open: event %s: node %u: %" PRIu64 " records are not settled yet", event,
                     n->node, a->end - n->pos);
    if (n->last_number > a->totals.node.last)
        findings_add(to, "open: event %s: node %u: %" PRIu64 " orders are in doubt%s", event,
                     n->node, n->last_number - a->totals.node.last,
                     source_is_running(a->source) ? "" : "; given back when the node starts again");
    if (n->last_number < a->totals.early_last)
        findings_add(to,
                     "open: event %s: node %u: Redis has lost writes: it knows %" PRIu64
                     " of %" PRIu64 " orders; repaired when the node attaches again",
                     event, n->node, n->last_number, a->totals.early_last);
}

static void check_node(struct findings *to, const char *event, const struct inspect_node *n,
                       const struct journal_audit *a)
{
    ASSERT(a == NULL || a->redis == n);
    check_fields(to, event, n, n->epoch == 0 || a == NULL || n->last_number < a->totals.early_last);
    if (a == NULL) {
        findings_add(to,
                     "open: event %s: node %u: %" PRIu64 " held, %" PRIu64 " sold, %" PRIu64
                     " pending are the word of Redis alone",
                     event, n->node, n->held, n->sold, n->pending);
        return;
    }
    if (a->totals.wrong != NULL)
        return;
    if (n->pos == 0 && n->settled_number > 0) {
        findings_add(
            to,
            "open: event %s: node %u was given up with its journal; what that says is told "
            "when the node attaches again",
            event, n->node);
        return;
    }
    check_settled(to, event, a);
    report_open(to, event, a);
}

/* ---- the sums ------------------------------------------------------------------------------- */

struct hash_sum {
    uint64_t held, sold, gone, pending;
    uint64_t more; /* gone through nodes that are away: neither held, sold nor pending */
};

static void check_gone(struct findings *to, const char *event, const struct inspect_event *h,
                       const struct hash_sum *sum)
{
    if (h->sold_by_us != sum->gone)
        findings_breach(
            to, "P3 redis: event %s: ours is %" PRIu64 ", the nodes' gone add up to %" PRIu64,
            event, h->sold_by_us, sum->gone);
    if (h->gone < h->sold_by_us)
        findings_breach(to, "P3 redis: event %s: %" PRIu64 " gone, of which %" PRIu64 " are ours",
                        event, h->gone, h->sold_by_us);
    if (h->sold_by_us > h->total)
        findings_breach(to, "P1 redis: event %s: %" PRIu64 " tickets of ours are gone, of %" PRIu64,
                        event, h->sold_by_us, h->total);
    else if (h->gone > h->total)
        findings_add(to,
                     "redis: event %s: %" PRIu64 " of %" PRIu64 " are gone, with %" PRIu64
                     " through other programs",
                     event, h->gone, h->total, h->gone - h->sold_by_us);
}

static void check_sum(struct findings *to, const char *event, const struct inspect_event *h,
                      const struct hash_sum *sum)
{
    uint64_t unsold = h->total > h->gone ? h->total - h->gone : 0;
    uint64_t foreign = h->gone > h->sold_by_us ? h->gone - h->sold_by_us : 0;
    uint64_t out = unsold + sum->held + sum->sold + sum->pending + sum->more + foreign;
    char pending[64] = "", more[64] = "";
    if (sum->pending > 0)
        snprintf(pending, sizeof pending, " + %" PRIu64 " in batches under way", sum->pending);
    if (sum->more > 0)
        snprintf(more, sizeof more, " + %" PRIu64 " of nodes that are away", sum->more);
    if (h->gone > h->total && foreign > 0)
        return; /* reported by check_gone(): other programs have sold too many */
    findings_check(to, out == h->total,
                   "P3 no undersell: event %s: total %" PRIu64 " %s %" PRIu64 " left + %" PRIu64
                   " held + %" PRIu64 " sold + %" PRIu64 " foreign%s%s",
                   event, h->total, out == h->total ? "=" : "is not", unsold, sum->held, sum->sold,
                   foreign, pending, more);
}

static void check_sums(struct findings *to, const char *event, const struct inspect_event *h)
{
    struct hash_sum sum = {0};
    ASSERT(h->node_count <= NODES_MAX);
    for (uint32_t i = 0; i < h->node_count; i++) {
        const struct inspect_node *n = &h->nodes[i];
        uint64_t parts = n->held + n->sold + n->pending;
        sum.more += n->gone > parts ? n->gone - parts : 0;
        sum.held += n->held;
        sum.sold += n->sold;
        sum.gone += n->gone;
        sum.pending += n->pending;
    }
    check_gone(to, event, h, &sum);
    check_sum(to, event, h, &sum);
    if (h->repair)
        findings_add(
            to,
            "open: event %s: in repair: these figures are not whole until every known node "
            "has settled",
            event);
}

/* False: the hash has lost its sale, or is of another one; nothing else can be compared. */
static bool check_sale(struct findings *to, const struct event_audit *e)
{
    const struct inspect_event *h = &e->hash;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct node_totals *t = &e->journals[i].totals.node;
        char text[INSPECT_SALE_TEXT + 1];
        if (!t->has_sale)
            continue;
        for (size_t k = 0; k < sizeof t->sale; k++)
            snprintf(text + 2 * k, 3, "%02x", t->sale[k]);
        if (h->sale[0] == '\0') {
            findings_add(to,
                         "open: event %s: the hash has lost its sale; repaired by the next attach",
                         e->name);
            return false;
        }
        if (strcmp(text, h->sale) != 0) {
            findings_breach(to, "sale: event %s: Redis holds sale %.8s, journal %s is of %.8s",
                            e->name, h->sale, source_path(e->journals[i].source), text);
            return false;
        }
    }
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

bool audit_redis(struct findings *to, struct redis_inspect *redis, struct event_audit *e,
                 struct fault *f)
{
    const struct inspect_event *hash = &e->hash;
    bool is_sound = true;
    ASSERT(e->has_hash && e->count > 0);
    if (!check_sale(to, e))
        return true;
    audit_admin_redis(to, redis, e);
    for (uint32_t i = 0; i < hash->node_count; i++)
        check_node(to, e->name, &hash->nodes[i], audit_find_node(e, hash->nodes[i].node));
    check_sums(to, e->name, hash);
    for (uint32_t i = 0; i < e->count; i++) {
        const struct journal_audit *a = &e->journals[i];
        if (a->redis == NULL && a->totals.node.last > 0)
            findings_add(to,
                         "open: event %s: Redis does not know node %u; repaired when it attaches",
                         e->name, audit_node(a));
        is_sound = is_sound && a->totals.wrong == NULL;
    }
    return !is_sound || (audit_keys(to, redis, e, f) && audit_stream(to, redis, e, f));
}
