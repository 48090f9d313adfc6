/*
 * verify: reads a whole journal in a child process; why is in verify.h.
 *
 *   parent: fork, wait for the finding (a line through a pipe; none: sound) and for the child's end
 *   child:  1 the file page by page (pages.c)  2 the names  3 every record, through LMDB: seq, CRC
 *           chain, meaning; beside it the index, whose entries come in the order of the grants
 *
 * After step 1 nothing should be able to kill the reader; if something does (a disk that cannot be
 * read gives SIGBUS), it kills the child, and its death is the finding. The child shares no
 * descriptor with the server, ends with it, and may allocate: it is gone before the sale.
 */
#include "storage/journal/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
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
#include "storage/journal/home.h"
#include "storage/journal/names.h"
#include "storage/journal/pages.h"
#include "storage/journal/record.h"

/* How long reading may take: a minute, and a second for every two megabytes. */
#define BOUND_US(bytes) ((UINT64_C(60) + (bytes) / (UINT64_C(2) << 20)) * 1000000u)

#define ADVICE          "; restore the journal from a copy, or look at it before you throw it away"

/* What the records have said of an order, and what the index says of it. A number that a late
 * payment took is no order: state 0. */
struct order {
    uint64_t last; /* seq of the last record, says the index */
    uint8_t state; /* enum order_state */
    bool refused;  /* a late payment of it was refused */
} __attribute__((packed));

/* What the records have said so far about one event. */
struct event_check {
    uint64_t seq;
    uint32_t crc;
    uint64_t numbers;     /* 1 .. numbers are taken */
    struct order *orders; /* by number - 1 */
    uint64_t capacity;    /* of orders */
    uint64_t waiting;     /* orders whose last record has not come */
    MDB_cursor *index;
    const char *wrong;
};

static bool wrong(struct event_check *c, const char *what)
{
    c->wrong = what;
    return false;
}

static bool take_number(struct event_check *c, uint64_t number)
{
    if (number != c->numbers + 1)
        return wrong(c, "its order number does not follow the last one");
    if (c->numbers == c->capacity) {
        uint64_t capacity = c->capacity > 0 ? 2 * c->capacity : 4096;
        struct order *orders = realloc(c->orders, capacity * sizeof *orders);
        if (orders == NULL)
            return wrong(c, "no memory to verify so many orders");
        c->orders = orders;
        c->capacity = capacity;
    }
    c->orders[c->numbers++] = (struct order){0, 0, false};
    return true;
}

/* The order's last record, as the index says, is this one or still to come. */
static bool follow_index(struct event_check *c, const struct order *o)
{
    if (o->last < c->seq)
        return wrong(c, "the index knows nothing of it");
    if (o->last == c->seq)
        c->waiting--;
    return true;
}

static bool check_grant(struct event_check *c, const struct record *r)
{
    MDB_val key, data;
    uint64_t number;
    struct index_entry entry;
    if (!take_number(c, r->number))
        return false;
    if (r->state != ORDER_HELD && r->state != ORDER_SOLD)
        return wrong(c, "an order begins neither held nor sold");
    if (mdb_cursor_get(c->index, &key, &data, MDB_NEXT) != MDB_SUCCESS ||
        data.mv_size != sizeof entry)
        return wrong(c, "its order is not in the index");
    memcpy(&number, key.mv_data, sizeof number);
    memcpy(&entry, data.mv_data, sizeof entry);
    if (number != r->number || entry.grant != r->seq)
        return wrong(c, "the index does not lead to it");
    struct order *o = &c->orders[number - 1];
    o->state = r->state;
    o->last = entry.last;
    c->waiting++;
    return follow_index(c, o);
}

static struct order *find_order(struct event_check *c, uint64_t number)
{
    if (number <= c->numbers && c->orders[number - 1].state != 0)
        return &c->orders[number - 1];
    (void)wrong(c, "it speaks of an order that was never granted");
    return NULL;
}

static bool check_change(struct event_check *c, const struct record *r)
{
    /* A bit for each state that may follow. A sold order is cancelled when its buyer left before
     * the answer; an expired one is sold by a late payment alone, under a number of its own. */
    static const uint8_t next[] = {
        [ORDER_HELD] = 1u << ORDER_SOLD | 1u << ORDER_CANCELLED | 1u << ORDER_EXPIRED,
        [ORDER_SOLD] = 1u << ORDER_CANCELLED,
        [ORDER_CANCELLED] = 0,
        [ORDER_EXPIRED] = 0,
    };
    struct order *o = find_order(c, r->number);
    if (o == NULL)
        return false;
    if (r->was != o->state)
        return wrong(c, "the order was in another state before");
    if (!(next[o->state] & 1u << r->state))
        return wrong(c, "an order cannot change in this way");
    o->state = r->state;
    return follow_index(c, o);
}

