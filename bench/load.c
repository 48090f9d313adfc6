/*
 * load: asks an HTTP server, judges every answer, and tells how many there were, how fast they came
 * and how long they took.
 *
 *     load [option ...] ADDRESS:PORT[,ADDRESS:PORT ...] PATH
 *
 * Three kinds of load. Closed (the default): each connection asks again when it has its answer,
 * DEPTH requests at a time; it measures what a server can do. Open (-r): requests are due at fixed
 * times, whoever is still waiting, and an answer's time counts from when its request was due, not
 * from when it could be sent; so neither a server that stalls nor a generator that is late hides
 * anything. Held (-i): each connection asks once and stays.
 *
 * One thread, one core, one epoll loop. Every answer must have status 200, a Content-Length and a
 * body that begins as expected; the first one that does not ends the run with exit status 1, as
 * does a connection that is closed too early and an answer that does not come. At the end of the
 * time what is under way is waited for, so that `answers` is exactly what the server has done.
 *
 * A server that sells may have to say "busy, try again": with -b an answer of status 503 is counted
 * apart, and its request is repeated after a pause, with the same values, until it has its answer;
 * the time of that one counts from when the request was first due. So `answers` stays exact.
 *
 * load_run.c asks, load_answers.c judges; here is the command line.
 *
 * Owner: one thread, one process. If it dies, the server sees its connections close.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/load.h"

static const char usage[] =
    "usage: load [option ...] ADDRESS:PORT[,ADDRESS:PORT ...] PATH\n"
    "  -c N        connections (1)\n"
    "  -d SECONDS  how long (1), or\n"
    "  -n N        how many requests\n"
    "  -p DEPTH    pipelined requests (1)\n"
    "  -x          a connection for each request\n"
    "  -r RATE     open loop: requests a second\n"
    "  -i          ask once on each connection, say so, hold them until standard input ends\n"
    "  -w SECONDS  ask until one answer is as expected, at most as long\n"
    "  -H NAME     a header whose value is different in each request (twice at most)\n"
    "  -s SEED     what the values begin with, 8 characters (made from the time)\n"
    "  -o SEED:N:M every Mth request has one of the first N values of another seed in its first "
    "header\n"
    "  -e BODY     how the body of each answer begins\n"
    "  -E BODY     ... or so; counted apart\n"
    "  -b          status 503 is counted apart, too, and asked again after 100 ms\n"
    "  -f FILE     write the distribution of latencies: share, microseconds\n";

struct ask ask = {.connections = 1, .depth = 1, .seconds = 1, .expect = ""};

_Noreturn void fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static _Noreturn void fail_usage(void)
{
    fputs(usage, stderr);
    exit(2);
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n == 0 || n > max)
        fail("%s: not a number from 1 to %llu", text, (unsigned long long)max);
    return n;
}

static void read_servers(char *list)
{
    for (char *one = strtok(list, ","); one; one = strtok(NULL, ",")) {
        char *colon = strrchr(one, ':');
        if (!colon || ask.server_count == SERVERS_MAX)
            fail_usage();
        *colon = '\0';
        struct sockaddr_in *to = &ask.servers[ask.server_count++];
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)number(colon + 1, 65535));
        if (inet_pton(AF_INET, one, &to->sin_addr) != 1)
            fail("%s: not an IPv4 address", one);
    }
}

static void read_retried(char *text)
{
    char *count = strchr(text, ':'), *every = count ? strchr(count + 1, ':') : NULL;
    if (!every || count - text != 8)
        fail_usage();
    memcpy(ask.retry_seed, text, 8);
    *every = '\0';
    ask.retry_count = (uint32_t)number(count + 1, UINT32_MAX);
    ask.retry_every = (uint32_t)number(every + 1, UINT32_MAX);
}

static void read_option(int option)
{
    switch (option) {
    case 'c':
        ask.connections = (uint32_t)number(optarg, CONNECTIONS_MAX);
        return;
    case 'd':
        ask.seconds = (uint32_t)number(optarg, 3600);
        return;
    case 'n':
        ask.requests = number(optarg, UINT64_MAX);
        return;
    case 'p':
        ask.depth = (uint32_t)number(optarg, DEPTH_MAX);
        return;
    case 'x':
        ask.close = true;
        return;
    case 'r':
        ask.rate = (uint32_t)number(optarg, 10000000);
        return;
    case 'i':
        ask.hold = true;
        return;
    case 'w':
        ask.wait = (uint32_t)number(optarg, 3600);
        return;
    case 's':
        if (strlen(optarg) != 8)
            fail_usage();
        memcpy(ask.seed, optarg, 8);
        return;
    case 'H':
        if (ask.header_count == HEADERS_MAX)
            fail_usage();
        ask.headers[ask.header_count++] = optarg;
        return;
    case 'o':
        read_retried(optarg);
        return;
    case 'e':
        ask.expect = optarg;
        return;
    case 'E':
        ask.also = optarg;
        return;
    case 'b':
        ask.patient = true;
        return;
    case 'f':
        ask.file = optarg;
        return;
    default:
        fail_usage();
    }
}

/* -w: each try is a child, since whatever is wrong ends it. */
static void wait_for_answer(void)
{
    uint64_t end = now_ns() + ask.wait * SECOND_NS;
    for (int status = 1; status != 0;) {
        pid_t child = fork();
        if (child == 0) {
            ask.requests = 1;
            if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
                exit(1);
            run_load();
            exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
            fail("fork: %s", strerror(errno));
        if (status != 0 && now_ns() > end)
            fail("not the expected answer in %u seconds", ask.wait);
        nanosleep(&(struct timespec){.tv_nsec = status ? 1000000 : 0}, NULL);
    }
}

int main(int argc, char **argv)
{
    snprintf(ask.seed, sizeof ask.seed, "%08x", (unsigned)(now_ns() / 1000));
    for (int option; (option = getopt(argc, argv, "c:d:n:p:xr:iw:H:s:o:e:E:bf:")) != -1;)
        read_option(option);
    if (argc - optind != 2 ||
        (ask.depth > 1 && (ask.close || ask.rate != 0 || ask.hold || ask.patient)))
        fail_usage();
    read_servers(argv[optind]);
    ask.path = argv[optind + 1];
    if (ask.server_count == 0 || strlen(ask.path) > PATH_MAX_BYTES)
        fail_usage();
    if (ask.rate != 0)
        ask.requests = (uint64_t)ask.rate * ask.seconds;
    if (ask.hold)
        ask.requests = ask.connections;
    if (ask.wait != 0)
        wait_for_answer();
    else
        run_load();
    return 0;
}
