/*
 * spike-server: from a configuration to a running node, and back to nothing.
 *
 * Boot order, and why: the file first (a mistake costs nothing yet); the plan, which is all that -t
 * does; descriptors; the journal (it forks a child to verify, so before any thread); the arena; the
 * sockets (so that an address in use is reported before the ledger touches Redis); then the seal,
 * the ledger, the workers. This thread stays with the signals and the operators. A signal that
 * comes earlier waits for it, or, if it asks for the end, ends the boot: whatever is half done by
 * then is what kill -9 may leave at any time.
 *
 * Stop: the workers stop accepting, answer what is under way and end; the ledger, which outlives
 * them, settles and gives back what is in doubt; the admin worker, which sends the ledger nothing
 * any more, ends; the journal is closed.
 */
#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/base/log.h"
#include "server/admin/admin.h"
#include "server/ledger/ledger.h"
#include "server/net/ev_alloc.h"
#include "server/reload.h"

#define EXIT_TROUBLE     1
#define EXIT_USAGE       2

#define TICK_SECONDS     5.
#define STAT_LOG_SECONDS 2

_Static_assert(WORKER_OPERATORS <= OPS_MAX, "every payment may have to wait for the next turn");

/* Everything a node is made of. */
static struct {
    const char *conf_path;
    struct conf conf, reloaded;
    struct arena arena;
    struct board board;
    struct journal *journal;
    struct ledger *ledger;
    struct channel channels[WORKERS_MAX + 1]; /* the last one in use is the admin worker's */
    struct listener *buyers[LISTEN_MAX], *operators;
    struct worker *workers[WORKERS_MAX], *admin_worker;
    char names[WORKERS_MAX][16];
    pthread_t ledger_thread, worker_threads[WORKERS_MAX];
    struct admin *admin;
    struct stat_log *stats; /* NULL: off */
    pthread_t stat_thread;
    ev_signal signals[4];
    ev_timer tick;
    int stop_signals;
} node;

static _Noreturn void die(const struct fault *f)
{
    fprintf(stderr, "spike-server: %s\n", f->text);
    exit(EXIT_TROUBLE);
}

static _Noreturn void usage(FILE *to, int code)
{
    fputs("usage: spike-server -c FILE [-t]\n"
          "       spike-server -V | -h\n"
          "  -c FILE  the configuration, see spike.conf(5)\n"
          "  -t       check it, print the memory plan, and exit\n"
          "  -V       print the version\n"
          "  -h       print this\n",
          to);
    exit(code);
}

/* True: only check. */
static bool read_options(int argc, char **argv)
{
    bool check = false;
    for (int c; (c = getopt(argc, argv, "c:tVh")) != -1;) {
        switch (c) {
        case 'c':
            node.conf_path = optarg;
            break;
        case 't':
            check = true;
            break;
        case 'V':
            printf("spike-server %s\n", SPIKE_VERSION);
            exit(0);
        case 'h':
            usage(stdout, 0);
        default:
            usage(stderr, EXIT_USAGE);
        }
    }
    if (node.conf_path == NULL || optind != argc)
        usage(stderr, EXIT_USAGE);
    return check;
}

/* ---- plan ----------------------------------------------------------------------------------- */

static bool has_admin(void)
{
    return node.conf.admin.len > 0;
}

static uint32_t operators_count(void)
{
    return has_admin() ? WORKER_OPERATORS : 0;
}

/* The workers and the admin worker; each has a channel to the ledger, too. */
static uint32_t loops(void)
{
    return node.conf.workers + 1;
}

static struct channel *plan_channel(uint32_t i, enum route_side side)
{
    struct channel *x = &node.channels[i];
    channel_plan(x, &node.arena, worker_messages(&node.conf, side));
    return x;
}

static void plan_worker(uint32_t i, struct conn_limit *buyers_limit)
{
    snprintf(node.names[i], sizeof node.names[i], "worker-%u", (unsigned)i + 1);
    struct worker_options o = {.name = node.names[i],
                               .number = i,
                               .conf = &node.conf,
                               .board = &node.board,
                               .channel = plan_channel(i, ROUTE_BUYERS),
                               .side = ROUTE_BUYERS,
                               .listeners = node.buyers,
                               .listener_count = node.conf.listen_count,
                               .stats = stat_log_ring(node.stats, i),
                               .limit = buyers_limit};
    node.workers[i] = worker_plan(&o, &node.arena);
}

