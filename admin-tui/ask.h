/*
 * ask: one question to one node and its answer, on a connection that is kept while both sides want
 * it. Never waits: everything happens in callbacks of the loop, by a deadline.
 *
 *     at rest -> delayed -> connecting -> sending -> head -> body -> at rest
 *
 * Owner: the thread that runs the loop.
 */
#ifndef SPIKE_TOP_ASK_H
#define SPIKE_TOP_ASK_H

#include <ev.h>

#include "admin-tui/answer.h"
#include "admin-tui/buffers.h"
#include "admin-tui/place.h"

enum ask_step {
    ASK_REST,
    ASK_DELAYED,
    ASK_CONNECTING,
    ASK_SENDING,
    ASK_HEAD,
    ASK_BODY,
};

struct ask;

/* What all asks of a poller share. */
struct asker {
    struct ev_loop *loop;
    struct buffers buffers;
    struct ask *hungry; /* those that wait for room */
    char why[64];
};

/* The answer is there, in answer and body; or there is none, and why says in a few words how that
 * came. The ask is at rest by then and may be begun anew. */
typedef void ask_ended(struct ask *a, const char *why);

struct ask {
    struct asker *with;
    const struct place *place;
    ask_ended *ended;
    uint64_t body_max;
    bool only_200; /* any other status is a failure */

    enum ask_step step;
    int fd; /* -1: not connected */
    bool reused, is_hungry;
    uint32_t at, tried; /* which of the places; how many did not answer this time */
    const char *request;
    size_t request_len, sent;
    uint64_t timeout_us, sent_mono_us;
    ev_io io;
    ev_timer timer;
    struct ask *next_hungry;
    struct answer answer;
    struct chain body;
};

void ask_init(struct ask *a, struct asker *with, const struct place *place, ask_ended *ended);
/* Asks after delay_us; `ended` is called later, once, at the latest after timeout_us from now. The
 * request must stay where it is until then. */
void ask_begin(struct ask *a, const char *request, size_t len, uint64_t delay_us,
               uint64_t timeout_us);
/* Gives up without a word and closes the connection. */
void ask_close(struct ask *a);
/* The body has been read and is no longer needed. */
void ask_forget(struct ask *a);

#endif
