/*
 * floor: the lower bound of a server's cost, that of the kernel alone. One thread, one epoll loop:
 * accept4, read, and a write of a fixed answer.
 *
 *     floor PORT FILE       FILE: the bytes of the answer, head and body
 *
 * Requests are not parsed. All are assumed to be as long as the first one, and to close the
 * connection if that one does; another kind of request needs a new start. A read may return several
 * requests, which are answered with one write, or a part of one, which counts when the rest has
 * arrived. There are no time-outs, limits or records: all that a server does for its users costs
 * more than this.
 *
 * Owner: one thread, one process. If it dies, no data is lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILES_MAX  20000
#define EVENTS     256
#define ANSWER_MAX 1024
#define DEPTH_MAX  64

static char answers[DEPTH_MAX * ANSWER_MAX];
static size_t answer_len, request_len;
static bool close_each;
static size_t partial[FILES_MAX]; /* received bytes of an incomplete request, by descriptor */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_answer(const char *path)
{
    FILE *in = fopen(path, "r");
    if (!in)
        fail(path);
    answer_len = fread(answers, 1, ANSWER_MAX, in);
    if (answer_len == 0 || answer_len == ANSWER_MAX)
        fail(path);
    fclose(in);
    for (int i = 1; i < DEPTH_MAX; i++)
        memcpy(answers + (size_t)i * answer_len, answers, answer_len);
}

static int listen_on(const char *port)
{
    const int on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0)
        fail(port);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
    return fd;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
}

static void measure_request(const char *request)
{
    const char *end = strstr(request, "\r\n\r\n");
    if (!end)
        fail("the first request is not complete");
    request_len = (size_t)(end + 4 - request);
    close_each = strstr(request, "Connection: close") != NULL;
}

static void serve(int fd)
{
    static char in[65536];
    ssize_t got = read(fd, in, sizeof in - 1);
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN)
            return;
        close(fd);
        return;
    }
    if (request_len == 0) {
        in[got] = '\0';
        measure_request(in);
    }
    size_t have = partial[fd] + (size_t)got, count = have / request_len;
    partial[fd] = have % request_len;
    if (count > DEPTH_MAX ||
        write(fd, answers, count * answer_len) != (ssize_t)(count * answer_len))
        fail("write");
    if (close_each && count > 0)
        close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: floor PORT FILE\n", stderr);
        return 2;
    }
    read_answer(argv[2]);
    int listener = listen_on(argv[1]), epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                serve(fd);
                continue;
            }
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0)
                continue;
            if (fd >= FILES_MAX)
                fail("too many connections");
            partial[fd] = 0;
            watch(epoll, fd);
        }
    }
}
