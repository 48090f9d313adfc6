/*
 * tail: changes of orders as they are committed, until INT or TERM.
 *
 * Ten times a second it reads, event by event, the records behind the last one that it has written.
 * Every read is a transaction of its own, so a slow reader of the output keeps no page of the
 * journal in use. A record that is read is synced already: no row is ever withdrawn.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/log/commands.h"

#define SLOTS_MAX 256 /* events of one journal: a slot is a byte of the order id */
#define POLL_NS   (100 * 1000000L)
#define CHUNK     128 /* records read in one transaction */

static volatile sig_atomic_t is_over;
static sigset_t waiting_mask; /* the signals that are blocked during a wait */

struct follow {
    const struct source *source;
    uint32_t event;
    struct row_from from;
    uint64_t next; /* seq of the next record to be read */
};

/* The secret is in the SALE record, which comes before the first order. */
static bool learn_secret(void *context, const struct record *r)
{
    struct follow *w = context;
    row_learn(&w->from, r);
    return r->kind != RECORD_GRANT;
}

/* Moves `next` back from the end until `last` records of orders follow it. */
static bool go_back(struct follow *w, uint64_t last, struct fault *f)
{
    struct record chunk[CHUNK];
    ASSERT(w->next >= 1);
    while (last > 0 && w->next > 1) {
        uint64_t from = w->next > CHUNK ? w->next - CHUNK : 1;
        int count = source_fetch(w->source, w->event, from, chunk, (uint32_t)(w->next - from), f);
        if (count < 0)
            return false;
        while (count > 0 && last > 0) {
            w->next = from + (uint64_t)--count;
            last -= row_is_order(&chunk[count]) ? 1 : 0;
        }
    }
    return true;
}

static bool begin(struct follow *w, const struct source *s, uint32_t event, const struct options *o,
                  struct fault *f)
{
    uint64_t end;
    *w = (struct follow){.source = s, .event = event, .from = row_from_event(s, event, o->format)};
    if (!source_end(s, event, &end, f) || !source_walk(s, event, 1, end, learn_secret, w, f))
        return false;
    w->next = end + 1;
    return go_back(w, o->last, f);
}

/* Waits until the output is ready (NULL: none), or for the time. False: a signal asks to end. */
static bool wait_for(struct pollfd *output, const struct timespec *time)
{
    ppoll(output, output != NULL ? 1 : 0, time, &waiting_mask);
    return !is_over;
}

/* In pieces that a pipe that is ready takes whole, so that no write blocks. */
static bool write_out(const char *at, size_t len, struct fault *f)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    while (len > 0 && wait_for(&output, NULL)) {
        ssize_t n = write(STDOUT_FILENO, at, len < PIPE_BUF ? len : PIPE_BUF);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return fault(f, "standard output: %s", strerror(errno));
        at += n < 0 ? 0 : n;
        len -= n < 0 ? 0 : (size_t)n;
    }
    return true;
}

/* Writes the new records. */
static bool catch_up(struct follow *w, struct fault *f)
{
    static char batch[CHUNK * ROW_BYTES];
    struct record chunk[CHUNK];
    int count = 0;
    while (!is_over && (count = source_fetch(w->source, w->event, w->next, chunk, CHUNK, f)) > 0) {
        size_t len = 0;
        ASSERT(count <= CHUNK);
        for (int i = 0; i < count; i++) {
            row_learn(&w->from, &chunk[i]);
            if (row_is_order(&chunk[i]))
                len += row_print(batch + len, &w->from, &chunk[i]);
        }
        ASSERT(len <= sizeof batch);
        w->next += (uint64_t)count;
        if (!write_out(batch, len, f))
            return false;
    }
    return count >= 0;
}

static void note_end(int signal_number)
{
    (void)signal_number;
    is_over = 1;
}

/* INT and TERM are delivered only during a wait, so none is lost between a check and a wait. */
static void catch_signals(void)
{
    const struct sigaction act = {.sa_handler = note_end};
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, &waiting_mask);
    sigdelset(&waiting_mask, SIGINT);
    sigdelset(&waiting_mask, SIGTERM);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

static bool follow_all(struct follow *list, uint32_t count, struct fault *f)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    do {
        for (uint32_t i = 0; i < count; i++)
            if (!catch_up(&list[i], f))
                return false;
    } while (wait_for(NULL, &pause));
    return true;
}

int tail_run(const struct sources *all, const struct options *o, struct fault *f)
{
    struct follow *list = calloc((size_t)sources_count(all) * SLOTS_MAX, sizeof *list);
    uint32_t count = 0;
    catch_signals();
    bool good = list != NULL || fault(f, "no memory for %u journals", sources_count(all));
    for (uint32_t i = 0; good && i < sources_count(all); i++)
        for (uint32_t k = 0; good && k < source_event_count(sources_at(all, i)); k++)
            good = begin(&list[count++], sources_at(all, i), k, o, f);
    if (good) {
        row_header(o->format);
        fflush(stdout);
        good = follow_all(list, count, f);
    }
    free(list);
    return good ? 0 : EXIT_TROUBLE;
}
