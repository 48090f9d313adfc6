/*
 * feed: carries what the nodes answer (client/poll) into what the console knows (model): each text
 * is parsed as /stats, each answer or failure goes to the row of its node.
 *
 *     poll ──text, failure──> feed ──stats, failure──> model
 *
 * Owner: the thread of the loop. feed_new() allocates all memory.
 */
#ifndef SPIKE_TOP_FEED_H
#define SPIKE_TOP_FEED_H

#include "admin-tui/client/poll.h"
#include "admin-tui/model/model.h"

struct feed;

/* token, keep_texts: as for poll_new(). The model must outlive the feed. NULL: no memory. */
struct feed *feed_new(struct ev_loop *loop, struct model *m, const char *token, bool keep_texts);
void feed_free(struct feed *feed);
/* For rounds, texts and posts; a node is named there by its struct model_node. */
struct poll *feed_poll(const struct feed *feed);
/* Adds a row for the address and polls the node there, from the next round on; once only. False:
 * the address is wrong or cannot be resolved, or there are too many nodes; f says which. */
MUST_CHECK bool feed_add(struct feed *feed, const char *address, struct fault *f);
/* The same with an address that has been resolved. */
MUST_CHECK bool feed_add_at(struct feed *feed, const char *address, const struct endpoint *e,
                            struct fault *f);
/* The node that is polled at `from` is polled at `to` from the next round on. Nothing if none is.
 */
void feed_move(struct feed *feed, const char *from, const char *to, const struct endpoint *e);

#endif
