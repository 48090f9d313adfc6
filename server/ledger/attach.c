/*
 * Attach: how this node takes its place in the sale, at start and after every doubt.
 *
 *   1  connect, learn which Redis this is (its run id)
 *   2  raise the epoch of every event: whatever an older connection may still deliver late is
 *      fenced from here on. An EPOCH record, synced, stands for a block of epochs of which a later
 *      start uses none, so that hours of failed attempts do not fill the journal
 *   3  attach every event: Redis compares, gives back what it granted and the journal lacks
 *   4  a sale that is new to the journal is journaled, synced, before anything of it is sold
 *
 * Dies between any two: the next start does all of it again, under a higher epoch. Settling from
 * `pos` to the journal's end and becoming ready are ordinary steps.
 *
 * OTHER ends the process: another server runs under this node's number, or the journal is not the
 * one that this sale knows. Going on could sell a ticket twice.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/private.h"

#define BACKOFF_FIRST_US 20000
#define BACKOFF_LAST_US  500000
#define EPOCH_BLOCK      1024
/* A beat that moves within this is somebody alive: two and a half of them would fit. */
#define WATCH_MS 250
#define ALIVE_MS 1000

void ledger_detach(struct ledger *l, uint64_t now_mono_us, const struct fault *why)
{
    if (strcmp(l->said, why->text) != 0)
        log_line(LOG_WARN, "%s; buyers are told to try again, next attempt in %llu ms", why->text,
                 (unsigned long long)(l->backoff_us > 0 ? l->backoff_us : BACKOFF_FIRST_US) / 1000);
    memcpy(l->said, why->text, sizeof l->said);
    stock_disconnect(l->stock);
    l->attached = false;
    if (l->backoff_us == 0)
        l->backoff_us = BACKOFF_FIRST_US;
    l->retry_mono_us = now_mono_us + l->backoff_us;
    l->backoff_us = l->backoff_us * 2 < BACKOFF_LAST_US ? l->backoff_us * 2 : BACKOFF_LAST_US;
}

static _Noreturn void die_other(const struct ledger *l, const struct fault *f)
{
    struct fault all;
    fault_say(
        &all,
        "%s; node %u must not sell: is another server running under this number, or is journal "
        "%s not the one it last used?",
        f->text, (unsigned)l->conf->node, l->conf->journal);
    ledger_die(all.text);
}

/* The last beats of all events into beats[]; *recent: one of them may be somebody's who lives. */
static enum stock_result ask_beats(struct ledger *l, uint64_t *beats, bool *recent, struct fault *f)
{
    enum stock_result result = STOCK_OK;
    *recent = false;
    for (uint32_t i = 0; i < l->conf->event_count && result == STOCK_OK; i++) {
        uint64_t now;
        result = stock_last_beat(l->stock, i, &beats[i], &now, f);
        if (result == STOCK_OK && beats[i] != 0 && now <= beats[i] + ALIVE_MS)
            *recent = true;
    }
    return result;
}

/* Before the first attach only: a copy of our journal cannot be told from our journal, but a
 * server that works with it can be seen beating. */
static enum stock_result nobody_beats(struct ledger *l, struct fault *f)
{
    uint64_t before[EVENTS_MAX], after[EVENTS_MAX];
    bool recent;
    enum stock_result result = ask_beats(l, before, &recent, f);
    if (result != STOCK_OK || !recent)
        return result;
    struct timespec wait = {.tv_nsec = WATCH_MS * 1000000L};
    nanosleep(&wait, NULL);
    result = ask_beats(l, after, &recent, f);
    for (uint32_t i = 0; i < l->conf->event_count && result == STOCK_OK; i++) {
        if (after[i] > before[i]) { /* less: Redis has forgotten it */
            fault_say(f, "redis %s: somebody beats under this node's number", l->conf->redis.text);
            result = STOCK_OTHER;
        }
    }
    return result;
}

static void raise_epochs(struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        struct ledger_event *e = &l->events[i];
        if (e->epoch == 0 || e->epoch == e->tally.epoch) {
            struct record r = {.kind = RECORD_EPOCH, .epoch = e->tally.epoch + EPOCH_BLOCK};
            e->epoch = e->tally.epoch;
            ledger_append(l, e, &r);
        }
        e->epoch++;
    }
    ledger_commit(l);
}

static bool has_node(const uint16_t *list, uint32_t count, uint16_t node)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == node)
            return true;
    return false;
}

static void add_known(struct stock_attach *at, const uint16_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!has_node(at->known, at->known_count, list[i]) && at->known_count < NODES_MAX)
            at->known[at->known_count++] = list[i];
}

/* A node that had stalled may come back, and sell, while we are away from Redis. So if Redis has
 * forgotten everything, only what we heard within the last moment can be believed: time enough to
 * notice a FLUSHALL and attach, no more. */
static bool has_just_heard(const struct ledger_event *e)
{
    return clock_mono_us() <= e->nodes_mono_us + 2 * (uint64_t)BEAT_PROMISE_MS * 1000;
}

