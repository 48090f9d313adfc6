#include "server/admin/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf/base/check.h"

/* Pages, in all and resident. False: /proc is not there. */
static bool read_pages(uint64_t *all, uint64_t *resident)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return false;
    ASSERT((size_t)len < sizeof text);
    text[len] = '\0';
    return sscanf(text, "%" SCNu64 " %" SCNu64, all, resident) == 2;
}

uint64_t process_virtual_bytes(void)
{
    uint64_t all, resident;
    return read_pages(&all, &resident) ? all * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

uint64_t process_resident_bytes(void)
{
    uint64_t all, resident;
    return read_pages(&all, &resident) ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* For Linux before 6.2, which has no count of descriptors. Not readdir(), which allocates. */
static uint64_t count_entries(int dir)
{
    _Alignas(struct dirent64) char entries[16384];
    uint64_t count = 0;
    for (ssize_t n; (n = getdents64(dir, entries, sizeof entries)) > 0;)
        for (ssize_t at = 0; at < n; count++) {
            unsigned short len = ((const struct dirent64 *)(const void *)(entries + at))->d_reclen;
            ASSERT(len > 0);
            at += len;
        }
    return count > 3 ? count - 3 : 0; /* without `.`, `..` and `dir` itself */
}

uint64_t process_open_fds(void)
{
    struct stat about;
    int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return 0;
    uint64_t count = fstat(dir, &about) == 0 && about.st_size > 0 ? (uint64_t)about.st_size - 1
                                                                  : count_entries(dir);
    close(dir);
    return count;
}

uint64_t process_max_fds(void)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

uint64_t process_cpu_us(void)
{
    struct timespec cpu = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (uint64_t)cpu.tv_sec * 1000000u + (uint64_t)cpu.tv_nsec / 1000u;
}
