/*
 * verify: reads a whole journal in a child process; why is in verify.h.
 *
 *   parent: fork, read the finding from a pipe (a message; or that the journal is sound, and then
 *           what follows the newest commit), wait for the child's end
 *   child:  1 the meta pages, and every page of the newest commit (metas.c, pages.c)
 *           2 its records and index (history.c)
 *           3 what the older meta page refers to, if that is more
 *
 * Step 3: LMDB writes a commit's pages, syncs them, and last writes its meta page. If that write
 * fails, LMDB writes the old commit number and last page back into the page, and leaves the new
 * roots there. A flipped bit in the number of a commit that was acknowledged looks the same. So if
 * everything that the older meta page refers to is whole and continues the records of the newest
 * commit, it is the next commit, which lacks only its number; the server that opens the journal
 * writes that number (journal_mend.c). Anything else there is the remainder of an unfinished
 * commit: no record of it was acknowledged, and it is ignored.
 *
 * After step 1 nothing should be able to kill the child; if something does (a disk that cannot be
 * read gives SIGBUS), its death is the finding: damage in steps 1 and 2. In step 3 the child has
 * reported before that the journal is sound, so its death means that there is no next commit. The
 * child shares no descriptor with the server, ends with it, and may allocate: it is gone before the
 * sale. It writes nothing but the pipe; if the server dies here, nothing has happened.
 */
#include "storage/journal/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/base/clock.h"
#include "conf/base/limits.h"
#include "storage/journal/history.h"
#include "storage/journal/journal_dir.h"

/* The time limit of the child: a minute, and a second for every two megabytes. */
#define BOUND_US(bytes) ((UINT64_C(60) + (bytes) / (UINT64_C(2) << 20)) * 1000000u)

/* What the child writes into the pipe: a message; or one empty leftover, which means that the
 * journal is sound, and then a second one if there is a next commit. */
union finding {
    struct leftover leftover[2];
    char text[FAULT_TEXT];
};

/* Is the older meta page the next commit? Only if it names more than the newest one. */
static bool find_leftover(const struct pages *p, const struct history *newest, struct leftover *l)
{
    struct fault why;
    struct meta m = pages_next(p);
    uint64_t count, more, last;
    uint64_t last_before = pages_newest(p)->last_page;
    ASSERT(m.txnid == pages_newest(p)->txnid + 1);
    *l = (struct leftover){0};
    if (!pages_count(p, pages_newest(p), &count, &why) || !pages_count(p, &m, &more, &why) ||
        more <= count || !pages_walk(p, &m, &last, &why))
        return false;
    *l = (struct leftover){.records = history_more(newest, p, &m, pages_path(p)),
                           .at = pages_next_at(p) + META_COMMIT_AT,
                           .last_page = last > last_before ? last : last_before,
                           .txnid = m.txnid};
    return l->records > 0;
}

static bool check_newest(const struct pages *p, const char *dir, struct history *h, struct fault *f)
{
    struct fault why;
    uint64_t last;
    const struct meta *m = pages_newest(p);
    if (!pages_walk(p, m, &last, &why))
        return fault(f, "journal %s" JOURNAL_ADVICE, why.text);
    return history_check(h, p, m, dir, f);
}

static void report(int pipe, const void *what, size_t len)
{
    ssize_t ignored = write(pipe, what, len); /* it is read, or the parent is gone */
    (void)ignored;
}

static bool check_file(const struct pages *p, const char *dir, int pipe, struct fault *f)
{
    struct leftover l = {0};
    struct history *h = history_new();
    if (h == NULL)
        return fault(f, "journal %s: no memory to verify it", dir);
    bool good = check_newest(p, dir, h, f);
    if (good) {
        report(pipe, &l, sizeof l);
        if (find_leftover(p, h, &l))
            report(pipe, &l, sizeof l);
    }
    history_free(h);
    return good;
}

static bool check_all(const char *dir, const char *path, int pipe, struct fault *f)
{
    struct fault why = {""};
    struct pages *p = pages_open(path, &why);
    if (p == NULL)
        return fault(f, "journal %s" JOURNAL_ADVICE, why.text);
    bool good = check_file(p, dir, pipe, f);
    pages_close(p);
    return good;
}

/* The child must not outlive the server, keep its descriptors, run its handlers or leave a core. It
 * ignores signals that are meant for the server: the end of the server is the end of the child. */
