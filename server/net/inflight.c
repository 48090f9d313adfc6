/*
 * Messages in flight: the owner of each message, and what becomes of a YES whose buyer is gone.
 *
 * A message belongs to the worker when it is taken from the pool; to the ledger from the push until
 * it is back on the ring of verdicts; then to the worker again. A connection that ends, or hears
 * -6, lets go of its message: `conn` is NULL when it comes back.
 *
 * A YES belongs to the connection until the kernel has accepted the first byte of its answer. If
 * the connection ends before that, the order has no buyer: without a key it is sent to the ledger
 * once more, to be cancelled; with a key it stands for the retry. The ledger reserves records in
 * the journal for each such return until this file counts the YES as done.
 *
 * If the process dies with messages in flight: no buyer has had an answer; the journal says what
 * was granted, and the next attach (ledger/attach.c) what becomes of it.
 */
#include "server/net/worker_private.h"

void inflight_push(struct worker *w, struct message *m)
{
    ring_push(w->o.channel->orders, m);
    w->bell_due = true; /* rung once, at the end of the turn */
}

/* The YES will not come back as ABANDONED: the ledger need not reserve records for its return. */
static void yes_is_done(struct worker *w)
{
    COUNT(w->o.channel->yes_done, 1);
}

static void orphan(struct worker *w, struct message *m)
{
    ASSERT(m->conn == NULL);
    if (m->verdict == VERDICT_YES && m->key_len == 0) {
        m->kind = MESSAGE_ABANDONED;
        COUNT(w->counters.left, 1);
        inflight_push(w, m);
        return;
    }
    if (m->verdict == VERDICT_YES)
        yes_is_done(w);
    pool_put(&w->messages, m);
}

void inflight_reap(struct worker *w, struct message *m)
{
    ASSERT(m->conn == NULL);
    if (m->kind == MESSAGE_BUY)
        orphan(w, m);
    else
        pool_put(&w->messages, m); /* MESSAGE_ABANDONED has done its work, too */
}

void inflight_detach(struct connection *c)
{
    struct message *m = c->message;
    ASSERT(m != NULL && m->conn == c);
    m->conn = NULL; /* the ledger never reads it */
    atomic_store_explicit(&m->abandoned, true, memory_order_relaxed);
    c->message = NULL;
}

void inflight_abandon(struct worker *w, struct connection *c)
{
    struct message *m = c->message;
    bool is_at_ledger = c->state == CONN_WAITING;
    inflight_detach(c);
    if (!is_at_ledger)
        orphan(w, m); /* a YES of which no byte was sent */
}

void inflight_yes_sent(struct worker *w, struct connection *c)
{
    ASSERT(c->state != CONN_WAITING && c->message->verdict == VERDICT_YES);
    yes_is_done(w);
    pool_put(&w->messages, c->message);
    c->message = NULL;
}
