/*
 * million: holds very many connections to very many nodes, and at a signal sends one request on
 * each.
 *
 *     million TOTAL PROCESSES REQUESTS-MAX ORDERS-FILE ADDRESS:PORT ...
 *
 * This process is the leader: it starts the processes of buyers (the number of files of one process
 * is limited), adds up their totals, shows the progress on standard error, and exchanges lines with
 * million.sh:
 *
 *     writes     held NAME VALUE ...       all connections are open
 *     reads      ask                       start now; or end
 *     writes     answered NAME VALUE ...   every buyer has an answer, or will not get one
 *     reads      end                       or the end of the input
 *
 * On a terminal the progress is one line that changes, elsewhere a line every five seconds. If the
 * buyers cannot go on, it prints why and exits with status 1.
 *
 * Owner: one thread. If it dies, the kernel ends its children, and with them the connections.
 */
#include "bench/million.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/base/check.h"

#define POLL_MS    200
#define LINE_NS    UINT64_C(5000000000)
#define TIMEOUT_NS UINT64_C(120000000000) /* without a single answer */
#define SECOND_NS  UINT64_C(1000000000)

static struct million *shared;
static pid_t children[PROCESSES_MAX];
static volatile sig_atomic_t stopped;
static bool terminal;
static uint64_t began_ns, opened_ns, line_ns;

static const char *const names[COUNT_KINDS] = {
#define NAME(id, name) [COUNT_##id] = (name),
    COUNTS(NAME)
#undef NAME
};

static void on_stop(int signal)
{
    (void)signal;
    stopped = 1;
}

/* Ends the children first, so that none outlives the leader. */
static _Noreturn void end_run(int status)
{
    for (uint32_t i = 0; i < shared->processes && children[i] > 0; i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0 || errno == EINTR)
        continue;
    exit(status);
}

__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%smillion: ", terminal && line_ns > 0 ? "\n" : "");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    end_run(1);
}

/* ---------------------------------------------------------------- sums */

static uint32_t sum(enum count what)
{
    uint32_t all = 0;
    ASSERT(what < COUNT_KINDS);
    for (uint32_t i = 0; i < shared->processes; i++)
        all += atomic_load_explicit(&shared->totals[i].n[what], memory_order_relaxed);
    return all;
}

/* Buyers that have an outcome. */
static uint32_t sum_done(void)
{
    uint32_t all = 0;
    for (int what = COUNT_YES; what <= COUNT_UNANSWERED; what++)
        all += sum((enum count)what);
    return all;
}

static void report_unexpected(void)
{
    for (uint32_t i = 0; i < shared->processes; i++) {
        if (shared->totals[i].unexpected[0] == '\0')
            continue;
        fprintf(stderr, "an unexpected answer:\n%s\n", shared->totals[i].unexpected);
        return;
    }
}

static uint64_t since(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
}

static void report(const char *what)
{
    uint64_t yes_ns = 0, answer_ns = 0;
    for (uint32_t i = 0; i < shared->processes; i++) {
        uint64_t yes = atomic_load(&shared->totals[i].last_yes_ns);
        uint64_t answer = atomic_load(&shared->totals[i].last_answer_ns);
        yes_ns = yes > yes_ns ? yes : yes_ns;
        answer_ns = answer > answer_ns ? answer : answer_ns;
    }
    printf("%s", what);
    for (int i = 0; i < COUNT_KINDS; i++)
        printf(" %s %u", names[i], sum((enum count)i));
    printf(" took_us %llu last_yes_us %llu last_answer_us %llu\n",
           (unsigned long long)since(began_ns, million_now_ns()),
           (unsigned long long)since(opened_ns, yes_ns),
           (unsigned long long)since(opened_ns, answer_ns));
    fflush(stdout);
}

/* ---------------------------------------------------------------- progress */

static const char *with_commas(char text[16], uint32_t n)
{
    char *end = text + 15; /* 4,294,967,295 has 13 characters */
    *end = '\0';
    for (int digits = 0; digits == 0 || n > 0; n /= 10, digits++) {
        if (digits > 0 && digits % 3 == 0)
            *--end = ',';
        *--end = (char)('0' + n % 10);
    }
    return end;
}

/* last: ends the line. */
static void progress(const char *what, uint32_t n, bool last)
{
    char so_far[16], all[16];
    uint64_t now = million_now_ns();
    if (!terminal && !last && now < line_ns + LINE_NS)
        return;
    line_ns = now;
    fprintf(stderr, "%s  %-12s %9s of %s  %4llu s%s", terminal ? "\r" : "", what,
            with_commas(so_far, n), with_commas(all, shared->total),
            (unsigned long long)((now - began_ns) / SECOND_NS), terminal && !last ? "" : "\n");
}

