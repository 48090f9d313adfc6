/*
 * stock_trouble: random failures of two nodes and their Redis: Redis loses something or falls back
 * to a dump, and the operator of one node gives up the other. It keeps track of what is true
 * meanwhile: which nodes have attached since, and what is unknown until they have.
 */
#ifndef SPIKE_STOCK_TROUBLE_H
#define SPIKE_STOCK_TROUBLE_H

#include "tests/lib/stock_evict.h"
#include "tests/lib/stock_model.h"

static uint64_t seed;
static bool traces; /* prints what it does to Redis */

/* By node, since Redis was last tampered with: it has attached; it has stepped well after that. */
static struct {
    bool came, calm;
} since[BOOKS];

static bool troubled;   /* Redis was tampered with, and not every node is calm again */
static bool under_feet; /* ... with an old dump, in a Redis that runs on */
static bool has_dump;   /* database 1 has a copy of all keys ... */
static bool dump_seen;  /* ... and every node has written since and remembers it */
static bool dump_step[BOOKS];
static bool evicted[BOOKS]; /* and has not attached since */
/* A node that was given up together with what the stock had of it; 0: none. And its tickets that
 * were given back. Until it attaches again no item has a key or a buyer, because its own are
 * forgotten. */
static uint16_t away;
static uint32_t returned;
/* Redis was emptied after this node had read what the other has taken, and the last act. */
static bool knows_other[BOOKS];
static uint32_t losses, reclaims, lost_journals, reopens;

/* xorshift64 (G. Marsaglia, 2003): the same run for the same seed. */
static inline uint32_t below(uint32_t bound)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % bound);
}

static inline void trace(const char *what, const char *to)
{
    if (traces)
        print_message("node %u: %s %s\n", (unsigned)conf.node, what, to);
}

static inline bool chance(uint32_t percent)
{
    return below(100) < percent;
}

static inline void calmed(void)
{
    since[conf.node].calm = since[conf.node].came;
    bool all = true;
    for (uint16_t node = 1; node <= node_count; node++)
        all = all && since[node].calm;
    troubled = troubled && !all;
}

static inline void unsettle(void)
{
    for (uint16_t node = 1; node <= node_count; node++)
        since[node].calm = false;
}

/* A node that was away attaches, or one attaches while the other is away: a repair begins, or
 * nothing changes. */
static inline void comes_back(void)
{
    if (away == conf.node) {
        away = 0;
        returned = 0;
        unsettle();
        since[1].came = since[2].came = false;
    }
    evicted[conf.node] = false;
}

/* ---- a node is given up --------------------------------------------------------------------- */

static inline const struct stock_node *heard_of(uint16_t from, uint16_t node)
{
    for (uint32_t i = 0; i < books[from].node_count; i++)
        if (books[from].nodes[i].id == node)
            return &books[from].nodes[i];
    return NULL;
}

static inline uint32_t out_of(const struct view *v, uint16_t node)
{
    return v->nodes[node].held + v->nodes[node].sold + v->nodes[node].waiting;
}

/* What the other node holds is unknown from now on: it attaches with a repair. */
static inline void goes_away(uint16_t node, uint32_t back)
{
    away = node;
    returned = back;
    troubled = true;
    memset(knows_other, 0, sizeof knows_other);
    unsettle();
}

static inline void random_reclaim(uint16_t other)
{
    struct view v = expected_view(conf.node, book->pos);
    bool silent = chance(80), lost = chance(30);
    uint32_t sold = v.nodes[other].sold, out = out_of(&v, other);
    if (silent)
        silence(other);
    assert_int_equal(evict(other, lost), STOCK_OK);
    if (!silent && !evicted[other]) {
        assert_int_equal(rc.outcome, STOCK_ALIVE);
        return;
    }
    trace(lost ? "gives up the other and its journal" : "gives up the other", "");
    assert_evicted(other, lost ? sold : out, lost ? out - sold : 0);
    evicted[other] = true;
    reclaims++;
    lost_journals += lost;
    if (lost)
        goes_away(other, out - sold);
}

static inline void random_reopen(uint16_t other)
{
    const struct stock_node *heard = heard_of(conf.node, other);
    assert_non_null(heard);
    assert_int_equal(evict(0, false), STOCK_OK);
    assert_evicted(other, heard->gone, 0);
    evicted[other] = true;
    trace("reopens without the other", "");
    reopens++;
    goes_away(other, 0);
    assert_int_equal(ask(0), STOCK_OK);
    stakes[conf.node].last = book->last;
}

/* Gives up the other node, in a Redis that is whole, or in an empty one that the other has not
 * attached to yet. */
static inline void random_evict(void)
{
    uint16_t other = (uint16_t)(3 - conf.node);
    if (away != 0 || evicted[conf.node])
        return;
    if (!troubled)
        random_reclaim(other);
    else if (knows_other[conf.node] && since[conf.node].came && !since[other].came &&
             book->figures.ready)
        random_reopen(other);
}

/* ---- tampering ------------------------------------------------------------------------------ */

static inline void note_knowledge(void)
{
    struct view v = expected_view(conf.node, book->pos);
    for (uint16_t node = 1; node <= node_count; node++) {
        const struct stock_node *heard = heard_of(node, (uint16_t)(3 - node));
        knows_other[node] = heard != NULL && heard->gone == out_of(&v, (uint16_t)(3 - node)) &&
                            books[node].version == version;
    }
}

/* A repair does not wait for a node that was seen silent, so its keys are forgotten. */
static inline bool no_node_is_silent(void)
{
    for (uint16_t node = 1; node <= node_count; node++) {
        const struct stock_node *heard = heard_of((uint16_t)(3 - node), node);
        if (evicted[node] || (heard != NULL && heard->silent))
            return false;
    }
    return true;
}

static inline void tamper(void)
{
    uint32_t key = 1 + below(4);
    under_feet = false;
    memset(knows_other, 0, sizeof knows_other);
    bool both = dump_step[1] && dump_step[2] && dump_seen;
    switch (below(10)) {
    case 0:
    case 9:
        note_knowledge();
        redis_fixture_do(&redis, "FLUSHDB");
        trace("loses", "everything");
        break;
    case 1:
    case 2:
    case 3:
        redis_fixture_do(&redis, "DEL %s", all_keys[key]);
        trace("loses", all_keys[key]);
        break;
    case 4:
        if (!has_dump)
            return;
        fall_back(true);
        for (uint16_t node = 1; node <= node_count; node++)
            stakes[node].attached = false;
        trace("finds", "an old dump in a new Redis");
        break;
    case 5:
        if (!has_dump || !both)
            return;
        fall_back(false);
        trace("finds", "an old dump");
        under_feet = true;
        break;
    case 6:
        if (!has_dump)
            return;
        key = 1 + below(3);
        fall_back_alone(all_keys[key]);
        trace("finds an old", all_keys[key]);
        break;
    default:
        trace("loses", lose_a_field(below(1000)));
    }
    losses++;
    troubled = true;
    has_dump = false;
    unsettle();
    since[1].came = since[2].came = false;
}

#endif
