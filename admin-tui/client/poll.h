/*
 * poll: requests /stats of every node, round by round, without blocking: a connection for each
 * node, kept alive, one request at a time, each with its own deadline. What comes of it is reported
 * to the caller's functions; poll knows nothing of a node but its address.
 *
 * It also posts what an operator wants done, on connections of their own.
 *
 * Owner: the thread of the loop. poll_new() allocates all memory; a response longer than
 * POLL_TEXT_MAX is a failure.
 */
#ifndef SPIKE_TOP_POLL_H
#define SPIKE_TOP_POLL_H

#include <stddef.h>
#include <stdint.h>

#include "admin-tui/client/endpoint.h"

#define POLL_TEXT_MAX (256u << 10) /* bytes of a response's body */

struct ev_loop;
struct poll;

/* Called on the loop. `node` is the caller's own name for the node (poll_add_node()). */
struct poll_reports {
    /* A node has answered with that text. False: the text is not what was wanted; it is dropped. */
    bool (*answered)(void *context, void *node, const char *text, size_t len, uint64_t rtt_us,
                     uint64_t now_mono_us);
    /* No response, and why. True: the node still counts as alive, so a time-out is worth a second
     * attempt in the same round. */
    bool (*failed)(void *context, void *node, const char *why, uint64_t now_mono_us);
    /* The node is polled at its new address from now on (poll_move()). */
    void (*moved)(void *context, void *node, const char *address);
};

/* How a post has ended: code and message of the response's JSON; code 0: there is none, and message
 * says why. */
typedef void poll_posted(void *context, const void *node, int code, const char *message);

/* token: of `Authorization: Bearer`, or NULL. keep_texts: the text of each node's last response is
 * kept, for poll_text(). NULL: no memory. */
struct poll *poll_new(struct ev_loop *loop, const char *token, bool keep_texts,
                      const struct poll_reports *reports, void *context);
void poll_free(struct poll *p);

/* Adds a node, which is polled at `e` from the next round on. Nothing if it is there already.
 * False: there are NODES_MAX already; f says so. */
MUST_CHECK bool poll_add_node(struct poll *p, void *node, const char *address,
                              const struct endpoint *e, struct fault *f);
/* A node that was added is polled at another address from the next round on. Nothing if it is about
 * to move already. */
void poll_move(struct poll *p, void *node, const char *address, const struct endpoint *e);

/* Polls every node that has no request under way, each with that deadline. A node that times out is
 * polled once more, for again_us, if reports.failed returns true and again_us is not 0. When all
 * have answered or failed, `done` is called once, never before this returns. Called while a round
 * is under way, this ends that one first: its `done` is called, and the nodes that it still waits
 * for belong to the new round, with their old deadline. */
void poll_round(struct poll *p, uint64_t timeout_us, uint64_t again_us, void (*done)(void *context),
                void *context);
/* The node's JSON as it came, until the next call of a function here; NULL: the node has not
 * answered in this round, or texts are not kept. */
const char *poll_text(struct poll *p, const void *node, size_t *len);

/* POST path ("/pause?event=ticket") to a node that was added. `posted` is called once, perhaps
 * before this returns (too many posts under way). */
void poll_post(struct poll *p, const void *node, const char *path, poll_posted *posted,
               void *context);

#endif