/* ---------------------------------------------------------------- failures */

static void check_children(void)
{
    pid_t gone = waitpid(-1, NULL, WNOHANG);
    for (uint32_t i = 0; i < shared->processes; i++)
        if (atomic_load(&shared->totals[i].failed))
            die("%s", shared->totals[i].text);
    if (gone > 0)
        die("a process of buyers has died");
}

/* The next line of the input, within POLL_MS; none: "". The end of the input and a signal end the
 * run.
 */
static const char *read_command(void)
{
    static char line[16];
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t n = 0;
    line[0] = '\0';
    if (poll(&input, 1, POLL_MS) == 1 && (n = read(STDIN_FILENO, line, sizeof line - 1)) <= 0)
        end_run(0);
    line[n > 0 ? n : 0] = '\0';
    if (stopped)
        end_run(130);
    if (strcmp(line, "end\n") == 0)
        end_run(0);
    check_children();
    return line;
}

/* ---------------------------------------------------------------- the sale */

static void await_connections(void)
{
    uint32_t held;
    while ((held = sum(COUNT_HELD)) < shared->total) {
        progress("connected", held, false);
        read_command();
    }
    progress("connected", held, true);
    report("held");
}

static void start_sale(void)
{
    const uint64_t one = 1;
    ASSERT(sum(COUNT_HELD) <= shared->total);
    began_ns = opened_ns = million_now_ns();
    if (write(shared->start_signal, &one, sizeof one) != (ssize_t)sizeof one)
        die("eventfd: %s", strerror(errno));
}

static void await_answers(void)
{
    uint32_t done, last = 0;
    uint64_t progress_ns = opened_ns;
    while ((done = sum_done()) < shared->total) {
        uint64_t now = million_now_ns();
        if (done != last)
            progress_ns = now;
        last = done;
        progress("answered", done, false);
        if (now > progress_ns + TIMEOUT_NS)
            break;
        read_command();
    }
    ASSERT(done <= shared->total);
    progress("answered", done, true);
    atomic_fetch_add(&shared->totals[0].n[COUNT_UNANSWERED], shared->total - done);
    report_unexpected();
    report("answered");
}

/* ---------------------------------------------------------------- the start */

static uint32_t number(const char *text, uint32_t max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || n == 0 || n > max)
        die("%s: not a number from 1 to %u", text, max);
    return (uint32_t)n;
}

static void parse_nodes(int count, char **addresses)
{
    if (count > NODES_MAX)
        die("%d nodes; at most %d", count, NODES_MAX);
    shared->nodes = (uint32_t)count;
    for (int i = 0; i < count; i++) {
        char *port = strchr(addresses[i], ':');
        struct sockaddr_in *to = &shared->node[i];
        if (port == NULL)
            die("%s: not ADDRESS:PORT", addresses[i]);
        *port = '\0';
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)number(port + 1, UINT16_MAX));
        if (inet_pton(AF_INET, addresses[i], &to->sin_addr) != 1)
            die("%s: not an IPv4 address", addresses[i]);
    }
}

/* Raises the limit of files to the maximum: a process of buyers needs one for each connection. */
static void raise_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        die("getrlimit: %s", strerror(errno));
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        die("setrlimit: %s", strerror(errno));
}

static void start_process(uint32_t process)
{
    ASSERT(process < PROCESSES_MAX && children[process] == 0);
    pid_t leader = getpid();
    children[process] = fork();
    if (children[process] < 0)
        die("fork: %s", strerror(errno));
    if (children[process] > 0)
        return;
    signal(SIGINT, SIG_IGN); /* the leader ends its children */
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != leader)
        _exit(1);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    buyers_run(shared, process);
    _exit(1);
}

static void prepare(int argc, char **argv)
{
    const struct sigaction stop = {.sa_handler = on_stop};
    shared->total = number(argv[1], 1u << 30);
    shared->processes = number(argv[2], PROCESSES_MAX);
    shared->requests_max = number(argv[3], 1u << 30);
    shared->orders = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    shared->start_signal = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (shared->orders < 0 || shared->start_signal < 0)
        die("%s: %s", argv[4], strerror(errno));
    parse_nodes(argc - 5, argv + 5);
    raise_files();
    terminal = isatty(STDERR_FILENO);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr,
                "usage: million TOTAL PROCESSES REQUESTS-MAX ORDERS-FILE ADDRESS:PORT ...\n");
        return 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("million: mmap");
        return 1;
    }
    prepare(argc, argv);
    began_ns = line_ns = million_now_ns();
    for (uint32_t i = 0; i < shared->processes; i++)
        start_process(i);
    await_connections();
    while (strcmp(read_command(), "ask\n") != 0)
        continue;
    start_sale();
    await_answers();
    for (;;)
        read_command();
}
