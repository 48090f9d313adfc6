/*
 * load.h: what the parts of load share. load.c reads the command line, load_run.c asks,
 * load_answers.c judges and counts what comes.
 */
#ifndef SPIKE_BENCH_LOAD_H
#define SPIKE_BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONNECTIONS_MAX 19000 /* below the 20,000 files that a process may usually open */
#define DEPTH_MAX       64
#define SERVERS_MAX     64
#define HEADERS_MAX     2
#define PATH_MAX_BYTES  400
#define ANSWERS_MAX     16384 /* bytes of answers that a connection may have unread */
#define SECOND_NS       UINT64_C(1000000000)

/* The command line: see `usage` in load.c. Nobody changes it once the load has begun. */
struct ask {
    uint32_t connections, depth, seconds, rate, wait, retry_count, retry_every;
    uint64_t requests; /* 0: until the time is over */
    bool close, hold, patient;
    const char *headers[HEADERS_MAX];
    uint32_t header_count;
    char seed[9], retry_seed[9];
    const char *expect, *also, *file, *path;
    struct sockaddr_in servers[SERVERS_MAX];
    uint32_t server_count;
};
extern struct ask ask;

struct connection {
    int fd;
    uint32_t server;
    uint32_t waiting; /* for so many answers */
    uint32_t next;    /* of them, the place in due_ns that comes first */
    size_t have;      /* bytes in buffer */
    bool answered;    /* -x: now the server has to close */
    bool busy;        /* was told so, has to ask again */
    uint64_t first;   /* number of the first request that waits */
    uint64_t due_ns[DEPTH_MAX];
    uint64_t again_ns;
    char *buffer; /* ANSWERS_MAX bytes and a NUL */
};

/* Says what is wrong and ends the process with exit status 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Monotonic. */
uint64_t now_ns(void);

/* Asks as the command line says, and reports; whatever goes wrong ends the process. */
void run_load(void);

/* Reads what is there and judges the answers that are complete. False: the server has closed. */
bool answers_read(struct connection *c);

/* Good ones, without those that said "busy". */
uint64_t answers_count(void);

/* The line of the result, and the distribution if it is asked for. */
void answers_report(uint64_t took_ns);

#endif
