#include "server/admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/log.h"

#define TOKEN_MIN 16

void admin_read_plan(struct admin *a)
{
    a->plan_count = 0;
    for (size_t i = 0; i < a->arena->pool_count; i++) {
        size_t bytes = arena_named(a->arena, i, NULL);
        if (bytes == 0)
            continue;
        ASSERT(a->plan_count < ADMIN_PLAN_MAX);
        a->plan[a->plan_count].name = a->arena->pools[i].name;
        a->plan[a->plan_count++].bytes = bytes;
    }
}

bool admin_read_token(struct admin *a, const char *path, struct fault *f)
{
    a->token[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault(f, "admin-token %s: %s", path, strerror(errno));
    ssize_t got = read(fd, a->token, ADMIN_TOKEN_MAX);
    close(fd);
    if (got < 0)
        return fault(f, "admin-token %s: %s", path, strerror(errno));
    a->token[got] = '\0';
    size_t len = 0;
    while (a->token[len] >= 0x21 && a->token[len] <= 0x7e)
        len++;
    bool clean = strspn(a->token + len, "\r\n") == (size_t)got - len;
    a->token[len] = '\0';
    if (!clean || len < TOKEN_MIN || len == ADMIN_TOKEN_MAX)
        return fault(f, "admin-token %s: expected one line of %d to %d printable bytes", path,
                     TOKEN_MIN, ADMIN_TOKEN_MAX - 1);
    return true;
}

bool admin_may(void *context, const struct request *r)
{
    static const char scheme[] = "Bearer ";
    const struct admin *a = context;
    size_t want = strlen(a->token);
    if (want == 0)
        return true;
    const struct slice *h = &r->authorization;
    if (h->ptr == NULL || h->len != sizeof scheme - 1 + want ||
        strncasecmp(h->ptr, scheme, sizeof scheme - 1) != 0)
        return false;
    return sodium_memcmp(h->ptr + sizeof scheme - 1, a->token, want) == 0;
}

const char *admin_state(const struct admin *a)
{
    if (atomic_load_explicit(&a->board->tunables.draining, memory_order_relaxed) ||
        atomic_load_explicit(&a->board->stopping, memory_order_relaxed))
        return "draining";
    switch ((enum node_state)atomic_load_explicit(&a->board->node_state, memory_order_relaxed)) {
    case NODE_UP:
        return "up";
    case NODE_REPAIR:
        return "repair";
    default:
        return "starting";
    }
}

static void serve_healthz(const struct admin *a, struct response *out)
{
    const char *state = admin_state(a);
    bool up = strcmp(state, "up") == 0;
    enum verdict v = up ? VERDICT_YES : VERDICT_BUSY;
    response_begin(out, v, RESPONSE_JSON);
    response_put(out, "{\"code\":%d,\"msg\":\"%s\",\"data\":{\"state\":\"%s\"}}", verdict_code(v),
                 up ? "ok" : state, state);
}

/* It ends with the process: who starts the node again wants it to sell. */
static void drain(struct admin *a, struct response *out)
{
    if (!atomic_exchange(&a->board->tunables.draining, true))
        log_line(LOG_INFO, "draining: this node sells no more; what it holds may be paid and "
                           "cancelled, and expires");
    response_begin(out, VERDICT_YES, RESPONSE_JSON);
    response_put(out, "{\"code\":1,\"msg\":\"ok\",\"data\":{\"state\":\"%s\"}}", admin_state(a));
}

void admin_serve(void *context, const struct route *route, struct response *out)
{
    struct admin *a = context;
    switch (route->kind) {
    case ROUTE_STATS:
        response_begin(out, VERDICT_YES, RESPONSE_JSON);
        admin_stats(a, out);
        break;
    case ROUTE_METRICS:
        response_begin(out, VERDICT_YES, "text/plain; version=0.0.4");
        admin_metrics(a, out);
        break;
    case ROUTE_DRAIN:
        drain(a, out);
        break;
    default:
        ASSERT(route->kind == ROUTE_HEALTHZ);
        serve_healthz(a, out);
    }
}
