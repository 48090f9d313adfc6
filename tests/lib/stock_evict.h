/*
 * stock_evict: a node falls silent and an operator gives it up; and what must hold once all nodes
 * have attached again.
 */
#ifndef SPIKE_STOCK_EVICT_H
#define SPIKE_STOCK_EVICT_H

#include "tests/lib/stock_book.h"

static struct stock_reclaim rc;
static uint64_t patience; /* ms */
static bool has_waited = true;

/* Its last beat was long ago. */
static inline void silence(uint16_t node)
{
    redis_fixture_do(&redis, "HSET " H " %u:beat 1", (unsigned)node);
}

/* Ten seconds pass: so much older are beats, and the beginning of a repair. */
static inline void all_is_long_ago(void)
{
    static const char script[] =
        "for _, h in ipairs({'ticket_hash_key', 'seat_hash_key'}) do "
        "for _, f in ipairs({'since', '1:beat', '2:beat'}) do "
        "if redis.call('HEXISTS', h, f) == 1 then redis.call('HINCRBY', h, f, -10000) end "
        "end end";
    redis_fixture_do(&redis, "EVAL %s 0", script);
}

/* An operator gives up the node. 0: all silent nodes that a repair waits for. */
static inline enum stock_result evict(uint16_t node, bool lost)
{
    rc = (struct stock_reclaim){.epoch = book->epoch,
                                .seen = book->figures,
                                .node = node,
                                .journal_lost = lost,
                                .patience_ms = patience,
                                .has_waited = has_waited};
    enum stock_result result = stock_reclaim(stock, &rc, &f);
    if (result == STOCK_OK)
        book->figures = rc.figures;
    return result;
}

static inline void assert_evicted(uint16_t node, uint32_t gone, uint32_t back)
{
    assert_int_equal(rc.outcome, STOCK_RECLAIMED);
    assert_int_equal(rc.evicted_count, 1);
    assert_int_equal(rc.evicted[0].node, node);
    assert_int_equal(rc.evicted[0].gone, gone);
    assert_int_equal(rc.evicted[0].back, back);
}

/* By node 1. */
static inline void gives_up(uint16_t node, bool lost, uint32_t gone, uint32_t back)
{
    be(1);
    assert_int_equal(evict(node, lost), STOCK_OK);
    assert_evicted(node, gone, back);
}

/* All nodes have attached and settled: nothing is lost, nothing counted twice. */
static inline void all_is_well(uint32_t gone)
{
    be(2);
    settle();
    be(1);
    settle();
    assert_false(book->figures.repair);
    assert_true(book->figures.ready);
    assert_int_equal(book->figures.gone, gone);
    assert_int_equal(field("ticket_total_nums"), 10);
    assert_sums();
}

#endif
