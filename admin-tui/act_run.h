/*
 * act_run: runs the acts of the operator, one at a time: the question, posts to one node after the
 * other, the outcome (act.h).
 *
 * Owner: the thread of the screen; one a process.
 */
#ifndef SPIKE_TOP_ACT_RUN_H
#define SPIKE_TOP_ACT_RUN_H

#include "admin-tui/act.h"
#include "admin-tui/client/poll.h"

/* How the operator learns of it. */
struct act_reports {
    /* A line that stays. */
    void (*announce)(bool trouble, const char *text);
    /* The state of the act, in place of the one before. */
    void (*notice)(bool trouble, const char *text);
};

/* Once. prompt: where questions are opened. */
void act_run_init(struct model *m, struct poll *poll, struct prompt *prompt,
                  const struct act_reports *reports);
/* Opens the question of an act, or reports why there is nothing to do; the prompt must be closed.
 * `node`: the selected one by its index in the model, or m->node_count. */
void act_run_propose(enum act_kind kind, uint32_t node);
/* The operator has answered the question with yes. */
void act_run_confirmed(void);
/* An act is under way. */
bool act_run_is_busy(void);
/* The sale has become something else than the last act has made of it; its notice is no news. */
bool act_run_is_superseded(void);

#endif
