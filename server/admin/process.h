/*
 * process: what the kernel reports of this process. A figure that cannot be read is 0. The
 * functions allocate nothing and leave no descriptor open.
 *
 * Threads: any.
 */
#ifndef SPIKE_PROCESS_H
#define SPIKE_PROCESS_H

#include <stdint.h>

uint64_t process_virtual_bytes(void);
uint64_t process_resident_bytes(void);
uint64_t process_open_fds(void);
uint64_t process_max_fds(void);
/* CPU time, user and system. */
uint64_t process_cpu_us(void);

#endif
