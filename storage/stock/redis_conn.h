/*
 * redis_conn: one connection to Redis and one call at a time, each with an absolute deadline.
 *
 * hiredis parses replies. Connecting, sending and waiting are done here, for two reasons: hiredis
 * counts its time-outs from the last byte, so a peer that sends a byte now and then never runs into
 * one; and a connection that it opens without blocking has no time-out at all. After any failure,
 * an allocation that fails included, the connection is closed, and the outcome of the call is in
 * doubt.
 *
 * Owner: the thread that opened the connection. Opening and receiving allocate; sending does not.
 */
#ifndef SPIKE_REDIS_CONN_H
#define SPIKE_REDIS_CONN_H

#include <hiredis/hiredis.h>

#include "conf/base/arena.h"
#include "conf/base/conf.h"

#define REDIS_CONN_BUFFER 16384 /* bytes: most commands, and what Redis itself reads at a time */

struct redis_conn;

/* The server's connection, of which a process has one: its memory is planned into the arena, and
 * init takes the blocks. `addr` must outlive it. */
struct redis_conn *redis_conn_plan(const struct conf_addr *addr, struct arena *a,
                                   uint32_t max_args);
void redis_conn_init(struct redis_conn *c, const struct arena *a);
/* A tool's connection, on the heap. NULL: no memory. `addr` must outlive it. */
MUST_CHECK struct redis_conn *redis_conn_create(const struct conf_addr *addr, uint32_t max_args);
/* Closes and frees what redis_conn_create() made. NULL: nothing happens. */
void redis_conn_destroy(struct redis_conn *c);

MUST_CHECK bool redis_conn_open(struct redis_conn *c, uint64_t deadline_mono_us, struct fault *f);
bool redis_conn_is_open(const struct redis_conn *c);
void redis_conn_close(struct redis_conn *c);
/* The address, for messages. */
const char *redis_conn_name(const struct redis_conn *c);

void redis_conn_begin(struct redis_conn *c); /* a new, empty command */
/* Arguments are not copied: they must stay where they are until the command is sent. */
void redis_conn_add(struct redis_conn *c, const char *text, size_t len);
void redis_conn_add_text(struct redis_conn *c, const char *text);
void redis_conn_add_number(struct redis_conn *c, int64_t number); /* in decimal; is copied */
/* Puts the text in the place of an argument that was added before. */
void redis_conn_replace(struct redis_conn *c, uint32_t argument, const char *text);

/* Sends the command. False: the outcome is in doubt, the connection is closed, f says why. */
MUST_CHECK bool redis_conn_send(struct redis_conn *c, uint64_t deadline_mono_us, struct fault *f);
/* Waits for the reply, which the caller frees (freeReplyObject). NULL: the outcome is in doubt, the
 * connection is closed, f says why. An error reply is a reply. */
MUST_CHECK redisReply *redis_conn_receive(struct redis_conn *c, uint64_t deadline_mono_us,
                                          struct fault *f);
/* Both. */
MUST_CHECK redisReply *redis_conn_call(struct redis_conn *c, uint64_t deadline_mono_us,
                                       struct fault *f);

#endif