static void become_reader(pid_t parent, int *pipe)
{
    static const int deaths[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    static const int requests[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGPIPE};
    const struct rlimit none = {0, 0};
    sigset_t all;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    for (size_t i = 0; i < ARRAY_LEN(deaths); i++)
        signal(deaths[i], SIG_DFL);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        signal(requests[i], SIG_IGN);
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    setrlimit(RLIMIT_CORE, &none);
    if (dup2(*pipe, 3) < 0)
        _exit(1);
    *pipe = 3;
    (void)close_range(4, ~0u, 0);
}

static _Noreturn void read_in_child(pid_t parent, int pipe, const char *dir, const char *path)
{
    struct fault f;
    become_reader(parent, &pipe);
    if (check_all(dir, path, pipe, &f))
        _exit(0);
    report(pipe, f.text, strlen(f.text));
    _exit(1);
}

/* Reads the finding up to the end of the pipe. False: the time limit is over. */
static bool await_finding(int pipe, union finding *found, size_t *len, uint64_t bound_us)
{
    uint64_t end = clock_mono_us() + bound_us;
    ASSERT(*len == 0);
    for (;;) {
        struct pollfd p = {.fd = pipe, .events = POLLIN};
        uint64_t now = clock_mono_us();
        if (now >= end)
            return false;
        if (poll(&p, 1, (int)((end - now) / 1000 % 60000) + 1) <= 0)
            continue;
        ssize_t n = read(pipe, (char *)found + *len, sizeof *found - 1 - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        *len += (size_t)n;
    }
    ((char *)found)[*len] = '\0';
    return true;
}

static bool decide(const char *dir, bool in_time, int status, const union finding *found,
                   size_t len, struct leftover *l, struct fault *f)
{
    if (!in_time)
        return fault(f, "journal %s: reading it took too long; is the disk in order?", dir);
    bool died = WIFSIGNALED(status);
    ASSERT(len < sizeof *found && (died || WIFEXITED(status)));
    if ((died || WEXITSTATUS(status) == 0) && len >= sizeof *l) {
        *l = len == 2 * sizeof *l ? found->leftover[1] : found->leftover[0];
        return true;
    }
    if (died)
        return fault(f,
                     "journal %s: reading it died of SIG%s: the file is damaged or the disk cannot "
                     "read it" JOURNAL_ADVICE,
                     dir, sigabbrev_np(WTERMSIG(status)));
    return WEXITSTATUS(status) != 0 && len > 0
               ? fault(f, "%s", found->text)
               : fault(f, "journal %s: it could not be verified", dir);
}

/* No signal reaches the child before become_reader(): a handler of the server that ends the process
 * with 0 would report that the journal is sound. */
static pid_t fork_reader(int pipe, const char *dir, const char *path)
{
    pid_t parent = getpid();
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    if (child == 0)
        read_in_child(parent, pipe, dir, path);
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return child;
}

static bool verify_file(const char *dir, const char *path, uint64_t bytes, struct leftover *l,
                        struct fault *f)
{
    union finding found;
    size_t len = 0;
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault(f, "journal %s: no pipe to verify it: %s", dir, strerror(errno));
    pid_t child = fork_reader(ends[1], dir, path);
    close(ends[1]);
    if (child < 0) {
        int error = errno;
        close(ends[0]);
        return fault(f, "journal %s: no process to verify it: %s", dir, strerror(error));
    }
    bool in_time = await_finding(ends[0], &found, &len, BOUND_US(bytes));
    close(ends[0]);
    if (!in_time)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0)
        ASSERT(errno == EINTR);
    return decide(dir, in_time, status, &found, len, l, f);
}

bool journal_verify(const char *dir, struct leftover *l, struct fault *f)
{
    char path[PATH_TEXT_MAX + 16];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", dir, JOURNAL_DIR_DATA);
    ASSERT(n > 0 && n < (int)sizeof path);
    ASSERT_MAIN(); /* it forks: no other thread may run */
    *l = (struct leftover){0};
    switch (journal_dir_inspect(dir)) {
    case JOURNAL_DIR_BLANK:
        return true;
    case JOURNAL_DIR_LOST:
        return fault(f, "journal %s: %s is empty or gone, and it held a journal" JOURNAL_ADVICE,
                     dir, JOURNAL_DIR_DATA);
    case JOURNAL_DIR_UNFINISHED:
    case JOURNAL_DIR_JOURNAL:
        break;
    }
    if (stat(path, &st) != 0)
        return fault(f, "journal %s: %s: %s", dir, JOURNAL_DIR_DATA, strerror(errno));
    return verify_file(dir, path, (uint64_t)st.st_size, l, f);
}
