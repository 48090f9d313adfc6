/*
 * What comes: whether an answer is framed and says what is expected, how many there were, and how
 * long they took.
 *
 * Owner: the one thread of load.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "bench/load.h"

/* Latencies in microseconds: exact below 128, then 128 steps for each doubling (within 0.8 %). */
#define STEP_BITS 7
#define BUCKETS   ((64 - STEP_BITS) << STEP_BITS)

/* How the last answer was framed. The next one is nearly always the same. */
static struct {
    size_t head, body;
    bool busy;
    size_t length_at, length_len; /* the line Content-Length */
    char length[64];
} frame;

static struct {
    uint64_t answers, others, busy;
    uint32_t buckets[BUCKETS];
    uint64_t longest_us;
} tally;

/* ---- latencies */

static uint32_t bucket_of(uint64_t us)
{
    if (us < 1 << STEP_BITS)
        return (uint32_t)us;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(us) - STEP_BITS;
    return ((shift + 1) << STEP_BITS) + (uint32_t)(us >> shift) - (1 << STEP_BITS);
}

/* The highest latency that falls into the bucket. */
static uint64_t bucket_us(uint32_t bucket)
{
    if (bucket < 1 << STEP_BITS)
        return bucket;
    uint32_t shift = (bucket >> STEP_BITS) - 1;
    uint64_t step = (bucket & ((1 << STEP_BITS) - 1)) + (1 << STEP_BITS);
    return ((step + 1) << shift) - 1;
}

static uint64_t percentile(double share)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        seen += tally.buckets[i];
        if ((double)seen >= share * (double)tally.answers)
            return bucket_us(i) < tally.longest_us ? bucket_us(i) : tally.longest_us;
    }
    return tally.longest_us;
}

static void write_distribution(void)
{
    FILE *out = fopen(ask.file, "w");
    if (!out)
        fail("%s: %s", ask.file, strerror(errno));
    uint64_t seen = 0;
    for (uint32_t i = 0; i < BUCKETS; i++) {
        seen += tally.buckets[i];
        if (tally.buckets[i] != 0)
            fprintf(out, "%.7f %llu\n", (double)seen / (double)tally.answers,
                    (unsigned long long)bucket_us(i));
    }
    if (fclose(out) != 0)
        fail("%s: %s", ask.file, strerror(errno));
}

/* ---- answers */

static _Noreturn void fail_answer(const char *why, const struct connection *c)
{
    fail("%s, after %llu good ones:\n%.*s", why, (unsigned long long)tally.answers,
         (int)(c->have < 600 ? c->have : 600), c->buffer);
}

/* How the answer at p is framed; false: there is not all of its head yet. */
static bool read_frame(const struct connection *c, const char *p, size_t have)
{
    const char *end = memmem(p, have, "\r\n\r\n", 4);
    if (!end)
        return false;
    if (have < 12 || memcmp(p, "HTTP/1.", 7) != 0)
        fail_answer("not HTTP", c);
    frame.busy = ask.patient && memcmp(p + 8, " 503", 4) == 0;
    if (!frame.busy && memcmp(p + 8, " 200", 4) != 0)
        fail_answer("not a status of 200", c);
    for (const char *line = memchr(p, '\n', have); line && line < end;
         line = memchr(line, '\n', (size_t)(end + 4 - line))) {
        line++;
        if (strncasecmp(line, "Content-Length:", 15) != 0)
            continue;
        frame.body = (size_t)strtoul(line + 15, NULL, 10);
        frame.head = (size_t)(end + 4 - p);
        frame.length_at = (size_t)(line - p);
        frame.length_len = (size_t)(strchr(line, '\r') + 2 - line);
        if (frame.length_len > sizeof frame.length)
            fail_answer("an odd Content-Length", c);
        memcpy(frame.length, line, frame.length_len);
        return true;
    }
    fail_answer("no Content-Length", c);
}

static bool same_frame(const char *p, size_t have)
{
    return frame.head != 0 && !frame.busy && have >= frame.head && memcmp(p + 8, " 200", 4) == 0 &&
           memcmp(p + frame.length_at, frame.length, frame.length_len) == 0 &&
           memcmp(p + frame.head - 4, "\r\n\r\n", 4) == 0;
}

static bool begins(const char *body, const char *with)
{
    size_t len = strlen(with);
    return frame.body >= len && memcmp(body, with, len) == 0;
}

static void count_answer(struct connection *c, const char *body, uint64_t now)
{
    if (c->waiting == 0)
        fail_answer("an answer that was not asked for", c);
    c->waiting--;
    c->busy = frame.busy;
    if (frame.busy) {
        tally.busy++;
        return;
    }
    if (!begins(body, ask.expect)) {
        if (!ask.also || !begins(body, ask.also))
            fail_answer("not the expected body", c);
        tally.others++;
    }
    uint64_t us = (now - c->due_ns[c->next++]) / 1000;
    tally.buckets[bucket_of(us)]++;
    if (us > tally.longest_us)
        tally.longest_us = us;
    tally.answers++;
}

bool answers_read(struct connection *c)
{
    ssize_t got = recv(c->fd, c->buffer + c->have, ANSWERS_MAX - c->have, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0 && !(got == 0 && ask.close && c->answered))
        fail("a connection was closed by the server after %llu answers: %s",
             (unsigned long long)tally.answers, got < 0 ? strerror(errno) : "end of stream");
    if (got == 0)
        return false;
    c->have += (size_t)got;
    uint64_t now = now_ns();
    const char *p = c->buffer, *end = c->buffer + c->have;
    while (p < end) {
        size_t have = (size_t)(end - p);
        if (!same_frame(p, have) && !read_frame(c, p, have))
            break;
        if (have < frame.head + frame.body)
            break;
        count_answer(c, p + frame.head, now);
        p += frame.head + frame.body;
    }
    c->have = (size_t)(end - p);
    if (c->have == ANSWERS_MAX)
        fail_answer("an answer that is too long", c);
    memmove(c->buffer, p, c->have);
    c->buffer[c->have] = '\0';
    c->answered = c->waiting == 0;
    return true;
}

/* ---- what came of it */

uint64_t answers_count(void)
{
    return tally.answers;
}

void answers_report(uint64_t took_ns)
{
    double seconds = (double)took_ns / SECOND_NS;
    printf("answers %llu others %llu seconds %.3f rate %.0f p50 %llu p99 %llu p999 %llu max %llu "
           "busy %llu\n",
           (unsigned long long)tally.answers, (unsigned long long)tally.others, seconds,
           (double)tally.answers / seconds, (unsigned long long)percentile(.5),
           (unsigned long long)percentile(.99), (unsigned long long)percentile(.999),
           (unsigned long long)tally.longest_us, (unsigned long long)tally.busy);
    if (ask.file)
        write_distribution();
}
