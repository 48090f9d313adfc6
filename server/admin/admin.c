#include "server/admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_MIN 16

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
    if (atomic_load_explicit(&a->board->draining, memory_order_relaxed))
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

void admin_serve(void *context, const struct route *route, struct response *out)
{
    const struct admin *a = context;
    if (route->kind == ROUTE_STATS) {
        response_begin(out, VERDICT_YES, RESPONSE_JSON);
        admin_stats(a, out);
    } else {
        serve_healthz(a, out);
    }
}
