/*
 * Attach: how this node takes its place in the sale, at start and after every doubt.
 *
 *   1  connect, learn which Redis this is (its run id)
 *   2  examine every event, which only reads: is this the journal that Redis knows of this node? A
 *      copy that lacks what was settled since shows here, however often it is started, for nothing
 *      of this is written down. The first time: does no other instance beat under this number?
 *   3  the first time: begin the journal, that is, write to it at all
 *   4  raise the epoch of every event: whatever an older connection may still deliver late is
 *      fenced from here on. An EPOCH record, synced, stands for a block of epochs of which a later
 *      start uses none, so that hours of failed attempts do not fill the journal
 *   5  attach every event: Redis compares again, gives back what it granted and the journal lacks
 *   6  a sale that is new to the journal is journaled, synced, before anything of it is sold
 *
 * Dies between any two: the next start does all of it again, under a higher epoch. An epoch that
 * was journaled and never attached is the process's own: it does not refuse itself. Settling from
 * `pos` to the journal's end and becoming ready are ordinary steps.
 *
 * A conflict ends the process: another server runs under this node's number, or the journal is not
 * the one that this sale knows. Going on could sell a ticket twice.
 */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/ledger_private.h"

#define EPOCH_BLOCK 1024
/* A beat is this old at most if its node lives, unless it is stalled; then it is watched for two
 * and a half beats more, and after it has moved for three. */
#define RECENT_MS       1000
#define WATCH_US        250000
#define WATCH_MORE_US   (3 * (uint64_t)BEAT_MS * 1000)
#define WATCH_PERIOD_US (BEAT_MS * 1000 / 4)

static _Noreturn void die_of_conflict(const struct ledger *l, const struct fault *f)
{
    struct fault all;
    fault_set(
        &all,
        "%s; node %u must not sell: is another server running under this number, or is journal "
        "%s not the one it last used?",
        f->text, (unsigned)l->conf->node, l->conf->journal);
    ledger_die(all.text);
}

static void raise_epochs(struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        struct ledger_event *e = &l->events[i];
        if (e->epoch == 0 || e->epoch == e->totals.epoch) {
            struct record r = {.kind = RECORD_EPOCH, .epoch = e->totals.epoch + EPOCH_BLOCK};
            e->epoch = e->totals.epoch;
            book_append(l, e, &r);
        }
        e->epoch++;
    }
    book_commit(l);
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

/* The last list of the other nodes. A node that had stalled may come back, and sell, while
 * this one is away from Redis. So if Redis has forgotten everything, only what was heard within the
 * last moment counts: time enough to notice a FLUSHALL and attach, no more. */
static void describe_nodes(const struct ledger_event *e, struct stock_attach *at)
{
    uint64_t heard_mono_us;
    at->nodes = nodes_last_heard(e->nodes, &at->node_count, &heard_mono_us);
    at->nodes_are_current = clock_mono_us() <= heard_mono_us + 2 * (uint64_t)BEAT_PROMISE_MS * 1000;
}

static void describe(const struct ledger *l, const struct ledger_event *e, struct stock_attach *at)
{
    const struct node_totals *t = &e->totals;
    memset(at, 0, sizeof *at);
    at->event = e->index;
    at->epoch = e->epoch;
    at->own_epoch = e->own_epoch;
    at->first_of_process = !session_has_started(l->session);
    at->last = t->last;
    at->end = t->end;
    at->total = t->has_sale ? t->total : e->conf->total;
    at->version = t->version;
    at->state = (enum stock_state)t->state;
    at->origin = (struct stock_origin){
        .node = t->act.node, .wall_ms = t->act.wall_ms, .from_len = t->act.from_len};
    memcpy(at->origin.from, t->act.from, t->act.from_len);
    at->seen = e->figures;
    describe_nodes(e, at);
    if (t->has_sale) {
        sodium_bin2hex(at->sale.id, sizeof at->sale.id, t->sale, sizeof t->sale);
        memcpy(at->sale.secret, t->secret, sizeof at->sale.secret);
    }
    add_known(at, l->conf->nodes, l->conf->node_count);
    add_known(at, t->known, t->known_count);
}

/* ---- examine -------------------------------------------------------------------------------- */

/* Has the journal the record that Redis has settled last? */
static enum stock_result check_proof(const struct ledger *l, const struct ledger_event *e,
                                     const struct stock_found *found, struct fault *f)
{
    uint32_t chain = 0;
    bool has_record = found->proof_pos <= journal_committed(l->journal, e->index);
    if (has_record && !journal_chain(l->journal, e->index, found->proof_pos, &chain, f))
        ledger_die(f->text);
    if (has_record && chain == found->proof_chain)
        return STOCK_OK;
    fault_set(f,
              "redis %s: event %s: record %llu, which was settled, is missing or another one in "
              "this journal",
              l->conf->redis.text, e->conf->name, (unsigned long long)found->proof_pos);
    return STOCK_CONFLICT;
}

