/*
 * The lives of a connection as a table: how long each may last, and how it ends when that is over.
 * The durations are read at every look, because HUP may change them.
 */
#include "server/net/inside.h"

#define LINGER_US 1000000u

static void end_quietly(struct worker *w, struct connection *c)
{
    connection_close(w, c);
}

static void end_slow_request(struct worker *w, struct connection *c)
{
    serve_refusal(w, c, VERDICT_TIMEOUT);
    connection_continue(w, c);
}

static const struct {
    void (*end)(struct worker *w, struct connection *c);
    bool is_timeout; /* counted */
} lives[LIFE_COUNT] = {
    [LIFE_IDLE] = {end_quietly, false},     [LIFE_HEADER] = {end_slow_request, true},
    [LIFE_ORDERED] = {ask_too_late, false}, [LIFE_DRAINING] = {end_quietly, true},
    [LIFE_LINGER] = {end_quietly, false},
};

static uint64_t us(const _Atomic uint64_t *setting_ms)
{
    return atomic_load_explicit(setting_ms, memory_order_relaxed) * 1000;
}

uint64_t life_limit_us(const struct worker *w, enum life life)
{
    const struct board_tunables *t = &w->o.board->tunables;
    switch (life) {
    case LIFE_IDLE:
        return us(&t->idle_timeout_ms);
    case LIFE_ORDERED:
        return us(&t->answer_timeout_ms);
    case LIFE_HEADER:
    case LIFE_DRAINING:
        return us(&t->header_timeout_ms);
    default:
        return LINGER_US;
    }
}

void life_begin(struct worker *w, struct connection *c)
{
    c->life = LIFE_IDLE;
    deadline_join(&w->lives[LIFE_IDLE], &c->deadline, w->now_us);
    worker_wake_by(w, w->now_us + life_limit_us(w, LIFE_IDLE));
}

void life_move(struct worker *w, struct connection *c, enum life life)
{
    if (c->life == life && c->deadline.since_mono_us == w->now_us)
        return; /* it is where it would join: behind all that came before this turn */
    deadline_leave(&c->deadline);
    c->life = (uint8_t)life;
    deadline_join(&w->lives[life], &c->deadline, w->now_us);
    worker_wake_by(w, w->now_us + life_limit_us(w, life));
}

static struct connection *owner(struct deadline *d)
{
    return d == NULL
               ? NULL
               : (struct connection *)(void *)((char *)d - offsetof(struct connection, deadline));
}

struct connection *life_first(const struct worker *w, enum life life)
{
    return owner(deadline_first(&w->lives[life]));
}

void life_expire(struct worker *w)
{
    for (int life = 0; life < LIFE_COUNT; life++) {
        uint64_t limit = life_limit_us(w, (enum life)life);
        struct connection *c;
        while ((c = owner(deadline_expired(&w->lives[life], w->now_us, limit))) != NULL) {
            if (lives[life].is_timeout)
                COUNT(w->counters.timeouts, 1);
            lives[life].end(w, c);
        }
    }
}

uint64_t life_next(const struct worker *w)
{
    uint64_t next = DEADLINE_NEVER;
    for (int life = 0; life < LIFE_COUNT; life++) {
        uint64_t at = deadline_next(&w->lives[life], life_limit_us(w, (enum life)life));
        if (at < next)
            next = at;
    }
    return next;
}
