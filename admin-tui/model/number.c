/*
 * number: see number.h. All rounding is on integers, half up, each form from the value itself: a
 * double like 9.995 is a little less than its text, and a value that was rounded before it was
 * compared can be too wide.
 */
#include "admin-tui/model/number.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "conf/base/check.h"

/* Rounded half up. */
static uint64_t divide(uint64_t n, uint64_t by)
{
    ASSERT(by > 0);
    uint64_t rest = n % by;
    return n / by + (rest >= by - rest ? 1 : 0);
}

/* Rounded. False: NAN, or negative. */
static bool whole_of(double n, uint64_t *out)
{
    if (!(n >= 0))
        return false;
    *out = n >= 18446744073709549568.0 ? UINT64_MAX : (uint64_t)(n + 0.5);
    return true;
}

/* Three digits: 1.25, 12.5, 125. False: the value needs a fourth. */
static bool three_digits(char out[NUMBER_BYTES], uint64_t n, uint64_t unit, const char *suffix)
{
    ASSERT(unit >= 100);
    uint64_t hundredths = divide(n, unit / 100), tenths = divide(n, unit / 10);
    uint64_t whole = divide(n, unit);
    if (hundredths < 1000)
        snprintf(out, NUMBER_BYTES, "%" PRIu64 ".%02" PRIu64 "%s", hundredths / 100,
                 hundredths % 100, suffix);
    else if (tenths < 1000)
        snprintf(out, NUMBER_BYTES, "%" PRIu64 ".%" PRIu64 "%s", tenths / 10, tenths % 10, suffix);
    else
        snprintf(out, NUMBER_BYTES, "%" PRIu64 "%s", whole, suffix);
    return whole < 1000;
}

static const char *in_units(char out[NUMBER_BYTES], uint64_t n)
{
    static const char *const suffixes[] = {"k", "M", "G", "T", "P", "E"};
    uint64_t unit = 1000;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++, unit *= 1000)
        if (three_digits(out, n, unit, suffixes[i]))
            break;
    return out;
}

uint64_t number_sum(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

const char *number_whole(char out[NUMBER_BYTES], uint64_t n)
{
    char digits[NUMBER_BYTES];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    ASSERT(at < NUMBER_BYTES);
    out[at] = '\0';
    return out;
}

const char *number_five(char out[NUMBER_BYTES], double n)
{
    uint64_t whole;
    if (!whole_of(n, &whole))
        return snprintf(out, NUMBER_BYTES, "-"), out;
    return whole < 10000 ? number_whole(out, whole) : in_units(out, whole);
}

const char *number_rate(char out[NUMBER_BYTES], double n)
{
    if (!(n > 0 && n < 0.95))
        return number_five(out, n);
    snprintf(out, NUMBER_BYTES, "%.1f", n > 0.1 ? n : 0.1);
    return out;
}

const char *number_percent(char out[NUMBER_BYTES], double part)
{
    double percent = part > 0 ? part * 100 : 0; /* NAN: nothing */
    if (percent > 0 && percent <= 0.5)
        snprintf(out, NUMBER_BYTES, "<1%%");
    else if (percent < 100)
        snprintf(out, NUMBER_BYTES, "%.0f%%", percent < 99 ? percent : 99);
    else
        snprintf(out, NUMBER_BYTES, "100%%");
    return out;
}

const char *number_rolled(char out[NUMBER_BYTES], double n)
{
    uint64_t whole;
    if (!whole_of(n, &whole))
        return snprintf(out, NUMBER_BYTES, "-"), out;
    return whole < 1000 ? number_whole(out, whole) : in_units(out, whole);
}

const char *number_ms(char out[NUMBER_BYTES], uint64_t us)
{
    if (three_digits(out, us, 1000, ""))
        return out;
    uint64_t ms = divide(us, 1000);
    return ms < 10000 ? number_whole(out, ms) : in_units(out, ms);
}

const char *number_latency(char out[NUMBER_BYTES], uint64_t us)
{
    return us > 0 ? number_ms(out, us) : (snprintf(out, NUMBER_BYTES, "-"), out);
}

const char *number_span(char out[NUMBER_BYTES], double seconds)
{
    static const struct {
        uint64_t seconds;
        char unit;
    } steps[] = {{1, 's'}, {60, 'm'}, {3600, 'h'}, {86400, 'd'}};
    uint64_t whole;
    if (!whole_of(seconds, &whole) || divide(whole, 86400) > 999)
        return snprintf(out, NUMBER_BYTES, "-"), out;
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(steps) && divide(whole, steps[i].seconds) > 99)
        i++;
    snprintf(out, NUMBER_BYTES, "~%" PRIu64 "%c", divide(whole, steps[i].seconds), steps[i].unit);
    return out;
}
