/* preload */
/*
 * slowsync: a slow disk.
 *
 * Preloaded, it makes every fdatasync() last SLOW_SYNC_MS milliseconds longer, so that orders queue
 * behind a commit and their deadlines pass while it is under way.
 *
 * Owner: any thread. If the process dies here, the sync has not begun.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int sync_call(int);

static sync_call *real_fdatasync;
static struct timespec delay;

__attribute__((constructor)) static void start(void)
{
    void *symbol = dlsym(RTLD_NEXT, "fdatasync");
    const char *ms = getenv("SLOW_SYNC_MS");
    if (!symbol || !ms)
        abort();
    memcpy(&real_fdatasync, &symbol, sizeof symbol);
    long n = strtol(ms, NULL, 10);
    delay = (struct timespec){.tv_sec = n / 1000, .tv_nsec = n % 1000 * 1000000};
}

int fdatasync(int fd)
{
    struct timespec rest = delay;
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        continue;
    return real_fdatasync(fd);
}
