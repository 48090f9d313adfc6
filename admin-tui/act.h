/*
 * act: what an operator can do to a sale from the console: pause, resume, close, restock, reopen
 * it; drain a node, or give up one that is gone.
 *
 * Each act begins with a question that names exactly what will happen. Its subject is fixed then,
 * whatever the model learns before the operator answers.
 *
 * An act on the sale is one compare-and-set in Redis, the same through any node, and a repeat
 * changes nothing: where a node does not answer, the act is posted to another one. The report then
 * says that the silent node may still do it.
 *
 * Pure: questions, paths and lines. The screen shows and posts them.
 */
#ifndef SPIKE_TOP_ACT_H
#define SPIKE_TOP_ACT_H

#include "admin-tui/model/model.h"
#include "admin-tui/view/prompt.h"

#define ACT_PATH   96
#define ACT_TRIES  3   /* nodes that an act is posted to, one after the other */
#define ACT_REPORT 400 /* bytes of what came of all of them */

enum act_kind {
    ACT_NONE,
    ACT_PAUSE,
    ACT_RESUME,
    ACT_CLOSE,
    ACT_RESTOCK,
    ACT_REOPEN,
    ACT_DRAIN,
    ACT_RECLAIM,
    ACT_LOST, /* ... and its journal is lost for good */
};

struct act {
    enum act_kind kind;
    char event[EVENT_NAME_MAX + 1];
    uint32_t node;   /* its index in the model: the subject, or the first one to post to */
    uint32_t number; /* ... and its number; 0: not known */
    uint64_t total;  /* ACT_RESTOCK */
    uint32_t tries;
    uint32_t tried[ACT_TRIES]; /* nodes that it was posted to; the last one has not answered yet */
    char report[ACT_REPORT];   /* "restock ticket: node 1 did not answer ...; asked node 2: ..." */
    bool trouble;              /* a node has refused, or not answered */
};

/* An act that has ended, and the sale as it was then or as the act has made it. */
struct act_record {
    struct act act; /* ACT_NONE: no act has ended */
    char state[STATS_STATE];
    uint64_t total;
};

/* Opens the question. `node`: the selected one, or m->node_count if there is none. ACT_PAUSE
 * becomes ACT_RESUME if the sale is paused. False: there is nothing to do; f says why. */
MUST_CHECK bool act_propose(struct act *a, enum act_kind kind, const struct model *m, uint32_t node,
                            struct prompt *p, struct fault *f);
/* The operator has answered yes. True: do it now; false: another question is open, or the same one
 * again. */
MUST_CHECK bool act_confirmed(struct act *a, const struct model *m, struct prompt *p);
/* The node to post to now: the subject, or one that was not tried yet: the selected one or another
 * that is up, else any that answers. NULL: there is none (more). */
const struct model_node *act_next_node(struct act *a, const struct model *m);
/* "/pause?event=ticket" */
void act_path(const struct act *a, char path[ACT_PATH]);
/* "pause ticket: asked node 1 ...", behind the report so far. */
void act_progress(const struct act *a, const struct model *m, char text[ACT_REPORT]);
/* What the node has answered: as a line, and added to the report. code 0: there is no answer, and
 * message says why. True: the act has ended; false: another node should be tried. */
bool act_outcome(struct act *a, const struct model *m, int code, const char *message,
                 char line[MODEL_LINE_BYTES]);

/* Records an act that has ended. */
void act_finish(struct act_record *record, const struct act *a, const struct model *m);
/* The sale has become something else than the act has made of it: its outcome is no news any more.
 */
bool act_is_superseded(struct act_record *record, const struct model *m);

#endif
