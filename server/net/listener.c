/*
 * Two servers could share a port by SO_REUSEPORT without noticing, and both would sell. So the
 * first socket is bound without it, as a probe: it fails if another server listens there. Only then
 * is it replaced by the sockets that share. Port 0 is picked by the first of them; the others
 * follow it.
 *
 * If the process dies here the kernel closes the sockets; the file of a Unix socket stays, and the
 * next start finds that it is not answered and replaces it.
 */
#include "server/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 4096 /* cut by net.core.somaxconn */

struct listener {
    char text[sizeof(((struct conf_addr *)0)->text)]; /* with the port that was picked */
    struct conf_addr at;
    int fds[WORKERS_MAX]; /* -1: left */
    uint32_t count;
    _Atomic uint32_t there; /* workers that have not left */
};

static bool refuse(const struct listener *l, struct fault *f, int fd)
{
    int e = errno;
    if (fd >= 0)
        close(fd);
    return fault(f, "listen %s: %s%s", l->at.text, strerror(e),
                 e == EADDRINUSE ? "; is another server running?" : "");
}

static int tcp_socket(const struct listener *l, bool share)
{
    int fd = socket(l->at.to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
    if (l->at.to.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (share)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    return fd;
}

static bool probe(const struct listener *l, struct fault *f)
{
    int fd = tcp_socket(l, false);
    if (fd < 0 || bind(fd, &l->at.to.any, l->at.len) != 0 || listen(fd, 1) != 0)
        return refuse(l, f, fd);
    close(fd);
    return true;
}

/* The address as it is now, with its port. */
static void learn_address(struct listener *l, int fd)
{
    char host[INET6_ADDRSTRLEN] = "";
    socklen_t len = sizeof l->at.to;
    if (getsockname(fd, &l->at.to.any, &len) != 0)
        return; /* the text stays as it was written */
    if (l->at.to.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &l->at.to.v6.sin6_addr, host, sizeof host);
        snprintf(l->text, sizeof l->text, "[%s]:%u", host, ntohs(l->at.to.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &l->at.to.v4.sin_addr, host, sizeof host);
        snprintf(l->text, sizeof l->text, "%s:%u", host, ntohs(l->at.to.v4.sin_port));
    }
}

static bool open_tcp(struct listener *l, struct fault *f)
{
    if (!probe(l, f))
        return false;
    for (uint32_t i = 0; i < l->count; i++) {
        int fd = tcp_socket(l, l->count > 1);
        if (fd < 0 || bind(fd, &l->at.to.any, l->at.len) != 0 || listen(fd, BACKLOG) != 0)
            return refuse(l, f, fd);
        l->fds[i] = fd;
        if (i == 0)
            learn_address(l, fd);
    }
    return true;
}

/* A file that is left from a server that died is removed; a living one is an error. */
static bool clear_path(const struct listener *l, struct fault *f)
{
    struct stat st;
    if (lstat(l->at.to.local.sun_path, &st) != 0)
        return true; /* not there, or bind will say why not */
    if (!S_ISSOCK(st.st_mode))
        return fault(f, "listen %s: the file exists and is no socket; remove it", l->at.text);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return refuse(l, f, fd);
    bool dead = connect(fd, &l->at.to.any, l->at.len) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!dead)
        return fault(f, "listen %s: %s; is another server running?", l->at.text,
                     strerror(EADDRINUSE));
    unlink(l->at.to.local.sun_path);
    return true;
}

static bool open_unix(struct listener *l, struct fault *f)
{
    if (!clear_path(l, f))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, &l->at.to.any, l->at.len) != 0)
        return refuse(l, f, fd);
    for (uint32_t i = 0; i < l->count; i++)
        l->fds[i] = fd;
    return listen(fd, BACKLOG) == 0 ? true : refuse(l, f, -1);
}

struct listener *listener_open(const struct conf_addr *at, uint32_t workers, struct fault *f)
{
    static struct listener all[LISTEN_MAX + 1]; /* the buyers' and the operators' */
    static uint32_t opened;
    ASSERT_MAIN();
    ASSERT(workers > 0 && workers <= WORKERS_MAX && opened < ARRAY_LEN(all));
    struct listener *l = &all[opened++];
    l->at = *at;
    memcpy(l->text, at->text, sizeof l->text);
    l->count = workers;
    atomic_init(&l->there, workers);
    for (uint32_t i = 0; i < workers; i++)
        l->fds[i] = -1;
    if (at->to.any.sa_family == AF_UNIX ? open_unix(l, f) : open_tcp(l, f))
        return l;
    listener_close(l);
    return NULL;
}

int listener_fd(const struct listener *l, uint32_t worker)
{
    ASSERT(worker < l->count);
    return l->fds[worker];
}

const char *listener_text(const struct listener *l)
{
    return l->text;
}

void listener_leave(struct listener *l, uint32_t worker)
{
    ASSERT(worker < l->count);
    int fd = l->fds[worker];
    l->fds[worker] = -1;
    if (fd < 0)
        return;
    bool last = atomic_fetch_sub(&l->there, 1) == 1;
    if (l->at.to.any.sa_family != AF_UNIX) {
        close(fd);
    } else if (last) {
        unlink(l->at.to.local.sun_path);
        close(fd);
    }
}

void listener_close(struct listener *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        listener_leave(l, i);
}
