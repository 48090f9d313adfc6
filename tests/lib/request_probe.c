/*
 * request_probe: prints the parser's results for test_oracle_llhttp.py, one JSON object a line: for
 * the requests of the table, then for COUNT copies with a few corrupted bytes (SEED).
 *
 *     request-probe SEED COUNT
 */
/* needs: server/http/request.c conf/base/check.c conf/base/verdict.c */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/request.h"

#define TEXT_MAX 2048

static const struct {
    const char *bytes;
    size_t len;
} rows[] = {
#define GOOD(name, bytes)           {bytes, sizeof(bytes) - 1},
#define WRONG(verdict, name, bytes) {bytes, sizeof(bytes) - 1},
#include "tests/lib/requests.def"
#undef GOOD
#undef WRONG
};

/* xorshift64 (G. Marsaglia, 2003): the same numbers everywhere for one seed. */
static uint32_t random_below(uint64_t *state, size_t bound)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state >> 32) % bound);
}

static void print_result(const char *bytes, size_t len)
{
    static const char *const names[] = {"more", "continue", "done", "wrong"};
    static const struct request_limits limits = {8192, 4096};
    struct request r;
    enum verdict why = VERDICT_YES;
    enum request_progress progress = request_parse(&r, &why, bytes, len, &limits);
    printf("{\"bytes\":\"");
    for (size_t i = 0; i < len; i++)
        printf("%02x", (unsigned char)bytes[i]);
    printf("\",\"progress\":\"%s\",\"code\":%d", names[progress], verdict_code(why));
    if (progress == REQUEST_DONE)
        printf(",\"length\":%u,\"body\":%u,\"method\":%d,\"minor\":%d,\"keep_alive\":%s", r.length,
               r.body.len, (int)r.method, r.minor, r.keep_alive ? "true" : "false");
    puts("}");
}

/* One to three times: replaces, removes or doubles a byte, or copies the rest of another request.
 */
static void print_corrupt(uint64_t *state)
{
    static const char corrupt[] = "\0\t\n\r \",:;/?#%0+-AZ{\x7f\x80\xff";
    char text[TEXT_MAX];
    size_t row = random_below(state, ARRAY_LEN(rows)), len = rows[row].len;
    memcpy(text, rows[row].bytes, len);
    for (uint32_t times = 1 + random_below(state, 3); times > 0 && len > 1; times--) {
        size_t at = random_below(state, len), other = random_below(state, ARRAY_LEN(rows));
        switch (random_below(state, 4)) {
        case 0:
            text[at] = corrupt[random_below(state, sizeof corrupt - 1)];
            break;
        case 1:
            memmove(text + at, text + at + 1, len - at - 1);
            len--;
            break;
        case 2:
            memmove(text + at + 1, text + at, len - at);
            len++;
            break;
        default:
            if (at < rows[other].len) {
                len = rows[other].len;
                memcpy(text + at, rows[other].bytes + at, len - at);
            }
        }
    }
    print_result(text, len);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: request-probe SEED COUNT\n", stderr);
        return 2;
    }
    uint64_t state = strtoull(argv[1], NULL, 10) * 2 + 1;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        print_result(rows[i].bytes, rows[i].len);
    for (unsigned long count = strtoul(argv[2], NULL, 10); count > 0; count--)
        print_corrupt(&state);
    return 0;
}
