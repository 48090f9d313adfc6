/*
 * audit: proves from the journals, and from Redis if it answers, as much of P1 to P4 as can be
 * proved. This file reads and prints; audit_journals.c, audit_redis.c and others compare.
 *
 * For each event, in this order: the end of each journal; the hash in Redis, in one call, so of one
 * moment; the end of each journal again. What Redis had settled by then is surely in the journals,
 * so its figures are compared exactly with the records up to its own `pos`, also while servers are
 * at work. Between the ends of several journals some time passes: a ticket that returns on one and
 * is sold again on another could appear to be sold twice. So a breach beside a running server is
 * checked again, from the start, and only one that persists is reported.
 *
 * Memory: for one event at a time 24 bytes for each record of one journal, a bit or two for each
 * record of all, 56 bytes for each order with a key and up to 128 for each buyer.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/log/audit_private.h"
#include "storage/log/commands.h"

#define ATTEMPTS_MAX     3          /* at a breach beside a running server */
#define ATTEMPT_PAUSE_NS 300000000L /* between two of them */

/* ---- reading -------------------------------------------------------------------------------- */

/* One walk over a journal. */
struct walk {
    struct event_audit *e;
    struct journal_audit *journal;
    bool failed;     /* no memory */
    bool unreadable; /* the fault says what */
    struct fault *fault;
};

static bool keep_key(struct event_audit *e, const struct journal_audit *a, const struct record *r)
{
    struct key *key =
        key_index_add(e->keys, r, source_node(a->source), source_slot(a->source, a->event));
    if (key == NULL)
        return false;
    key->settled = a->redis != NULL && audit_has_rebuilt(e, a->redis) && r->seq <= a->redis->pos;
    return true;
}

static bool fold(void *context, const struct record *r)
{
    struct walk *w = context;
    const struct journal_audit *a = w->journal;
    ASSERT(r->seq <= a->end && !w->failed && !w->unreadable);
    if (!audit_totals_fold(&w->journal->totals, r))
        return false;
    /* Without a server, the index was verified when the journal was opened. */
    w->unreadable =
        source_is_running(a->source) && !source_check_index(a->source, a->event, r, w->fault);
    if (w->unreadable)
        return false;
    if (row_is_order(r))
        bit_set(w->journal->order_seqs, r->seq);
    if (r->kind == RECORD_GRANT && r->key_len > 0)
        w->failed = !keep_key(w->e, w->journal, r);
    w->failed = w->failed || !buyer_index_fold(w->e->buyers, r);
    return !w->failed;
}

/* Sets the state of the orders of the keys from `first` on. */
static void note_live(struct key_index *keys, uint64_t first, const struct audit_totals *t)
{
    ASSERT(first <= key_index_count(keys));
    for (uint64_t i = first; i < key_index_count(keys); i++) {
        struct key *key = key_index_at(keys, i);
        key->live = audit_totals_is_live(t, key->number);
    }
}

static bool read_journal(struct event_audit *e, struct journal_audit *a, struct fault *f)
{
    struct walk w = {.e = e, .journal = a, .fault = f};
    uint64_t first = key_index_count(e->keys);
    ASSERT(a->order_seqs == NULL);
    a->totals.early_end = a->early_end;
    a->totals.pos = a->redis != NULL ? a->redis->pos : 0;
    a->order_seqs = calloc(a->end / 8 + 1, 1);
    buyer_index_begin(e->buyers, a->limit);
    bool has_memory = audit_totals_begin(&a->totals, a->end) && a->order_seqs != NULL;
    bool good = has_memory && source_walk(a->source, a->event, 1, a->end, fold, &w, f);
    if (!has_memory || w.failed)
        good = fault(f, "no memory for %" PRIu64 " records", a->end);
    good = good && !w.unreadable;
    if (good)
        note_live(e->keys, first, &a->totals);
    a->excess = buyer_index_excess(e->buyers);
    audit_totals_end(&a->totals);
    return good;
}

/* Gives each journal the fields of its node. */
static void find_nodes(struct event_audit *e)
{
    ASSERT(e->hash.node_count <= NODES_MAX);
    for (uint32_t k = 0; k < e->hash.node_count; k++) {
        for (uint32_t i = 0; i < e->count; i++)
            if (audit_node(&e->journals[i]) == e->hash.nodes[k].node)
                e->journals[i].redis = &e->hash.nodes[k];
    }
}

static void read_hash(struct event_audit *e, struct redis_inspect *redis, struct findings *to)
{
    struct fault f;
    if (redis == NULL)
        return;
    if (!inspect_event(redis, e->name, &e->hash, &f)) {
        findings_add(to, "redis: event %s: %s; its journals alone are audited", e->name, f.text);
        e->hash = (struct inspect_event){0};
        return;
    }
    e->has_hash = e->hash.exists;
    if (!e->has_hash)
        findings_add(to, "redis: event %s: there is no hash; its journals alone are audited",
                     e->name);
    find_nodes(e);
}

static bool find_ends(struct event_audit *e, bool early, struct fault *f)
{
    for (uint32_t i = 0; i < e->count; i++) {
        struct journal_audit *a = &e->journals[i];
        if (!source_end(a->source, a->event, early ? &a->early_end : &a->end, f))
            return false;
    }
    return true;
}

static bool read_all(struct event_audit *e, struct redis_inspect *redis, struct findings *to,
                     struct fault *f)
{
    ASSERT(e->sum.journals == 0);
    if (!find_ends(e, true, f))
        return false;
    read_hash(e, redis, to);
    if (!find_ends(e, false, f))
        return false;
    for (uint32_t i = 0; i < e->count; i++) {
        if (!read_journal(e, &e->journals[i], f))
            return false;
        audit_sum_add(&e->sum, &e->journals[i].totals.node);
    }
    return true;
}

