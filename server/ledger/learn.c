/*
 * Learning: what other nodes, or earlier processes of this one, did to the sale becomes a record in
 * this node's journal. So after a crash, or when Redis has lost its memory, this node still knows
 * the sale, its nodes, and the last act of an operator.
 *
 * Each is appended to this turn's transaction. Dies before the commit: learned again from the next
 * step or attach.
 */
#include <sodium.h>
#include <string.h>

#include "conf/base/log.h"
#include "server/ledger/ledger_private.h"

static bool is_known_node(const struct node_totals *t, uint16_t node)
{
    ASSERT(t->known_count <= NODES_MAX);
    for (uint32_t i = 0; i < t->known_count; i++)
        if (t->known[i] == node)
            return true;
    return false;
}

void learn_node(struct ledger *l, struct ledger_event *e, uint16_t node)
{
    struct record r = {.kind = RECORD_KNOWN, .node = node};
    if (is_known_node(&e->totals, node))
        return;
    if (e->totals.known_count == NODES_MAX)
        ledger_die("the sale has more nodes than spike can know (256); attach fewer");
    book_append(l, e, &r);
}

void learn_sale(struct ledger *l, struct ledger_event *e, const struct stock_attach *at)
{
    struct record r = {.kind = RECORD_SALE,
                       .state = l->conf->redis.len > 0 ? SALE_UNIFIED : SALE_STANDALONE,
                       .total = at->figures.total,
                       .version = at->figures.version};
    size_t len;
    ASSERT(sodium_hex2bin(r.sale, sizeof r.sale, at->sale.id, STOCK_SALE_TEXT, NULL, &len, NULL) ==
           0);
    memcpy(r.secret, at->sale.secret, sizeof r.secret);
    const struct node_totals *t = &e->totals;
    if (!t->has_sale || memcmp(t->sale, r.sale, sizeof r.sale) != 0 ||
        t->unified != (r.state == SALE_UNIFIED))
        book_append(l, e, &r);
    for (uint32_t i = 0; i < at->known_count; i++)
        learn_node(l, e, at->known[i]);
}

void learn_own_act(struct ledger *l, struct ledger_event *e, const struct stock_origin *origin)
{
    static const char *const names[] = {
        [STOCK_OPEN] = "open", [STOCK_PAUSED] = "paused", [STOCK_CLOSED] = "closed"};
    ASSERT(e->figures.state < ARRAY_LEN(names) && origin->from_len <= PARAM_MAX);
    struct record r = {.kind = RECORD_ADMIN,
                       .state = (uint8_t)e->figures.state,
                       .total = e->figures.total,
                       .version = e->figures.version,
                       .node = origin->node,
                       .acted_wall_ms = origin->wall_ms,
                       .buyer_len = origin->from_len};
    memcpy(r.buyer, origin->from, origin->from_len);
    book_append(l, e, &r);
    if (origin->node == 0)
        log_line(LOG_WARN, "event %s: %s, total %u now; it is not known by whose act",
                 e->conf->name, names[e->figures.state], e->figures.total);
    else
        log_line(LOG_INFO, "event %s: %s, total %u, by an operator of node %u (%.*s)",
                 e->conf->name, names[e->figures.state], e->figures.total, (unsigned)origin->node,
                 (int)origin->from_len, origin->from);
}

void learn_act(struct ledger *l, struct ledger_event *e, const struct stock_origin *origin)
{
    const struct stock_figures *g = &e->figures;
    const struct node_totals *t = &e->totals;
    if (g->version < t->version || (g->version == t->version &&
                                    g->state == (enum stock_state)t->state && g->total == t->total))
        return;
    if (book_capacity(l) == 0)
        return; /* the next step brings it again */
    learn_own_act(l, e, origin);
}
