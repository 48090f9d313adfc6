/*
 * order_index: the index of one event: number of an order -> seq of its grant, and seq of the last
 * record that refers to the order. It holds nothing that the records do not say; the verifier
 * compares the two (history.c).
 *
 * Owner: the thread that owns the transaction. Only for the files of storage/journal: it speaks
 * LMDB. Functions that return int return LMDB's code.
 */
#ifndef SPIKE_ORDER_INDEX_H
#define SPIKE_ORDER_INDEX_H

#include <lmdb.h>
#include <stdint.h>

#include "conf/base/check.h"
#include "storage/journal/layout.h"

#define ORDER_INDEX_ENTRY_BYTES 16

/* A new order, whose number is above all others; the cursor is on the index. */
MUST_CHECK int order_index_add(MDB_cursor *cursor, uint64_t number, uint64_t seq);
/* The record `seq` refers to the order. */
MUST_CHECK int order_index_update(MDB_txn *txn, MDB_dbi index, uint64_t number, uint64_t seq);
/* MDB_NOTFOUND: no such order. */
MUST_CHECK int order_index_find(MDB_txn *txn, MDB_dbi index, uint64_t number, uint64_t *grant,
                                uint64_t *last);
/* False: these bytes are no entry. */
MUST_CHECK bool order_index_parse(struct bytes data, uint64_t *grant, uint64_t *last);

#endif
