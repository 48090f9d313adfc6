/*
 * options: see options.h. If this dies, nothing has happened.
 */
#include "admin-tui/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE     2
#define ROUNDS_MAX     UINT64_C(1000000000)
#define ROUND_PART     0.9 /* of the interval: answers should be there before the next round */
#define ANSWER_LEAST_S 0.5
#define ANSWER_MOST_S  2

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

static _Noreturn void misused(const char *what, const char *value)
{
    fprintf(stderr, "spike-top: %s%s\n", what, value);
    usage(stderr, EXIT_USAGE);
}

static void take_interval(struct top_options *o, const char *word)
{
    char *end;
    o->interval_s = strtod(word, &end);
    if (strspn(word, "0123456789.") != strlen(word) || end == word || *end != '\0' ||
        !(o->interval_s >= INTERVAL_MIN_S && o->interval_s <= INTERVAL_MAX_S))
        misused("-d wants seconds from 0.1 to 60, not ", word);
}

static void take_rounds(struct top_options *o, const char *word)
{
    char *end;
    errno = 0;
    o->rounds = strtoull(word, &end, 10);
    if (strspn(word, "0123456789") != strlen(word) || end == word || errno != 0 || o->rounds < 1 ||
        o->rounds > ROUNDS_MAX)
        misused("-n wants a number of rounds, not ", word);
}

static void take_option(struct top_options *o, int c)
{
    switch (c) {
    case 'c':
        o->conf = optarg;
        return;
    case 'd':
        take_interval(o, optarg);
        return;
    case 'n':
        take_rounds(o, optarg);
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
        take_option(o, c);
    if (o->rounds != 0 && !o->batch)
        misused("-n is for a batch: add -b", "");
    o->names = argv + optind;
    o->name_count = (uint32_t)(argc - optind);
    if (o->name_count > NODES_MAX)
        misused("too many nodes, from here on: ", argv[optind + NODES_MAX]);
}

uint64_t options_timeout_us(double interval_s)
{
    double s = interval_s * ROUND_PART;
    return (uint64_t)((s < ANSWER_LEAST_S  ? ANSWER_LEAST_S
                       : s > ANSWER_MOST_S ? ANSWER_MOST_S
                                           : s) *
                      1e6);
}

uint64_t options_again_us(double interval_s)
{
    double s = interval_s * ROUND_PART - ANSWER_MOST_S;
    return s < ANSWER_LEAST_S ? 0 : options_timeout_us(s / ROUND_PART);
}

/* From where it stands: -d may have set anything. */
double options_step(double interval_s, bool longer)
{
    static const double steps[] = {INTERVAL_MIN_S, 0.2, 0.5, 1, 2, 5, 10, 30, INTERVAL_MAX_S};
    double next = interval_s;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (longer && steps[i] > interval_s + 0.001 && next <= interval_s)
            next = steps[i];
        if (!longer && steps[i] < interval_s - 0.001)
            next = steps[i];
    }
    return next;
}
