/*
 * The other nodes of an event, as the stock lists them: which are silent, which a repair waits
 * for, and how long a living one may take to come back. Each change is logged once.
 *
 * Only a list from outside of a repair is kept: a hash in repair may be old, and an operator who
 * evicts a silent node must not rely on it.
 *
 * Dies here: nothing is lost, the next step requests the list again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"
#include "server/ledger/ledger_private.h"

/* The list is requested with the first step after nine tenths of a beat, so that a busy node, whose
 * steps come much faster, requests it once a beat. */
#define PERIOD_US ((uint64_t)BEAT_MS * 1000 * 9 / 10)
/* The longest pause between two attempts to connect; a connection and an attach take less. */
#define RECONNECT_MS 1000

struct nodes {
    uint64_t sent_mono_us; /* when the list was last asked for, in repair or not */
    /* From the last step outside of a repair. */
    struct stock_node list[NODES_MAX];
    uint32_t count;
    uint64_t heard_mono_us; /* when that list was asked for */
    /* The present repair: its beginning by the stock's clock, 0 for none; and when this node heard
     * of it first. */
    uint64_t repair_ms, repair_seen_mono_us;
    uint16_t awaited[BOARD_WAITS_MAX];
    uint32_t awaited_count; /* of all, not only of those in the array */
    char logged[128];       /* the awaited nodes, as last logged */
};

struct nodes *nodes_new(uint32_t event)
{
    static struct nodes all[EVENTS_MAX];
    ASSERT(event < EVENTS_MAX);
    memset(&all[event], 0, sizeof all[event]);
    return &all[event];
}

bool nodes_are_due(const struct nodes *n, uint64_t now_mono_us)
{
    return now_mono_us >= n->sent_mono_us + PERIOD_US;
}

void nodes_refresh(struct nodes *n)
{
    n->sent_mono_us = 0;
}

const struct stock_node *nodes_last_heard(const struct nodes *n, uint32_t *count,
                                          uint64_t *heard_mono_us)
{
    ASSERT(n->count <= NODES_MAX);
    *count = n->count;
    *heard_mono_us = n->heard_mono_us;
    return n->list;
}

static const struct stock_node *find(const struct nodes *n, uint16_t id)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (n->list[i].id == id)
            return &n->list[i];
    return NULL;
}

uint64_t nodes_seen_alive_ms(const struct nodes *n, uint16_t id)
{
    const struct stock_node *found = find(n, id);
    return found != NULL && !found->silent ? (clock_mono_us() - n->heard_mono_us) / 1000
                                           : UINT64_MAX;
}

/* ---- how long to wait ----------------------------------------------------------------------- */

void nodes_note_repair(struct ledger_event *e)
{
    if (e->figures.repair_since_wall_ms == e->nodes->repair_ms)
        return;
    e->nodes->repair_ms = e->figures.repair_since_wall_ms;
    e->nodes->repair_seen_mono_us = clock_mono_us();
}

uint64_t nodes_patience_ms(const struct ledger *l)
{
    uint64_t redis_ms =
        atomic_load_explicit(&l->board->tunables.redis_timeout_ms, memory_order_relaxed);
    return l->conf->node_timeout_ms > redis_ms + RECONNECT_MS ? l->conf->node_timeout_ms
                                                              : redis_ms + RECONNECT_MS;
}

uint64_t nodes_wait_ms(const struct ledger *l, const struct nodes *n)
{
    uint64_t now = clock_mono_us(), from = session_attached_mono_us(l->session);
    if (from < n->repair_seen_mono_us)
        from = n->repair_seen_mono_us;
    uint64_t until = from + nodes_patience_ms(l) * 1000;
    return now < until ? (until - now) / 1000 + 1 : 0;
}

/* ---- what a step said ----------------------------------------------------------------------- */

/* Keeps the lowest numbers, rising: when the array is full the highest gives way. */
static void add_awaited(struct nodes *n, uint16_t id)
{
    uint32_t i = n->awaited_count < BOARD_WAITS_MAX ? n->awaited_count : BOARD_WAITS_MAX;
    n->awaited_count++;
    if (i == BOARD_WAITS_MAX && n->awaited[--i] < id)
        return;
    for (; i > 0 && n->awaited[i - 1] > id; i--)
        n->awaited[i] = n->awaited[i - 1];
    n->awaited[i] = id;
}

static void find_awaited(const struct ledger *l, struct nodes *n, const struct stock_node *list,
                         uint32_t count)
{
    n->awaited_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!list[i].ready && list[i].id != l->conf->node)
            add_awaited(n, list[i].id);
}

const uint16_t *nodes_awaited(const struct nodes *n, uint32_t *count)
{
    *count = n->awaited_count;
    return n->awaited;
}

/* As soon as a living node has had the time to come. */
static void log_awaited(const struct ledger *l, struct ledger_event *e,
                        const struct stock_node *list, uint32_t count)
{
    char text[sizeof e->nodes->logged] = "";
    size_t used = 0;
    if (nodes_wait_ms(l, e->nodes) > 0)
        return;
    for (uint32_t i = 0; i < count && used + sizeof " 65535 ..." < sizeof text; i++)
        if (!list[i].ready && list[i].id != l->conf->node)
            used += (size_t)snprintf(text + used, sizeof text - used, " %u", (unsigned)list[i].id);
    if (used > 0 && strcmp(text, e->nodes->logged) != 0)
        log_line(LOG_WARN,
                 "event %s: in repair, waits for node%s; start what is missing, or, if it is gone "
                 "for good, POST /reopen?event=%s",
                 e->conf->name, text, e->conf->name);
    memcpy(e->nodes->logged, text, sizeof text);
}

static void log_silence(const struct ledger_event *e, const struct stock_node *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct stock_node *now = &list[i], *before = find(e->nodes, now->id);
        bool was_silent = before != NULL && before->silent;
        if (now->silent && !was_silent)
            log_line(LOG_WARN,
                     "event %s: node %u is silent; its %" PRIu32
                     " tickets stay counted, the others sell on",
                     e->conf->name, (unsigned)now->id, now->gone);
        else if (!now->silent && was_silent)
            log_line(LOG_INFO, "event %s: node %u is back", e->conf->name, (unsigned)now->id);
    }
}

static void update(const struct ledger *l, struct ledger_event *e, const struct stock_node *list,
                   uint32_t count, uint64_t sent_mono_us)
{
    struct nodes *n = e->nodes;
    n->sent_mono_us = sent_mono_us;
    if (e->figures.repair) {
        find_awaited(l, n, list, count);
        log_awaited(l, e, list, count);
        return;
    }
    log_silence(e, list, count);
    memcpy(n->list, list, count * sizeof *list);
    n->count = count;
    n->heard_mono_us = sent_mono_us;
}

void nodes_update(const struct ledger *l, struct ledger_event *e, const struct stock_node *list,
                  uint32_t count, uint64_t sent_mono_us)
{
    ASSERT(count <= NODES_MAX);
    if (!e->figures.repair)
        e->nodes->awaited_count = 0;
    if (count > 0)
        update(l, e, list, count, sent_mono_us);
}
