/*
 * spike-log: reads the journals of one or more nodes, offline or beside their servers. It never
 * writes to them, so nothing happens to them if it dies. Exit status: commands.h.
 */
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/log/commands.h"

#define CONFS_MAX NODES_MAX
#define LAST_MAX  UINT64_C(1000000000)

enum { OPTION_CHANGES = 256, OPTION_REFUSED };

typedef int command_run(const struct sources *all, const struct options *o, struct fault *f);

/* The commands, and the options that each accepts. */
static const struct command {
    const char *name;
    command_run *run;
    bool format, rows, last; /* rows: --changes, --refused */
    bool deep;               /* the journals are verified */
} commands[] = {
    {"export", export_run, true, true, false, false},
    {"audit", audit_run, false, false, false, true},
    {"stat", stat_run, false, false, false, false},
    {"tail", tail_run, true, false, true, false},
};

static struct {
    char *confs[CONFS_MAX];
    uint32_t conf_count;
    bool has_format, has_last;
    struct options options;
    const struct command *command;
} given;

static _Noreturn void usage(FILE *to, int code)
{
    fputs("usage: spike-log -c FILE [-c FILE ...] export [-f csv|json] [--changes | --refused]\n"
          "       spike-log -c FILE [-c FILE ...] audit\n"
          "       spike-log -c FILE [-c FILE ...] stat\n"
          "       spike-log -c FILE [-c FILE ...] tail [-f csv|json] [-n COUNT]\n"
          "       spike-log -V | -h\n"
          "  -c FILE    the configuration of a node whose journal is read\n"
          "  -f FORMAT  csv (default), or json: an object a line\n"
          "  --changes  a row for each change of an order, not for each order\n"
          "  --refused  a row for each payment that came too late and was refused: to be refunded\n"
          "  -n COUNT   first the last COUNT changes of each event\n"
          "  -V         print the version\n"
          "  -h         print this\n",
          to);
    exit(code);
}

static _Noreturn void misused(const char *what, const char *value)
{
    fprintf(stderr, "spike-log: %s%s\n", what, value);
    usage(stderr, EXIT_TROUBLE);
}

static void parse_conf(char *path)
{
    ASSERT(given.conf_count <= CONFS_MAX);
    if (given.conf_count == CONFS_MAX)
        misused("too many configurations: ", path);
    given.confs[given.conf_count++] = path;
}

static void parse_format(const char *word)
{
    given.has_format = true;
    if (strcmp(word, "csv") == 0)
        given.options.format = ROW_CSV;
    else if (strcmp(word, "json") == 0)
        given.options.format = ROW_JSON;
    else
        misused("-f knows csv and json, not ", word);
}

static void parse_last(const char *word)
{
    char *end;
    given.has_last = true;
    errno = 0;
    given.options.last = strtoull(word, &end, 10);
    if (end == word || *end != '\0' || word[0] == '-' || errno != 0 ||
        given.options.last > LAST_MAX)
        misused("-n wants a number of changes, not ", word);
}

static void parse_option(int c)
{
    switch (c) {
    case 'c':
        parse_conf(optarg);
        return;
    case 'f':
        parse_format(optarg);
        return;
    case 'n':
        parse_last(optarg);
        return;
    case OPTION_CHANGES:
        given.options.changes = true;
        return;
    case OPTION_REFUSED:
        given.options.refused = true;
        return;
    case 'V':
        puts("spike-log " SPIKE_VERSION);
        exit(0);
    case 'h':
        usage(stdout, 0);
    default:
        usage(stderr, EXIT_TROUBLE);
    }
}

static void parse_command(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(word, commands[i].name) == 0)
            given.command = &commands[i];
    if (given.command == NULL)
        misused("no such command: ", word);
}

static void check_command(void)
{
    const struct command *c = given.command;
    ASSERT(c != NULL);
    if (given.conf_count == 0)
        misused("which journal? name a configuration with -c", "");
    if (given.has_format && !c->format)
        misused("-f means nothing to ", c->name);
    if (given.options.changes && !c->rows)
        misused("--changes means nothing to ", c->name);
    if (given.options.refused && !c->rows)
        misused("--refused means nothing to ", c->name);
    if (given.options.changes && given.options.refused)
        misused("--changes or --refused, not both", "");
    if (given.has_last && !c->last)
        misused("-n means nothing to ", c->name);
}

static void read_options(int argc, char **argv)
{
    static const struct option longs[] = {{"changes", no_argument, NULL, OPTION_CHANGES},
                                          {"refused", no_argument, NULL, OPTION_REFUSED},
                                          {0}};
    for (int c; (c = getopt_long(argc, argv, "c:f:n:Vh", longs, NULL)) != -1;)
        parse_option(c);
    if (optind == argc)
        misused("export, audit, stat or tail?", "");
    parse_command(argv[optind]);
    if (optind + 1 < argc)
        misused("one word too many: ", argv[optind + 1]);
    check_command();
}

static int run(struct fault *f)
{
    ASSERT(given.command != NULL && given.conf_count > 0);
    if (sodium_init() < 0) {
        (void)fault(f, "libsodium does not start");
        return EXIT_TROUBLE;
    }
    source_guard();
    struct sources *all = sources_open(given.confs, given.conf_count, given.command->deep, f);
    if (all == NULL)
        return EXIT_TROUBLE;
    int code = given.command->run(all, &given.options, f);
    sources_close(all);
    if (code != EXIT_TROUBLE && (fflush(stdout) != 0 || ferror(stdout))) {
        (void)fault(f, "standard output: %s", strerror(errno));
        return EXIT_TROUBLE;
    }
    return code;
}

int main(int argc, char **argv)
{
    struct fault f = {""};
    read_options(argc, argv);
    int code = run(&f);
    if (code == EXIT_TROUBLE)
        fprintf(stderr, "spike-log: %s\n", f.text);
    return code;
}
