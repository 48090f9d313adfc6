/*
 * model: what the console knows: the nodes, what each said last, rates, histories, events. It is
 * told what was heard and what time it is, and draws nothing.
 *
 *     poll ──answers, failures──> model <──reads── views, batch
 *
 * A round is one interval: every node is asked once, and at its end model_round() makes the totals
 * and moves the histories on. Rates are differences of counters between two answers of a node over
 * the time between them; a counter that fell (the node was restarted) begins anew.
 *
 * Owner: one thread. Everything is allocated by model_new().
 */
#ifndef SPIKE_TOP_MODEL_H
#define SPIKE_TOP_MODEL_H

#include "admin-tui/stats.h"

#define MODEL_NODES_MAX  NODES_MAX
#define MODEL_HISTORY    120 /* seconds, one value each */
#define MODEL_LINES      64  /* events that are remembered */
#define MODEL_LINE_BYTES 200
#define MODEL_ADDRESS    128

enum model_state {
    MODEL_ASKED, /* no answer yet; an absent one: `why` */
    MODEL_SAME,  /* another row is this node and counts: `why` names it; this one counts nowhere */
    MODEL_UP,
    MODEL_STARTING,
    MODEL_OTHER, /* it answers, and says a word that is not known here */
    MODEL_REPAIR,
    MODEL_DRAINING,
    MODEL_SLOW,  /* up, but p99 is far above that of the others, or its Redis or answers are slow */
    MODEL_REDIS, /* it answers, its Redis does not: it sells nothing */
    MODEL_DOWN,  /* refused, timed out, or no answer that can be read: `why` */
};

/* NEW SAME UP START ? REPAR! DRAIN SLOW! REDIS! DOWN!: at most 6 bytes; trouble has a '!'. */
const char *model_state_word(enum model_state s);

/* A value a second, the newest last; NAN where nothing is known. */
struct model_history {
    float at[MODEL_HISTORY];
};

struct model_node {
    char address[MODEL_ADDRESS]; /* as given: the poller's word for it */
    uint32_t number;             /* of the node, as it says; 0: it has not said yet */
    uint32_t named;              /* ... as Redis or a configuration has it; 0: they have not */
    enum model_state state;
    bool absent; /* a configuration names its number, and nobody knows where it is: not asked */
    char why[MODEL_LINE_BYTES]; /* with DOWN, SAME and absent */
    struct stats stats;         /* the last that was heard; has_stats */
    bool has_stats;
    bool has_rates;                                   /* two answers in a row */
    double req_s, err_s;                              /* requests, 5xx answers */
    double sold_s[EVENTS_MAX], refused_s[EVENTS_MAX]; /* by the node's own index of the event */
    uint64_t rtt_us;                                  /* of the last poll */
    uint64_t heard_mono_us;                           /* when it last answered; 0 never */
    struct model_history req;
};

/* The chosen event over all nodes. state, total, sold and left are of the whole sale, as the
 * freshest answer has them. The others are sums: tickets, orders and counters with what a node that
 * is down had last, rates and connections only of nodes that answer. */
struct model_totals {
    uint32_t nodes, up;     /* nodes: each once, those that are missing too; up: those that sell */
    uint32_t answering;     /* up or not: those that answered in the last round */
    bool heard;             /* a node was heard: the sums are known */
    char state[STATS_WORD]; /* of the event: that of the freshest answer */
    bool known;             /* total, sold and left are */
    uint64_t total, sold, left, held, node_sold;
    uint64_t granted, paid, cancelled, expired, late, late_refused;
    double req_s, peak_req_s, sold_s, refused_s, err_s;
    uint64_t refused, requests, errors, connections;
    uint64_t p50_us, p99_us; /* p50: weighted by what was measured; p99: the worst; 0: nothing */
    bool has_rates, has_redis, redis_ok;
    bool redis_off;        /* a node that answers says that it has none */
    uint64_t redis_rtt_us; /* the median; redis_ok: no node that answers says "down" */
    double gone_in_s;      /* by how fast left falls; negative: it does not, or is not known */
};

struct model_line {
    uint64_t wall_ms;
    bool trouble;
    char text[MODEL_LINE_BYTES]; /* "node 4 DOWN: connection refused" */
};

struct model {
    struct model_node *nodes;
    uint32_t node_count;
    char event[EVENT_NAME_MAX + 1];              /* the chosen one */
    char events[EVENTS_MAX][EVENT_NAME_MAX + 1]; /* all that any node has named */
    uint32_t event_count;
    struct model_totals totals;
    struct model_history req, sold;       /* of all nodes */
    struct model_line lines[MODEL_LINES]; /* the newest at line_count - 1, modulo MODEL_LINES */
    uint64_t line_count;
    uint64_t rounds;
    struct model_past *past; /* of the model's own */
};

/* NULL: no memory. */
struct model *model_new(void);
void model_free(struct model *m);
/* Its number as it says, or as others do; 0: nobody knows. */
uint32_t model_number(const struct model_node *n);
/* Redis, or a configuration, has node `number` at that address. */
void model_name(struct model *m, const char *address, uint16_t number);
/* The node of an address, added if it is new; NULL: there are MODEL_NODES_MAX already, or the
 * address does not fit. */
struct model_node *model_add(struct model *m, const char *address);
/* A node of that number belongs to the sale, and nobody knows where it is: it has a row until a
 * node of that number is heard. */
void model_miss(struct model *m, uint16_t number);
/* Where it is, is known now: its row is that of the address. Nothing if there is no such row. */
void model_find(struct model *m, uint16_t number, const char *address);
/* An absent one that was heard after all, in another row: nobody wants to see it. */
bool model_is_hidden(const struct model_node *n);
/* Somebody is asked there: who it is, that row says itself. */
bool model_asks(const struct model *m, const char *address);
/* The node is at another address now; all that is known of it stays. */
void model_move(struct model *m, struct model_node *n, const char *address, uint64_t now_wall_ms);
/* Chooses the event by name, or the next (+1) or previous (-1) one; the totals are made anew. The
 * history of sales begins anew, that of requests is of all events. Until then it is the first that
 * was heard of. */
void model_choose(struct model *m, const char *event);
void model_choose_next(struct model *m, int step);
/* A poll was answered with s, or has failed. A time-out, a reset or a close is believed when it
 * comes twice in a row, everything else at once; rates are of two answers in a row. */
void model_heard(struct model *m, struct model_node *n, const struct stats *s, uint64_t rtt_us,
                 uint64_t now_mono_us, uint64_t now_wall_ms);
void model_failed(struct model *m, struct model_node *n, const char *why, uint64_t now_mono_us,
                  uint64_t now_wall_ms);
/* The end of a round. */
void model_round(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms);
/* How many nodes have answered in the last whole round, or since. */
uint32_t model_answering(const struct model *m);
/* The chosen event's state as the lines have told it, and its total; "": not told yet. */
const char *model_told(const struct model *m, uint64_t *total);
/* The node's figures of the chosen event; NULL: it does not sell it, was never heard, or is SAME.
 */
const struct stats_event *model_event(const struct model *m, const struct model_node *n,
                                      uint32_t *index);
/* Tickets are left, and the node's local stock allows it none of them. */
bool model_spent(const struct stats_event *e);
/* "redis ok 0.40ms", "redis DOWN!", "redis off"; "": nobody can say. */
const char *model_redis(const struct model_totals *t, char out[MODEL_LINE_BYTES]);
void model_say(struct model *m, bool trouble, uint64_t now_wall_ms, const char *format, ...)
    PRINTF(4, 5);

#endif
