/*
 * registry: where the nodes of a sale are, as they say in Redis with every beat: read and never
 * written, for spike-top(1).
 *
 * Owner: one thread. hiredis allocates inside the call.
 */
#ifndef SPIKE_REGISTRY_H
#define SPIKE_REGISTRY_H

#include <stdint.h>

#include "conf/base/conf.h"
#include "conf/base/fault.h"

#define REGISTRY_ADDRESS 128

struct registry_node {
    uint16_t node;
    uint64_t beat_wall_ms;          /* the last one, by Redis' clock */
    char address[REGISTRY_ADDRESS]; /* of the admin listener; not yet looked at */
};

/* Each node once and each address once, over all events of the configuration; where they differ the
 * latest beat is right. */
struct registry {
    uint32_t count;
    struct registry_node nodes[NODES_MAX];
};

/* Takes at most timeout_us. False: Redis has not answered; f says why. Nodes that do not advertise
 * an address are not in it. */
MUST_CHECK bool registry_read(const struct conf *conf, uint64_t timeout_us, struct registry *out,
                              struct fault *f);

#endif
