/*
 * act: what an operator can do to a sale from the console: pause, resume, close, restock, drain.
 *
 * Each begins with a question that names exactly what will happen; what it is about is fixed then,
 * whatever the model learns before the answer is given.
 *
 * Pure: questions, paths and lines; who asks and who sends is the screen.
 */
#ifndef SPIKE_TOP_ACT_H
#define SPIKE_TOP_ACT_H

#include "admin-tui/model.h"
#include "admin-tui/prompt.h"

#define ACT_PATH 96

enum act_kind { ACT_NONE, ACT_PAUSE, ACT_RESUME, ACT_CLOSE, ACT_RESTOCK, ACT_DRAIN };

struct act {
    enum act_kind kind;
    char event[EVENT_NAME_MAX + 1];
    char name[MODEL_ADDRESS + 16]; /* ACT_DRAIN: "node 3 (web3:3903)" */
    uint32_t node;                 /* ACT_DRAIN: its place in the model */
    uint64_t total;                /* ACT_RESTOCK */
};

/* Opens the question. False: f says why there is nothing to do. `node`: the selected one, or
 * m->node_count if there is none. ACT_PAUSE becomes ACT_RESUME if the sale is paused. */
MUST_CHECK bool act_ask(struct act *a, enum act_kind kind, const struct model *m, uint32_t node,
                        struct prompt *p, struct fault *f);
/* The question was answered with yes. True: do it now; false: there is another question. */
MUST_CHECK bool act_agreed(struct act *a, const struct model *m, struct prompt *p);
/* Who is to be asked: the node of ACT_DRAIN, else one that is up, `node` if possible. NULL: none.
 */
const struct model_node *act_node(const struct act *a, const struct model *m, uint32_t node);
/* "/pause?event=ticket" */
void act_path(const struct act *a, char path[ACT_PATH]);
/* How it has ended, as a line; code 0: no answer came. Answers whether that is trouble. */
bool act_ended(const struct act *a, int code, const char *message, char line[MODEL_LINE_BYTES]);

#endif
