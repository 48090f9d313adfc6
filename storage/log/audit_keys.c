/*
 * audit_keys: compares the keys, buyers and key hashes that Redis remembers with the journals.
 *
 * A key that is settled stays in Redis, so each key that was settled before the audit must be
 * found, whatever happens meanwhile. What may change at any moment (is the order live? how many
 * tickets has the buyer?) is compared only where the hash shows, before and after, that nothing has
 * changed. A Redis that has lost its keys as a whole is repaired by the next step of any node, and
 * is no breach; one key that is missing among others is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log/audit_private.h"

struct hash_list {
    uint64_t *at;
    uint64_t count, max;
};

struct names_audit {
    struct event_audit *e;
    struct hash_list hashes;    /* of granted keys */
    struct inspect_event after; /* the hash, after all was read */
    uint64_t strange_keys;      /* no journal has them */
    uint64_t wrong_buyers;      /* no journal has them, or with other tickets */
    bool is_whole;              /* nothing was lost as a whole */
    bool failed;                /* no memory */
};

/* ---- reading -------------------------------------------------------------------------------- */

static void compare_key(void *context, const char *name, size_t name_len, const char *value,
                        size_t value_len)
{
    struct names_audit *n = context;
    uint64_t count, actual = value_len > 0 ? key_index_value(value + 1, value_len - 1) : 0;
    ASSERT(name_len > 0);
    struct key *key = key_index_find(n->e->keys, name, name_len, &count);
    n->strange_keys += key == NULL;
    for (uint64_t i = 0; key != NULL && i < count; i++)
        if (value_len > 0 && key[i].value == actual) {
            key[i].found = true;
            key[i].found_live = value[0] == 'l';
        }
}

static void compare_buyer(void *context, const char *name, size_t name_len, const char *value,
                          size_t value_len)
{
    struct names_audit *n = context;
    (void)value_len;
    ASSERT(name_len > 0);
    n->wrong_buyers +=
        !buyer_index_confirm(n->e->buyers, name, name_len, strtoull(value, NULL, 10));
}

static void keep_hash(void *context, uint64_t key_hash)
{
    struct names_audit *n = context;
    struct hash_list *h = &n->hashes;
    if (h->count == h->max) {
        uint64_t max = h->max > 0 ? 2 * h->max : 4096;
        uint64_t *at = n->failed ? NULL : realloc(h->at, max * sizeof *at);
        if (at == NULL) {
            n->failed = true;
            return;
        }
        h->at = at;
        h->max = max;
    }
    ASSERT(h->count < h->max);
    h->at[h->count++] = key_hash;
}

/* Is it of this sale, and its stamp between those of the hash before and after? */
static bool is_current(const struct names_audit *n, const struct inspect_guard *guard,
                       enum inspect_names which)
{
    const struct inspect_event *before = &n->e->hash, *after = &n->after;
    ASSERT(which < INSPECT_NAMES);
    return strcmp(guard->sale, before->sale) == 0 && strcmp(guard->sale, after->sale) == 0 &&
           guard->stamp >= before->stamps[which] && guard->stamp <= after->stamps[which];
}

static bool read_names(struct names_audit *n, struct redis_inspect *redis, struct fault *why)
{
    const struct event_audit *e = n->e;
    struct inspect_guard guards[INSPECT_NAMES];
    if (!inspect_names(redis, e->name, INSPECT_KEYS, &guards[INSPECT_KEYS], compare_key, n, why) ||
        !inspect_names(redis, e->name, INSPECT_BUYERS, &guards[INSPECT_BUYERS], compare_buyer, n,
                       why) ||
        !inspect_key_hashes(redis, e->name, &guards[INSPECT_KEY_HASHES], keep_hash, n, why) ||
        !inspect_event(redis, e->name, &n->after, why))
        return false;
    n->is_whole = e->hash.rebuild != 0 && n->after.rebuild == e->hash.rebuild;
    for (int i = 0; i < INSPECT_NAMES; i++)
        n->is_whole = n->is_whole && is_current(n, &guards[i], (enum inspect_names)i);
    return true;
}

/* ---- has anything changed? ------------------------------------------------------------------ */

/* Had Redis all that the journal holds, before and after? */
static bool is_at_rest(const struct names_audit *n, const struct journal_audit *a)
{
    const struct inspect_node *before = a->redis;
    if (before == NULL || !audit_has_rebuilt(n->e, before) || before->pos != a->end)
        return false;
    for (uint32_t i = 0; i < n->after.node_count; i++)
        if (n->after.nodes[i].node == before->node)
            return n->after.nodes[i].pos == before->pos &&
                   n->after.nodes[i].last_number == before->last_number;
    return false;
}

/* ... and is nothing under way on any node of the sale? */
static bool is_all_at_rest(const struct names_audit *n)
{
    const struct event_audit *e = n->e;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct journal_audit *a = &e->journals[i];
        ASSERT(!a->at_rest || a->redis != NULL);
        if (!a->at_rest || a->redis->last_number != a->totals.node.last)
            return false;
    }
    for (uint32_t i = 0; i < n->after.node_count; i++)
        if (!audit_find_node(e, n->after.nodes[i].node))
            return false;
    return true;
}

