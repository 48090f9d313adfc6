/*
 * stock_private: what every kind of stock consists of; for stock.c, local.c, redis.c and
 * redis_attach.c alone.
 */
#ifndef SPIKE_STOCK_PRIVATE_H
#define SPIKE_STOCK_PRIVATE_H

#include "storage/stock/stock.h"

struct stock_ops {
    void (*init)(struct stock *s, const struct arena *a);
    enum stock_result (*connect)(struct stock *s, struct fault *f);
    enum stock_result (*examine)(struct stock *s, struct stock_attach *at, struct fault *f);
    enum stock_result (*attach)(struct stock *s, struct stock_attach *at, struct fault *f);
    enum stock_result (*step)(struct stock *s, struct stock_step *st, struct fault *f);
    enum stock_result (*act)(struct stock *s, struct stock_act *act, struct fault *f);
    /* NULL: there are no other nodes. */
    enum stock_result (*reclaim)(struct stock *s, struct stock_reclaim *rc, struct fault *f);
    void (*disconnect)(struct stock *s);
    struct stock_fill (*fill)(const struct stock *s);          /* NULL: it has no tables */
    void (*set_timeout)(struct stock *s, uint64_t timeout_ms); /* NULL: it never waits */
};

/* The first member of every kind. */
struct stock {
    const struct stock_ops *ops;
    const struct conf *conf;
};

/* Makes a new sale: a random id and a random secret. */
void stock_new_sale(struct stock_sale *sale);

#endif
