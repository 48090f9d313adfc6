#include "bench/load_options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/load_base.h"
#include "conf/base/check.h"

static const char usage[] =
    "usage: load [option ...] ADDRESS:PORT[,ADDRESS:PORT ...] PATH\n"
    "  -c N        connections (1)\n"
    "  -d SECONDS  duration (1), or\n"
    "  -n N        number of requests\n"
    "  -p DEPTH    pipelined requests (1)\n"
    "  -x          a connection for each request\n"
    "  -r RATE     open loop: requests a second\n"
    "  -i          one request on each connection; print the result, and hold the connections "
    "until\n"
    "              standard input ends\n"
    "  -w SECONDS  send requests until one answer is as expected, for at most so long\n"
    "  -H NAME     a header whose value is different in each request (at most twice)\n"
    "  -s SEED     beginning of these values, 8 characters (made from the time)\n"
    "  -o SEED:N:M every Mth request has one of the first N values of another seed in its first "
    "header\n"
    "  -e BODY     beginning of the body of each answer\n"
    "  -E BODY     another valid beginning; counted apart\n"
    "  -b          status 503 is valid, counted apart, and its request is repeated after 100 ms\n"
    "  -f FILE     write the distribution of latencies: share, microseconds\n";

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

static void read_servers(struct load_options *o, char *list)
{
    for (char *one = strtok(list, ","); one; one = strtok(NULL, ",")) {
        char *colon = strrchr(one, ':');
        if (!colon || o->server_count == SERVERS_MAX)
            fail_usage();
        *colon = '\0';
        struct sockaddr_in *to = &o->servers[o->server_count++];
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)number(colon + 1, 65535));
        if (inet_pton(AF_INET, one, &to->sin_addr) != 1)
            fail("%s: not an IPv4 address", one);
    }
}

static void copy_seed(char to[SEED_BYTES + 1], const char *text, size_t len)
{
    if (len != SEED_BYTES)
        fail_usage();
    memcpy(to, text, SEED_BYTES);
}

static void read_retried(struct load_options *o, char *text)
{
    char *count = strchr(text, ':'), *every = count ? strchr(count + 1, ':') : NULL;
    if (!every)
        fail_usage();
    copy_seed(o->retry_seed, text, (size_t)(count - text));
    *every = '\0';
    o->retry_count = (uint32_t)number(count + 1, UINT32_MAX);
    o->retry_every = (uint32_t)number(every + 1, UINT32_MAX);
}

static void add_header(struct load_options *o, const char *name)
{
    if (o->header_count == HEADERS_MAX)
        fail_usage();
    o->headers[o->header_count++] = name;
}

/* The options that have no number. False: it is none of them. */
static bool read_text_option(struct load_options *o, int option)
{
    switch (option) {
    case 'x':
        o->close_each = true;
        return true;
    case 'i':
        o->hold = true;
        return true;
    case 'b':
        o->retry_busy = true;
        return true;
    case 's':
        copy_seed(o->seed, optarg, strlen(optarg));
        return true;
    case 'H':
        add_header(o, optarg);
        return true;
    case 'o':
        read_retried(o, optarg);
        return true;
    case 'e':
        o->expect = optarg;
        return true;
    case 'E':
        o->expect_too = optarg;
        return true;
    case 'f':
        o->file = optarg;
        return true;
    default:
        return false;
    }
}

static void read_option(struct load_options *o, int option)
{
    switch (option) {
    case 'c':
        o->connections = (uint32_t)number(optarg, CONNECTIONS_MAX);
        return;
    case 'd':
        o->seconds = (uint32_t)number(optarg, 3600);
        return;
    case 'n':
        o->requests = number(optarg, UINT64_MAX);
        return;
    case 'p':
        o->depth = (uint32_t)number(optarg, DEPTH_MAX);
        return;
    case 'r':
        o->rate = (uint32_t)number(optarg, 10000000);
        return;
    case 'w':
        o->wait_seconds = (uint32_t)number(optarg, 3600);
        return;
    default:
        if (!read_text_option(o, option))
            fail_usage();
    }
}

void load_options_read(struct load_options *o, int argc, char **argv)
{
    *o = (struct load_options){.connections = 1, .depth = 1, .seconds = 1, .expect = ""};
    snprintf(o->seed, sizeof o->seed, "%08x", (unsigned)(now_ns() / 1000));
    for (int option; (option = getopt(argc, argv, "c:d:n:p:xr:iw:H:s:o:e:E:bf:")) != -1;)
        read_option(o, option);
    if (argc - optind != 2 ||
        (o->depth > 1 && (o->close_each || o->rate != 0 || o->hold || o->retry_busy)))
        fail_usage();
    read_servers(o, argv[optind]);
    o->path = argv[optind + 1];
    if (o->server_count == 0 || strlen(o->path) > PATH_MAX_BYTES)
        fail_usage();
    if (o->rate != 0)
        o->requests = (uint64_t)o->rate * o->seconds;
    if (o->hold)
        o->requests = o->connections;
    ASSERT(o->connections >= 1 && o->connections <= CONNECTIONS_MAX);
    ASSERT(o->depth >= 1 && o->depth <= DEPTH_MAX && o->header_count <= HEADERS_MAX);
}