/* ---- comparing ------------------------------------------------------------------------------ */

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Keys with one fault: how many, and one of them. */
struct wrong_keys {
    uint64_t count;
    const struct key *one;
};

static void count_if(struct wrong_keys *w, bool is_wrong, const struct key *key)
{
    w->count += is_wrong;
    w->one = is_wrong ? key : w->one;
}

static void report_wrong(const struct names_audit *n, struct findings *to,
                         const struct wrong_keys *w, const char *symptom)
{
    ASSERT((w->count > 0) == (w->one != NULL));
    if (w->count > 0)
        findings_breach(to,
                        "P4 redis: event %s: %" PRIu64
                        " settled key%s %s, one of them that of order "
                        "number %" PRIu64 " of node %u",
                        n->e->name, w->count, plural(w->count), symptom, w->one->number,
                        (unsigned)w->one->node);
}

static void check_keys(struct names_audit *n, struct findings *to)
{
    const struct key_index *keys = n->e->keys;
    struct wrong_keys lost = {0}, state = {0}, unhashed = {0};
    uint64_t settled = 0, compared = 0;
    if (n->hashes.count > 1)
        qsort(n->hashes.at, n->hashes.count, sizeof *n->hashes.at, compare_hashes);
    for (uint64_t i = 0; i < key_index_count(keys); i++) {
        const struct key *key = key_index_at(keys, i);
        if (!key->settled)
            continue;
        const struct journal_audit *a = audit_find_node(n->e, key->node);
        ASSERT(a != NULL);
        settled++;
        compared += a->at_rest;
        count_if(&lost, !key->found, key);
        count_if(&state, a->at_rest && key->found && key->found_live != key->live, key);
        count_if(&unhashed,
                 n->hashes.count == 0 || bsearch(&key->key_hash, n->hashes.at, n->hashes.count,
                                                 sizeof key->key_hash, compare_hashes) == NULL,
                 key);
    }
    report_wrong(n, to, &lost, "not in Redis, or there with another order");
    report_wrong(n, to, &state,
                 "live there though their orders have ended, or the other way round");
    report_wrong(n, to, &unhashed, "without a mark");
    if (settled > 0 && lost.count + state.count + unhashed.count == 0)
        findings_add(
            to, "P4 redis: event %s: %" PRIu64 " settled key%s, each with its mark and order%s",
            n->e->name, settled, plural(settled),
            compared == settled ? ", live or ended as that is" : "");
}

static void check_buyers(const struct names_audit *n, struct findings *to)
{
    uint64_t unconfirmed, live = buyer_index_live(n->e->buyers, &unconfirmed);
    uint64_t wrong = n->wrong_buyers + unconfirmed;
    if (wrong > 0)
        findings_breach(to,
                        "P3 redis: event %s: %" PRIu64 " buyer%s not counted as the journals say",
                        n->e->name, wrong, plural(wrong));
    else if (live > 0)
        findings_add(to,
                     "P3 redis: event %s: %" PRIu64 " buyer%s, each counted as the journals say",
                     n->e->name, live, plural(live));
}

static void check_names(struct names_audit *n, struct findings *to)
{
    const struct event_audit *e = n->e;
    for (uint32_t i = 0; i < e->count; i++)
        e->journals[i].at_rest = is_at_rest(n, &e->journals[i]);
    bool all_at_rest = is_all_at_rest(n);
    check_keys(n, to);
    if (all_at_rest && n->strange_keys > 0)
        findings_breach(to, "P4 redis: event %s: %" PRIu64 " key%s of no order", e->name,
                        n->strange_keys, plural(n->strange_keys));
    if (all_at_rest)
        check_buyers(n, to);
    else if (buyer_index_count(e->buyers) > 0)
        findings_add(
            to,
            "open: event %s: the counts of buyers were not compared: that takes the journals "
            "of all nodes, at rest",
            e->name);
    for (uint32_t i = 0; i < e->hash.node_count; i++)
        if (e->hash.nodes[i].epoch > 0 && !audit_has_rebuilt(e, &e->hash.nodes[i]))
            findings_add(to,
                         "open: event %s: node %u: its keys were lost, and are told again when it "
                         "attaches",
                         e->name, (unsigned)e->hash.nodes[i].node);
}

bool audit_keys(struct findings *to, struct redis_inspect *redis, struct event_audit *e,
                struct fault *f)
{
    struct names_audit *n = calloc(1, sizeof *n);
    struct fault why;
    ASSERT(e->has_hash);
    if (n == NULL)
        return fault(f, "no memory for what Redis remembers");
    n->e = e;
    bool read = read_names(n, redis, &why);
    bool good = !n->failed || fault(f, "no memory for the marks of event %s", e->name);
    if (good && !read)
        findings_add(to, "open: event %s: keys and buyers were not read: %s", e->name, why.text);
    else if (good && !n->is_whole)
        findings_add(
            to,
            "open: event %s: Redis has lost keys, buyers or marks; all are told again when "
            "the nodes attach",
            e->name);
    else if (good)
        check_names(n, to);
    free(n->hashes.at);
    free(n);
    return good;
}
