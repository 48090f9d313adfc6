/*
 * Histories: a value a second, whatever the interval of the rounds is. A round that is longer than
 * a second fills several values, a shorter one sometimes none.
 *
 * Owner: one thread.
 */
#include <math.h>
#include <string.h>

#include "admin-tui/model/model_private.h"

#define SECOND_US UINT64_C(1000000)
#define EARLY_US  (SECOND_US / 10) /* a round may end a little before its second does */

void history_clear(struct model_history *h)
{
    for (int i = 0; i < MODEL_HISTORY; i++)
        h->at[i] = NAN;
}

static void push(struct model_history *h, uint64_t seconds, bool is_known, double value)
{
    uint64_t count = seconds < MODEL_HISTORY ? seconds : MODEL_HISTORY;
    memmove(h->at, h->at + count, (MODEL_HISTORY - count) * sizeof h->at[0]);
    for (uint64_t i = MODEL_HISTORY - count; i < MODEL_HISTORY; i++)
        h->at[i] = is_known ? (float)value : NAN;
}

void history_advance(struct model *m, uint64_t now_mono_us)
{
    if (m->history_mono_us == 0)
        m->history_mono_us = now_mono_us;
    ASSERT(now_mono_us + EARLY_US >= m->history_mono_us);
    uint64_t seconds = (now_mono_us + EARLY_US - m->history_mono_us) / SECOND_US;
    m->history_mono_us += seconds * SECOND_US;
    push(&m->req, seconds, m->totals.has_rates, m->totals.req_s);
    push(&m->sold, seconds, m->totals.has_rates, m->totals.sold_s);
    for (uint32_t i = 0; i < m->node_count; i++)
        push(&m->nodes[i].req, seconds, m->nodes[i].has_rates, m->nodes[i].req_s);
}
