/*
 * act_run: see act_run.h.
 *
 *     propose ──yes──> post to a node ──answer──> outcome
 *                        ^      │ none, or busy
 *                        └──────┘ the next node
 */
#include "admin-tui/act_run.h"

static struct act_run {
    struct model *m;
    struct poll *poll;
    struct prompt *prompt;
    struct act_reports reports;
    struct act proposed;        /* the act that the prompt asks about */
    struct act running;         /* the act that was posted to a node; ACT_NONE: none */
    struct act_record finished; /* the act that the last notice reports; ACT_NONE: none */
} acts;

static bool post_next(void);

void act_run_init(struct model *m, struct poll *poll, struct prompt *prompt,
                  const struct act_reports *reports)
{
    ASSERT(acts.m == NULL && m != NULL);
    acts.m = m;
    acts.poll = poll;
    acts.prompt = prompt;
    acts.reports = *reports;
}

static void notice(bool trouble, const char *text)
{
    acts.finished.act.kind = ACT_NONE;
    acts.reports.notice(trouble, text);
}

static void refuse(const char *text)
{
    acts.reports.announce(true, text);
    notice(true, text);
}

static void on_posted(void *context, const void *node, int code, const char *message)
{
    char line[MODEL_LINE_BYTES];
    (void)context, (void)node;
    ASSERT(acts.running.kind != ACT_NONE);
    bool ends = act_outcome(&acts.running, acts.m, code, message, line);
    acts.reports.announce(code != 1, line);
    if (!ends && post_next())
        return;
    notice(acts.running.trouble, acts.running.report);
    act_finish(&acts.finished, &acts.running, acts.m);
    acts.running.kind = ACT_NONE;
}

/* Posts the running act to the next node. False: there is none (more). */
static bool post_next(void)
{
    char path[ACT_PATH], text[ACT_REPORT];
    ASSERT(acts.running.kind != ACT_NONE);
    const struct model_node *n = act_next_node(&acts.running, acts.m);
    if (n == NULL)
        return false;
    act_progress(&acts.running, acts.m, text);
    notice(acts.running.trouble, text);
    act_path(&acts.running, path);
    poll_post(acts.poll, n, path, on_posted, NULL);
    return true;
}

void act_run_propose(enum act_kind kind, uint32_t node)
{
    struct fault f;
    ASSERT(acts.m != NULL && acts.prompt->kind == PROMPT_NONE && node <= acts.m->node_count);
    if (acts.running.kind != ACT_NONE)
        refuse("the act before is still under way");
    else if (!act_propose(&acts.proposed, kind, acts.m, node, acts.prompt, &f))
        refuse(f.text);
}

void act_run_confirmed(void)
{
    ASSERT(acts.running.kind == ACT_NONE && acts.proposed.kind != ACT_NONE);
    if (!act_confirmed(&acts.proposed, acts.m, acts.prompt))
        return;
    acts.running = acts.proposed;
    if (post_next())
        return;
    acts.running.kind = ACT_NONE; /* the nodes that could do it have gone since the question */
    refuse("nothing was done: no node is up");
}

bool act_run_is_busy(void)
{
    return acts.running.kind != ACT_NONE;
}

bool act_run_is_superseded(void)
{
    return act_is_superseded(&acts.finished, acts.m);
}