static enum stock_result examine_all(const struct ledger *l, struct stock_found *found,
                                     struct fault *f)
{
    enum stock_result result = STOCK_OK;
    for (uint32_t i = 0; i < l->conf->event_count && result == STOCK_OK; i++) {
        struct stock_attach at;
        describe(l, &l->events[i], &at);
        result = stock_examine(l->stock, &at, f);
        found[i] = at.found;
        if (result == STOCK_OK)
            result = check_proof(l, &l->events[i], &found[i], f);
    }
    return result;
}

static bool has_recent_beat(const struct ledger *l, const struct stock_found *found)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (found[i].beat_wall_ms != 0 && found[i].now_wall_ms <= found[i].beat_wall_ms + RECENT_MS)
            return true;
    return false;
}

/* A copy of our journal that lacks nothing looks like our journal, but a server that works
 * with it can be seen beating: the beat of an event moves twice under one epoch. Once is no proof.
 * A process that was just killed may have left one call in the network. */
static enum stock_result check_no_other_instance(const struct ledger *l, struct stock_found *found,
                                                 struct fault *f)
{
    struct stock_found before[EVENTS_MAX];
    uint32_t moves[EVENTS_MAX] = {0};
    uint64_t end = has_recent_beat(l, found) ? clock_mono_us() + WATCH_US : 0, now;
    while ((now = clock_mono_us()) < end) {
        struct timespec period = {.tv_nsec = WATCH_PERIOD_US * 1000L};
        memcpy(before, found, sizeof before);
        nanosleep(&period, NULL);
        enum stock_result result = examine_all(l, found, f);
        for (uint32_t i = 0; i < l->conf->event_count && result == STOCK_OK; i++) {
            if (found[i].beat_wall_ms <= before[i].beat_wall_ms) /* less: Redis has forgotten it */
                continue;
            moves[i] = found[i].epoch == before[i].epoch ? moves[i] + 1 : 0;
            end = now + WATCH_MORE_US > end ? now + WATCH_MORE_US : end;
            if (moves[i] == 2) {
                fault_set(f, "redis %s: another server beats under this node's number",
                          l->conf->redis.text);
                result = STOCK_CONFLICT;
            }
        }
        if (result != STOCK_OK)
            return result;
    }
    return STOCK_OK;
}

/* ---- attach --------------------------------------------------------------------------------- */

static enum stock_result attach_event(struct ledger *l, struct ledger_event *e,
                                      const struct stock_found *found, struct fault *f)
{
    struct stock_attach at;
    describe(l, e, &at);
    at.found = *found;
    e->own_epoch = e->epoch; /* from here on Redis may have it */
    enum stock_result result = stock_attach(l->stock, &at, f);
    if (result != STOCK_OK)
        return result;
    learn_sale(l, e, &at);
    e->settled = at.pos;
    e->asof_mono_us = 0;
    e->hashes_seen = 0;
    e->hashes_known = false;
    uint32_t gone = e->figures.gone, foreign = e->figures.foreign;
    e->figures = at.figures;
    e->figures.gone = gone;       /* until the first step answers */
    e->figures.foreign = foreign; /* figures.revision is the attach's own */
    nodes_note_repair(e);
    learn_act(l, e, &at.origin);
    if (at.figures.total != e->conf->total && !session_has_started(l->session))
        log_line(LOG_WARN, "event %s: total is %u as the stock has it, not %u as configured",
                 e->conf->name, at.figures.total, e->conf->total);
    log_line(
        at.voided > 0 ? LOG_WARN : LOG_INFO,
        "event %s: attached, epoch %llu, %u orders in doubt given back, %llu records to settle",
        e->conf->name, (unsigned long long)e->epoch, at.voided,
        (unsigned long long)(e->totals.end - at.pos));
    if (at.figures.repair)
        log_line(LOG_INFO, "event %s: selling begins when every node of the sale has settled",
                 e->conf->name);
    return STOCK_OK;
}

static enum stock_result attach_all(struct ledger *l, struct fault *f)
{
    struct stock_found found[EVENTS_MAX];
    enum stock_result result = stock_connect(l->stock, f);
    if (result == STOCK_OK)
        result = examine_all(l, found, f);
    if (result == STOCK_OK && !session_has_started(l->session))
        result = check_no_other_instance(l, found, f);
    if (result != STOCK_OK)
        return result;
    if (!journal_begin(l->journal, f))
        ledger_die(f->text);
    raise_epochs(l);
    for (uint32_t i = 0; i < l->conf->event_count && result == STOCK_OK; i++)
        result = attach_event(l, &l->events[i], &found[i], f);
    book_commit(l); /* a sale that is new here is synced before anything of it is sold */
    return result;
}

void attach_run(struct ledger *l, uint64_t now_mono_us)
{
    ASSERT_LEDGER();
    struct fault f;
    if (now_mono_us < session_retry_mono_us(l->session))
        return;
    enum stock_result result = attach_all(l, &f);
    if (result == STOCK_CONFLICT)
        die_of_conflict(l, &f);
    if (result != STOCK_OK) {
        session_detach(l, clock_mono_us(), &f);
        return;
    }
    if (session_has_started(l->session))
        atomic_fetch_add_explicit(&l->board->stores.redis_reconnects, 1, memory_order_relaxed);
    session_attach(l->session, clock_mono_us());
}
