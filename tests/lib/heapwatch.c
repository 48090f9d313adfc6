/* preload */
/*
 * heapwatch: which threads call the allocator, and how much heap is in use?
 *
 * Preloaded, it counts every malloc, calloc, realloc, free and aligned allocation by the kind of
 * thread that calls it (known by its name: worker-1, ledger; every other name counts as main), and
 * keeps the sum of the bytes that are allocated. test_memory.py reads the figures from the shared
 * file SPIKE_HEAP while the server runs.
 *
 * Owner: any thread; all figures are atomic. It calls the allocator by glibc's internal names, so
 * it needs no dlsym(), which would allocate.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum caller { CALLER_UNKNOWN, CALLER_MAIN, CALLER_WORKER, CALLER_LEDGER, CALLER_COUNT };

struct figures {
    _Atomic int64_t bytes_in_use;
    _Atomic uint64_t calls[CALLER_COUNT];
};

/* glibc's internal names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static struct figures before_start; /* until the shared file is mapped */
static struct figures *figures = &before_start;
static __thread enum caller known __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("SPIKE_HEAP");
    if (!path)
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)sizeof *figures) != 0)
        abort();
    void *map = mmap(NULL, sizeof *figures, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        abort();
    close(fd);
    figures = map;
}

/* A thread keeps its kind once it has a known name; without one it is checked again, for it may get
 * its name later. */
static enum caller caller(void)
{
    char name[16] = "";
    if (known != CALLER_UNKNOWN)
        return known;
    prctl(PR_GET_NAME, name);
    if (strncmp(name, "worker", 6) == 0)
        known = CALLER_WORKER;
    else if (strncmp(name, "ledger", 6) == 0)
        known = CALLER_LEDGER;
    return known != CALLER_UNKNOWN ? known : CALLER_MAIN;
}

static void count(int64_t bytes)
{
    atomic_fetch_add_explicit(&figures->calls[caller()], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&figures->bytes_in_use, bytes, memory_order_relaxed);
}

static int64_t size_of(void *block)
{
    return (int64_t)malloc_usable_size(block);
}

void *malloc(size_t size)
{
    void *block = __libc_malloc(size);
    count(size_of(block));
    return block;
}

void *calloc(size_t n, size_t size)
{
    void *block = __libc_calloc(n, size);
    count(size_of(block));
    return block;
}

void *realloc(void *old, size_t size)
{
    int64_t had = size_of(old);
    void *block = __libc_realloc(old, size);
    if (block || size == 0)
        count(size_of(block) - had);
    return block;
}

void free(void *block)
{
    if (!block)
        return;
    count(-size_of(block));
    __libc_free(block);
}

void *memalign(size_t alignment, size_t size)
{
    void *block = __libc_memalign(alignment, size);
    count(size_of(block));
    return block;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}
