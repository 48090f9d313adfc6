/*
 * registry: where the nodes of a sale can be reached, as each node registers it in Redis with every
 * beat. Read and never written; for spike-top(1).
 *
 * Owner: one thread. hiredis and the connection allocate inside the call.
 */
#ifndef SPIKE_REGISTRY_H
#define SPIKE_REGISTRY_H

#include <stdint.h>

#include "conf/base/conf.h"
#include "conf/base/fault.h"

#define REGISTRY_ADDRESS 128 /* bytes of an address, NUL included */

struct registry_node {
    uint16_t node;
    uint64_t beat_wall_ms;          /* the last one, by the clock of Redis */
    char address[REGISTRY_ADDRESS]; /* of the admin listener, as registered: not checked */
};

/* Each node once and each address once, over all events of the configuration. Of entries with one
 * node, or one address, the one with the latest beat is kept. */
struct registry {
    uint32_t count;
    struct registry_node nodes[NODES_MAX];
};

/* Reads the registry; takes at most timeout_us. Nodes that do not advertise an address are left
 * out. False: Redis has not answered; f says why. */
MUST_CHECK bool registry_read(const struct conf *conf, uint64_t timeout_us, struct registry *out,
                              struct fault *f);

#endif
