/*
 * load_options: the command line of load, see `usage` in load_options.c.
 *
 * Owner: the one thread of load; read only once load_options_read() has returned.
 */
#ifndef SPIKE_BENCH_LOAD_OPTIONS_H
#define SPIKE_BENCH_LOAD_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define CONNECTIONS_MAX 19000 /* below the usual limit of 20,000 files a process */
#define DEPTH_MAX       64
#define SERVERS_MAX     64
#define HEADERS_MAX     2
#define PATH_MAX_BYTES  400
#define SEED_BYTES      8

struct load_options {
    uint32_t connections, depth, seconds, rate, wait_seconds;
    uint32_t retry_count, retry_every; /* -o */
    uint64_t requests;                 /* 0: until the time is over */
    bool close_each, hold, retry_busy;
    const char *headers[HEADERS_MAX];
    uint32_t header_count;
    char seed[SEED_BYTES + 1], retry_seed[SEED_BYTES + 1];
    const char *expect, *expect_too; /* beginnings of a valid body; expect_too NULL: none */
    const char *file, *path;
    struct sockaddr_in servers[SERVERS_MAX];
    uint32_t server_count;
};

/* A wrong command line ends the process with exit status 2. */
void load_options_read(struct load_options *o, int argc, char **argv);

#endif
