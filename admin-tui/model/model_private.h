/*
 * model_private: what the files of the model share. Calls run from the top down:
 *
 *     model           answers, failures, the order of a round
 *     duplicates      rows that are one node        health     slow or not
 *     event_news      states and totals             repair_waits, alerts
 *     totals          of the chosen event           history    a value a second
 *     sale            figures of the whole sale     sale_pace  how fast they change
 *     rates           per second, of one node
 *     nodes           rows and their states         lines      what has happened
 *     sums            capped sums, the median
 *
 * Private to the model.
 */
#ifndef SPIKE_TOP_MODEL_PRIVATE_H
#define SPIKE_TOP_MODEL_PRIVATE_H

#include "admin-tui/model/model.h"

/* A report of one node counts after this time, also if the others differ; a beat is shorter. */
#define CERTAIN_US 500000

/* ---- median.c ---- */

/* Sorts the values. The lower one of two in the middle: of two nodes one may be slow. 0: of none.
 */
uint64_t median_of(uint64_t *values, uint32_t count);

/* ---- nodes.c ---- */

/* The row's index in m->nodes. */
uint32_t node_index(const struct model *m, const struct model_node *n);
/* It answers, and reports that it sells. */
bool node_sells(const struct model_node *n);
/* It answers, and this row of it counts. */
bool node_answers(const struct model_node *n);
/* It has answered in the last whole round, or since, and this row of it counts. */
bool node_is_current(const struct model *m, const struct model_node *n);
/* It has attached since it was started: its report of the sale comes from Redis. */
bool node_has_attached(const struct stats *s);
bool node_has_lost_redis(const struct stats *s);
/* The state that an answer implies. */
enum model_state node_state_of(const struct model_node *n, const struct stats *s);
/* Moves the node to a state; announces it, with the reason (or ""), if it is another one. */
void node_set_state(struct model *m, struct model_node *n, enum model_state state,
                    const char *reason, uint64_t now_wall_ms);
/* "node 4", or its address while its number is not known. */
const char *node_label(const struct model_node *n, char out[MODEL_LINE_BYTES]);
/* The event's index in m->events; m->event_count: no node has reported it. */
uint32_t event_index(const struct model *m, const char *event);

/* ---- rates.c ---- */

void rates_drop(struct model_node *n);
/* Between the node's answer before and this one, which has not been stored yet. */
void rates_update(struct model_node *n, const struct stats *s, uint64_t rtt_us,
                  uint64_t now_mono_us);

/* ---- history.c ---- */

void history_clear(struct model_history *h);
/* The seconds that have passed get the values of the round that has just ended. */
void history_advance(struct model *m, uint64_t now_mono_us);

/* ---- sale.c ---- */

/* An event of the whole sale. */
struct sale {
    const struct model_node *from; /* the freshest answer; NULL: no node has reported the event */
    const char *state;
    uint64_t total, sold, left;
    bool alive;  /* from a node that answers and has attached */
    bool agreed; /* all nodes that are as good a witness report the same */
};
struct sale sale_of(const struct model *m, const char *event);
/* In repair no node knows the total, and a node that has not attached reports 0. */
bool sale_has_total(const struct sale *s);

/* ---- sale_pace.c ---- */

struct sale_pace *sale_pace_new(void);
void sale_pace_update(struct model *m);
/* Tickets a second by which `left` of the event falls; 0: it does not, or is not known. */
double sale_pace_of(const struct model *m, const char *event);

/* ---- totals.c ---- */

void totals_update(struct model *m);

/* ---- duplicates.c ---- */

struct duplicates *duplicates_new(void);
/* The row that counts for that number, other than n; NULL: there is none. */
struct model_node *duplicates_holder(const struct model *m, const struct model_node *n,
                                     uint64_t number);
/* The row n is the same node as `to`, which counts. */
void duplicates_yield(struct model *m, struct model_node *n, const struct model_node *to);
/* The row has another number now: what was found out about it is void. */
void duplicates_forget(struct model *m, const struct model_node *n);
/* Decides which rows count; `before_mono_us`: the end of the round before. */
void duplicates_resolve(struct model *m, uint64_t before_mono_us, uint64_t now_wall_ms);

/* ---- health.c ---- */

struct health *health_new(void);
void health_check(struct model *m, uint64_t now_wall_ms);

/* ---- event_news.c, repair_waits.c, alerts.c ---- */

struct event_news *event_news_new(void);
void event_news_announce(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms);
struct repair_waits *repair_waits_new(void);
void repair_waits_announce(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms);
struct alerts *alerts_new(void);
/* Local stocks that are spent. */
void alerts_check_stock(struct model *m, uint64_t now_mono_us, uint64_t now_wall_ms);
/* Nodes that have lost Redis. */
void alerts_check_redis(struct model *m, uint64_t now_wall_ms);

#endif