/* Without an admin line there is no listener, but this thread's loop still has the signals. */
static void plan_operators(void)
{
    struct worker_options o = {.name = "spike-server",
                               .conf = &node.conf,
                               .board = &node.board,
                               .channel = plan_channel(node.conf.workers, ROUTE_OPERATORS),
                               .side = ROUTE_OPERATORS,
                               .listeners = &node.operators,
                               .listener_count = has_admin() ? 1 : 0,
                               .limit = conn_limit_new(WORKER_OPERATORS),
                               .authorize = admin_authorize,
                               .serve = admin_serve,
                               .context = node.admin};
    node.admin_worker = worker_plan(&o, &node.arena);
}

static void make_plan(void)
{
    struct conn_limit *buyers_limit = conn_limit_new(node.conf.connections);
    node.stats = stat_log_plan(&node.conf, &node.arena);
    node.admin = admin_new(&node.conf, &node.board, node.stats, &node.arena, node.workers);
    for (uint32_t i = 0; i < node.conf.workers; i++)
        plan_worker(i, buyers_limit);
    plan_operators();
    node.ledger = ledger_plan(&node.conf, &node.arena);
    uint32_t descriptors = worker_descriptors(&node.conf, operators_count());
    ev_alloc_plan(&node.arena, loops(), descriptors,
                  node.conf.workers * node.conf.connections + WORKER_OPERATORS);
    admin_read_plan(node.admin);
}

/* ---- boot ----------------------------------------------------------------------------------- */

static bool raise_descriptors(struct fault *f)
{
    struct rlimit limit;
    uint32_t need = worker_descriptors(&node.conf, operators_count());
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return fault(f, "getrlimit: %s", strerror(errno));
    if (limit.rlim_cur < need && limit.rlim_max >= need) {
        limit.rlim_cur = need;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            return fault(f, "setrlimit %u files: %s", need, strerror(errno));
    }
    if (limit.rlim_cur < need)
        return fault(f,
                     "connections %u need %u open files, this process may have %llu: raise the "
                     "limit (ulimit -n, LimitNOFILE=) or lower `connections`",
                     node.conf.connections, need, (unsigned long long)limit.rlim_max);
    return true;
}

static bool open_journal(struct fault *f)
{
    struct journal_options o = {.dir = node.conf.journal,
                                .size = node.conf.journal_size,
                                .node = node.conf.node,
                                .event_count = node.conf.event_count};
    for (uint32_t i = 0; i < node.conf.event_count; i++) {
        const struct conf_event *e = &node.conf.events[i];
        o.events[i] = e->name;
        o.orders[i] = e->total < e->local_stock ? e->total : e->local_stock;
        o.holds[i] = e->hold_ms > 0;
    }
    node.journal = journal_open(&o, f);
    /* With a Redis the ledger begins it, when that knows the journal (ledger/attach.c). */
    return node.journal != NULL && (node.conf.redis.len > 0 || journal_begin(node.journal, f));
}

/* Buyers come through a balancer that runs as another user; the operators' socket stays ours. */
static bool open_to_all(const struct conf_addr *at, struct fault *f)
{
    return at->to.any.sa_family != AF_UNIX || chmod(at->to.local.sun_path, 0666) == 0 ||
           fault(f, "listen %s: chmod: %s", at->text, strerror(errno));
}

static bool open_listeners(struct fault *f)
{
    for (uint32_t i = 0; i < node.conf.listen_count; i++) {
        node.buyers[i] = listener_open(&node.conf.listen[i], node.conf.workers, f);
        if (node.buyers[i] == NULL || !open_to_all(&node.conf.listen[i], f))
            return false;
    }
    node.operators = has_admin() ? listener_open(&node.conf.admin, 1, f) : NULL;
    return !has_admin() || node.operators != NULL;
}

