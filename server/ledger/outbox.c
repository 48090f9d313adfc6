/*
 * The outbox: verdicts on their way back to the workers, and the payments that wait for the next
 * turn.
 *
 * A message belongs to the ledger from the moment it is taken off a worker's ring until it is
 * pushed back (shared/message.h). A verdict that rests on something in this turn's transaction
 * leaves only after the commit (P2); a refusal that changes nothing goes back on the ring at once.
 * Each worker's bell is rung once per delivery.
 *
 * Dies before the delivery: no buyer has heard anything; what was committed is found by its key.
 */
#include <string.h>

#include "server/ledger/ledger_private.h"

struct outbox {
    struct channel *channels; /* the workers' and the admin worker's */
    uint32_t channel_count;
    bool to_ring[WORKERS_MAX + 1];
    struct message **answers; /* have their verdict; leave after the commit */
    uint32_t answer_count, answer_max;
    struct message **deferred;
    uint32_t deferred_count;
    size_t answers_pool, deferred_pool;
};

struct outbox *outbox_plan(const struct conf *conf, struct arena *a)
{
    static struct outbox outbox;
    struct outbox *o = &outbox;
    memset(o, 0, sizeof *o);
    o->answer_max = conf->event_count * BATCH_MAX + OPS_MAX;
    o->answers_pool = arena_plan(a, "ledger", o->answer_max, sizeof(struct message *));
    o->deferred_pool = arena_plan(a, "ledger", OPS_MAX, sizeof(struct message *));
    return o;
}

void outbox_init(struct ledger *l, const struct arena *a, struct channel *channels,
                 uint32_t channel_count)
{
    ASSERT(channel_count <= WORKERS_MAX + 1);
    struct outbox *o = l->outbox;
    o->channels = channels;
    o->channel_count = channel_count;
    o->answers = arena_block(a, o->answers_pool);
    o->deferred = arena_block(a, o->deferred_pool);
}

static void push(struct outbox *o, struct message *m)
{
    ASSERT(m->worker < o->channel_count);
    o->to_ring[m->worker] = true;
    ring_push(o->channels[m->worker].verdicts, m);
}

/* ---- answers -------------------------------------------------------------------------------- */

void outbox_answer(struct ledger *l, struct message *m, enum verdict v)
{
    ASSERT(v != VERDICT_YES);
    m->verdict = (uint8_t)v;
    push(l->outbox, m);
}

void outbox_add(struct ledger *l, struct message *m)
{
    struct outbox *o = l->outbox;
    ASSERT(o->answer_count < o->answer_max);
    if (m->verdict == VERDICT_YES && m->kind == MESSAGE_BUY)
        book_count_yes(l, m->worker);
    o->answers[o->answer_count++] = m;
}

void outbox_deliver(struct ledger *l)
{
    ASSERT_LEDGER();
    struct outbox *o = l->outbox;
    for (uint32_t i = 0; i < o->answer_count; i++)
        push(o, o->answers[i]);
    o->answer_count = 0;
    for (uint32_t i = 0; i < o->channel_count; i++) {
        if (o->to_ring[i])
            doorbell_ring(o->channels[i].worker);
        o->to_ring[i] = false;
    }
}

/* ---- deferred payments ---------------------------------------------------------------------- */

void outbox_defer(struct ledger *l, struct message *m)
{
    ASSERT(m->kind == MESSAGE_PAY);
    ASSERT(l->outbox->deferred_count < OPS_MAX); /* the operators have no more messages */
    l->outbox->deferred[l->outbox->deferred_count++] = m;
}

struct message *const *outbox_take_deferred(struct ledger *l, uint32_t *count)
{
    *count = l->outbox->deferred_count;
    l->outbox->deferred_count = 0; /* one that is deferred again takes an entry already read */
    return l->outbox->deferred;
}

bool outbox_has_deferred(const struct ledger *l)
{
    return l->outbox->deferred_count > 0;
}
