/*
 * million: holds very many connections to very many nodes, and at a word asks once on each.
 *
 *     million TOTAL PROCESSES ASKS_MAX ORDERS-FILE ADDRESS:PORT ...
 *
 * This process leads: it starts the processes of buyers (a process may open only so many files),
 * adds up their tallies, shows how far they are on standard error, and talks to million.sh:
 *
 *     it says    held NAME VALUE ...     all connections are open
 *     it hears   ask                     now; or end
 *     it says    answered NAME VALUE ... every buyer has an answer, or will not get one
 *     it hears   end                     or the end of the input
 *
 * On a terminal the progress is one line that changes, elsewhere a line every five seconds. Exit 1,
 * and why, if the buyers cannot go on.
 *
 * Owner: one thread. If it dies the kernel ends its children, and with them the connections.
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

#define LOOK_MS     200
#define LINE_NS     UINT64_C(5000000000)
#define PATIENCE_NS UINT64_C(120000000000) /* without a single answer */
#define SECOND_NS   UINT64_C(1000000000)

static struct common *common;
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

/* The children are sent away first, so that nothing is left when we are. */
static _Noreturn void leave(int status)
{
    for (uint32_t i = 0; i < common->processes && children[i] > 0; i++)
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
    leave(1);
}

/* ---------------------------------------------------------------- sums */

static uint32_t sum(enum count what)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < common->processes; i++)
        all += atomic_load_explicit(&common->tally[i].n[what], memory_order_relaxed);
    return all;
}

/* Buyers for whom it is over, one way or another. */
static uint32_t sum_done(void)
{
    uint32_t all = 0;
    for (int what = COUNT_YES; what <= COUNT_UNANSWERED; what++)
        all += sum((enum count)what);
    return all;
}

static void report_odd(void)
{
    for (uint32_t i = 0; i < common->processes; i++) {
        if (common->tally[i].odd[0] == '\0')
            continue;
        fprintf(stderr, "an answer that should not be:\n%s\n", common->tally[i].odd);
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
    for (uint32_t i = 0; i < common->processes; i++) {
        uint64_t yes = atomic_load(&common->tally[i].last_yes_ns);
        uint64_t answer = atomic_load(&common->tally[i].last_answer_ns);
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

static const char *commas(char text[16], uint32_t n)
{
    char *end = text + 15;
    *end = '\0';
    for (int digits = 0; digits == 0 || n > 0; n /= 10, digits++) {
        if (digits > 0 && digits % 3 == 0)
            *--end = ',';
        *--end = (char)('0' + n % 10);
    }
    return end;
}

/* last: this line stays. */
static void progress(const char *what, uint32_t n, bool last)
{
    char so_far[16], all[16];
    uint64_t now = million_now_ns();
    if (!terminal && !last && now < line_ns + LINE_NS)
        return;
    line_ns = now;
    fprintf(stderr, "%s  %-12s %9s of %s  %4llu s%s", terminal ? "\r" : "", what, commas(so_far, n),
            commas(all, common->total), (unsigned long long)((now - began_ns) / SECOND_NS),
            terminal && !last ? "" : "\n");
}

/* ---------------------------------------------------------------- what may go wrong */

static void check_children(void)
{
    pid_t gone = waitpid(-1, NULL, WNOHANG);
    for (uint32_t i = 0; i < common->processes; i++)
        if (atomic_load(&common->tally[i].failed))
            die("%s", common->tally[i].text);
    if (gone > 0)
        die("a process of buyers has died");
}

/* The next word, waited for up to LOOK_MS; none: "". The end of the input, or a signal: the end. */
static const char *hear(void)
{
    static char word[16];
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t n = 0;
    word[0] = '\0';
    if (poll(&input, 1, LOOK_MS) == 1 && (n = read(STDIN_FILENO, word, sizeof word - 1)) <= 0)
        leave(0);
    word[n > 0 ? n : 0] = '\0';
    if (stopped)
        leave(130);
    if (strcmp(word, "end\n") == 0)
        leave(0);
    check_children();
    return word;
}

/* ---------------------------------------------------------------- the sale */

static void gather(void)
{
    uint32_t held;
    while ((held = sum(COUNT_HELD)) < common->total) {
        progress("connected", held, false);
        hear();
    }
    progress("connected", held, true);
    report("held");
}

static void give_word(void)
{
    const uint64_t one = 1;
    began_ns = opened_ns = million_now_ns();
    if (write(common->bell, &one, sizeof one) != (ssize_t)sizeof one)
        die("eventfd: %s", strerror(errno));
}

static void await_answers(void)
{
    uint32_t done, last = 0;
    uint64_t moved_ns = opened_ns;
    while ((done = sum_done()) < common->total) {
        uint64_t now = million_now_ns();
        if (done != last)
            moved_ns = now;
        last = done;
        progress("answered", done, false);
        if (now > moved_ns + PATIENCE_NS)
            break;
        hear();
    }
    progress("answered", done, true);
    atomic_fetch_add(&common->tally[0].n[COUNT_UNANSWERED], common->total - done);
    report_odd();
    report("answered");
}

/* ---------------------------------------------------------------- the start */

static uint32_t number(const char *text, uint32_t max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || n == 0 || n > max)
        die("%s is no number from 1 to %u", text, max);
    return (uint32_t)n;
}

static void learn_nodes(int count, char **addresses)
{
    if (count > NODES_MAX)
        die("%d nodes; %d are the most", count, NODES_MAX);
    common->nodes = (uint32_t)count;
    for (int i = 0; i < count; i++) {
        char *port = strchr(addresses[i], ':');
        struct sockaddr_in *to = &common->node[i];
        if (port == NULL)
            die("%s is no ADDRESS:PORT", addresses[i]);
        *port = '\0';
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)number(port + 1, UINT16_MAX));
        if (inet_pton(AF_INET, addresses[i], &to->sin_addr) != 1)
            die("%s is no address", addresses[i]);
    }
}

/* As many files as we may have: a process of buyers needs one for each of its connections. */
static void raise_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        die("getrlimit: %s", strerror(errno));
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        die("setrlimit: %s", strerror(errno));
}

static void start_one(uint32_t process)
{
    pid_t leader = getpid();
    children[process] = fork();
    if (children[process] < 0)
        die("fork: %s", strerror(errno));
    if (children[process] > 0)
        return;
    signal(SIGINT, SIG_IGN); /* the leader ends us */
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != leader)
        _exit(1);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    buyers_live(common, process);
    _exit(1);
}

static void prepare(int argc, char **argv)
{
    const struct sigaction stop = {.sa_handler = on_stop};
    common->total = number(argv[1], 1u << 30);
    common->processes = number(argv[2], PROCESSES_MAX);
    common->asks_max = number(argv[3], 1u << 30);
    common->orders = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    common->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (common->orders < 0 || common->bell < 0)
        die("%s: %s", argv[4], strerror(errno));
    learn_nodes(argc - 5, argv + 5);
    raise_files();
    terminal = isatty(STDERR_FILENO);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: million TOTAL PROCESSES ASKS_MAX ORDERS-FILE ADDRESS:PORT ...\n");
        return 2;
    }
    common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (common == MAP_FAILED) {
        perror("million: mmap");
        return 1;
    }
    prepare(argc, argv);
    began_ns = line_ns = million_now_ns();
    for (uint32_t i = 0; i < common->processes; i++)
        start_one(i);
    gather();
    while (strcmp(hear(), "ask\n") != 0)
        continue;
    give_word();
    await_answers();
    for (;;)
        hear();
}
