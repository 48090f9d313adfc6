/*
 * model: what the console knows: the nodes, the last answer of each, rates, histories, the lines of
 * what has happened. It is given answers, failures and the time, and neither waits nor draws.
 *
 *     feed ──answers, failures──> model <──reads── views, batch
 *
 * A round is one interval: every node is polled once, and at its end model_round() makes the totals
 * and moves the histories on. Rates are differences of counters between two answers of a node over
 * the time between them; a counter that fell (the node was restarted) begins anew.
 *
 * Owner: one thread. model_new() allocates everything.
 */
#ifndef SPIKE_TOP_MODEL_H
#define SPIKE_TOP_MODEL_H

#include "admin-tui/model/stats.h"

#define MODEL_NODES_MAX  NODES_MAX
#define MODEL_HISTORY    120 /* seconds, one value each */
#define MODEL_LINES      64  /* lines that are kept */
#define MODEL_LINE_BYTES 200
#define MODEL_ADDRESS    128

/* By rising trouble: the table sorts by it. */
enum model_state {
    MODEL_NEW,       /* no answer yet; an absent node: `why` */
    MODEL_DUPLICATE, /* another row is this node and counts: `why` names it; this row does not */
    MODEL_UP,
    MODEL_STARTING,
    MODEL_UNKNOWN, /* the node answers, with a state that this console does not know */
    MODEL_REPAIR,
    MODEL_DRAINING,
    MODEL_SLOW, /* up, but p99 is far above that of the others, or its Redis or answers are slow */
    MODEL_NO_REDIS, /* the node answers, its Redis does not: it sells nothing */
    MODEL_DOWN,     /* refused, timed out, or no answer that can be parsed: `why` */
};

/* NEW SAME UP START ? REPAR! DRAIN SLOW! REDIS! DOWN!: at most 6 bytes; trouble has a '!'. */
const char *model_state_name(enum model_state s);

/* A value a second, the newest last; NAN where nothing is known. */
struct model_history {
    float at[MODEL_HISTORY];
};

/* A row: one address, or one node without a known address. */
struct model_node {
    char address[MODEL_ADDRESS]; /* as given; "-" if absent */
    uint32_t number;             /* of the node, as it reports it; 0: not reported yet */
    uint32_t named;              /* ... as Redis or a configuration has it; 0: neither does */
    enum model_state state;
    uint32_t state_changes; /* how often its state has changed */
    uint32_t failures;      /* in a row */
    bool absent; /* a configuration names its number, and its address is not known: not polled */
    char why[MODEL_LINE_BYTES]; /* with DOWN, DUPLICATE and absent */
    struct stats stats;         /* the last answer; has_stats */
    bool has_stats;
    bool has_rates;                                   /* two answers in a row */
    double req_s, err_s;                              /* requests, 5xx answers */
    double sold_s[EVENTS_MAX], refused_s[EVENTS_MAX]; /* by the node's own index of the event */
    uint64_t rtt_us;                                  /* of the last poll */
    uint64_t answer_mono_us;                          /* of the last answer; 0: none */
    struct model_history req;
};

/* The chosen event over all nodes. state, total, sold and left are of the whole sale, as the
 * freshest answer has them. The others are sums: tickets, orders and counters with what a node that
 * is down had last, rates and connections only of nodes that answer. */
