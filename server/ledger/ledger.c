/*
 * The ledger's thread: planned and initialized by main, then one turn after another (turn.c) until
 * main stops it. With nothing to do it sleeps until a worker rings or something is due.
 *
 * Stopping: the workers are gone, so the rings stay empty; what the journal holds is settled, and a
 * batch in doubt is given back by one more attach. Both are bounded in time: an absent Redis is
 * settled with at the next start. Dies here: nothing is lost, the next start settles.
 */
#include "server/ledger/ledger.h"

#include <string.h>

#include "conf/base/clock.h"
#include "server/ledger/ledger_private.h"

/* How long stopping may take beyond two calls of Redis. */
#define STOP_GRACE_US 500000
/* The most that it sleeps between two attempts to attach when it stops. */
#define STOP_PAUSE_US 50000

/* ---- made by main --------------------------------------------------------------------------- */

/* Every order may have had a key, and as many again that have ended. */
static uint32_t filter_keys(const struct ledger_event *e)
{
    return 2 * e->conf->stock_max;
}

struct ledger *ledger_plan(const struct conf *conf, struct arena *a)
{
    static struct ledger ledger;
    struct ledger *l = &ledger;
    memset(l, 0, sizeof *l);
    l->conf = conf;
    l->stock = conf->redis.len > 0 ? stock_redis_plan(conf, a) : stock_local_plan(conf, a);
    l->batches_pool =
        arena_plan(a, "ledger", (size_t)conf->event_count * BATCH_MAX, sizeof(struct message *));
    l->book = book_new();
    l->session = session_new();
    l->intake = intake_plan(a);
    l->outbox = outbox_plan(conf, a);
    l->step = step_plan(a);
    for (uint32_t i = 0; i < conf->event_count; i++) {
        struct ledger_event *e = &l->events[i];
        e->conf = &conf->events[i];
        e->index = i;
        e->nodes = nodes_new(i);
        /* A node holds all tickets at most. */
        hold_queue_plan(&e->holds, a, conf->events[i].stock_max);
        e->filter_pool = filter_plan(a, filter_keys(e));
    }
    return l;
}

static bool init_event(struct ledger *l, struct ledger_event *e, struct fault *f)
{
    e->board = &l->board->events[e->index];
    e->board->filter = e->filter;
    e->slot = journal_slot(l->journal, e->index);
    if (!book_replay(l, e, f))
        return false;
    e->own_epoch = e->totals.epoch;
    if (e->totals.unified && l->conf->redis.len == 0)
        return fault(f,
                     "journal %s: event %s was sold from Redis; this configuration has no redis "
                     "line, and a sale cannot go on without the stock it shares",
                     l->conf->journal, e->conf->name);
    return true;
}

/* A journal that is full was good once and must start, to settle and return; a new one that could
 * never sell is a mistake in the configuration. */
static bool can_ever_sell(struct ledger *l, struct fault *f)
{
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (l->events[i].totals.end > 0)
            return true;
    return book_capacity(l) > 0 ||
           fault(f,
                 "journal %s: size %llu has no space for a single order of %u events; raise `size`",
                 l->conf->journal, (unsigned long long)l->conf->journal_size, l->conf->event_count);
}

static void init_memory(struct ledger *l, const struct arena *a)
{
    struct message **batches = arena_block(a, l->batches_pool);
    stock_init(l->stock, a);
    step_init(l, a);
    for (uint32_t i = 0; i < l->conf->event_count; i++) {
        struct ledger_event *e = &l->events[i];
        e->batch.messages = batches + (size_t)i * BATCH_MAX;
        hold_queue_init(&e->holds, a);
        e->filter = filter_init(a, e->filter_pool, filter_keys(e));
    }
}

bool ledger_init(struct ledger *l, const struct arena *a, struct journal *journal,
                 struct board *board, struct channel *channels, uint32_t channel_count,
                 struct fault *f)
{
    ASSERT_MAIN();
    l->journal = journal;
    l->board = board;
    init_memory(l, a);
    intake_init(l, a, channels, channel_count);
    outbox_init(l, a, channels, channel_count);
    book_init(l, channels, channel_count);
    l->bell = doorbell_open(f);
    if (l->bell == NULL)
        return false;
    for (uint32_t i = 0; i < l->conf->event_count; i++)
        if (!init_event(l, &l->events[i], f))
            return false;
    publish_run(l);
    return can_ever_sell(l, f);
}

struct doorbell *ledger_bell(struct ledger *l)
{
    return l->bell;
}

void ledger_stop(struct ledger *l)
{
    atomic_store(&l->stop, true);
    doorbell_ring(l->bell);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void sleep_until_due(struct ledger *l)
{
    doorbell_arm(l->bell);
    uint64_t now = clock_mono_us(), due = turn_due_mono_us(l, now);
    if (intake_rings_are_empty(l) && !atomic_load(&l->stop) && due > now)
        doorbell_wait(l->bell, due - now);
    doorbell_disarm(l->bell);
}

/* Settles and gives back what is in doubt, or finds that the stock is away. */
static void settle_and_leave(struct ledger *l)
{
    const struct session *s = l->session;
    uint64_t until =
        clock_mono_us() + 2000 * atomic_load(&l->board->tunables.redis_timeout_ms) + STOP_GRACE_US;
    while (clock_mono_us() < until) {
        bool attached = session_is_attached(s);
        if (attached && turn_all_settled(l))
            break;
        if (!attached && !session_is_in_doubt(s) && session_has_failed(s))
            break; /* Redis is away and knows nothing that the journal does not */
        if (!turn_run(l) && !turn_has_work(l))
            sleep_until_due(l);
        uint64_t pause_us = session_backoff_us(s);
        if (!session_is_attached(s))
            doorbell_wait(l->bell, pause_us < STOP_PAUSE_US ? pause_us : STOP_PAUSE_US);
    }
    stock_disconnect(l->stock);
}

void *ledger_run(void *ledger)
{
    struct ledger *l = ledger;
    thread_set_role(THREAD_LEDGER, "ledger");
    while (!atomic_load(&l->stop))
        if (!turn_run(l) && !turn_has_work(l))
            sleep_until_due(l);
    while (turn_run(l)) /* what the workers have left on the rings */
        continue;
    settle_and_leave(l);
    return NULL;
}
