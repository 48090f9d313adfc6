/*
 * endpoint: see endpoint.h. Owner: the caller; nothing is kept between calls.
 */
#include "admin-tui/client/endpoint.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES 256

static const char local_prefix[] = "unix:";

static bool not_an_address(const char *address, struct fault *f)
{
    return fault(f, "'%.100s' is no address; write HOST:PORT, [IPv6]:PORT or unix:PATH", address);
}

static bool resolve_path(struct endpoint *e, const char *address, struct fault *f)
{
    ASSERT(strncmp(address, local_prefix, sizeof local_prefix - 1) == 0);
    const char *path = address + sizeof local_prefix - 1;
    size_t len = strlen(path);
    if (len == 0)
        return not_an_address(address, f);
    if (len >= sizeof e->to.local.sun_path)
        return fault(f, "%.60s...: a socket's path has at most %zu bytes", address,
                     sizeof e->to.local.sun_path - 1);
    e->to.local.sun_family = AF_UNIX;
    memcpy(e->to.local.sun_path, path, len + 1);
    e->len[0] = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    e->count = 1;
    return true;
}

static bool is_port(const char *text)
{
    size_t len = strlen(text);
    if (len < 1 || len > 5 || strspn(text, "0123456789") != len)
        return false;
    long port = strtol(text, NULL, 10);
    return port >= 1 && port <= 65535;
}

/* Splits HOST:PORT; an IPv6 host loses its brackets. */
static bool split_host_port(const char *address, char host[HOST_BYTES], const char **port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || !is_port(colon + 1))
        return false;
    const char *from = address, *end = colon;
    if (from[0] == '[') {
        if (end[-1] != ']' || end - from < 3)
            return false;
        from++;
        end--;
    } else if (memchr(from, ':', (size_t)(end - from)) != NULL) {
        return false;
    }
    if (end - from >= HOST_BYTES)
        return false;
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = '\0';
    *port = colon + 1;
    return true;
}

static bool resolve_host(struct endpoint *e, const char *address, struct fault *f)
{
    char host[HOST_BYTES];
    const char *port;
    if (!split_host_port(address, host, &port))
        return not_an_address(address, f);
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = address[0] == '[' ? AI_NUMERICHOST : 0};
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0)
        return fault(f, "%.100s: %s", address, gai_strerror(error));
    for (const struct addrinfo *a = found; a != NULL && e->count < ENDPOINT_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof e->to.inet[0])
            continue;
        memcpy(&e->to.inet[e->count], a->ai_addr, a->ai_addrlen);
        e->len[e->count++] = a->ai_addrlen;
    }
    freeaddrinfo(found);
    return e->count > 0 || fault(f, "%.100s: it has no IP address", address);
}

bool endpoint_resolve(struct endpoint *e, const char *address, struct fault *f)
{
    memset(e, 0, sizeof *e);
    ASSERT(address != NULL);
    /* The address appears on the screen: control bytes are refused here. */
    for (const char *c = address; *c != '\0'; c++)
        if (*c < 0x21 || *c > 0x7e)
            return fault(f, "an address has a byte that is no visible ASCII");
    if (strncmp(address, local_prefix, sizeof local_prefix - 1) == 0)
        return resolve_path(e, address, f);
    return resolve_host(e, address, f);
}

const struct sockaddr *endpoint_at(const struct endpoint *e, uint32_t i)
{
    ASSERT(e->count <= ENDPOINT_MAX && i < e->count);
    return e->to.local.sun_family == AF_UNIX ? (const struct sockaddr *)&e->to.local
                                             : (const struct sockaddr *)&e->to.inet[i];
}
