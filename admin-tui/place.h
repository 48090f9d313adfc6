/*
 * place: where a node is: an address as people write it, looked up once into what connect(2) takes.
 *
 * Addresses: HOST:PORT (numeric, or a name), [IPv6]:PORT, unix:PATH. A name can stand for several
 * places (localhost is ::1 and 127.0.0.1): they are tried in turn.
 *
 * Threads: any. Looking up a name can take seconds; numbers and paths do not.
 */
#ifndef SPIKE_TOP_PLACE_H
#define SPIKE_TOP_PLACE_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "conf/base/fault.h"

#define PLACES_MAX 4 /* of one name */

struct place {
    uint32_t count;
    socklen_t len[PLACES_MAX];
    union {
        struct sockaddr_un local; /* alone */
        struct sockaddr_in6 inet[PLACES_MAX];
    } to;
};

/* False: it is no address, or nobody knows the name. */
MUST_CHECK bool place_find(struct place *p, const char *address, struct fault *f);
const struct sockaddr *place_at(const struct place *p, uint32_t i);

#endif
