/*
 * audit_records: makes the records of a journal by hand, for the tests of spike-log. Each test is a
 * program of its own, so the functions are static. Define PAY_BY, the end of a hold, before.
 */
#ifndef SPIKE_AUDIT_RECORDS_H
#define SPIKE_AUDIT_RECORDS_H

#include <string.h>

#include "storage/journal/journal.h"
#include "storage/journal/node_totals.h"

static inline struct record sale(uint32_t total, uint8_t id)
{
    struct record r = {.kind = RECORD_SALE, .state = SALE_UNIFIED, .total = total, .version = 1};
    memset(r.sale, id, sizeof r.sale);
    memset(r.secret, id, sizeof r.secret);
    return r;
}

static inline struct record grant(uint64_t number, uint8_t state, uint32_t n)
{
    return (struct record){.kind = RECORD_GRANT,
                           .state = state,
                           .number = number,
                           .n = n,
                           .pay_by_wall_ms = state == ORDER_HELD ? PAY_BY : 0};
}

static inline struct record with(struct record r, const char *buyer, const char *key)
{
    r.buyer_len = (uint8_t)strlen(buyer);
    r.key_len = (uint8_t)strlen(key);
    memcpy(r.buyer, buyer, r.buyer_len);
    memcpy(r.key, key, r.key_len);
    return r;
}

/* A change of the granted order from one state to another. */
static inline struct record change(struct record r, uint8_t was, uint8_t state)
{
    r.kind = RECORD_CHANGE;
    r.was = was;
    r.state = state;
    return r;
}

static inline struct record late(struct record r, uint64_t number)
{
    r.kind = RECORD_LATE;
    r.was = ORDER_EXPIRED;
    r.state = ORDER_SOLD;
    r.of = r.number;
    r.number = number;
    return r;
}

static inline struct record refusal(struct record r)
{
    r.kind = RECORD_REFUSAL;
    r.state = ORDER_EXPIRED;
    r.pay_by_wall_ms = 0;
    return r;
}

#endif
