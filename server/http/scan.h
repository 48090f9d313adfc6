/*
 * scan: the classes of bytes in a request, and the loops that skip a run of one class. Each scan
 * goes from `at` to the first byte outside the classes, or to `end`; it never reads beyond `end`.
 *
 * Targets and field values are most of a request, and browsers and proxies send hundreds of bytes
 * of them: with SSE2 they are scanned sixteen bytes at a time. The wide loop may stop early (at a
 * tab in a value); the table then decides byte by byte.
 *
 * Threads: any; pure. Used by request.c alone.
 */
#ifndef SPIKE_SCAN_H
#define SPIKE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "conf/base/check.h"

/* RFC 9110: token, field-value; RFC 3986: the bytes of a target and of a host. */
enum {
    TOKEN = 1,
    PATH = 2,     /* every visible byte but '#' and '?' */
    QUESTION = 4, /* '?': PATH | QUESTION is a query */
    VALUE = 8,
    HOST = 16, /* of a host name; without ',' (two names that a proxy joined) and '%' (an escape) */
    HEX = 32,
};

#define VISIBLE (PATH | VALUE)
#define NAME    (VISIBLE | TOKEN | HOST)

static const uint8_t class_of[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = NAME,
    ['"'] = VISIBLE,
    ['#'] = TOKEN | VALUE,
    ['$'] = NAME,
    ['%'] = VISIBLE | TOKEN,
    ['&' ... '\''] = NAME,
    ['(' ... ')'] = VISIBLE | HOST,
    ['*' ... '+'] = NAME,
    [','] = VISIBLE,
    ['-' ... '.'] = NAME,
    ['/'] = VISIBLE,
    ['0' ... '9'] = NAME | HEX,
    [':'] = VISIBLE,
    [';'] = VISIBLE | HOST,
    ['<'] = VISIBLE,
    ['='] = VISIBLE | HOST,
    ['>'] = VISIBLE,
    ['?'] = VALUE | QUESTION,
    ['@'] = VISIBLE,
    ['A' ... 'F'] = NAME | HEX,
    ['G' ... 'Z'] = NAME,
    ['[' ... ']'] = VISIBLE,
    ['^'] = VISIBLE | TOKEN,
    ['_'] = NAME,
    ['`'] = VISIBLE | TOKEN,
    ['a' ... 'f'] = NAME | HEX,
    ['g' ... 'z'] = NAME,
    ['{'] = VISIBLE,
    ['|'] = VISIBLE | TOKEN,
    ['}'] = VISIBLE,
    ['~'] = NAME,
    [0x80 ... 0xff] = VALUE,
};

static inline bool is_in(char c, unsigned classes)
{
    return (class_of[(unsigned char)c] & classes) != 0;
}

static inline const char *scan(const char *at, const char *end, unsigned classes)
{
    while (at < end && is_in(*at, classes))
        at++;
    return at;
}

#ifdef __SSE2__
static inline __m128i load_16(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline __m128i equal_to(__m128i bytes, char c)
{
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

/* How many of the sixteen bytes come before the first one that is set in `stops`. */
static inline int count_before(__m128i stops)
{
    unsigned mask = (unsigned)_mm_movemask_epi8(stops);
    return mask != 0 ? __builtin_ctz(mask) : 16;
}
#endif

/* Skips a field value: ends at a control byte or DEL. */
static inline const char *scan_value(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i control = _mm_set1_epi8(0x1f);
    for (int n = 16; n == 16 && end - at >= 16; at += n) {
        __m128i bytes = load_16(at);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes);
        n = count_before(_mm_or_si128(low, equal_to(bytes, 0x7f)));
    }
#endif
    return scan(at, end, VALUE);
}

/* Skips a path, or with QUESTION a query. Bytes from 0x80 on are negative, so less than a blank. */
static inline const char *scan_target(const char *at, const char *end, unsigned classes)
{
#ifdef __SSE2__
    for (int n = 16; n == 16 && end - at >= 16; at += n) {
        __m128i bytes = load_16(at);
        __m128i delimiter = _mm_or_si128(equal_to(bytes, '#'), equal_to(bytes, '?'));
        __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8('!'));
        n = count_before(_mm_or_si128(_mm_or_si128(delimiter, low), equal_to(bytes, 0x7f)));
    }
#endif
    return scan(at, end, classes);
}

static inline uint32_t lower_4(const char *text)
{
    uint32_t bytes;
    memcpy(&bytes, text, sizeof bytes);
    return bytes | 0x20202020;
}

/* Compares without regard to case. `lower` is in lower case and has four bytes at least. The tab is
 * the only byte below 0x20 that gets this far: so setting one bit turns capitals into small letters
 * and no other byte into one of the names compared here. Four bytes a step; the last step may
 * overlap the one before. */
static inline bool equals_lower(const char *text, const char *lower, size_t len)
{
    ASSERT(len >= 4); /* a constant: costs nothing */
    for (size_t i = 0; i + 4 < len; i += 4)
        if (lower_4(text + i) != lower_4(lower + i))
            return false;
    return lower_4(text + len - 4) == lower_4(lower + len - 4);
}

#endif
