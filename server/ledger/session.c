/*
 * The connection to the stock as the ledger sees it: attached or not, since when, when to try
 * again, and whether the outcome of a batch is unknown.
 *
 * A call is never sent twice. After any doubt the connection is closed and the node attaches again
 * (attach.c), at growing intervals: 20 ms, doubled up to half a second, so that a Redis that comes
 * back is found quickly and an absent one costs nothing. The same trouble is logged once.
 *
 * Dies here: nothing of this outlives the process; the next start attaches anew.
 */
#include <string.h>

#include "conf/base/log.h"
#include "server/ledger/ledger_private.h"

#define BACKOFF_MIN_US 20000
#define BACKOFF_MAX_US 500000

struct session {
    bool attached, started, in_doubt;
    uint64_t attached_mono_us;
    uint64_t retry_mono_us, backoff_us; /* backoff 0: no attempt has failed */
    char last_error[FAULT_TEXT];        /* as it was logged; "": none since the last attach */
};

struct session *session_new(void)
{
    static struct session session;
    memset(&session, 0, sizeof session);
    return &session;
}

bool session_is_attached(const struct session *s)
{
    return s->attached;
}

bool session_has_started(const struct session *s)
{
    return s->started;
}

bool session_is_in_doubt(const struct session *s)
{
    return s->in_doubt;
}

void session_set_in_doubt(struct session *s)
{
    ASSERT(s->attached); /* without an attach no batch is sent */
    s->in_doubt = true;
}

bool session_has_failed(const struct session *s)
{
    return s->backoff_us > 0;
}

uint64_t session_retry_mono_us(const struct session *s)
{
    return s->retry_mono_us;
}

uint64_t session_backoff_us(const struct session *s)
{
    return s->backoff_us;
}

uint64_t session_attached_mono_us(const struct session *s)
{
    return s->attached_mono_us;
}

void session_attach(struct session *s, uint64_t now_mono_us)
{
    ASSERT_LEDGER();
    ASSERT(!s->attached);
    s->attached = s->started = true;
    s->in_doubt = false;
    s->attached_mono_us = now_mono_us;
    s->backoff_us = s->retry_mono_us = 0;
    s->last_error[0] = '\0';
}

void session_detach(struct ledger *l, uint64_t now_mono_us, const struct fault *why)
{
    ASSERT_LEDGER();
    struct session *s = l->session;
    if (s->backoff_us == 0)
        s->backoff_us = BACKOFF_MIN_US;
    ASSERT(s->backoff_us >= BACKOFF_MIN_US && s->backoff_us <= BACKOFF_MAX_US);
    if (strcmp(s->last_error, why->text) != 0)
        log_line(LOG_WARN, "%s; buyers are told to try again, next attempt in %llu ms", why->text,
                 (unsigned long long)s->backoff_us / 1000);
    memcpy(s->last_error, why->text, sizeof s->last_error);
    stock_disconnect(l->stock);
    s->attached = false;
    s->retry_mono_us = now_mono_us + s->backoff_us;
    s->backoff_us = s->backoff_us * 2 < BACKOFF_MAX_US ? s->backoff_us * 2 : BACKOFF_MAX_US;
}
