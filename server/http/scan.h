/*
 * scan: over text whose bytes are of some class, and what those classes are. Each scan goes from
 * `at` to the first byte that is of none of them, or to `end`, behind which it never looks.
 *
 * Targets and values are most of a request, and browsers and proxies send hundreds of bytes: they
 * are scanned sixteen at a time while there are as many. What stops the wide loop (a tab in a
 * value) need not stop the table, which has the last word.
 *
 * Threads: any; pure. For request.c alone.
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

/* RFC 9110: token, field-value; RFC 3986: what a target and a host may hold. */
enum {
    TOKEN = 1,
    PATH = 2, /* every visible byte but '#' and '?' */
    MARK = 4, /* '?': PATH | MARK is a query */
    VALUE = 8,
    HOST = 16, /* of a name; without ',' (two names joined by a proxy), '%' is looked at apart */
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
    ['?'] = VALUE | MARK,
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

static inline bool is(char c, unsigned classes)
{
    return (class_of[(unsigned char)c] & classes) != 0;
}

static inline const char *scan(const char *at, const char *end, unsigned classes)
{
    while (at < end && is(*at, classes))
        at++;
    return at;
}

#ifdef __SSE2__
static inline __m128i sixteen(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline __m128i is_byte(__m128i bytes, char c)
{
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

/* How many of the sixteen come before the first that stops. */
static inline int before(__m128i stops)
{
    unsigned mask = (unsigned)_mm_movemask_epi8(stops);
    return mask != 0 ? __builtin_ctz(mask) : 16;
}
#endif

/* A field's value: up to a control byte or DEL. */
static inline const char *scan_value(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i control = _mm_set1_epi8(0x1f);
    for (int n = 16; n == 16 && end - at >= 16; at += n) {
        __m128i bytes = sixteen(at);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes);
        n = before(_mm_or_si128(low, is_byte(bytes, 0x7f)));
    }
#endif
    return scan(at, end, VALUE);
}

/* A path, or with MARK a query. As signed numbers, 0x80 and up are below a blank. */
static inline const char *scan_target(const char *at, const char *end, unsigned classes)
{
#ifdef __SSE2__
    for (int n = 16; n == 16 && end - at >= 16; at += n) {
        __m128i bytes = sixteen(at);
        __m128i mark = _mm_or_si128(is_byte(bytes, '#'), is_byte(bytes, '?'));
        __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8('!'));
        n = before(_mm_or_si128(_mm_or_si128(mark, low), is_byte(bytes, 0x7f)));
    }
#endif
    return scan(at, end, classes);
}

static inline uint32_t lower_word(const char *text)
{
    uint32_t word;
    memcpy(&word, text, sizeof word);
    return word | 0x20202020;
}

/* `lower` is in lower case, four bytes at least. But for a tab no byte below 0x20 gets this far, so
 * that setting one bit turns capitals into small letters and nothing else into a byte of the names
 * compared here. Word by word; the last one may overlap the one before. */
static inline bool same(const char *text, const char *lower, size_t len)
{
    for (size_t i = 0; i + 4 < len; i += 4)
        if (lower_word(text + i) != lower_word(lower + i))
            return false;
    return lower_word(text + len - 4) == lower_word(lower + len - 4);
}

#endif
