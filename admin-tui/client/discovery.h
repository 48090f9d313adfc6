/*
 * discovery: the nodes that Redis knows, from the registry that every beat keeps. Nodes that appear
 * there later are reported while the console runs, and so are nodes that have another address than
 * before. None is ever taken away: a node that is gone is a node that is down.
 *
 *     thread of its own: registry, name resolution ──mutex, ev_async──> loop: reports
 *
 * so neither a slow Redis nor a slow name server ever stops the screen.
 *
 * Owner: main's thread, which runs the loop; one a process, until the process ends.
 */
#ifndef SPIKE_TOP_DISCOVERY_H
#define SPIKE_TOP_DISCOVERY_H

#include <stdint.h>

#include "admin-tui/client/endpoint.h"
#include "conf/base/conf.h"

struct ev_loop;

/* Called on main's thread: by discovery_read(), later on the loop. */
struct discovery_reports {
    /* A node that is new here. False: it cannot be added; f says why. */
    bool (*found)(void *context, uint16_t number, const char *address, const struct endpoint *e,
                  struct fault *f);
    /* A node has another address than before. */
    void (*moved)(void *context, uint16_t number, const char *from, const char *to,
                  const struct endpoint *e);
    /* Redis, which did not answer discovery_read(), answers. */
    void (*redis_is_back)(void *context);
};

/* conf: where Redis is; it must stay until the process ends. */
void discovery_init(const struct conf *conf, const struct discovery_reports *reports,
                    void *context);
/* Reads the registry once and reports every node, in the order of their numbers; answers how many
 * were added. f: why the last of them could not be, or why there is none. An address that cannot be
 * resolved now is tried again later. */
uint32_t discovery_read(struct fault *f);
/* Redis has not answered yet. */
bool discovery_has_no_redis(void);
/* A node that is known otherwise, and its address: it is not reported unless it moves. */
void discovery_remember(uint16_t number, const char *address);
bool discovery_knows(uint16_t number);
/* From now on reads the registry every few seconds, in a thread of its own. The loop must live
 * until the process ends, or until discovery_stop(). */
MUST_CHECK bool discovery_start(struct ev_loop *loop, struct fault *f);
/* Nothing is reported any more. The thread ends with the process: it may be resolving a name. */
void discovery_stop(void);

#endif
