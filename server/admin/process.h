/*
 * process: what the kernel says of this process. A figure that it does not tell is 0. Nothing is
 * allocated, and nothing is opened for longer than a call.
 *
 * Owner: any thread.
 */
#ifndef SPIKE_PROCESS_H
#define SPIKE_PROCESS_H

#include <stdint.h>

struct process {
    uint64_t virtual_bytes, resident_bytes;
    uint64_t open_fds, max_fds;
    uint64_t cpu_us; /* user and system */
};

void process_look(struct process *p);
uint64_t process_resident_bytes(void);

#endif
