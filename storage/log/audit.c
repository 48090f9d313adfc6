/*
 * audit: proves from the journals, and from Redis if it answers, what can be proved of P1-P4.
 *
 * For each event, in this order: how far each journal goes; Redis' hash, one call, one moment; how
 * far each journal goes now. What Redis had settled by then is surely in the journals, so its
 * figures are held against the records up to its own `pos`, exactly, also while servers are at
 * work. Between the ends of several journals a moment passes: a ticket that comes back on one and
 * is sold again on another could look sold twice. So a breach beside a running server is looked
 * for again, from the start, and only one that is still there is told.
 *
 * Memory: for one event at a time 8 bytes for each record of one journal, a bit or two for each
 * record of all, and 32 bytes for each order with a key.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/log/inside.h"

#define LOOKS_MAX 3 /* at a breach beside a running server */

struct keys {
    struct account_key *at;
    uint64_t count, max;
    bool failed; /* no memory */
};

/* One event over all journals that have it. */
struct event_audit {
    const char *name;
    struct audited *list;
    uint32_t count;
    struct look_event hash;
    bool has_hash; /* Redis was asked and has it */
    struct account_sum sum;
    struct keys keys;
};

static void put_line(struct findings *to, bool good, const char *format, va_list arguments)
    PRINTF(3, 0);

static void put_line(struct findings *to, bool good, const char *format, va_list arguments)
{
    if (!good)
        fputs("BREACH ", to->out);
    to->breaches += good ? 0 : 1;
    vfprintf(to->out, format, arguments);
    fputc('\n', to->out);
}

void audit_say(struct findings *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_line(to, true, format, arguments);
    va_end(arguments);
}

void audit_breach(struct findings *to, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_line(to, false, format, arguments);
    va_end(arguments);
}

