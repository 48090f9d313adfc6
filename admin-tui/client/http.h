/*
 * http: an HTTP client for many nodes: one request at a time and its response on each connection,
 * which stays open while both sides keep it alive. Nothing blocks: everything happens in callbacks
 * of the loop, and every request has a deadline.
 *
 *     idle -> delayed -> connecting -> sending -> head -> body -> idle
 *
 * Owner: the thread of the loop. http_client_new() allocates all memory.
 */
#ifndef SPIKE_TOP_HTTP_H
#define SPIKE_TOP_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "admin-tui/client/endpoint.h"

struct ev_loop;
struct http_client;
struct http_conn;

/* The request has ended, and the connection is idle: a new request may begin. failure NULL: the
 * response is here (http_body_len() and so on); else there is none, and failure says why in a few
 * words. */
typedef void http_done(void *owner, const char *failure);

/* What a connection is for. */
struct http_use {
    http_done *done;
    void *owner;       /* passed to done */
    uint64_t body_max; /* bytes; a longer body is a failure and is not read */
    bool only_200;     /* any other status is a failure */
};

/* At most `conns` connections. shared: chunks of body that all of them together may have beyond the
 * few of each (buffers.h). NULL: no memory. */
struct http_client *http_client_new(struct ev_loop *loop, uint32_t conns, uint32_t shared);
/* Closes every connection and ends every request without a call of done. */
void http_client_free(struct http_client *c);

/* The next unused connection; it stays in use until http_client_free(). */
struct http_conn *http_conn_new(struct http_client *c, const struct http_use *use);
/* Where the next request goes; closes the connection, which must be idle. */
void http_set_endpoint(struct http_conn *h, const struct endpoint *e);
bool http_is_idle(const struct http_conn *h);
/* Sends the request after delay_us; calls done once, later, at most timeout_us from now (delay_us
 * is part of it). The connection must be idle and have an endpoint; the request's bytes must not
 * change until done. */
void http_begin(struct http_conn *h, const char *request, size_t len, uint64_t delay_us,
                uint64_t timeout_us);
/* Gives up the request, if there is one, without a call of done; closes the connection. */
void http_close(struct http_conn *h);

/* The body of the last response, until the next request or http_drop_body(). */
size_t http_body_len(const struct http_conn *h);
void http_body_copy(const struct http_conn *h, char *out);
void http_drop_body(struct http_conn *h);
/* When the last request was sent. */
uint64_t http_sent_mono_us(const struct http_conn *h);

#endif
