/*
 * Completing: a verdict has arrived, or the deadline of its answer has passed first. The answer is
 * written, and the connection goes on with what it has received meanwhile.
 */
#include "server/net/worker_private.h"

static enum keepalive_mode reply_mode(const struct worker *w, const struct connection *c)
{
    return w->stopping ? KEEPALIVE_CLOSE : (enum keepalive_mode)c->keepalive;
}

static void complete_one(struct worker *w, struct connection *c, struct message *m)
{
    ASSERT(c->message == m && c->state == CONN_WAITING && w->out_len == 0);
    bool is_kept = false;
    if (m->kind == MESSAGE_BUY)
        is_kept = buy_answer(w, c, m, reply_mode(w, c));
    else
        reply_answer(w, c, m, reply_mode(w, c));
    if (!is_kept) {
        c->message = NULL;
        pool_put(&w->messages, m);
    }
    conn_state_move(w, c, CONN_IDLE);
    connection_continue(w, c);
}

void complete_verdicts(struct worker *w)
{
    struct message *m;
    ASSERT_OWNER(w);
    while ((m = ring_pop(w->o.channel->verdicts)) != NULL) {
        if (m->conn == NULL)
            inflight_reap(w, m);
        else
            complete_one(w, m->conn, m);
    }
}

void complete_too_late(struct worker *w, struct connection *c)
{
    ASSERT(c->state == CONN_WAITING && w->out_len == 0);
    struct message *m = c->message;
    inflight_detach(c);
    if (m->kind == MESSAGE_BUY)
        buy_too_late(w, c, m->event,
                     reply_mode(w, c)); /* of a buy the ledger never writes `event` */
    else
        refuse_request(w, c, VERDICT_BUSY, reply_mode(w, c));
    conn_state_move(w, c, CONN_IDLE);
    connection_continue(w, c);
}
