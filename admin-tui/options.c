/*
 * options: see options.h.
 */
#include "admin-tui/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE   2
#define ROUNDS_MAX   UINT64_C(1000000000)
#define ROUND_PART   0.9 /* of the interval: answers should arrive before the next round */
#define ANSWER_MIN_S 0.5
#define ANSWER_MAX_S 2

enum { OPTION_READONLY = 256, OPTION_TOKEN };

static _Noreturn void usage(FILE *to, int code)
{
    fputs("usage: spike-top [-c FILE] [-d SECONDS] [-Cu] [--readonly] [--token-file FILE]\n"
          "                 [HOST:PORT | unix:PATH ...]\n"
          "       spike-top -b [-j] [-n ROUNDS] [-d SECONDS] [-c FILE] [--token-file FILE]\n"
          "                 [HOST:PORT | unix:PATH ...]\n"
          "       spike-top -V | -h\n"
          "  -c FILE            a node's configuration: its Redis knows all nodes\n"
          "  -d SECONDS         between two rounds, 0.1 to 60 (default 1)\n"
          "  -C                 no colours (as with NO_COLOR)\n"
          "  -u                 Unicode block characters\n"
          "  --readonly         look, do not touch: no actions\n"
          "  --token-file FILE  the token that the nodes ask for\n"
          "  -b                 batch: plain text on standard output, no terminal\n"
          "  -j                 batch, one JSON object a round\n"
          "  -n ROUNDS          end after so many (default: go on)\n"
          "  -V                 print the version\n"
          "  -h                 print this\n",
          to);
    exit(code);
}

static _Noreturn void refuse(const char *what, const char *value)
{
    fprintf(stderr, "spike-top: %s%s\n", what, value);
    usage(stderr, EXIT_USAGE);
}

static void parse_interval(struct top_options *o, const char *text)
{
    char *end;
    o->interval_s = strtod(text, &end);
    if (strspn(text, "0123456789.") != strlen(text) || end == text || *end != '\0' ||
        !(o->interval_s >= INTERVAL_MIN_S && o->interval_s <= INTERVAL_MAX_S))
        refuse("-d wants seconds from 0.1 to 60, not ", text);
}

static void parse_rounds(struct top_options *o, const char *text)
{
    char *end;
    errno = 0;
    o->rounds = strtoull(text, &end, 10);
    if (strspn(text, "0123456789") != strlen(text) || end == text || errno != 0 || o->rounds < 1 ||
        o->rounds > ROUNDS_MAX)
        refuse("-n wants a number of rounds, not ", text);
}

static void parse_option(struct top_options *o, int c)
{
    switch (c) {
    case 'c':
        o->conf = optarg;
        return;
    case 'd':
        parse_interval(o, optarg);
        return;
    case 'n':
        parse_rounds(o, optarg);
        return;
    case 'j':
        o->json = true;
        o->batch = true;
        return;
    case 'b':
        o->batch = true;
        return;
    case 'C':
        o->no_color = true;
        return;
    case 'u':
        o->blocks = true;
        return;
    case OPTION_READONLY:
        o->readonly = true;
        return;
    case OPTION_TOKEN:
        o->token_file = optarg;
        return;
    case 'V':
        puts("spike-top " SPIKE_VERSION);
        exit(0);
    case 'h':
        usage(stdout, 0);
    default:
        usage(stderr, EXIT_USAGE);
    }
}

void options_read(struct top_options *o, int argc, char **argv)
{
    static const struct option longs[] = {
        {"readonly", no_argument, NULL, OPTION_READONLY},
        {"token-file", required_argument, NULL, OPTION_TOKEN},
        {0},
    };
    const char *no_color = getenv("NO_COLOR");
    *o = (struct top_options){.interval_s = 1, .no_color = no_color != NULL && *no_color != '\0'};
    for (int c; (c = getopt_long(argc, argv, "bc:d:jn:uCVh", longs, NULL)) != -1;)
        parse_option(o, c);
    if (o->rounds != 0 && !o->batch)
        refuse("-n is for a batch: add -b", "");
    o->names = argv + optind;
    ASSERT(optind <= argc);
    o->name_count = (uint32_t)(argc - optind);
    if (o->name_count > NODES_MAX)
        refuse("too many nodes, from here on: ", argv[optind + NODES_MAX]);
}

uint64_t options_timeout_us(double interval_s)
{
    double s = interval_s * ROUND_PART;
    ASSERT(interval_s > 0);
    return (uint64_t)((s < ANSWER_MIN_S   ? ANSWER_MIN_S
                       : s > ANSWER_MAX_S ? ANSWER_MAX_S
                                          : s) *
                      1e6);
}

uint64_t options_retry_us(double interval_s)
{
    double s = interval_s * ROUND_PART - ANSWER_MAX_S;
    ASSERT(interval_s <= INTERVAL_MAX_S);
    return s < ANSWER_MIN_S ? 0 : options_timeout_us(s / ROUND_PART);
}

/* -d may have set an interval between two steps. */
double options_step(double interval_s, bool longer)
{
    static const double steps[] = {INTERVAL_MIN_S, 0.2, 0.5, 1, 2, 5, 10, 30, INTERVAL_MAX_S};
    double next = interval_s;
    ASSERT(interval_s >= INTERVAL_MIN_S && interval_s <= INTERVAL_MAX_S);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (longer && steps[i] > interval_s + 0.001 && next <= interval_s)
            next = steps[i];
        if (!longer && steps[i] < interval_s - 0.001)
            next = steps[i];
    }
    return next;
}
