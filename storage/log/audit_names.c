/*
 * audit_names: the keys, buyers and marks that Redis remembers, against the journals.
 *
 * A key that was settled stays where it is, so each one that was settled before we looked must be
 * found, whatever happens meanwhile. What may change at any moment (is the order live? how many
 * tickets has the buyer?) is compared only where the hash says, before and after, that nothing has
 * moved. A Redis that has lost keys as a whole is repaired by the next step of any node, and is no
 * breach; one key that is missing among others is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log/inside.h"

struct marks {
    uint64_t *at;
    uint64_t count, max;
};

struct names {
    struct event_audit *e;
    struct marks marks;
    struct inspect_event after; /* the hash, once all was read */
    uint64_t strange_keys;      /* no journal has them */
    uint64_t wrong_buyers;      /* ... or another count */
    bool whole;
    bool failed; /* no memory */
};

/* ---- reading -------------------------------------------------------------------------------- */

static void take_key(void *context, const char *name, size_t name_len, const char *value,
                     size_t value_len)
{
    struct names *n = context;
    uint64_t count, is = value_len > 0 ? key_value(value + 1, value_len - 1) : 0;
    struct key *key = keys_find(&n->e->keys, name, name_len, &count);
    n->strange_keys += key == NULL;
    for (uint64_t i = 0; key != NULL && i < count; i++)
        if (value_len > 0 && key[i].value == is) {
            key[i].found = true;
            key[i].found_live = value[0] == 'l';
        }
}

static void take_buyer(void *context, const char *name, size_t name_len, const char *value,
                       size_t value_len)
{
    struct names *n = context;
    struct buyer *buyer = buyers_find(&n->e->buyers, name, name_len);
    (void)value_len;
    if (buyer != NULL)
        buyer->found = true;
    n->wrong_buyers += buyer == NULL || buyer->tickets != strtoull(value, NULL, 10);
}

static void take_mark(void *context, uint64_t mark)
{
    struct names *n = context;
    struct marks *m = &n->marks;
    if (m->count == m->max) {
        uint64_t max = m->max > 0 ? 2 * m->max : 4096;
        uint64_t *at = n->failed ? NULL : realloc(m->at, max * sizeof *at);
        if (at == NULL) {
            n->failed = true;
            return;
        }
        m->at = at;
        m->max = max;
    }
    m->at[m->count++] = mark;
}

/* Is it of the sale, and stamped between what the hash said before and after? */
static bool is_whole(const struct names *n, const struct inspect_guard *guard,
                     enum inspect_names what)
{
    const struct inspect_event *before = &n->e->hash, *after = &n->after;
    return strcmp(guard->sale, before->sale) == 0 && strcmp(guard->sale, after->sale) == 0 &&
           guard->stamp >= before->stamps[what] && guard->stamp <= after->stamps[what];
}

static bool read_names(struct names *n, struct redis_inspect *look, struct fault *why)
{
    const struct event_audit *e = n->e;
    struct inspect_guard guards[INSPECT_NAMES];
    if (!inspect_names(look, e->name, INSPECT_KEYS, &guards[INSPECT_KEYS], take_key, n, why) ||
        !inspect_names(look, e->name, INSPECT_BUYERS, &guards[INSPECT_BUYERS], take_buyer, n,
                       why) ||
        !inspect_key_hashes(look, e->name, &guards[INSPECT_KEY_HASHES], take_mark, n, why) ||
        !inspect_event(look, e->name, &n->after, why))
        return false;
    n->whole = e->hash.rebuild != 0 && n->after.rebuild == e->hash.rebuild;
    for (int i = 0; i < INSPECT_NAMES; i++)
        n->whole = n->whole && is_whole(n, &guards[i], (enum inspect_names)i);
    return true;
}

/* ---- has anything moved? -------------------------------------------------------------------- */

static const struct audited *audited_of(const struct event_audit *e, uint16_t node)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (journal_node(e->list[i].source->journal) == node)
            return &e->list[i];
    return NULL;
}

/* Redis has all that the journal holds, and had it while we looked. */
static bool is_still(const struct names *n, const struct audited *a)
{
    const struct inspect_node *was = a->redis;
    if (was == NULL || !audit_has_told(n->e, was) || was->pos != a->end)
        return false;
    for (uint32_t i = 0; i < n->after.node_count; i++)
        if (n->after.nodes[i].node == was->node)
            return n->after.nodes[i].pos == was->pos && n->after.nodes[i].last_number == was->last_number;
    return false;
}

/* ... and nothing is under way, on any node of the sale. */
static bool is_all_still(const struct names *n)
{
    const struct event_audit *e = n->e;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct audited *a = &e->list[i];
        if (!a->still || a->redis->last_number != a->account.tally.last)
            return false;
    }
    for (uint32_t i = 0; i < n->after.node_count; i++)
        if (!audit_is_given(e, n->after.nodes[i].node))
            return false;
    return true;
}

