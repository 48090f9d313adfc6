/*
 * million: what the processes of buyers and the one that leads them share, in memory that all of
 * them have mapped. The leader writes the word, each process of buyers its own tally.
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

/* What is counted, and by which name it is reported. */
#define COUNTS(X)                                                                  \
    X(HELD, "held")         /* connections that are open now */                    \
    X(REOPENED, "reopened") /* connects that had to be repeated */                 \
    X(DROPPED, "dropped")   /* of those, connections that were open and waiting */ \
    X(YES, "yes")           /* from here on: how a buyer ended */                  \
    X(SOLD_OUT, "sold_out")                                                        \
    X(SOLD_OUT_HERE, "sold_out_here")                                              \
    X(BUSY, "busy")             /* still, after all tries */                       \
    X(OTHER, "other")           /* an answer that should not be */                 \
    X(UNANSWERED, "unanswered") /* the connection ended first */                   \
    X(TOLD_BUSY, "told_busy")   /* answers after which a buyer asked again */

enum count {
#define ID(id, name) COUNT_##id,
    COUNTS(ID)
#undef ID
        COUNT_KINDS
};

struct node_totals {
    _Alignas(64) _Atomic uint32_t n[COUNT_KINDS];
    _Atomic uint64_t last_yes_ns, last_answer_ns; /* monotonic; 0: none */
    _Atomic bool failed;                          /* text says why; the process has ended */
    char text[TEXT_MAX];
    char odd[TEXT_MAX]; /* the first OTHER answer */
};

struct common {
    uint32_t nodes, processes, total, asks_max;
    int bell;   /* an eventfd, readable when the word is given: nobody reads it */
    int orders; /* a file, opened to append to: the ids that buyers were told, a line each */
    struct sockaddr_in node[NODES_MAX];
    struct node_totals tally[PROCESSES_MAX];
};

/* One process of buyers, from its birth to its end; it is ended by a signal, or when it fails. */
void buyers_live(struct common *common, uint32_t process);

/* Monotonic: the same for all processes. */
uint64_t million_now_ns(void);

#endif