struct model_totals {
    uint32_t nodes, up;      /* nodes: each once, absent ones too; up: those that sell */
    uint32_t answering;      /* up or not: those that answered in the last round */
    bool has_sums;           /* some node has ever answered: the sums are known */
    char state[STATS_STATE]; /* of the event: that of the freshest answer */
    bool has_sale;           /* total, sold and left are known */
    uint64_t total, sold, left, held, node_sold;
    uint64_t granted, paid, cancelled, expired, late, late_refused;
    double req_s, peak_req_s, sold_s, refused_s, err_s;
    uint64_t refused, requests, errors, connections;
    uint64_t p50_us, p99_us; /* p50: weighted by what was measured; p99: the worst; 0: nothing */
    bool has_rates, has_redis, redis_ok;
    bool redis_off;        /* a node that answers reports that it runs without Redis */
    uint64_t redis_rtt_us; /* the median; redis_ok: no node that answers reports "down" */
    double gone_in_s; /* until the last ticket is gone, by how fast left falls; negative: it does
                         not fall, or is not known */
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
    char events[EVENTS_MAX][EVENT_NAME_MAX + 1]; /* all that any node has reported */
    uint32_t event_count;
    struct model_totals totals;
    struct model_history req, sold;       /* of all nodes */
    struct model_line lines[MODEL_LINES]; /* the newest at line_count - 1, modulo MODEL_LINES */
    uint64_t line_count;
    uint64_t rounds;
    uint64_t round_mono_us;    /* the end of the last round; 0: none yet */
    uint64_t previous_mono_us; /* ... of the one before it */
    uint64_t history_mono_us;  /* the histories are filled up to here */
    /* What the files of the model remember between rounds, each its own. */
    struct duplicates *duplicates;
    struct health *health;
    struct sale_pace *pace;
    struct event_news *news;
    struct repair_waits *waits;
    struct alerts *alerts;
};

/* NULL: no memory. */
struct model *model_new(void);
void model_free(struct model *m);

/* ---- rows ---- */

/* The row of an address, added if it is new; NULL: there are MODEL_NODES_MAX already, or the
 * address does not fit. */
struct model_node *model_add(struct model *m, const char *address);
/* The row of an address; NULL: there is none. */
struct model_node *model_find(const struct model *m, const char *address);
/* A node of that number belongs to the sale, and its address is not known: it has a row until a
 * node of that number answers. */
void model_add_absent(struct model *m, uint16_t number);
/* The address of an absent node is known now, and its row has it. Nothing if there is no such row.
 */
void model_locate(struct model *m, uint16_t number, const char *address);
/* Redis, or a configuration, has node `number` at that address. Nothing if no row has it. */
void model_name(struct model *m, const char *address, uint16_t number);
/* The node has another address now; all that is known of it stays. */
void model_move(struct model *m, struct model_node *n, const char *address, uint64_t now_wall_ms);
/* Its number as the node reports it, or as Redis or a configuration has it; 0: not known. */
uint32_t model_number(const struct model_node *n);
/* An absent node that answers in another row: not shown. */
bool model_is_hidden(const struct model_node *n);
/* The node's figures of the chosen event, *index its own index of it unless index is NULL. NULL:
 * the node does not sell it, has never answered, or is a duplicate. */
const struct stats_event *model_event(const struct model *m, const struct model_node *n,
                                      uint32_t *index);
/* Tickets are left, and the node's local stock allows it none of them. */
bool model_stock_is_spent(const struct stats_event *e);

/* ---- what happens ---- */

/* A node has answered, or a poll of it has failed. A time-out, a reset or a close makes it DOWN
 * when it comes twice in a row, everything else at once; rates are of two answers in a row. */
void model_answered(struct model *m, struct model_node *n, const struct stats *s, uint64_t rtt_us,
                    uint64_t now_mono_us, uint64_t now_wall_ms);
void model_failed(struct model *m, struct model_node *n, const char *why, uint64_t now_wall_ms);
/* The end of a round. */
void model_round(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms);
/* Chooses the event by name, or the next (+1) or previous (-1) one; the totals are made anew. The
 * history of sales begins anew, that of requests is of all events. Until then it is the first event
 * that any node has reported. */
void model_choose(struct model *m, const char *event);
void model_choose_next(struct model *m, int step);
/* Adds a line. */
void model_announce(struct model *m, bool trouble, uint64_t now_wall_ms, const char *format, ...)
    PRINTF(4, 5);

/* ---- what is known ---- */

/* How many nodes have answered in the last whole round, or since. */
uint32_t model_answering(const struct model *m);
/* The chosen event's state as the lines have announced it, and its total; "": not announced yet. */
const char *model_announced_state(const struct model *m, uint64_t *total);
/* "redis ok 0.40ms", "redis DOWN!", "redis off"; "": not known. */
const char *model_redis_text(const struct model_totals *t, char out[MODEL_LINE_BYTES]);

#endif