/* A payment after the hold's end: taken (LATE) or, once and for all, refused. */
static bool check_late(struct event_check *c, const struct record *r)
{
    if (r->kind == RECORD_LATE && !take_number(c, r->number))
        return false;
    struct order *o = find_order(c, record_order(r));
    if (o == NULL)
        return false;
    if (o->state != ORDER_EXPIRED)
        return wrong(c, "a late payment of an order that had not expired");
    if (o->refused)
        return wrong(c, "the order's payment was refused before");
    if (r->kind == RECORD_LATE)
        o->state = r->state;
    else
        o->refused = true;
    return follow_index(c, o);
}

static bool check_record(struct event_check *c, uint64_t key, const MDB_val *data)
{
    struct record r;
    if (key != c->seq + 1)
        return wrong(c, "records are missing before it");
    c->seq = key;
    if (!record_decode(&r, &c->crc, data->mv_data, data->mv_size) || r.seq != key)
        return wrong(c, "its bytes, or the record before it, have changed");
    if (!record_is_order(&r))
        return true;
    switch ((enum record_kind)r.kind) {
    case RECORD_GRANT:
        return check_grant(c, &r);
    case RECORD_CHANGE:
        return check_change(c, &r);
    default:
        return check_late(c, &r);
    }
}

/* After the last record: no entry of the index is left, and none waits for a later record. */
static bool check_index_end(struct event_check *c)
{
    MDB_val key, data;
    int rc = mdb_cursor_get(c->index, &key, &data, MDB_NEXT);
    if (rc != MDB_NOTFOUND)
        return wrong(c, rc == MDB_SUCCESS ? "it is the last one, and the index knows more orders"
                                          : mdb_strerror(rc));
    return c->waiting == 0 ||
           wrong(c, "it is the last one, and the index names records that never came");
}

static int check_event(MDB_txn *txn, const struct trees *trees, struct event_check *c)
{
    MDB_cursor *cursor;
    MDB_val key, data;
    uint64_t seq;
    int rc = mdb_cursor_open(txn, trees->records, &cursor);
    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_open(txn, trees->index, &c->index);
    if (rc != MDB_SUCCESS)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == MDB_SUCCESS) {
        memcpy(&seq, key.mv_data, sizeof seq);
        if (!check_record(c, seq, &data))
            break;
    }
    if (rc == MDB_NOTFOUND && check_index_end(c))
        rc = MDB_SUCCESS;
    mdb_cursor_close(c->index);
    mdb_cursor_close(cursor);
    free(c->orders);
    return rc;
}

static bool check_events(MDB_txn *txn, const char *dir, struct fault *f)
{
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL)
        return fault(f, "journal %s: no memory to verify it", dir);
    if (!names_read(names, txn, dir, f))
        return false;
    for (uint32_t slot = 0; slot < names->count; slot++) {
        struct event_check c = {0};
        struct trees trees;
        int rc = names_open(names, txn, slot, &trees);
        if (rc == MDB_SUCCESS)
            rc = check_event(txn, &trees, &c);
        if (c.wrong || rc != MDB_SUCCESS)
            return fault(f, "journal %s: damaged: record %" PRIu64 " of event %s: %s" ADVICE, dir,
                         c.seq, names->events[slot], c.wrong ? c.wrong : mdb_strerror(rc));
    }
    free(names);
    return true;
}

/* LMDB's own assertions end here; it aborts after us, and the parent tells. */
static void lmdb_failed(MDB_env *env, const char *message)
{
    (void)env;
    fprintf(stderr, "LMDB: %s\n", message);
}

/* The map is as large as the file: what the file says about its map does not matter. */
static int open_env(MDB_env **env, const char *dir, uint64_t bytes)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    int rc = mdb_env_create(env);
    if (rc != MDB_SUCCESS)
        return rc;
    (void)mdb_env_set_assert(*env, lmdb_failed);
    (void)mdb_env_set_mapsize(*env, (bytes + page - 1) / page * page);
    (void)mdb_env_set_maxdbs(*env, JOURNAL_TREES_MAX);
    return mdb_env_open(*env, dir, MDB_RDONLY | MDB_NOLOCK, 0600);
}