void audit_judge(struct findings *to, bool good, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_line(to, good, format, arguments);
    va_end(arguments);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- reading -------------------------------------------------------------------------------- */

struct walk {
    struct audited *audited;
    struct keys *keys;
};

static void keep_key(struct keys *k, const struct audited *a, const struct record *r)
{
    if (k->count == k->max) {
        uint64_t max = k->max > 0 ? 2 * k->max : 4096;
        struct account_key *at = realloc(k->at, max * sizeof *at);
        if (at == NULL) {
            k->failed = true;
            return;
        }
        k->at = at;
        k->max = max;
    }
    struct account_key *key = &k->at[k->count++];
    key->node = journal_node(a->source->journal);
    key->slot = journal_slot(a->source->journal, a->event);
    key->number = r->number;
    account_key_set(key, r->key, r->key_len);
}

static bool fold(void *context, const struct record *r)
{
    struct walk *w = context;
    if (!account_fold(&w->audited->account, r))
        return false;
    if (row_is_order(r))
        bit_set(w->audited->order_seqs, r->seq);
    if (r->kind == RECORD_GRANT && r->key_len > 0)
        keep_key(w->keys, w->audited, r);
    return !w->keys->failed;
}

/* Of the keys from `first` on, those of orders that are neither held nor sold go. */
static void drop_ended(struct keys *k, uint64_t first, const struct account *a)
{
    uint64_t kept = first;
    for (uint64_t i = first; i < k->count; i++) {
        uint8_t state = a->orders[k->at[i].number - 1].state;
        if (state == ORDER_HELD || state == ORDER_SOLD)
            k->at[kept++] = k->at[i];
    }
    k->count = kept;
}

static bool read_journal(struct audited *a, struct keys *keys, struct fault *f)
{
    struct account *account = &a->account;
    struct walk w = {.audited = a, .keys = keys};
    uint64_t first = keys->count;
    account->order_max = a->end;
    account->mark = a->before;
    account->pos = a->redis != NULL ? a->redis->pos : 0;
    account->orders = calloc(a->end + 1, sizeof *account->orders);
    a->order_seqs = calloc(a->end / 8 + 1, 1);
    bool good = account->orders != NULL && a->order_seqs != NULL;
    good = good && source_walk(a->source, a->event, 1, a->end, fold, &w, f);
    if (account->orders == NULL || a->order_seqs == NULL || keys->failed)
        good = fault(f, "no memory for %" PRIu64 " records", a->end);
    if (good)
        drop_ended(keys, first, account);
    free(account->orders);
    account->orders = NULL;
    return good;
}

static void find_nodes(struct event_audit *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        for (uint32_t k = 0; k < e->hash.node_count; k++)
            if (e->hash.nodes[k].node == journal_node(e->list[i].source->journal))
                e->list[i].redis = &e->hash.nodes[k];
}

static void ask_redis(struct event_audit *e, struct look *look, struct findings *to)
{
    struct fault f;
    if (look == NULL)
        return;
    if (!look_event(look, e->name, &e->hash, &f)) {
        audit_say(to, "redis: event %s: %s; its journals alone are audited", e->name, f.text);
        e->hash = (struct look_event){0};
        return;
    }
    e->has_hash = e->hash.exists;
    if (!e->has_hash)
        audit_say(to, "redis: event %s: there is no hash; its journals alone are audited", e->name);
    find_nodes(e);
}

static bool find_ends(struct event_audit *e, bool before, struct fault *f)
{
    for (uint32_t i = 0; i < e->count; i++) {
        struct audited *a = &e->list[i];
        if (!source_end(a->source, a->event, before ? &a->before : &a->end, f))
            return false;
    }
    return true;
}

static bool read_all(struct event_audit *e, struct look *look, struct findings *to, struct fault *f)
{
    if (!find_ends(e, true, f))
        return false;
    ask_redis(e, look, to);
    if (!find_ends(e, false, f))
        return false;
    for (uint32_t i = 0; i < e->count; i++) {
        if (!read_journal(&e->list[i], &e->keys, f))
            return false;
        account_add(&e->sum, &e->list[i].account.tally);
    }
    return true;
}

/* ---- judging: the journals ------------------------------------------------------------------ */

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
    uint64_t orders[ORDER_EXPIRED + 1] = {0};
    for (uint32_t i = 0; i < e->count; i++)
        for (int state = ORDER_HELD; state <= ORDER_EXPIRED; state++)
            orders[state] += e->list[i].account.in_state[state];
    audit_say(to,
              "P3 one state each: event %s: %" PRIu64 " order%s: %" PRIu64 " held, %" PRIu64
              " sold, %" PRIu64 " cancelled, %" PRIu64 " expired",
              e->name, e->sum.orders, plural(e->sum.orders), orders[ORDER_HELD], orders[ORDER_SOLD],
              orders[ORDER_CANCELLED], orders[ORDER_EXPIRED]);
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
    audit_judge(to, account_fits(&sum),
                "P1 no oversell: event %s: %" PRIu64 " sold%s of %" PRIu64 ", %u journal%s",
                e->name, sum.sold, held, sum.total, sum.journals, plural(sum.journals));
}

static const struct tally *tally_at(const struct event_audit *e, uint32_t i)
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
    const struct account_key *twice = NULL;
    uint64_t doubles = account_doubles(e->keys.at, e->keys.count, &twice);
    if (doubles > 0)
        audit_breach(to,
                     "P4 exactly once: event %s: %" PRIu64 " key%s with more than one live order, "
                     "one of them number %" PRIu64 " of node %u",
                     e->name, doubles, plural(doubles), twice->number, (unsigned)twice->node);
    if (judge_ids(e, to) == 0 && doubles == 0)
        audit_say(to,
                  "P4 exactly once: event %s: %" PRIu64 " order id%s, none twice; %" PRIu64
                  " key%s with a live order, one each",
                  e->name, e->sum.orders, plural(e->sum.orders), e->keys.count,
                  plural(e->keys.count));
}

