/*
 * place: see place.h. Owner: the caller. If this dies, nothing has happened.
 */
#include "admin-tui/place.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES 256

static const char local_prefix[] = "unix:";

static bool not_one(const char *address, struct fault *f)
{
    return fault(f, "'%.100s' is no address; write HOST:PORT, [IPv6]:PORT or unix:PATH", address);
}

static bool find_local(struct place *p, const char *address, struct fault *f)
{
    const char *path = address + sizeof local_prefix - 1;
    size_t len = strlen(path);
    if (len == 0)
        return not_one(address, f);
    if (len >= sizeof p->to.local.sun_path)
        return fault(f, "%.60s...: a socket's path has at most %zu bytes", address,
                     sizeof p->to.local.sun_path - 1);
    p->to.local.sun_family = AF_UNIX;
    memcpy(p->to.local.sun_path, path, len + 1);
    p->len[0] = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    p->count = 1;
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

/* Takes the host, without the brackets of an IPv6 address. */
static bool split(const char *address, char host[HOST_BYTES], const char **port)
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

static bool find_host(struct place *p, const char *address, struct fault *f)
{
    char host[HOST_BYTES];
    const char *port;
    if (!split(address, host, &port))
        return not_one(address, f);
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = address[0] == '[' ? AI_NUMERICHOST : 0};
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0)
        return fault(f, "%.100s: %s", address, gai_strerror(error));
    for (const struct addrinfo *a = found; a != NULL && p->count < PLACES_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof p->to.inet[0])
            continue;
        memcpy(&p->to.inet[p->count], a->ai_addr, a->ai_addrlen);
        p->len[p->count++] = a->ai_addrlen;
    }
    freeaddrinfo(found);
    return p->count > 0 || fault(f, "%.100s: it has no IP address", address);
}

bool place_find(struct place *p, const char *address, struct fault *f)
{
    memset(p, 0, sizeof *p);
    /* It will stand on a screen: nothing in it may be more than a letter. */
    for (const char *c = address; *c != '\0'; c++)
        if (*c < 0x21 || *c > 0x7e)
            return fault(f, "an address has a byte that is no visible ASCII");
    if (strncmp(address, local_prefix, sizeof local_prefix - 1) == 0)
        return find_local(p, address, f);
    return find_host(p, address, f);
}

const struct sockaddr *place_at(const struct place *p, uint32_t i)
{
    ASSERT(i < p->count);
    return p->to.local.sun_family == AF_UNIX ? (const struct sockaddr *)&p->to.local
                                             : (const struct sockaddr *)&p->to.inet[i];
}