static bool check_records(const char *dir, uint64_t bytes, struct fault *f)
{
    MDB_env *env;
    MDB_txn *txn;
    int rc = open_env(&env, dir, bytes);
    if (rc == MDB_SUCCESS)
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS)
        return fault(f, "journal %s: cannot be read: %s" ADVICE, dir, mdb_strerror(rc));
    if (!check_events(txn, dir, f))
        return false;
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return true;
}

static bool check_all(const char *dir, const char *path, uint64_t bytes, struct fault *f)
{
    struct fault why;
    if (!pages_check(path, &why))
        return fault(f, "journal %s" ADVICE, why.text);
    return check_records(dir, bytes, f);
}

/* The child must not outlive the server, keep its descriptors, run its handlers or leave a core. A
 * signal that asks for something is meant for the server: its end is the child's end. */
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

static _Noreturn void read_in_child(pid_t parent, int pipe, const char *dir, const char *path,
                                    uint64_t bytes)
{
    struct fault f;
    become_reader(parent, &pipe);
    if (check_all(dir, path, bytes, &f))
        _exit(0);
    ssize_t ignored = write(pipe, f.text, strlen(f.text)); /* it is read, or nobody is left */
    (void)ignored;
    _exit(1);
}

/* Reads the finding up to the end of the pipe. False when the time is over. */
static bool await_finding(int pipe, struct fault *f, uint64_t bound_us)
{
    size_t len = 0;
    uint64_t end = clock_mono_us() + bound_us;
    for (;;) {
        struct pollfd p = {.fd = pipe, .events = POLLIN};
        uint64_t now = clock_mono_us();
        if (now >= end)
            return false;
        if (poll(&p, 1, (int)((end - now) / 1000 % 60000) + 1) <= 0)
            continue;
        ssize_t n = read(pipe, f->text + len, sizeof f->text - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    f->text[len] = '\0';
    return true;
}

static bool judge(const char *dir, bool in_time, int status, struct fault *f)
{
    if (!in_time)
        return fault(f, "journal %s: reading it took too long; is the disk in order?", dir);
    if (WIFSIGNALED(status))
        return fault(f,
                     "journal %s: reading it died of SIG%s: the file is damaged or the disk cannot "
                     "read it" ADVICE,
                     dir, sigabbrev_np(WTERMSIG(status)));
    if (WEXITSTATUS(status) == 0)
        return true;
    return f->text[0] != '\0' ? false : fault(f, "journal %s: it could not be verified", dir);
}

/* No signal reaches the child before become_reader(): a handler of the server that ends the process
 * with 0 would there say that the journal is sound. */
static pid_t fork_reader(int pipe, const char *dir, const char *path, uint64_t bytes)
{
    pid_t parent = getpid();
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    if (child == 0)
        read_in_child(parent, pipe, dir, path, bytes);
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return child;
}

static bool verify_file(const char *dir, const char *path, uint64_t bytes, struct fault *f)
{
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault(f, "journal %s: no pipe to verify it: %s", dir, strerror(errno));
    pid_t child = fork_reader(ends[1], dir, path, bytes);
    close(ends[1]);
    if (child < 0) {
        int error = errno;
        close(ends[0]);
        return fault(f, "journal %s: no process to verify it: %s", dir, strerror(error));
    }
    bool in_time = await_finding(ends[0], f, BOUND_US(bytes));
    close(ends[0]);
    if (!in_time)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0)
        ASSERT(errno == EINTR);
    return judge(dir, in_time, status, f);
}

bool journal_verify(const char *dir, struct fault *f)
{
    char path[PATH_TEXT_MAX + 16];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", dir, HOME_DATA);
    ASSERT(n > 0 && n < (int)sizeof path);
    switch (home_look(dir)) {
    case HOME_BLANK:
        return true;
    case HOME_LOST:
        return fault(f, "journal %s: %s is empty or gone, and it held a journal" ADVICE, dir,
                     HOME_DATA);
    case HOME_JOURNAL:
        break;
    }
    if (stat(path, &st) != 0)
        return fault(f, "journal %s: %s: %s", dir, HOME_DATA, strerror(errno));
    return verify_file(dir, path, (uint64_t)st.st_size, f);
}
