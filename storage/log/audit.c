/*
 * audit: proves from the journals, and from Redis if it answers, what can be proved of P1-P4. Here
 * it reads and prints; audit_journals, audit_redis and audit_names judge.
 *
 * For each event, in this order: how far each journal goes; Redis' hash, one call, one moment; how
 * far each journal goes now. What Redis had settled by then is surely in the journals, so its
 * figures are held against the records up to its own `pos`, exactly, also while servers are at
 * work. Between the ends of several journals a moment passes: a ticket that comes back on one and
 * is sold again on another could look sold twice. So a breach beside a running server is looked
 * for again, from the start, and only one that is still there is told.
 *
 * Memory: for one event at a time 24 bytes for each record of one journal, a bit or two for each
 * record of all, 56 bytes for each order with a key and up to 128 for each buyer.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/log/inside.h"

#define LOOKS_MAX 3 /* at a breach beside a running server */

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

/* ---- reading -------------------------------------------------------------------------------- */

struct walk {
    struct event_audit *e;
    struct audited *audited;
    bool failed;     /* no memory */
    bool unreadable; /* the fault says what */
    struct fault *fault;
};

static bool keep_key(struct event_audit *e, const struct audited *a, const struct record *r)
{
    const struct journal *j = a->source->journal;
    struct key *key = keys_add(&e->keys, r, journal_node(j), journal_slot(j, a->event));
    if (key == NULL)
        return false;
    key->settled = a->redis != NULL && audit_has_told(e, a->redis) && r->seq <= a->redis->pos;
    return true;
}

static bool fold(void *context, const struct record *r)
{
    struct walk *w = context;
    const struct audited *a = w->audited;
    if (!account_fold(&w->audited->account, r))
        return false;
    /* What no server has was verified when it was opened. */
    w->unreadable = a->source->running && !source_index(a->source, a->event, r, w->fault);
    if (w->unreadable)
        return false;
    if (row_is_order(r))
        bit_set(w->audited->order_seqs, r->seq);
    if (r->kind == RECORD_GRANT && r->key_len > 0)
        w->failed = !keep_key(w->e, w->audited, r);
    w->failed = w->failed || !buyers_fold(&w->e->buyers, r);
    return !w->failed;
}

/* What has become of the orders of the keys from `first` on. */
static void note_life(struct keys *k, uint64_t first, const struct account *a)
{
    for (uint64_t i = first; i < k->count; i++) {
        uint8_t state = a->orders[k->at[i].number - 1].state;
        k->at[i].live = state == ORDER_HELD || state == ORDER_SOLD;
    }
}

static bool read_journal(struct event_audit *e, struct audited *a, struct fault *f)
{
    struct account *account = &a->account;
    struct walk w = {.e = e, .audited = a, .fault = f};
    uint64_t first = e->keys.count;
    account->order_max = a->end;
    account->mark = a->before;
    account->pos = a->redis != NULL ? a->redis->pos : 0;
    account->orders = calloc(a->end + 1, sizeof *account->orders);
    a->order_seqs = calloc(a->end / 8 + 1, 1);
    buyers_begin(&e->buyers, a->limit);
    bool good = account->orders != NULL && a->order_seqs != NULL;
    good = good && source_walk(a->source, a->event, 1, a->end, fold, &w, f);
    if (account->orders == NULL || a->order_seqs == NULL || w.failed)
        good = fault(f, "no memory for %" PRIu64 " records", a->end);
    good = good && !w.unreadable;
    if (good)
        note_life(&e->keys, first, account);
    a->above = e->buyers.above;
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

static void ask_redis(struct event_audit *e, struct redis_inspect *look, struct findings *to)
{
    struct fault f;
    if (look == NULL)
        return;
    if (!inspect_event(look, e->name, &e->hash, &f)) {
        audit_say(to, "redis: event %s: %s; its journals alone are audited", e->name, f.text);
        e->hash = (struct inspect_event){0};
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

static bool read_all(struct event_audit *e, struct redis_inspect *look, struct findings *to,
                     struct fault *f)
{
    if (!find_ends(e, true, f))
        return false;
    ask_redis(e, look, to);
    if (!find_ends(e, false, f))
        return false;
    for (uint32_t i = 0; i < e->count; i++) {
        if (!read_journal(e, &e->list[i], f))
            return false;
        account_add(&e->sum, &e->list[i].account.tally);
    }
    return true;
}

/* ---- one event, all events ------------------------------------------------------------------ */

/* The limit of a buyer that the journal's own configuration sets. */
static uint32_t limit_of(const struct source *s, const char *event)
{
    for (uint32_t i = 0; i < s->conf.event_count; i++)
        if (strcmp(s->conf.events[i].name, event) == 0)
            return s->conf.events[i].limit;
    return 0;
}

static bool audit_event(const struct sources *all, const char *name, struct redis_inspect *look,
                        struct findings *to, struct fault *f)
{
    struct event_audit *e = calloc(1, sizeof *e);
    struct audited *list = calloc(all->count, sizeof *list);
    bool good = (e != NULL && list != NULL) || fault(f, "no memory for an audit");
    for (uint32_t i = 0; good && i < all->count; i++) {
        int event = source_event(&all->at[i], name);
        if (event >= 0)
            list[e->count++] = (struct audited){.source = &all->at[i],
                                                .event = (uint32_t)event,
                                                .limit = limit_of(&all->at[i], name)};
    }
    if (good) {
        e->name = name;
        e->list = list;
        good = read_all(e, look, to, f);
        if (good)
            audit_journals(to, e);
        good = good && (!e->has_hash || audit_redis(to, look, e, f));
        for (uint32_t i = 0; i < e->count; i++)
            free(list[i].order_seqs);
        free(e->keys.at);
        free(e->buyers.at);
    }
    free(list);
    free(e);
    return good;
}

static struct redis_inspect *reach_redis(const struct sources *all, struct findings *to)
{
    struct fault f;
    for (uint32_t i = 0; i < all->count; i++) {
        if (all->at[i].conf.redis.len == 0)
            continue;
        struct redis_inspect *look = inspect_open(&all->at[i].conf, &f);
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

static void say_source(struct findings *to, const struct source *s)
{
    audit_say(to, "journal %s: node %u, %s", s->conf.journal, (unsigned)journal_node(s->journal),
              s->running ? "beside its server" : "no server");
    if (s->leftover.records > 0)
        audit_say(to,
                  "open: journal %s: %" PRIu64 " records of its last commit, which could not be "
                  "finished; its server finishes it when it starts",
                  s->conf.journal, s->leftover.records);
}

static bool audit_all(const struct sources *all, struct findings *to, struct fault *f)
{
    for (uint32_t i = 0; i < all->count; i++)
        say_source(to, &all->at[i]);
    struct redis_inspect *look = reach_redis(all, to);
    bool good = true;
    for (uint32_t i = 0; good && i < all->count; i++)
        for (uint32_t k = 0; good && k < journal_event_count(all->at[i].journal); k++) {
            const char *name = journal_event_name(all->at[i].journal, k);
            if (!is_seen(all, i, name))
                good = audit_event(all, name, look, to, f);
        }
    if (look != NULL)
        inspect_close(look);
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
