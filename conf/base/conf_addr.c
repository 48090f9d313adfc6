/*
 * conf_addr: parses addresses and file names. Addresses are numeric: resolving a name can block,
 * fail, or give another result tomorrow.
 *
 * Pure.
 */
#include <arpa/inet.h>
#include <string.h>

#include "conf/base/conf_value.h"

static const char unix_prefix[] = "unix:";

bool value_path(const char *text, const char *named_in, char *out, size_t size, struct fault *f)
{
    const char *slash = strrchr(named_in, '/');
    size_t folder = text[0] == '/' || slash == NULL ? 0 : (size_t)(slash - named_in) + 1;
    size_t len = strlen(text);
    ASSERT(size > 0);
    if (folder + len >= size)
        return fault(f, "'%.40s' makes a file name longer than %zu bytes", text, size - 1);
    memcpy(out, named_in, folder);
    memcpy(out + folder, text, len + 1);
    return true;
}

static bool parse_port(const char *text, in_port_t *port)
{
    uint32_t value = 0;
    size_t len = strlen(text);
    if (len < 1 || len > 5 || strspn(text, "0123456789") != len)
        return false;
    for (size_t i = 0; i < len; i++)
        value = value * 10 + (uint32_t)(text[i] - '0');
    *port = htons((uint16_t)value);
    return value <= 65535;
}

static bool addr_fault(const char *text, struct fault *f)
{
    return fault(f,
                 "'%.60s' is not an address; write 127.0.0.1:3005, [::1]:3005 or unix:PATH "
                 "(numbers only, names are not looked up)",
                 text);
}

static bool parse_local(const char *text, const char *named_in, struct conf_addr *a,
                        struct fault *f)
{
    if (text[0] == '\0')
        return addr_fault(unix_prefix, f);
    a->to.local.sun_family = AF_UNIX;
    if (!value_path(text, named_in, a->to.local.sun_path, sizeof a->to.local.sun_path, f))
        return false;
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(a->to.local.sun_path) + 1);
    return true;
}

/* host: "127.0.0.1" or, with its brackets, "[::1]". */
static bool parse_host(char *host, struct conf_addr *a)
{
    size_t len = strlen(host);
    ASSERT(len > 0); /* the colon was not the first byte */
    if (host[0] != '[') {
        a->to.v4.sin_family = AF_INET;
        a->len = sizeof a->to.v4;
        return inet_pton(AF_INET, host, &a->to.v4.sin_addr) == 1;
    }
    if (host[len - 1] != ']')
        return false;
    host[len - 1] = '\0';
    a->to.v6.sin6_family = AF_INET6;
    a->len = sizeof a->to.v6;
    return inet_pton(AF_INET6, host + 1, &a->to.v6.sin6_addr) == 1;
}

bool value_addr(const char *text, const char *named_in, struct conf_addr *out, struct fault *f)
{
    char host[sizeof out->text];
    in_port_t port;
    size_t len = strlen(text);
    memset(out, 0, sizeof *out);
    if (len >= sizeof out->text)
        return addr_fault(text, f);
    memcpy(out->text, text, len + 1);
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0)
        return parse_local(text + sizeof unix_prefix - 1, named_in, out, f);
    memcpy(host, text, len + 1);
    char *colon = strrchr(host, ':');
    if (colon == NULL || colon == host || !parse_port(colon + 1, &port))
        return addr_fault(text, f);
    *colon = '\0';
    if (!parse_host(host, out))
        return addr_fault(text, f);
    if (out->to.any.sa_family == AF_INET)
        out->to.v4.sin_port = port;
    else
        out->to.v6.sin6_port = port;
    return true;
}

bool addr_is_local(const struct conf_addr *a)
{
    ASSERT(a->len > 0);
    const struct in6_addr *v6 = &a->to.v6.sin6_addr;
    switch (a->to.any.sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(a->to.v4.sin_addr.s_addr) >> 24 == 127;
    default:
        return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
    }
}

uint16_t addr_port(const struct conf_addr *a)
{
    switch (a->to.any.sa_family) {
    case AF_INET:
        return ntohs(a->to.v4.sin_port);
    case AF_INET6:
        return ntohs(a->to.v6.sin6_port);
    default:
        return 0;
    }
}

bool addr_is_same(const struct conf_addr *a, const struct conf_addr *b)
{
    if (a->len == 0 || a->len != b->len || memcmp(&a->to, &b->to, a->len) != 0)
        return false;
    return a->to.any.sa_family == AF_UNIX || addr_port(a) != 0;
}
