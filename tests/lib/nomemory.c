/* preload */
/*
 * nomemory: the allocations of one library fail, from the Nth call on and for a number of calls.
 *
 * Preloaded, it counts the calls of malloc, calloc and realloc that come from the code of the
 * library NOMEMORY_OF (a part of its file name). A call fails if its number is in the range that a
 * test (test_no_memory.py) writes into the shared file NOMEMORY while the server runs.
 *
 * Owner: any thread; all figures are atomic. It calls the allocator by glibc's internal names, so
 * it needs no dlsym(), which would allocate.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct figures {
    _Atomic uint64_t calls, failed; /* so far */
    _Atomic uint64_t from, until;   /* written by the test: which calls fail */
};

/* glibc's internal names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static struct figures *figures; /* NULL: not yet */
static uintptr_t code, code_end;

static int find_code(struct dl_phdr_info *info, size_t size, void *name)
{
    (void)size;
    if (strstr(info->dlpi_name, name) == NULL)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        code = info->dlpi_addr + part->p_vaddr;
        code_end = code + part->p_memsz;
        return 1;
    }
    return 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("NOMEMORY");
    char *library = getenv("NOMEMORY_OF");
    if (!path || !library || dl_iterate_phdr(find_code, library) == 0)
        abort();
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)sizeof *figures) != 0)
        abort();
    void *map = mmap(NULL, sizeof *figures, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        abort();
    close(fd);
    figures = map;
}

static bool fails(void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    if (figures == NULL || at < code || at >= code_end)
        return false;
    uint64_t call = atomic_fetch_add(&figures->calls, 1);
    if (call < atomic_load(&figures->from) || call >= atomic_load(&figures->until))
        return false;
    atomic_fetch_add(&figures->failed, 1);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