/* ---- one event, all events ------------------------------------------------------------------ */

/* The limit of a buyer in the journal's own configuration. */
static uint32_t limit_of(const struct source *s, const char *event)
{
    const struct conf_event *e = conf_find_event(source_conf(s), event);
    return e != NULL ? e->limit : 0;
}

static void add_journals(struct event_audit *e, const struct sources *all)
{
    for (uint32_t i = 0; i < sources_count(all); i++) {
        const struct source *s = sources_at(all, i);
        int event = source_find_event(s, e->name);
        if (event >= 0)
            e->journals[e->count++] = (struct journal_audit){
                .source = s, .event = (uint32_t)event, .limit = limit_of(s, e->name)};
    }
    ASSERT(e->count > 0);
}

static void free_event(struct event_audit *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        free(e->journals[i].order_seqs);
    key_index_destroy(e->keys);
    buyer_index_destroy(e->buyers);
    free(e->journals);
    free(e);
}

static bool audit_event(const struct sources *all, const char *name, struct redis_inspect *redis,
                        struct findings *to, struct fault *f)
{
    struct event_audit *e = calloc(1, sizeof *e);
    if (e == NULL)
        return fault(f, "no memory for an audit");
    e->name = name;
    e->journals = calloc(sources_count(all), sizeof *e->journals);
    e->keys = key_index_create();
    e->buyers = buyer_index_create();
    bool good = (e->journals != NULL && e->keys != NULL && e->buyers != NULL) ||
                fault(f, "no memory for an audit");
    if (good) {
        add_journals(e, all);
        good = read_all(e, redis, to, f);
    }
    if (good)
        audit_journals(to, e);
    good = good && (!e->has_hash || audit_redis(to, redis, e, f));
    free_event(e);
    return good;
}

/* NULL: Redis is not configured or cannot be reached. */
static struct redis_inspect *reach_redis(const struct sources *all, struct findings *to)
{
    struct fault f;
    for (uint32_t i = 0; i < sources_count(all); i++) {
        const struct conf *conf = source_conf(sources_at(all, i));
        if (conf->redis.len == 0)
            continue;
        struct redis_inspect *redis = inspect_open(conf, &f);
        if (redis == NULL)
            findings_add(to, "redis: cannot be reached, the journals alone are audited: %s",
                         f.text);
        return redis;
    }
    findings_add(to, "redis: none is configured, the journals alone are audited");
    return NULL;
}

/* Has one of the first `count` journals the event? */
static bool is_audited(const struct sources *all, uint32_t count, const char *name)
{
    ASSERT(count <= sources_count(all));
    for (uint32_t i = 0; i < count; i++)
        if (source_find_event(sources_at(all, i), name) >= 0)
            return true;
    return false;
}

static void report_source(struct findings *to, const struct source *s)
{
    findings_add(to, "journal %s: node %u, %s", source_path(s), (unsigned)source_node(s),
                 source_is_running(s) ? "beside its server" : "no server");
    if (source_leftover(s) > 0)
        findings_add(to,
                     "open: journal %s: %" PRIu64 " records of its last commit, which could not be "
                     "finished; its server finishes it when it starts",
                     source_path(s), source_leftover(s));
}

static bool audit_all(const struct sources *all, struct findings *to, struct fault *f)
{
    for (uint32_t i = 0; i < sources_count(all); i++)
        report_source(to, sources_at(all, i));
    struct redis_inspect *redis = reach_redis(all, to);
    bool good = true;
    for (uint32_t i = 0; good && i < sources_count(all); i++) {
        const struct source *s = sources_at(all, i);
        for (uint32_t k = 0; good && k < source_event_count(s); k++) {
            const char *name = source_event_name(s, k);
            if (!is_audited(all, i, name))
                good = audit_event(all, name, redis, to, f);
        }
    }
    if (redis != NULL)
        inspect_close(redis);
    return good;
}

static bool any_running(const struct sources *all)
{
    for (uint32_t i = 0; i < sources_count(all); i++)
        if (source_is_running(sources_at(all, i)))
            return true;
    return false;
}

/* Prints what it has found, unless there is a breach and another attempt follows. */
static bool audit_once(const struct sources *all, bool is_last, uint64_t *breaches, struct fault *f)
{
    struct findings *to = findings_open();
    if (to == NULL)
        return fault(f, "no memory for what is found");
    bool good = audit_all(all, to, f);
    *breaches = findings_breaches(to);
    findings_close(to, *breaches == 0 || is_last || !good ? stdout : NULL);
    return good;
}

int audit_run(const struct sources *all, const struct options *o, struct fault *f)
{
    const struct timespec pause = {.tv_nsec = ATTEMPT_PAUSE_NS};
    uint64_t breaches = 1;
    (void)o;
    ASSERT(sources_count(all) > 0);
    for (int attempts = any_running(all) ? ATTEMPTS_MAX : 1; attempts > 0 && breaches > 0;
         attempts--) {
        if (!audit_once(all, attempts == 1, &breaches, f))
            return EXIT_TROUBLE;
        if (breaches > 0 && attempts > 1)
            nanosleep(&pause, NULL);
    }
    if (breaches == 0) {
        puts("no breach");
        return 0;
    }
    printf("%" PRIu64 " breach%s\n", breaches, breaches == 1 ? "" : "es");
    return EXIT_BREACH;
}
