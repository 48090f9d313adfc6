/*
 * endpoint: the address of a node, as an operator writes it, resolved into what connect(2) takes.
 *
 * Addresses: HOST:PORT (numeric, or a name), [IPv6]:PORT, unix:PATH. A name can resolve to several
 * socket addresses (localhost is ::1 and 127.0.0.1): a connection is tried to each in turn.
 *
 * Threads: any. Resolving a name can take seconds; numeric addresses and paths do not block.
 */
#ifndef SPIKE_TOP_ENDPOINT_H
#define SPIKE_TOP_ENDPOINT_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "conf/base/fault.h"

#define ENDPOINT_ADDRESS 128 /* bytes of an address as text, with its NUL */
#define ENDPOINT_MAX     4   /* socket addresses of one name; more are ignored */

struct endpoint {
    uint32_t count;
    socklen_t len[ENDPOINT_MAX];
    union {
        struct sockaddr_un local; /* the only one */
        struct sockaddr_in6 inet[ENDPOINT_MAX];
    } to;
};

/* False: this is not an address, or the name cannot be resolved; f says which. */
MUST_CHECK bool endpoint_resolve(struct endpoint *e, const char *address, struct fault *f);
/* The i-th socket address, i < e->count; its length is e->len[i]. */
const struct sockaddr *endpoint_at(const struct endpoint *e, uint32_t i);

#endif
