/*
 * A request becomes a message to the ledger: what only the ledger can answer, a possible sale, an
 * order, an operator's act. Here is what all of them have in common; buy.c and reply_order.c know
 * how the answers read.
 *
 * Order of effects: everything older on this connection is sent; the message is pushed; the verdict
 * comes back (complete.c); its answer is sent. If the answer deadline passes first, the answer is
 * -6; if the connection ends first, there is none. In both cases the verdict is reaped
 * (inflight.c): a buy is then an order without a buyer; anything else has been done, or not, and
 * can be asked for again.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/clock.h"
#include "server/net/worker_private.h"

static enum message_kind kind_of(const struct route *route)
{
    static const uint8_t kinds[] = {
        [ROUTE_BUY] = MESSAGE_BUY,       [ROUTE_GET_ORDER] = MESSAGE_GET_ORDER,
        [ROUTE_CANCEL] = MESSAGE_CANCEL, [ROUTE_PAY] = MESSAGE_PAY,
        [ROUTE_PAUSE] = MESSAGE_PAUSE,   [ROUTE_RESUME] = MESSAGE_RESUME,
        [ROUTE_CLOSE] = MESSAGE_CLOSE,   [ROUTE_RESTOCK] = MESSAGE_RESTOCK,
        [ROUTE_REOPEN] = MESSAGE_REOPEN, [ROUTE_RECLAIM] = MESSAGE_RECLAIM,
    };
    ASSERT(route_is_for_ledger(route) && (size_t)route->kind < ARRAY_LEN(kinds));
    return (enum message_kind)kinds[route->kind];
}

static void print_peer(const struct connection *c, char text[PARAM_MAX])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer = {.any = {.sa_family = AF_UNSPEC}};
    struct ucred user = {.uid = (uid_t)-1}; /* unknown */
    socklen_t len = sizeof peer, user_len = sizeof user;
    char host[INET6_ADDRSTRLEN] = "";
    if (getpeername(c->io.fd, &peer.any, &len) != 0)
        peer.any.sa_family = AF_UNSPEC;
    switch (peer.any.sa_family) {
    case AF_UNIX:
        getsockopt(c->io.fd, SOL_SOCKET, SO_PEERCRED, &user, &user_len);
        snprintf(text, PARAM_MAX, "unix:uid=%u", (unsigned)user.uid);
        break;
    case AF_INET:
        inet_ntop(AF_INET, &peer.v4.sin_addr, host, sizeof host);
        snprintf(text, PARAM_MAX, "%s:%u", host, (unsigned)ntohs(peer.v4.sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &peer.v6.sin6_addr, host, sizeof host);
        snprintf(text, PARAM_MAX, "[%s]:%u", host, (unsigned)ntohs(peer.v6.sin6_port));
        break;
    default:
        snprintf(text, PARAM_MAX, "unknown"); /* gone already */
    }
}

/* Where an act comes from, for the journal. */
static void fill_origin(const struct connection *c, struct message *m)
{
    char text[PARAM_MAX];
    print_peer(c, text);
    m->buyer_len = (uint8_t)strlen(text);
    ASSERT(m->buyer_len < PARAM_MAX);
    memcpy(m->buyer, text, m->buyer_len);
}

static void fill_buy(struct message *m, const struct route *route)
{
    m->n = route->n;
    m->event = (uint8_t)route->event;
    m->buyer_len = route->buyer_len;
    m->key_len = route->key_len;
    memcpy(m->buyer, route->buyer, route->buyer_len);
    memcpy(m->key, route->key, route->key_len);
}

static void fill_order(struct message *m, const struct orderid *order)
{
    m->slot = order->slot;
    m->number = order->number;
    m->tag = order->tag;
    m->received_wall_ms = clock_wall_ms();
}

static void fill_act(const struct connection *c, struct message *m, const struct route *route)
{
    if (route->kind == ROUTE_RECLAIM)
        m->node = (uint16_t)route->node;
    else
        m->event = (uint8_t)route->event;
    m->total = route->kind == ROUTE_RESTOCK ? route->total : 0;
    m->journal_lost = route->journal_lost;
    fill_origin(c, m);
}

static void fill(const struct worker *w, struct connection *c, struct message *m,
                 const struct route *route)
{
    m->conn = c;
    m->deadline_mono_us = w->now_us + conn_state_limit_us(w, CONN_WAITING);
    m->number = m->tag = m->pay_by_wall_ms = m->received_wall_ms = 0;
    m->state = NULL;
    m->n = m->total = m->gone = m->node_gone = m->node_returned = m->subject_ms = m->subject_node =
        0;
    m->node = w->o.conf->node;
    m->kind = (uint8_t)kind_of(route);
    m->event = m->slot = 0;
    m->verdict = VERDICT_BUSY;
    atomic_store_explicit(&m->abandoned, false, memory_order_relaxed);
    m->buyer_len = m->key_len = 0;
    if (LIKELY(route->kind == ROUTE_BUY))
        fill_buy(m, route);
    else if (route->kind >= ROUTE_PAUSE)
        fill_act(c, m, route);
    else
        fill_order(m, &route->order);
}

enum submitted submit(struct worker *w, struct connection *c, const struct route *route,
                      enum keepalive_mode keepalive)
{
    if (!output_flush(w, c))
        return SUBMIT_BLOCKED;
    ASSERT(w->out_len == 0 && c->state != CONN_WAITING);
    struct message *m = pool_get(&w->messages);
    if (m == NULL)
        return SUBMIT_NO_MESSAGE;
    ASSERT(c->message == NULL);
    fill(w, c, m, route);
    c->message = m;
    c->keepalive = (uint8_t)keepalive;
    conn_state_move(w, c, CONN_WAITING);
    inflight_push(w, m);
    return SUBMIT_WAITING;
}
