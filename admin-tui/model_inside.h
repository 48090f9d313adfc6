/*
 * model_inside: what the files of the model share, and what it remembers between rounds.
 *
 * Private to the model.
 */
#ifndef SPIKE_TOP_MODEL_INSIDE_H
#define SPIKE_TOP_MODEL_INSIDE_H

#include "admin-tui/model.h"

#define ROUNDS_SLOW 2 /* in a row, before a node is called slow */
#define ROUNDS_CALM 3 /* in a row, before it is no longer */
#define ROUNDS_TWIN 3 /* in a row, before two rows are called two servers */
#define ATTACH_S    3 /* a node that is not attached by then has no Redis */

struct past_node {
    uint32_t failures;   /* in a row */
    uint32_t slow, calm; /* rounds in a row */
    uint32_t twin;       /* rounds in which this row was another server of a number that is taken */
    bool redis_down;     /* as told */
};

/* The nodes that a repair waits for. */
struct waits {
    uint32_t count; /* of which the first STATS_WAITS_MAX are there */
    uint16_t node[STATS_WAITS_MAX];
};

/* What was last told of an event. */
struct past_event {
    bool known;
    char state[STATS_WORD];
    uint64_t total;
    uint64_t told_mono_us;  /* when its state was told */
    uint64_t since_mono_us; /* when something else was first heard; 0: nothing else is */
    uint64_t start_mono_us; /* of the sale: when nothing was sold yet; 0: that was not seen */
    bool spent;             /* every node's local stock was, as told */
    uint64_t stock_mono_us; /* when something else was first seen; 0: nothing else is */
    struct waits waits;     /* what its repair waits for, as told */
    uint64_t waits_mono_us; /* when something else was first heard; 0: nothing else is */
    /* How fast the sale's left falls: since when, from what, of which total; 0: nothing is known */
    uint64_t pace_mono_us, pace_left, pace_total;
    double fall_s; /* 0: it does not */
};

struct model_past {
    struct past_node nodes[MODEL_NODES_MAX]; /* by the same index as model.nodes */
    struct past_event events[EVENTS_MAX];    /* as model.events */
    uint64_t round_mono_us;                  /* the end of the last round; 0: none yet */
    uint64_t since_mono_us;                  /* ... of the one before it */
    uint64_t second_mono_us;                 /* up to here the histories are filled */
};

/* What is known of an event of the whole sale. */
struct figures {
    const struct model_node *from; /* the freshest answer; NULL: nobody has named the event */
    const char *state;
    uint64_t total, sold, left;
    bool alive;  /* from a node that answers and has begun */
    bool agreed; /* all nodes that are as good a witness say the same */
};

struct figures model_figures(const struct model *m, const char *event);
const struct stats_event *model_find_event(const struct stats *s, const char *name,
                                           uint32_t *index);
struct past_node *model_past_node(const struct model *m, const struct model_node *n);
/* It answers, and says that it sells. */
bool model_sells(const struct model_node *n);
/* It answers, and this row of it counts. */
bool model_answers(const struct model_node *n);
/* It has answered in the last whole round, or since, and this row of it counts. */
bool model_answered(const struct model *m, const struct model_node *n);
/* What is remembered of the event; NULL: no node has named it. */
struct past_event *model_past_event(const struct model *m, const char *event);
/* It has been attached since it was started: what it says of the sale is what it has heard. */
bool model_has_begun(const struct stats *s);
/* The state that an answer tells. */
enum model_state model_state_of(const struct model_node *n, const struct stats *s);
bool model_redis_down(const struct stats *s);
/* Moves the node to a state; says so, with the reason (or ""), if it is another one. */
void model_enter(struct model *m, struct model_node *n, enum model_state state, const char *reason,
                 uint64_t now_wall_ms);
/* "node 4", or its address while its number is not known. */
const char *model_label(const struct model_node *n, char out[MODEL_LINE_BYTES]);

/* The row that counts for that number, other than n; NULL: there is none. */
struct model_node *model_holder(const struct model *m, const struct model_node *n, uint64_t number);
/* The row n is the same node as that one. */
void model_yield(struct model *m, struct model_node *n, const struct model_node *to);

/* The steps of model_round(), in this order. */
void model_part(struct model *m, uint64_t before_mono_us, uint64_t now_wall_ms);
void model_judge(struct model *m, uint64_t now_wall_ms);
void model_pace(struct model *m);
void model_total(struct model *m);
void model_move_on(struct model *m, uint64_t now_mono_us);
void model_tell_events(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms);
void model_tell_stock(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms);
void model_tell_waits(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms);
void model_tell_redis(struct model *m, uint64_t now_wall_ms);

#endif
