/*
 * rows: which nodes a table shows, and in which order; and what its columns hold.
 *
 * Pure: the model is only read; struct table_view is what the operator has chosen.
 */
#ifndef SPIKE_TOP_ROWS_H
#define SPIKE_TOP_ROWS_H

#include "admin-tui/model/model.h"

#define FILTER_BYTES 40
#define ROWS_FIRST   UINT32_MAX /* table_view.selected: no node was chosen yet: the first row is */

enum column {
    COLUMN_NODE,
    COLUMN_STATE,
    COLUMN_REQ,
    COLUMN_SOLD_S,
    COLUMN_SOLD,
    COLUMN_LEFT,
    COLUMN_P50,
    COLUMN_P99,
    COLUMN_CONN,
    COLUMN_ERR,
    COLUMN_MEM,
    COLUMN_REDIS,
    COLUMN_COUNT
};

/* How the operator wants to see the nodes. */
struct table_view {
    enum column sort;
    bool reversed;
    char filter[FILTER_BYTES]; /* "": all */
    uint32_t selected;         /* a node, by its index in the model: it stays chosen as rows move */
    uint32_t first;            /* the row at the top of the table */
    uint32_t page;             /* rows that the table had when it was last drawn */
};

struct rows {
    uint32_t count, all; /* all: without a filter */
    uint32_t node[MODEL_NODES_MAX];
};

/* The node's figures are current, and count. */
bool rows_alive(const struct model_node *n);
/* A node's figure; NAN: not known. */
double rows_value(const struct model *m, const struct model_node *n, enum column c);
/* The nodes that pass the filter, in order. Figures that are not known come last. */
void rows_make(struct rows *rows, const struct model *m, const struct table_view *view);
/* The row of the selected node; the first row if the node has none. */
uint32_t rows_selected(const struct rows *rows, const struct table_view *view);
/* Moves the selection by so many rows, as far as there are any. */
void rows_move(const struct rows *rows, struct table_view *view, int64_t by);
/* Keeps the selected row within `page` rows. */
void rows_scroll(const struct rows *rows, struct table_view *view, uint32_t page);
/* How many tickets the node may still sell: of its local stock, as far as any are left. NAN: it
 * sells nothing now, or nothing of this event, or does not know the sale yet. */
double rows_left(const struct model_node *n, const struct stats_event *e);
/* The node may sell no more of its local stock, though tickets are left: marked in LEFT. */
bool rows_spent(const struct model *m, const struct model_node *n);
/* How full its fullest pool is, 0 .. 1; NAN: it has reported none. */
double rows_fill(const struct stats *s);

#endif
