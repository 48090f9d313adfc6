/* preload */
/*
 * holdboot: a server that is being started stands still at a chosen stage.
 *
 * Put in front of libc it holds the first call of the function HOLD_AT: getopt (main() has begun),
 * stat (the configuration is about to be read), or close_range (the process that reads the whole
 * journal is about to do so). The file HOLD is there when the server starts; the file HOLD.here
 * appears when the stage is reached, and the server goes on when HOLD is removed.
 *
 * Owner: one thread, for the server has no others yet.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef int getopt_call(int, char *const *, const char *);
typedef int stat_call(const char *, struct stat *);
typedef int close_range_call(unsigned, unsigned, int);

static getopt_call *real_getopt;
static stat_call *real_stat;
static close_range_call *real_close_range;
static const char *stage = "";
static char hold[4096], here[4096 + 8];

/* A function pointer out of dlsym's void *, without a cast that ISO C does not have. */
static void find(void *function, const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol)
        abort();
    memcpy(function, &symbol, sizeof symbol);
}

__attribute__((constructor)) static void start(void)
{
    find(&real_getopt, "getopt");
    find(&real_stat, "stat");
    find(&real_close_range, "close_range");
    const char *path = getenv("HOLD"), *at = getenv("HOLD_AT");
    if (!path || !at)
        abort();
    stage = at;
    snprintf(hold, sizeof hold, "%s", path);
    snprintf(here, sizeof here, "%s.here", hold);
}

static void hold_at(const char *function)
{
    const struct timespec moment = {.tv_nsec = 200000};
    if (strcmp(stage, function) != 0 || access(here, F_OK) == 0)
        return;
    close(open(here, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    while (access(hold, F_OK) == 0)
        nanosleep(&moment, NULL);
}

int getopt(int count, char *const *words, const char *options)
{
    hold_at("getopt");
    return real_getopt(count, words, options);
}

int stat(const char *path, struct stat *into)
{
    hold_at("stat");
    return real_stat(path, into);
}

int close_range(unsigned first, unsigned last, int flags)
{
    hold_at("close_range");
    return real_close_range(first, last, flags);
}
