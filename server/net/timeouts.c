/*
 * Time-outs: what becomes of a connection that has been in its state for too long. One row for each
 * state.
 */
#include "server/net/worker_private.h"

static void end_quietly(struct worker *w, struct connection *c)
{
    connection_close(w, c);
}

static void end_slow_request(struct worker *w, struct connection *c)
{
    respond_unread(w, c, VERDICT_TIMEOUT, NO_EVENT);
    connection_continue(w, c);
}

static const struct {
    void (*end)(struct worker *w, struct connection *c);
    bool is_timeout; /* counted */
} table[CONN_STATES] = {
    [CONN_IDLE] = {end_quietly, false},          [CONN_READING] = {end_slow_request, true},
    [CONN_WAITING] = {complete_too_late, false}, [CONN_WRITING] = {end_quietly, true},
    [CONN_LINGER] = {end_quietly, false},
};

void timeouts_expire(struct worker *w)
{
    ASSERT_OWNER(w);
    for (int state = 0; state < CONN_STATES; state++) {
        struct connection *c;
        while ((c = conn_state_expired(w, (enum conn_state)state)) != NULL) {
            ASSERT(c->state == state);
            if (table[state].is_timeout)
                COUNT(w->counters.timeouts, 1);
            table[state].end(w, c);
        }
    }
}