static void describe(const struct ledger *l, const struct ledger_event *e, struct stock_attach *at)
{
    const struct tally *t = &e->tally;
    memset(at, 0, sizeof *at);
    at->event = e->index;
    at->epoch = e->epoch;
    at->last = t->last;
    at->end = t->end;
    at->total = t->has_sale ? t->total : e->conf->total;
    at->version = t->version;
    at->state = (enum stock_state)t->state;
    at->origin = (struct stock_origin){
        .node = t->act.node, .wall_ms = t->act.wall_ms, .from_len = t->act.from_len};
    memcpy(at->origin.from, t->act.from, t->act.from_len);
    at->seen = e->figures;
    at->nodes = e->nodes;
    at->node_count = e->node_count;
    at->just_heard = has_just_heard(e);
    if (t->has_sale) {
        sodium_bin2hex(at->sale.id, sizeof at->sale.id, t->sale, sizeof t->sale);
        memcpy(at->sale.secret, t->secret, sizeof at->sale.secret);
    }
    add_known(at, l->conf->nodes, l->conf->node_count);
    add_known(at, t->known, t->known_count);
}

void ledger_learn_node(struct ledger *l, struct ledger_event *e, uint16_t node)
{
    struct record r = {.kind = RECORD_KNOWN, .node = node};
    if (has_node(e->tally.known, e->tally.known_count, node))
        return;
    if (e->tally.known_count == NODES_MAX)
        ledger_die("the sale has more nodes than spike can know (256); attach fewer");
    ledger_append(l, e, &r);
}

/* Journals what the stock says of the sale and the journal does not know yet. */
static void learn_sale(struct ledger *l, struct ledger_event *e, const struct stock_attach *at)
{
    struct record r = {.kind = RECORD_SALE,
                       .state = l->conf->redis.len > 0 ? SALE_UNIFIED : SALE_STANDALONE,
                       .total = at->figures.total,
                       .version = at->figures.version};
    size_t len;
    ASSERT(sodium_hex2bin(r.sale, sizeof r.sale, at->sale.id, STOCK_SALE_TEXT, NULL, &len, NULL) ==
           0);
    memcpy(r.secret, at->sale.secret, sizeof r.secret);
    const struct tally *t = &e->tally;
    if (!t->has_sale || memcmp(t->sale, r.sale, sizeof r.sale) != 0 ||
        t->unified != (r.state == SALE_UNIFIED))
        ledger_append(l, e, &r);
    for (uint32_t i = 0; i < at->known_count; i++)
        ledger_learn_node(l, e, at->known[i]);
}

static enum stock_result attach_event(struct ledger *l, struct ledger_event *e, struct fault *f)
{
    struct stock_attach at;
    describe(l, e, &at);
    enum stock_result result = stock_attach(l->stock, &at, f);
    if (result != STOCK_OK)
        return result;
    learn_sale(l, e, &at);
    e->settled = at.pos;
    e->asof_mono_us = 0;
    e->marks_seen = 0;
    e->marks_known = false;
    uint32_t gone = e->figures.gone, foreign = e->figures.foreign;
    e->figures = at.figures;
    e->figures.gone = gone;       /* until the first step tells */
    e->figures.foreign = foreign; /* figures.turn is the attach's own */
    act_learn(l, e, &at.origin);
    if (at.figures.total != e->conf->total && !l->started)
        log_line(LOG_WARN, "event %s: total is %u as the stock has it, not %u as configured",
                 e->conf->name, at.figures.total, e->conf->total);
    log_line(
        at.voided > 0 ? LOG_WARN : LOG_INFO,
        "event %s: attached, epoch %llu, %u orders in doubt given back, %llu records to settle",
        e->conf->name, (unsigned long long)e->epoch, at.voided,
        (unsigned long long)(e->tally.end - at.pos));
    if (at.figures.repair)
        log_line(LOG_INFO, "event %s: selling begins when every node of the sale has settled",
                 e->conf->name);
    return STOCK_OK;
}

static enum stock_result attach_all(struct ledger *l, struct fault *f)
{
    enum stock_result result = stock_connect(l->stock, f);
    if (result == STOCK_OK && !l->started)
        result = nobody_beats(l, f);
    if (result != STOCK_OK)
        return result;
    raise_epochs(l);
    for (uint32_t i = 0; i < l->conf->event_count && result == STOCK_OK; i++)
        result = attach_event(l, &l->events[i], f);
    ledger_commit(l); /* a sale that is new here is synced before anything of it is sold */
    return result;
}

void ledger_attach(struct ledger *l, uint64_t now_mono_us)
{
    ASSERT_LEDGER();
    struct fault f;
    if (now_mono_us < l->retry_mono_us)
        return;
    enum stock_result result = attach_all(l, &f);
    if (result == STOCK_OTHER)
        die_other(l, &f);
    if (result != STOCK_OK) {
        ledger_detach(l, clock_mono_us(), &f);
        return;
    }
    if (l->started)
        atomic_fetch_add_explicit(&l->board->stores.redis_reconnects, 1, memory_order_relaxed);
    l->attached = l->started = true;
    l->in_doubt = false;
    l->backoff_us = l->retry_mono_us = 0;
    l->said[0] = '\0';
}