static void judge_sale(const struct event_audit *e, struct findings *to)
{
    const struct tally *first = NULL;
    uint32_t count = 0, others = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct tally *t = tally_at(e, i);
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

static bool is_given(const struct event_audit *e, uint16_t node)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (journal_node(e->list[i].source->journal) == node)
            return true;
    return false;
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
            if (is_given(e, node) || bit_get(named, node))
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

/* ---- one event, all events ------------------------------------------------------------------ */

static bool judge(struct event_audit *e, struct look *look, struct findings *to, struct fault *f)
{
    judge_sale(e, to);
    judge_chain(e, to);
    judge_total(e, to);
    judge_states(e, to);
    judge_once(e, to);
    judge_known(e, to);
    return !e->has_hash || audit_redis(to, look, &e->hash, e->name, e->list, e->count, f);
}

static bool audit_event(const struct sources *all, const char *name, struct look *look,
                        struct findings *to, struct fault *f)
{
    struct event_audit *e = calloc(1, sizeof *e);
    struct audited *list = calloc(all->count, sizeof *list);
    bool good = (e != NULL && list != NULL) || fault(f, "no memory for an audit");
    for (uint32_t i = 0; good && i < all->count; i++) {
        int event = source_event(&all->at[i], name);
        if (event >= 0)
            list[e->count++] = (struct audited){.source = &all->at[i], .event = (uint32_t)event};
    }
    if (good) {
        e->name = name;
        e->list = list;
        good = read_all(e, look, to, f) && judge(e, look, to, f);
        for (uint32_t i = 0; i < e->count; i++)
            free(list[i].order_seqs);
        free(e->keys.at);
    }
    free(list);
    free(e);
    return good;
}

static struct look *reach_redis(const struct sources *all, struct findings *to)
{
    struct fault f;
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->at[i].conf.redis.len == 0)
            continue;
        struct look *look = look_open(&all->at[i].conf, &f);
        if (look == NULL)
            audit_say(to, "redis: cannot be reached, the journals alone are audited: %s", f.text);
        return look;
    }
    audit_say(to, "redis: none is configured, the journals alone are audited");
    return NULL;
}

static bool is_seen(const struct sources *all, uint32_t before, const char *name)
{
    for (uint32_t i = 0; i < before; i++)
        if (source_event(&all->at[i], name) >= 0)
            return true;
    return false;
}

static bool audit_all(const struct sources *all, struct findings *to, struct fault *f)
{
    for (uint32_t i = 0; i < all->count; i++)
        audit_say(to, "journal %s: node %u, %s", all->at[i].conf.journal,
                  (unsigned)journal_node(all->at[i].journal),
                  all->at[i].running ? "beside its server" : "no server");
    struct look *look = reach_redis(all, to);
    bool good = true;
    for (uint32_t i = 0; good && i < all->count; i++)
        for (uint32_t k = 0; good && k < journal_event_count(all->at[i].journal); k++) {
            const char *name = journal_event_name(all->at[i].journal, k);
            if (!is_seen(all, i, name))
                good = audit_event(all, name, look, to, f);
        }
    if (look != NULL)
        look_close(look);
    return good;
}

static bool any_running(const struct sources *all)
{
    for (uint32_t i = 0; i < all->count; i++)
        if (all->at[i].running)
            return true;
    return false;
}

/* Collects the findings, so that a look that is repeated leaves no trace. */
static bool audit_once(const struct sources *all, bool last, uint64_t *breaches, struct fault *f)
{
    char *text = NULL;
    size_t size = 0;
    struct findings to = {.out = open_memstream(&text, &size)};
    if (to.out == NULL)
        return fault(f, "no memory for what is found");
    bool good = audit_all(all, &to, f);
    fclose(to.out);
    *breaches = to.breaches;
    if (text != NULL && (to.breaches == 0 || last || !good))
        fwrite(text, size, 1, stdout);
    free(text);
    return good;
}

int audit_run(const struct sources *all, const struct options *o, struct fault *f)
{
    const struct timespec pause = {.tv_nsec = 300000000L};
    uint64_t breaches = 1;
    (void)o;
    for (int looks = any_running(all) ? LOOKS_MAX : 1; looks > 0 && breaches > 0; looks--) {
        if (!audit_once(all, looks == 1, &breaches, f))
            return EXIT_TROUBLE;
        if (breaches > 0 && looks > 1)
            nanosleep(&pause, NULL);
    }
    if (breaches == 0) {
        puts("no breach");
        return 0;
    }
    printf("%" PRIu64 " breach%s\n", breaches, breaches == 1 ? "" : "es");
    return EXIT_BREACH;
}
