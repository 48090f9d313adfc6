/*
 * load: sends requests to an HTTP server, checks every answer, and prints how many there were, how
 * many a second, and how long they took.
 *
 *     load [option ...] ADDRESS:PORT[,ADDRESS:PORT ...] PATH
 *
 * Three kinds of load. Closed (the default): each connection sends its next requests, DEPTH at a
 * time, when it has all its answers; this measures the capacity of a server. Open (-r): requests
 * are due at fixed times, however many are unanswered, and the time of an answer counts from when
 * its request was due, not from when it could be sent; so neither a server that stalls nor a
 * generator that is late improves the result. Held (-i): each connection sends one request and
 * stays open.
 *
 * One thread, one core, one epoll loop. Every answer must have status 200, a Content-Length and a
 * body that begins as expected. The first one that has not ends the run with exit status 1, and so
 * does a connection that is closed too early, and an answer that does not come. At the end of the
 * time all outstanding answers are awaited, so that `answers` is exactly what the server has done.
 *
 * A server that sells may have to answer "busy, try again": with -b an answer of status 503 is
 * counted apart, and its request is repeated with the same values after a pause, until it has
 * another answer; the time of that one counts from when the request was first due. So `answers`
 * stays exact.
 *
 *     load            the command line, and -w
 *     load_run        requests, connections, the loop
 *     load_answer     one answer: complete? as expected?
 *     load_result     counts and percentiles
 *     load_options, load_base
 *
 * Owner: one thread, one process. If it dies, the server sees its connections close.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/load_base.h"
#include "bench/load_run.h"

/* -w: each try is a child process, because an answer that is not as expected ends it. */
static void wait_for_answer(struct load_options *o)
{
    uint64_t end = now_ns() + o->wait_seconds * SECOND_NS;
    ASSERT(o->wait_seconds > 0);
    for (int status = 1; status != 0;) {
        pid_t child = fork();
        if (child == 0) {
            o->requests = 1;
            if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
                exit(1);
            load_run(o);
            exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
            fail("fork: %s", strerror(errno));
        if (status != 0 && now_ns() > end)
            fail("not the expected answer in %u seconds", o->wait_seconds);
        nanosleep(&(struct timespec){.tv_nsec = status ? 1000000 : 0}, NULL);
    }
}

int main(int argc, char **argv)
{
    static struct load_options options;
    load_options_read(&options, argc, argv);
    if (options.wait_seconds != 0)
        wait_for_answer(&options);
    else
        load_run(&options);
    return 0;
}
