/*
 * conf: spike.conf, read once at start (and again for HUP into a second struct).
 *
 * settings.def is the one table: it drives the parser, the defaults, the ranges, "did you mean",
 * and the check of the man page. Nothing here allocates: every list has a limit (limits.h), and
 * struct conf is one flat value.
 *
 * Owner: main, before the other threads start; afterwards the struct is constant.
 */
#ifndef SPIKE_CONF_H
#define SPIKE_CONF_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "conf/base/fault.h"
#include "conf/base/limits.h"

#define CONF_NO_CAP UINT32_MAX /* local_stock: no cap */

/* A numeric address or a Unix socket. */
struct conf_addr {
    char text[128]; /* as written: "127.0.0.1:3005", "[::1]:3005", "unix:/run/spike.sock" */
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local; /* a relative path is resolved by the folder of its file */
    } to;
};

struct conf_event {
    char name[EVENT_NAME_MAX + 1];
    uint32_t total;        /* 1 .. TICKETS_MAX */
    uint32_t stock_max;    /* default twice total; at least total */
    uint32_t local_stock;  /* CONF_NO_CAP without one */
    uint32_t limit;        /* tickets of one buyer; 0: no limit */
    uint32_t max_order;    /* tickets in one order */
    uint64_t hold_ms;      /* 0: sold at once */
    uint64_t open_wall_ms; /* 0: open from the start */
};

struct conf {
    uint16_t node;
    uint16_t nodes[NODES_MAX]; /* in rising order, each once, this node included */
    uint32_t node_count;
    struct conf_addr listen[LISTEN_MAX];
    uint32_t listen_count;
    struct conf_addr admin;     /* len 0: none */
    struct conf_addr advertise; /* the address of `admin` for other hosts; len 0: none */
    struct conf_addr redis;     /* len 0: standalone */
    uint32_t workers;           /* default: the cores this process may run on */
    uint32_t connections;
    char journal[PATH_TEXT_MAX]; /* resolved: absolute, or relative to the working directory */
    uint64_t journal_size;       /* bytes */
    struct conf_event events[EVENTS_MAX];
    uint32_t event_count;
    uint64_t header_timeout_ms, idle_timeout_ms, answer_timeout_ms, redis_timeout_ms,
        node_timeout_ms;
    uint32_t max_header, max_body; /* bytes */
    bool buy_with_get;
    int log_level;                   /* enum log_level */
    char admin_token[PATH_TEXT_MAX]; /* file name; empty: none */
    char stat_log[PATH_TEXT_MAX];    /* file name; empty: none */
};

/* Reads and checks the file, and the files it includes. False: f is "FILE:LINE: what is wrong", and
 * *conf is undefined. */
MUST_CHECK bool conf_load(struct conf *conf, const char *path, struct fault *f);
/* Prints the settings in effect to standard output, in the syntax of the file. */
void conf_print(const struct conf *conf);

/* NULL: no event of that name. */
const struct conf_event *conf_find_event(const struct conf *conf, const char *name);

/* Calls `report` for every setting that differs. event NULL: the setting is not of an event. An
 * event that exists in only one of the two is reported as its setting "event". */
typedef void conf_differs(void *context, const char *event, const char *setting);
void conf_diff(const struct conf *old, const struct conf *new, conf_differs *report, void *context);

#endif
