/*
 * The states of a connection: which list it is in, and how long it may stay there. The durations
 * are read at every use, because HUP may change them.
 */
#include <stddef.h>

#include "server/net/worker_private.h"

#define LINGER_US 1000000u

static uint64_t setting_us(const _Atomic uint64_t *setting_ms)
{
    return atomic_load_explicit(setting_ms, memory_order_relaxed) * 1000;
}

uint64_t conn_state_limit_us(const struct worker *w, enum conn_state state)
{
    const struct board_tunables *t = &w->o.board->tunables;
    switch (state) {
    case CONN_IDLE:
        return setting_us(&t->idle_timeout_ms);
    case CONN_WAITING:
        return setting_us(&t->answer_timeout_ms);
    case CONN_READING:
    case CONN_WRITING:
        return setting_us(&t->header_timeout_ms);
    default:
        return LINGER_US;
    }
}

void conn_state_begin(struct worker *w, struct connection *c)
{
    c->state = CONN_IDLE;
    deadline_join(&w->by_state[CONN_IDLE], &c->deadline, w->now_us);
    timer_wake_by(w, w->now_us + conn_state_limit_us(w, CONN_IDLE));
}

void conn_state_move(struct worker *w, struct connection *c, enum conn_state state)
{
    ASSERT(c->state != CONN_LINGER || state == CONN_LINGER); /* the last one */
    if (c->state == state && c->deadline.since_mono_us == w->now_us)
        return; /* it is where it would join: behind all that came before this turn */
    deadline_leave(&c->deadline);
    c->state = (uint8_t)state;
    deadline_join(&w->by_state[state], &c->deadline, w->now_us);
    timer_wake_by(w, w->now_us + conn_state_limit_us(w, state));
}

static struct connection *owner(struct deadline *d)
{
    return d == NULL
               ? NULL
               : (struct connection *)(void *)((char *)d - offsetof(struct connection, deadline));
}

struct connection *conn_state_first(const struct worker *w, enum conn_state state)
{
    return owner(deadline_first(&w->by_state[state]));
}

struct connection *conn_state_expired(const struct worker *w, enum conn_state state)
{
    return owner(deadline_expired(&w->by_state[state], w->now_us, conn_state_limit_us(w, state)));
}

uint64_t conn_state_next_us(const struct worker *w)
{
    uint64_t next = DEADLINE_NEVER;
    for (int i = 0; i < CONN_STATES; i++) {
        uint64_t at = deadline_next(&w->by_state[i], conn_state_limit_us(w, (enum conn_state)i));
        if (at < next)
            next = at;
    }
    return next;
}
