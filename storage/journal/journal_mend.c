/*
 * journal_mend: completes a commit that lacks only its number (verify.c).
 *
 * One write of 16 bytes inside one sector, and its sync: before it the newest commit counts, after
 * it this one. No page is overwritten, so dying at any point, or failing, leaves what was there, or
 * a completed commit.
 *
 * Readers of this journal (spike-log) may still live, and with them LMDB's shared memory lock.mdb,
 * which holds the number of the last commit: the next writer would continue from that number, and
 * overwrite the pages of this commit. LMDB reads the number again from the meta pages if a writer
 * has died holding its lock. So a child process does this as a writer, and ends with the lock held.
 *
 * Owner: main, before any thread is started (it forks); the directory is locked.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/base/log.h"
#include "storage/journal/journal_dir.h"
#include "storage/journal/journal_private.h"

static bool write_number(const char *dir, const struct leftover *l, struct fault *f)
{
    char path[PATH_TEXT_MAX + 16];
    const uint64_t ends[] = {l->last_page, l->txnid};
    ASSERT(l->txnid > 0 && l->at % sizeof(uint64_t) == 0);
    snprintf(path, sizeof path, "%s/" JOURNAL_DIR_DATA, dir);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    errno = fd < 0 ? errno : ENOSPC; /* what a short write means */
    bool good = fd >= 0 && pwrite(fd, ends, sizeof ends, (off_t)l->at) == (ssize_t)sizeof ends &&
                fdatasync(fd) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    return good || fault(f,
                         "journal %s: its last commit cannot be completed: %s: %s; check the disk "
                         "and start again",
                         dir, path, strerror(error));
}

static bool become_writer(const char *dir, struct fault *f)
{
    MDB_env *env;
    MDB_txn *txn;
    if (!journal_dir_reserve(dir, READERS_MAX, f))
        return false;
    int rc = mdb_env_create(&env);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_set_maxreaders(env, READERS_MAX);
    if (rc == MDB_SUCCESS) /* the smallest possible map: nothing is written through it */
        rc = mdb_env_set_mapsize(env, 1);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_open(env, dir, MDB_NOTLS, 0600);
    if (rc == MDB_SUCCESS)
        rc = mdb_txn_begin(env, NULL, 0, &txn);
    return rc == MDB_SUCCESS ||
           fault(f, "journal %s: its last commit cannot be completed: %s", dir, mdb_strerror(rc));
}

static _Noreturn void mend_and_exit(pid_t parent, const char *dir, const struct leftover *l,
                                    struct fault *f)
{
    const struct rlimit none = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    _exit(getppid() == parent && become_writer(dir, f) && write_number(dir, l, f) ? 0 : 1);
}

static bool mend_in_child(const char *dir, const struct leftover *l, struct fault *report,
                          struct fault *f)
{
    int status;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* the server's handlers are not for the child */
    pid_t parent = getpid(), child = fork();
    if (child == 0)
        mend_and_exit(parent, dir, l, report);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0)
        return fault(f, "journal %s: no process to complete its last commit: %s", dir,
                     strerror(errno));
    while (waitpid(child, &status, 0) < 0)
        ASSERT(errno == EINTR);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    return fault(f, "%s", report->text);
}

bool journal_mend(const char *dir, const struct leftover *l, struct fault *f)
{
    ASSERT_MAIN();
    ASSERT(l->records > 0);
    struct fault *report =
        mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return fault(f, "journal %s: no memory to complete its last commit: %s", dir,
                     strerror(errno));
    (void)fault(report,
                "journal %s: completing its last commit died; check the disk and start again", dir);
    bool good = mend_in_child(dir, l, report, f);
    munmap(report, sizeof *report);
    if (good)
        log_line(LOG_WARN,
                 "journal %s: the last write of its last commit had failed; the commit is whole, "
                 "and its %" PRIu64 " records stay",
                 dir, l->records);
    return good;
}
