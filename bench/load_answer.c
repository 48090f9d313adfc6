#include "bench/load_answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench/load_base.h"
#include "bench/load_result.h"

#define SHOWN_MAX 600 /* bytes of an answer in an error message */

/* The frame of the last answer. The next one nearly always has the same. */
struct frame {
    size_t head, body; /* bytes */
    bool busy;
    size_t length_at, length_len; /* the line Content-Length */
    char length[64];
};

static struct frame frame;

_Noreturn void answer_fail(const char *why, const char *bytes, size_t len)
{
    fail("%s, after %llu good ones:\n%.*s", why, (unsigned long long)result_count(),
         (int)(len < SHOWN_MAX ? len : SHOWN_MAX), bytes);
}

static void check_status(const struct load_options *o, const char *p, size_t len)
{
    if (len < 12 || memcmp(p, "HTTP/1.", 7) != 0)
        answer_fail("not HTTP", p, len);
    frame.busy = o->retry_busy && memcmp(p + 8, " 503", 4) == 0;
    if (!frame.busy && memcmp(p + 8, " 200", 4) != 0)
        answer_fail("not a status of 200", p, len);
}

/* False: the head is incomplete. */
static bool read_frame(const struct load_options *o, const char *p, size_t len)
{
    const char *end = memmem(p, len, "\r\n\r\n", 4);
    if (!end)
        return false;
    check_status(o, p, len);
    for (const char *line = memchr(p, '\n', len); line && line < end;
         line = memchr(line, '\n', (size_t)(end + 4 - line))) {
        line++;
        if (strncasecmp(line, "Content-Length:", 15) != 0)
            continue;
        frame.body = (size_t)strtoul(line + 15, NULL, 10);
        frame.head = (size_t)(end + 4 - p);
        frame.length_at = (size_t)(line - p);
        frame.length_len = (size_t)(strchr(line, '\r') + 2 - line);
        if (frame.length_len > sizeof frame.length)
            answer_fail("a Content-Length that is too long", p, len);
        memcpy(frame.length, line, frame.length_len);
        return true;
    }
    answer_fail("no Content-Length", p, len);
}

/* Whether the answer has the frame of the last one. */
static bool same_frame(const char *p, size_t len)
{
    return frame.head != 0 && !frame.busy && len >= frame.head && memcmp(p + 8, " 200", 4) == 0 &&
           memcmp(p + frame.length_at, frame.length, frame.length_len) == 0 &&
           memcmp(p + frame.head - 4, "\r\n\r\n", 4) == 0;
}

static bool begins(const char *body, const char *with)
{
    size_t len = strlen(with);
    return frame.body >= len && memcmp(body, with, len) == 0;
}

static enum answer_kind kind_of(const struct load_options *o, const char *p, size_t len)
{
    const char *body = p + frame.head;
    ASSERT(len >= frame.head + frame.body);
    if (frame.busy)
        return ANSWER_BUSY;
    if (begins(body, o->expect))
        return ANSWER_EXPECTED;
    if (!o->expect_too || !begins(body, o->expect_too))
        answer_fail("not the expected body", p, len);
    return ANSWER_OTHER;
}

size_t answer_parse(const struct load_options *o, const char *bytes, size_t len,
                    enum answer_kind *kind)
{
    ASSERT(bytes[len] == '\0');
    if (!same_frame(bytes, len) && !read_frame(o, bytes, len))
        return 0;
    if (len < frame.head + frame.body)
        return 0;
    *kind = kind_of(o, bytes, len);
    return frame.head + frame.body;
}