/* ---- judging -------------------------------------------------------------------------------- */

static int compare_marks(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* What is wrong with keys: how many, and one of them. */
struct faulty {
    uint64_t count;
    const struct key *one;
};

static void add_faulty(struct faulty *f, bool is, const struct key *key)
{
    f->count += is;
    f->one = is ? key : f->one;
}

static void tell_faulty(const struct names *n, struct findings *to, const struct faulty *f,
                        const char *what)
{
    if (f->count > 0)
        audit_breach(to,
                     "P4 redis: event %s: %" PRIu64 " settled key%s %s, one of them that of order "
                     "number %" PRIu64 " of node %u",
                     n->e->name, f->count, plural(f->count), what, f->one->number,
                     (unsigned)f->one->node);
}

static void judge_keys(struct names *n, struct findings *to)
{
    const struct keys *k = &n->e->keys;
    struct faulty lost = {0}, life = {0}, unmarked = {0};
    uint64_t settled = 0, compared = 0;
    if (n->marks.count > 1)
        qsort(n->marks.at, n->marks.count, sizeof *n->marks.at, compare_marks);
    for (uint64_t i = 0; i < k->count; i++) {
        const struct key *key = &k->at[i];
        if (!key->settled)
            continue;
        bool still = audited_of(n->e, key->node)->still;
        settled++;
        compared += still;
        add_faulty(&lost, !key->found, key);
        add_faulty(&life, still && key->found && key->found_live != key->live, key);
        add_faulty(&unmarked,
                   n->marks.count == 0 || bsearch(&key->mark, n->marks.at, n->marks.count,
                                                  sizeof key->mark, compare_marks) == NULL,
                   key);
    }
    tell_faulty(n, to, &lost, "not in Redis, or there with another order");
    tell_faulty(n, to, &life, "live there though their orders have ended, or the other way round");
    tell_faulty(n, to, &unmarked, "without a mark");
    if (settled > 0 && lost.count + life.count + unmarked.count == 0)
        audit_say(to,
                  "P4 redis: event %s: %" PRIu64 " settled key%s, each with its mark and order%s",
                  n->e->name, settled, plural(settled),
                  compared == settled ? ", live or ended as that is" : "");
}

static void judge_buyers(const struct names *n, struct findings *to)
{
    const struct buyers *b = &n->e->buyers;
    uint64_t wrong = n->wrong_buyers, live = 0;
    for (uint64_t i = 0; i < b->size; i++) {
        const struct buyer *buyer = &b->at[i];
        live += buyer->used && buyer->tickets > 0;
        wrong += buyer->used && buyer->tickets > 0 && !buyer->found;
    }
    if (wrong > 0)
        audit_breach(to, "P3 redis: event %s: %" PRIu64 " buyer%s not counted as the journals say",
                     n->e->name, wrong, plural(wrong));
    else if (live > 0)
        audit_say(to, "P3 redis: event %s: %" PRIu64 " buyer%s, each counted as the journals say",
                  n->e->name, live, plural(live));
}

static void judge_names(struct names *n, struct findings *to)
{
    const struct event_audit *e = n->e;
    for (uint32_t i = 0; i < e->count; i++)
        e->list[i].still = is_still(n, &e->list[i]);
    bool still = is_all_still(n);
    judge_keys(n, to);
    if (still && n->strange_keys > 0)
        audit_breach(to, "P4 redis: event %s: %" PRIu64 " key%s of no order", e->name,
                     n->strange_keys, plural(n->strange_keys));
    if (still)
        judge_buyers(n, to);
    else if (e->buyers.count > 0)
        audit_say(to,
                  "open: event %s: the counts of buyers were not compared: that takes the journals "
                  "of all nodes, at rest",
                  e->name);
    for (uint32_t i = 0; i < e->hash.node_count; i++)
        if (e->hash.nodes[i].epoch > 0 && !audit_has_told(e, &e->hash.nodes[i]))
            audit_say(to,
                      "open: event %s: node %u: its keys were lost, and are told again when it "
                      "attaches",
                      e->name, (unsigned)e->hash.nodes[i].node);
}

bool audit_names(struct findings *to, struct redis_inspect *look, struct event_audit *e,
                 struct fault *f)
{
    struct names *n = calloc(1, sizeof *n);
    struct fault why;
    if (n == NULL)
        return fault(f, "no memory for what Redis remembers");
    n->e = e;
    bool read = read_names(n, look, &why);
    bool good = !n->failed || fault(f, "no memory for the marks of event %s", e->name);
    if (good && !read)
        audit_say(to, "open: event %s: keys and buyers were not read: %s", e->name, why.text);
    else if (good && !n->whole)
        audit_say(to,
                  "open: event %s: Redis has lost keys, buyers or marks; all are told again when "
                  "the nodes attach",
                  e->name);
    else if (good)
        judge_names(n, to);
    free(n->marks.at);
    free(n);
    return good;
}
