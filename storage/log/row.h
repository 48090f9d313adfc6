/*
 * row: a record of an order as one line of CSV or JSON.
 *
 * Threads: any; pure, but for the header, which goes to standard output.
 */
#ifndef SPIKE_LOG_ROW_H
#define SPIKE_LOG_ROW_H

#include "conf/base/orderid.h"
#include "storage/log/source.h"

#define ROW_BYTES 1024 /* of one line at most */

enum row_format { ROW_CSV, ROW_JSON };

/* What the rows of an event have in common: the format, and what order ids are made of. */
struct row_from {
    enum row_format format;
    const char *event;
    uint16_t node;
    uint8_t slot;
    uint8_t secret[ORDERID_SECRET];
};

struct row_from row_from_event(const struct source *s, uint32_t event, enum row_format format);
/* Keeps the secret of a SALE record; other records are ignored. */
void row_learn(struct row_from *from, const struct record *r);
/* Writes the id of the order that a record is about: ORDERID_TEXT bytes. */
void row_order(char *out, const struct row_from *from, const struct record *r);
/* Writes the line of a record of an order, newline included, and returns its length. */
size_t row_print(char out[ROW_BYTES], const struct row_from *from, const struct record *r);
/* Prints the first line; JSON has none. */
void row_header(enum row_format format);
/* Does the record change what an order is? Such records have an entry in the stream, and a row in
 * an export of changes. */
bool row_is_order(const struct record *r);

#endif