/* After ledger_init(), which opens the ledger's doorbell. */
static bool init_channels(struct fault *f)
{
    for (uint32_t i = 0; i < loops(); i++)
        if (!channel_init(&node.channels[i], &node.arena, ledger_bell(node.ledger), f))
            return false;
    return true;
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
    log_report_repeated(false);
}

/* Before the seal, so that libev has the memory for it. */
static void start_tick(struct ev_loop *loop)
{
    ev_timer_init(&node.tick, on_tick, TICK_SECONDS, TICK_SECONDS);
    ev_timer_start(loop, &node.tick);
}

static bool init_modules(struct fault *f)
{
    if (!arena_map(&node.arena, f) ||
        !ledger_init(node.ledger, &node.arena, node.journal, &node.board, node.channels, loops(),
                     f) ||
        !init_channels(f))
        return false;
    if (!stat_log_open(node.stats, &node.arena, f))
        return false;
    ev_alloc_init(&node.arena);
    for (uint32_t i = 0; i < node.conf.workers; i++)
        if (!worker_init(node.workers[i], &node.arena, f))
            return false;
    if (!worker_init(node.admin_worker, &node.arena, f))
        return false;
    start_tick(worker_loop(node.admin_worker));
    return true;
}

static void log_addresses(void)
{
    for (uint32_t i = 0; i < node.conf.listen_count; i++)
        log_line(LOG_INFO, "listening on %s", listener_text(node.buyers[i]));
    if (has_admin())
        log_line(LOG_INFO, "admin listening on %s", listener_text(node.operators));
}

/* ---- signals -------------------------------------------------------------------------------- */

/* Before the last thread is gone a second signal must still end the process. */
static void on_stop(struct ev_loop *loop, ev_signal *s, int events)
{
    (void)loop;
    (void)events;
    if (node.stop_signals++ > 0) {
        log_line(LOG_WARN, "signal %d again: ending at once", s->signum);
        _exit(EXIT_TROUBLE);
    }
    log_line(LOG_INFO, "signal %d: stopping", s->signum);
    atomic_store(&node.board.stopping, true);
    for (uint32_t i = 0; i < node.conf.workers; i++)
        worker_stop(node.workers[i]);
}

static void on_reload(struct ev_loop *loop, ev_signal *s, int events)
{
    (void)loop;
    (void)s;
    (void)events;
    struct fault f;
    if (!conf_load(&node.reloaded, node.conf_path, &f)) {
        log_line(LOG_ERROR, "reload: %s; going on as before", f.text);
        return;
    }
    reload(&node.conf, &node.reloaded, &node.board);
}

static void on_reopen(struct ev_loop *loop, ev_signal *s, int events)
{
    (void)loop;
    (void)s;
    (void)events;
    if (node.stats != NULL)
        stat_log_reopen(node.stats);
    else
        log_line(LOG_INFO, "signal USR1: the log goes to standard error, nothing to reopen");
}

static void watch_signals(struct ev_loop *loop)
{
    static const struct {
        int number;
        void (*handler)(struct ev_loop *, ev_signal *, int);
    } table[] = {{SIGTERM, on_stop}, {SIGQUIT, on_stop}, {SIGHUP, on_reload}, {SIGUSR1, on_reopen}};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        ev_signal_init(&node.signals[i], table[i].handler, table[i].number);
        ev_signal_start(loop, &node.signals[i]);
    }
}

/* HUP and USR1, or all that are handled. */
static void mask_signals(int how, bool all)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    if (all) {
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGQUIT);
    }
    pthread_sigmask(how, &set, NULL);
}

/* Before the ledger runs nothing is under way that would have to be finished. */
static _Noreturn void on_stop_at_boot(int number)
{
    static const char line[] = "spike-server: stopped while it was being started\n";
    (void)number;
    ssize_t ignored = write(STDERR_FILENO, line, sizeof line - 1); /* no log_line in a handler */
    (void)ignored;
    _exit(0);
}

/* From the first moment on, until the loop has its handlers: HUP and USR1 wait for it, TERM and
 * QUIT end the boot, which may last minutes. -t is no boot and gives them back. */
