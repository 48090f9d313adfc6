/*
 * act: what an operator can do to a sale from the console: pause, resume, close, restock, reopen
 * it; drain a node, or give up one that is gone.
 *
 * Each begins with a question that names exactly what will happen; what it is about is fixed then,
 * whatever the model learns before the answer is given.
 *
 * An act on the sale is one compare-and-set in Redis, the same through any node, and a repeat
 * changes nothing: where a node does not answer, another one is asked. What a node that was silent
 * may still do is said.
 *
 * Pure: questions, paths and lines; who asks and who sends is the screen.
 */
#ifndef SPIKE_TOP_ACT_H
#define SPIKE_TOP_ACT_H

#include "admin-tui/model.h"
#include "admin-tui/prompt.h"

#define ACT_PATH  96
#define ACT_TRIES 3   /* nodes that are asked, one after the other */
#define ACT_SAID  400 /* bytes of what all of them said */

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
    uint32_t node;   /* its place in the model: whom it is about, or who is asked first */
    uint32_t number; /* ... and its number, if it has told one */
    uint64_t total;  /* ACT_RESTOCK */
    uint32_t tries;
    uint32_t tried[ACT_TRIES]; /* nodes that were asked; the last one is being asked */
    char said[ACT_SAID];       /* "restock ticket: node 1 did not answer ...; asked node 2: ..." */
    bool trouble;              /* somebody said no, or nothing */
};

/* An act that has ended, and the sale as it was then or as the act has made it. */
struct act_past {
    struct act act; /* ACT_NONE: nothing has */
    char state[STATS_WORD];
    uint64_t total;
};

/* Opens the question. False: f says why there is nothing to do. `node`: the selected one, or
 * m->node_count if there is none. ACT_PAUSE becomes ACT_RESUME if the sale is paused. */
MUST_CHECK bool act_ask(struct act *a, enum act_kind kind, const struct model *m, uint32_t node,
                        struct prompt *p, struct fault *f);
/* The question was answered with yes. True: do it now; false: there is another question, or the
 * same one again. */
MUST_CHECK bool act_agreed(struct act *a, const struct model *m, struct prompt *p);
/* Whom to ask now: the node that it is about, or one that was not asked yet: the selected one or
 * another that is up, else any that answers. NULL: there is none (more). */
const struct model_node *act_next(struct act *a, const struct model *m);
/* "/pause?event=ticket" */
void act_path(const struct act *a, char path[ACT_PATH]);
/* "pause ticket: asked node 1 ...", behind what was said before. */
void act_asking(const struct act *a, const struct model *m, char text[ACT_SAID]);
/* What the node has answered, as a line, and added to `said`; code 0: no answer came, and message
 * says why. True: that is the end; false: another node should be asked. */
bool act_heard(struct act *a, const struct model *m, int code, const char *message,
               char line[MODEL_LINE_BYTES]);

void act_end(struct act_past *past, const struct act *a, const struct model *m);
/* Something else than the act has become of the sale since: what was said of it is no news. */
bool act_is_over(struct act_past *past, const struct model *m);

#endif
