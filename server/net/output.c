/*
 * Sending. The answers of one pass are collected in the worker's shared buffer and sent with one
 * call; a peer that does not take them all gets a buffer of its own until it does.
 *
 * Order of effects: a YES counts as sent when the kernel has accepted its first byte. A YES is
 * always the first thing in the shared buffer (submit.c sends everything older before it submits),
 * so that is the first byte of any kind.
 */
#include <errno.h>
#include <string.h>

#include "server/net/worker_private.h"

static uint32_t send_some(struct worker *w, struct connection *c, const char *from, uint32_t len)
{
    ssize_t n = send(c->io.fd, from, len, MSG_NOSIGNAL);
    if (n > 0 && c->message != NULL)
        inflight_yes_sent(w, c);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        c->write_error = true;
    return n < 0 ? 0 : (uint32_t)n;
}

static void keep_rest(struct worker *w, struct connection *c, uint32_t from, uint32_t len)
{
    ASSERT(from < len && c->out == NULL);
    c->out = pool_get(&w->buffers);
    if (c->out == NULL) {
        c->write_error = true; /* all buffers are out: a peer that does not read goes first */
        return;
    }
    memcpy(c->out, w->out + from, len - from);
    c->out_at = 0;
    c->out_len = len - from;
}

bool output_flush(struct worker *w, struct connection *c)
{
    uint32_t len = w->out_len;
    ASSERT(len <= w->buffer_bytes);
    if (c->write_error || c->out != NULL)
        return false;
    if (len == 0)
        return true;
    w->out_len = 0;
    uint32_t n = send_some(w, c, w->out, len);
    if (LIKELY(n == len))
        return true;
    if (!c->write_error)
        keep_rest(w, c, n, len);
    return false;
}

bool output_resume(struct worker *w, struct connection *c)
{
    ASSERT(c->out != NULL && c->out_at < c->out_len);
    c->out_at += send_some(w, c, c->out + c->out_at, c->out_len - c->out_at);
    if (c->write_error || c->out_at < c->out_len)
        return false;
    pool_put(&w->buffers, c->out);
    c->out = NULL;
    return true;
}