static void guard_boot(bool on)
{
    mask_signals(on ? SIG_BLOCK : SIG_UNBLOCK, false);
    signal(SIGTERM, on ? on_stop_at_boot : SIG_DFL);
    signal(SIGQUIT, on ? on_stop_at_boot : SIG_DFL);
}

/* ---- run ------------------------------------------------------------------------------------ */

static void *run_worker(void *worker)
{
    worker_run(worker);
    return NULL;
}

static void must_start(pthread_t *thread, void *(*body)(void *), void *argument)
{
    int error = pthread_create(thread, NULL, body, argument);
    struct fault f;
    if (error == 0)
        return;
    fault_set(&f, "cannot start a thread: %s", strerror(error));
    die(&f);
}

/* A file that blocks its writer keeps lines from being written, not the server from ending. */
static void stop_stat_log(void)
{
    struct timespec until;
    if (node.stats == NULL)
        return;
    stat_log_stop(node.stats);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STAT_LOG_SECONDS;
    if (pthread_timedjoin_np(node.stat_thread, NULL, &until) != 0)
        log_line(LOG_WARN, "stat-log %s cannot be written; its last lines are lost",
                 node.conf.stat_log);
}

/* Waits for the workers, then for the ledger; then the admin worker may end too. */
static void *wait_for_all(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < node.conf.workers; i++)
        pthread_join(node.worker_threads[i], NULL);
    ledger_stop(node.ledger);
    pthread_join(node.ledger_thread, NULL);
    stop_stat_log();
    worker_stop(node.admin_worker);
    return NULL;
}

static void run(void)
{
    pthread_t waiter;
    watch_signals(worker_loop(node.admin_worker));
    mask_signals(SIG_BLOCK, true); /* threads inherit it, and libev has unblocked them */
    journal_hand_over(node.journal, THREAD_LEDGER);
    must_start(&node.ledger_thread, ledger_run, node.ledger);
    if (node.stats != NULL)
        must_start(&node.stat_thread, stat_log_run, node.stats);
    for (uint32_t i = 0; i < node.conf.workers; i++)
        must_start(&node.worker_threads[i], run_worker, node.workers[i]);
    must_start(&waiter, wait_for_all, NULL);
    log_addresses();
    mask_signals(SIG_UNBLOCK, true);
    worker_run(node.admin_worker);
    mask_signals(SIG_BLOCK, true); /* their loop is about to go */
    pthread_join(waiter, NULL);
}

static void clean_up(void)
{
    for (uint32_t i = 0; i < node.conf.workers; i++)
        worker_close(node.workers[i]);
    worker_close(node.admin_worker);
    for (uint32_t i = 0; i < node.conf.listen_count; i++)
        listener_close(node.buyers[i]);
    if (has_admin())
        listener_close(node.operators);
    journal_close(node.journal);
    if (ev_alloc_late() > 0)
        log_line(LOG_WARN, "libev has taken memory %llu times after start; please report this",
                 (unsigned long long)ev_alloc_late());
    log_report_repeated(true);
    log_line(LOG_INFO, "stopped");
}

int main(int argc, char **argv)
{
    struct fault f;
    guard_boot(true);
    bool check = read_options(argc, argv);
    if (check)
        guard_boot(false);
    if (!conf_load(&node.conf, node.conf_path, &f)) {
        fprintf(stderr, "%s\n", f.text); /* FILE:LINE stands first, for editors */
        return EXIT_TROUBLE;
    }
    make_plan();
    if (check) {
        conf_print(&node.conf);
        printf("\n");
        arena_print(&node.arena);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* ignored by a parent, it would hide how the verifier ended */
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a write that fails, and is reported */
    reload_publish(&node.conf, &node.conf, &node.board);
    if (sodium_init() < 0 || !raise_descriptors(&f) || !admin_init(node.admin, &f) ||
        !open_journal(&f) || !open_listeners(&f) || !init_modules(&f))
        die(&f);
    arena_seal(&node.arena);
    ev_alloc_seal();
    run();
    clean_up();
    return 0;
}
