/*
 * conn_limit: how many connections may be open, over all workers behind the same addresses.
 *
 * Owner: none; any worker takes and gives, without a lock.
 */
#ifndef SPIKE_CONN_LIMIT_H
#define SPIKE_CONN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct conn_limit;

/* Before any thread runs; one for the buyers and one for the operators. */
struct conn_limit *conn_limit_new(uint32_t max);
uint32_t conn_limit_max(const struct conn_limit *limit);
uint32_t conn_limit_open(const struct conn_limit *limit);
/* False: `max` connections are open. */
bool conn_limit_take(struct conn_limit *limit);
void conn_limit_give(struct conn_limit *limit);

#endif
