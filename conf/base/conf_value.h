/*
 * conf_value: converts the text of one word into a number, a time, a moment, an address or a file
 * name, and back. A fault says what is wrong with the value, without FILE:LINE.
 *
 * Threads: any; pure; never allocates. Private to conf.
 */
#ifndef SPIKE_CONF_VALUE_H
#define SPIKE_CONF_VALUE_H

#include <stdint.h>

#include "conf/base/conf.h"

#define VALUE_TEXT 64 /* bytes of a printed number, time or moment, NUL included */

/* Digits, followed by nothing or by k, m or g for 1024 and its powers. min and max are written the
 * same way. */
MUST_CHECK bool value_number(const char *text, const char *min, const char *max, uint64_t *out,
                             struct fault *f);
/* Digits and ms, s or m; or a bare 0. */
MUST_CHECK bool value_time(const char *text, const char *min, const char *max, uint64_t *out_ms,
                           struct fault *f);
/* RFC 3339 with an offset: 2026-12-01T10:00:00+08:00. Fractions of a millisecond are dropped. */
MUST_CHECK bool value_moment(const char *text, uint64_t *out_wall_ms, struct fault *f);
/* *out becomes the index of the name that equals the text. */
MUST_CHECK bool value_choice(const char *text, const char *const *names, uint32_t count,
                             uint32_t *out, struct fault *f);
/* A file name, resolved by the folder of the file `named_in` unless it is absolute. `size`: bytes
 * of out. */
MUST_CHECK bool value_path(const char *text, const char *named_in, char *out, size_t size,
                           struct fault *f);
/* 127.0.0.1:3005, [::1]:3005 or unix:PATH. */
MUST_CHECK bool value_addr(const char *text, const char *named_in, struct conf_addr *out,
                           struct fault *f);

/* Loopback or a Unix socket: it cannot be reached from another machine. */
bool addr_is_local(const struct conf_addr *a);
/* 0 for a Unix socket. */
uint16_t addr_port(const struct conf_addr *a);
/* Only one socket can be bound to the two of them. Port 0 is another port every time. */
bool addr_is_same(const struct conf_addr *a, const struct conf_addr *b);

void value_print_number(char out[VALUE_TEXT], uint64_t value);
void value_print_time(char out[VALUE_TEXT], uint64_t ms);
void value_print_moment(char out[VALUE_TEXT], uint64_t wall_ms);

#endif
