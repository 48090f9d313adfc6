#include "server/admin/admin_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "conf/base/log.h"

#define TOKEN_MIN 16

struct admin *admin_new(const struct conf *conf, struct board *board, const struct stat_log *stats,
                        const struct arena *arena, struct worker *const *workers)
{
    static struct admin admin;
    ASSERT_MAIN();
    ASSERT(conf != NULL && board != NULL && arena != NULL && workers != NULL);
    admin = (struct admin){
        .conf = conf, .board = board, .stats = stats, .arena = arena, .workers = workers};
    return &admin;
}

void admin_read_plan(struct admin *a)
{
    const struct arena *arena = a->arena;
    ASSERT_MAIN();
    a->plan_count = 0;
    for (size_t i = 0; i < arena->pool_count; i++) {
        size_t bytes = arena_named(arena, i, NULL);
        if (bytes == 0)
            continue;
        ASSERT(a->plan_count < ADMIN_PLAN_MAX);
        a->plan[a->plan_count].name = arena->pools[i].name;
        a->plan[a->plan_count++].bytes = bytes;
    }
}

/* ---- the token ------------------------------------------------------------------------------ */

static bool read_token(struct admin *a, const char *path, struct fault *f)
{
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

bool admin_init(struct admin *a, struct fault *f)
{
    const char *path = a->conf->admin_token;
    ASSERT_MAIN();
    a->started_mono_us = clock_mono_us();
    a->started_wall_ms = clock_wall_ms();
    return path[0] == '\0' || read_token(a, path, f);
}

bool admin_authorize(void *context, const struct request *r)
{
    static const char scheme[] = "Bearer ";
    const struct admin *a = context;
    ASSERT_MAIN();
    size_t len = strlen(a->token);
    if (len == 0)
        return true;
    const struct slice *h = &r->authorization;
    if (h->ptr == NULL || h->len != sizeof scheme - 1 + len ||
        strncasecmp(h->ptr, scheme, sizeof scheme - 1) != 0)
        return false;
    return sodium_memcmp(h->ptr + sizeof scheme - 1, a->token, len) == 0;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void serve_healthz(const struct admin *a, struct response *out)
{
    const char *state = node_state_name(a->board);
    bool up = strcmp(state, "up") == 0;
    enum verdict v = up ? VERDICT_YES : VERDICT_BUSY;
    response_begin(out, v, RESPONSE_JSON);
    response_put(out, "{\"code\":%d,\"msg\":\"%s\",\"data\":{\"state\":\"%s\"}}", verdict_code(v),
                 up ? "ok" : state, state);
}

/* Draining ends with the process: a node that is started again sells. */
static void serve_drain(struct admin *a, struct response *out)
{
    if (!atomic_exchange(&a->board->tunables.draining, true))
        log_line(LOG_INFO, "draining: this node sells no more; held orders can still be paid and "
                           "cancelled, and expire");
    response_begin(out, VERDICT_YES, RESPONSE_JSON);
    response_put(out, "{\"code\":1,\"msg\":\"ok\",\"data\":{\"state\":\"%s\"}}",
                 node_state_name(a->board));
}

void admin_serve(void *context, const struct route *route, struct response *out)
{
    struct admin *a = context;
    ASSERT_MAIN();
    switch (route->kind) {
    case ROUTE_STATS:
        response_begin(out, VERDICT_YES, RESPONSE_JSON);
        stats_put(a, out);
        break;
    case ROUTE_METRICS:
        response_begin(out, VERDICT_YES, "text/plain; version=0.0.4");
        metrics_put(a, out);
        break;
    case ROUTE_DRAIN:
        serve_drain(a, out);
        break;
    default:
        ASSERT(route->kind == ROUTE_HEALTHZ);
        serve_healthz(a, out);
    }
}
