/*
 * The book: the only file that writes the journal. Every record that is appended is folded at once
 * into what its event adds up to (totals, holds), so memory and journal never differ; at start the
 * same fold replays the journal.
 *
 *     append   in this turn's transaction       dies: never answered, gone
 *     commit   synced; a failed commit ends
 *              the process                      dies: stands, found by the next start
 *
 * Capacity. Sales stop before the journal is full; returns never do. Each order may still need two
 * more records (paid and cancelled, or expired and refused), so two stay free for every held order
 * and for every YES that may come back because its buyer has left before it was sent.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/ledger_private.h"

struct book {
    const struct channel *channels;
    uint32_t channel_count;
    uint64_t yes_sent[WORKERS_MAX + 1]; /* by worker, less those that came back */
    uint64_t free;                      /* orders that this turn may still promise */
    bool full;
    struct latency commits;
    uint64_t p99_second; /* of the monotonic clock, for which p99_us holds */
    uint32_t p99_us;
};

_Noreturn void ledger_die(const char *what)
{
    log_line(LOG_ERROR, "%s", what);
    _exit(1);
}

struct book *book_new(void)
{
    static struct book book;
    memset(&book, 0, sizeof book);
    return &book;
}

void book_init(struct ledger *l, struct channel *channels, uint32_t channel_count)
{
    ASSERT(channel_count <= WORKERS_MAX + 1);
    l->book->channels = channels;
    l->book->channel_count = channel_count;
    l->board->stores.commits = &l->book->commits;
}

/* ---- fold ----------------------------------------------------------------------------------- */

/* A hold begins or ends with this record? False: there is no capacity for one more. */
static bool fold_hold(struct ledger_event *e, const struct record *r)
{
    if (r->kind == RECORD_GRANT && r->state == ORDER_HELD)
        return hold_queue_add(&e->holds, r->number, r->pay_by_wall_ms);
    if (r->kind == RECORD_CHANGE && r->was == ORDER_HELD)
        hold_queue_remove(&e->holds, r->number);
    return true;
}

static bool fold(void *event, const struct record *r)
{
    struct ledger_event *e = event;
    return node_totals_fold(&e->totals, r) && fold_hold(e, r);
}

bool book_replay(struct ledger *l, struct ledger_event *e, struct fault *f)
{
    uint64_t end = journal_end(l->journal, e->index);
    ASSERT(e->totals.end == 0 && e->holds.count == 0);
    if (!journal_walk(l->journal, e->index, fold, e, f))
        return false;
    if (e->totals.end == end)
        return true;
    if (e->holds.count == e->holds.capacity)
        return fault(f,
                     "journal %s: event %s has held more than %u orders, the configured stock-max; "
                     "raise stock-max",
                     l->conf->journal, e->conf->name, e->conf->stock_max);
    return fault(f, "journal %s: event %s: record %llu does not follow from those before",
                 l->conf->journal, e->conf->name, (unsigned long long)e->totals.end + 1);
}

/* ---- append, commit ------------------------------------------------------------------------- */

void book_append(struct ledger *l, struct ledger_event *e, struct record *r)
{
    ASSERT_LEDGER();
    journal_append(l->journal, e->index, r, clock_wall_ms());
    bool follows = fold(e, r);
    ASSERT(follows && e->totals.end == r->seq);
}

static bool has_appended(const struct ledger *l)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (journal_end(l->journal, i) != journal_committed(l->journal, i))
            return true;
    return false;
}

void book_commit(struct ledger *l)
{
    ASSERT_LEDGER();
    struct fault f;
    uint64_t before = clock_mono_us();
    if (!has_appended(l))
        return;
    if (!journal_commit(l->journal, &f))
        ledger_die(f.text);
    uint64_t after = clock_mono_us();
    latency_add(&l->book->commits, after, after - before, 1);
}

uint32_t book_commit_p99_us(struct ledger *l, uint64_t now_mono_us)
{
    struct book *b = l->book;
    const struct latency *owners[] = {&b->commits};
    if (now_mono_us / 1000000 == b->p99_second)
        return b->p99_us;
    b->p99_second = now_mono_us / 1000000;
    b->p99_us = latency_sum(owners, 1, now_mono_us).p99_us;
    return b->p99_us;
}

/* ---- capacity ------------------------------------------------------------------------------- */

/* YES verdicts that may come back as MESSAGE_ABANDONED. */
static uint64_t yes_under_way(const struct book *b)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < b->channel_count; i++) {
        uint64_t done = atomic_load_explicit(&b->channels[i].yes_done, memory_order_relaxed);
        ASSERT(done <= b->yes_sent[i]);
        count += b->yes_sent[i] - done;
    }
    return count;
}

uint64_t book_capacity(const struct ledger *l)
{
    uint64_t open = yes_under_way(l->book), records = journal_free_records(l->journal);
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        open += l->events[i].totals.held;
    uint64_t reserved = 2 * open + 2 * BATCH_MAX;
    return records > reserved ? (records - reserved) / 3 : 0; /* a new order needs itself and two */
}

void book_begin_turn(struct ledger *l)
{
    struct book *b = l->book;
    b->free = book_capacity(l);
    if ((b->free == 0) == b->full)
        return;
    b->full = b->free == 0;
    if (b->full)
        log_line(LOG_ERROR,
                 "journal %s is full: sales stop, returns go on; raise `size` and start again",
                 l->conf->journal);
    else
        log_line(LOG_INFO, "journal %s has free space again: sales go on", l->conf->journal);
}

uint64_t book_free(const struct ledger *l)
{
    return l->book->free;
}

void book_promise(struct ledger *l)
{
    ASSERT(l->book->free > 0);
    l->book->free--;
}

bool book_is_full(const struct ledger *l)
{
    return l->book->full;
}

void book_count_yes(struct ledger *l, uint8_t worker)
{
    ASSERT(worker < l->book->channel_count);
    l->book->yes_sent[worker]++;
}

void book_count_returned_yes(struct ledger *l, uint8_t worker)
{
    ASSERT(worker < l->book->channel_count && l->book->yes_sent[worker] > 0);
    l->book->yes_sent[worker]--;
}

uint64_t book_tag(const struct ledger *l, const struct ledger_event *e, uint64_t number)
{
    return orderid_tag(l->conf->node, e->slot, number, e->totals.secret);
}
