/*
 * poll: asks nodes over HTTP without ever waiting for one: a connection for each, kept alive, one
 * request at a time, one deadline for each. It knows the server only by its JSON.
 *
 * Addresses: HOST:PORT (numeric, or a name that is looked up once at start), [IPv6]:PORT,
 * unix:PATH.
 *
 * Owner: the thread that runs the loop. All memory is taken by poll_new(); an answer longer than
 * STATS_BYTES_MAX is a failure.
 */
#ifndef SPIKE_TOP_POLL_H
#define SPIKE_TOP_POLL_H

#include "admin-tui/model.h"
#include "admin-tui/place.h"

struct ev_loop;
struct poll;

/* Called on the loop: how an action has ended; code is that of the answer's JSON, 0: none came. */
typedef void poll_acted(void *context, const struct model_node *n, int code, const char *message);

/* token: of `Authorization: Bearer`, or NULL. What is heard goes to the model. NULL: no memory. */
struct poll *poll_new(struct ev_loop *loop, struct model *m, const char *token);
void poll_free(struct poll *p);
/* Adds a node. False: the address is wrong, or there are too many. A node that is there already is
 * not added again. */
MUST_CHECK bool poll_add(struct poll *p, const char *address, struct fault *f);
/* The same with an address that has been looked up. */
MUST_CHECK bool poll_add_at(struct poll *p, const char *address, const struct place *place,
                            struct fault *f);
/* The node that is asked at `from` is asked at that address from the next round on. */
void poll_move(struct poll *p, const char *from, const char *address, const struct place *place);
/* What is heard is told to it. */
struct model *poll_model(const struct poll *p);
/* Asks every node that is not being asked, each by the deadline. One that times out and is not yet
 * believed to be down is asked once more, for again_us, unless that is 0. When all have answered or
 * failed `done` is called once, never before this returns. Called while a round is
 * under way, it ends that one first: its `done` is called, and the nodes that it still waits for
 * belong to the new round, by their old deadline. */
void poll_round(struct poll *p, uint64_t timeout_us, uint64_t again_us, void (*done)(void *context),
                void *context);
/* POST path ("/pause?event=ticket") to a node on a connection of its own. */
void poll_act(struct poll *p, const struct model_node *n, const char *path, poll_acted *acted,
              void *context);

/* From now on the text of each node's last answer is kept; before the first round. False: no
 * memory. */
MUST_CHECK bool poll_keep_texts(struct poll *p);
/* The node's JSON as it came, until the next call here; NULL: it has not answered in this round. */
const char *poll_text(struct poll *p, const struct model_node *n, size_t *len);

#endif
