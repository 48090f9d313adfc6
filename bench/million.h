/*
 * million: the memory that the leader and the processes of buyers share. Every process has mapped
 * it.
 *
 * Owner: the leader writes the settings before it starts the processes, and rings the start signal;
 * each process of buyers writes its own totals.
 */
#ifndef SPIKE_BENCH_MILLION_H
#define SPIKE_BENCH_MILLION_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NODES_MAX     256
#define PROCESSES_MAX 1024
#define TEXT_MAX      256

/* What is counted, and the name in the report. */
#define COUNTS(X)                                                                 \
    X(HELD, "held")         /* connections that are open now */                   \
    X(REOPENED, "reopened") /* connects that were repeated */                     \
    X(DROPPED, "dropped")   /* of those, connections that were held before */     \
    X(YES, "yes")           /* from here to UNANSWERED: the outcome of a buyer */ \
    X(SOLD_OUT, "sold_out")                                                       \
    X(SOLD_OUT_HERE, "sold_out_here")                                             \
    X(BUSY, "busy")             /* after all tries */                             \
    X(OTHER, "other")           /* an unexpected answer */                        \
    X(UNANSWERED, "unanswered") /* the connection ended first */                  \
    X(RETRIED, "told_busy")     /* answers after which a buyer repeated the request */

enum count {
#define ID(id, name) COUNT_##id,
    COUNTS(ID)
#undef ID
        COUNT_KINDS
};

struct process_totals {
    _Alignas(64) _Atomic uint32_t n[COUNT_KINDS];
    _Atomic uint64_t last_yes_ns, last_answer_ns; /* monotonic; 0: none */
    _Atomic bool failed;                          /* the process has ended; see text */
    char text[TEXT_MAX];
    char unexpected[TEXT_MAX]; /* the first OTHER answer */
};

struct million {
    uint32_t nodes, processes, total;
    uint32_t requests_max; /* outstanding at a time, in one process */
    int start_signal;      /* an eventfd, never read: readable once the sale has begun */
    int orders;            /* a file in append mode: the ids of granted orders, a line each */
    struct sockaddr_in node[NODES_MAX];
    struct process_totals totals[PROCESSES_MAX];
};

/* The body of a process of buyers; a signal or a failure ends the process. */
void buyers_run(struct million *shared, uint32_t process);

/* The monotonic clock, the same in all processes. */
uint64_t million_now_ns(void);

#endif
