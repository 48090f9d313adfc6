/*
 * conf_value: numbers, times and moments. All arithmetic on values of a file saturates: an absurd
 * number is out of range and never wraps to a small one.
 *
 * Pure.
 */
#include "conf/base/conf_value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define DAY_MS    (24 * 60 * MINUTE_MS)

/* A unit behind a number. The empty one comes last: every text ends with it. */
struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit number_units[] = {
    {"k", UINT64_C(1) << 10}, {"m", UINT64_C(1) << 20}, {"g", UINT64_C(1) << 30}, {"", 1}};
static const struct unit time_units[] = {{"ms", 1}, {"s", SECOND_MS}, {"m", MINUTE_MS}};

static uint64_t saturating_multiply(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* Returns the first byte behind the digits; `text` itself if there are none. */
static const char *parse_digits(const char *text, uint64_t *value)
{
    *value = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        *value = saturating_multiply(*value, 10);
        if (__builtin_add_overflow(*value, (uint64_t)(*text - '0'), value))
            *value = UINT64_MAX;
    }
    return text;
}

static bool parse_with_unit(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
    uint64_t digits;
    const char *rest = parse_digits(text, &digits);
    if (rest == text)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rest, units[i].suffix) == 0) {
            *out = saturating_multiply(digits, units[i].factor);
            return true;
        }
    }
    return false;
}

static bool parse_number(const char *text, uint64_t *out)
{
    return parse_with_unit(text, number_units, ARRAY_LEN(number_units), out);
}

static bool parse_time(const char *text, uint64_t *out)
{
    *out = 0;
    return strcmp(text, "0") == 0 || parse_with_unit(text, time_units, ARRAY_LEN(time_units), out);
}

typedef bool parse_value(const char *text, uint64_t *out);

static bool check_range(const char *text, const char *min, const char *max, parse_value *parse,
                        uint64_t value, struct fault *f)
{
    uint64_t low = 0, high = 0;
    bool sound = parse(min, &low) && parse(max, &high);
    ASSERT(sound && low <= high); /* settings.def is part of this program */
    if (value >= low && value <= high)
        return true;
    return fault(f, "%.40s is out of range: %s to %s", text, min, max);
}

bool value_number(const char *text, const char *min, const char *max, uint64_t *out,
                  struct fault *f)
{
    if (!parse_number(text, out))
        return fault(f, "'%.40s' is not a number; write digits, and k, m or g for 1024s", text);
    return check_range(text, min, max, parse_number, *out, f);
}

bool value_time(const char *text, const char *min, const char *max, uint64_t *out_ms,
                struct fault *f)
{
    uint64_t digits;
    if (!parse_time(text, out_ms)) {
        const char *rest = parse_digits(text, &digits);
        if (rest != text && *rest == '\0')
            return fault(f, "%.40s has no unit; write ms, s or m behind it", text);
        return fault(f, "'%.40s' is not a time; write it like 200ms, 5s or 2m", text);
    }
    return check_range(text, min, max, parse_time, *out_ms, f);
}

/* The date and time of day as written in the file. */
struct moment {
    uint64_t year, month, day, hour, minute, second, ms;
    uint64_t offset_hour, offset_minute;
    bool west;
};

/* Exactly `count` digits. False: *text is unchanged. */
static bool parse_fixed(const char **text, int count, uint64_t *value)
{
    uint64_t sum = 0;
    ASSERT(count > 0 && count <= 19);
    for (int i = 0; i < count; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return false;
        sum = sum * 10 + (uint64_t)(c - '0');
    }
    *value = sum;
    *text += count;
    return true;
}

static bool parse_char(const char **text, const char *either)
{
    if (**text == '\0' || strchr(either, **text) == NULL)
        return false;
    ++*text;
    return true;
}

/* ".25" is 250 ms; digits below a millisecond are dropped. */
static bool parse_fraction(const char **text, uint64_t *ms)
{
    uint64_t weight = 100;
    *ms = 0;
    if (!parse_char(text, "."))
        return true;
    const char *first = *text;
    for (; **text >= '0' && **text <= '9'; ++*text, weight /= 10)
        *ms += weight * (uint64_t)(**text - '0');
    return *text != first;
}

static bool parse_offset(const char **text, struct moment *m)
{
    m->offset_hour = m->offset_minute = 0;
    if (parse_char(text, "Zz"))
        return true;
    m->west = **text == '-';
    return parse_char(text, "+-") && parse_fixed(text, 2, &m->offset_hour) &&
           parse_char(text, ":") && parse_fixed(text, 2, &m->offset_minute);
}

static bool parse_moment(const char *text, struct moment *m)
{
    const char **t = &text;
    return parse_fixed(t, 4, &m->year) && parse_char(t, "-") && parse_fixed(t, 2, &m->month) &&
           parse_char(t, "-") && parse_fixed(t, 2, &m->day) && parse_char(t, "Tt") &&
           parse_fixed(t, 2, &m->hour) && parse_char(t, ":") && parse_fixed(t, 2, &m->minute) &&
           parse_char(t, ":") && parse_fixed(t, 2, &m->second) && parse_fraction(t, &m->ms) &&
           parse_offset(t, m) && *text == '\0';
}

static bool is_leap(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static uint64_t days_of_month(uint64_t year, uint64_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    ASSERT(month >= 1 && month <= 12);
    return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

/* A leap second (:60) is refused: Unix time cannot express it. */
static bool is_on_calendar(const struct moment *m)
{
    return m->year >= 1970 && m->month >= 1 && m->month <= 12 && m->day >= 1 &&
           m->day <= days_of_month(m->year, m->month) && m->hour < 24 && m->minute < 60 &&
           m->second < 60 && m->offset_hour < 24 && m->offset_minute < 60;
}

/* Days from 1970-01-01, proleptic Gregorian. */
static uint64_t day_number(const struct moment *m)
{
    ASSERT(is_on_calendar(m));
    uint64_t before = m->year - 1; /* the last full year */
    uint64_t days = 365 * before + before / 4 - before / 100 + before / 400;
    for (uint64_t month = 1; month < m->month; month++)
        days += days_of_month(m->year, month);
    return days + m->day - 1 - 719162; /* the days before 1970 */
}

bool value_moment(const char *text, uint64_t *out_wall_ms, struct fault *f)
{
    struct moment m = {0};
    if (!parse_moment(text, &m))
        return fault(f, "'%.40s' is not a moment; write it like 2026-12-01T10:00:00+08:00", text);
    if (!is_on_calendar(&m))
        return fault(f, "%.40s is on no calendar from 1970 on", text);
    uint64_t local = day_number(&m) * DAY_MS + (m.hour * 60 + m.minute) * MINUTE_MS +
                     m.second * SECOND_MS + m.ms;
    uint64_t offset = (m.offset_hour * 60 + m.offset_minute) * MINUTE_MS;
    if (!m.west && local < offset)
        return fault(f, "%.40s is before 1970", text);
    *out_wall_ms = m.west ? local + offset : local - offset;
    return true;
}

bool value_choice(const char *text, const char *const *names, uint32_t count, uint32_t *out,
                  struct fault *f)
{
    char list[VALUE_TEXT] = "";
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
        size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    return fault(f, "'%.40s' is none of %s", text, list);
}

void value_print_number(char out[VALUE_TEXT], uint64_t value)
{
    size_t unit = ARRAY_LEN(number_units) - 1;
    for (size_t i = 0; i + 1 < ARRAY_LEN(number_units); i++)
        if (value != 0 && value % number_units[i].factor == 0)
            unit = i;
    snprintf(out, VALUE_TEXT, "%" PRIu64 "%s", value / number_units[unit].factor,
             number_units[unit].suffix);
}

void value_print_time(char out[VALUE_TEXT], uint64_t ms)
{
    size_t unit = 0;
    for (size_t i = 0; i < ARRAY_LEN(time_units); i++)
        if (ms % time_units[i].factor == 0)
            unit = i;
    snprintf(out, VALUE_TEXT, "%" PRIu64 "%s", ms / time_units[unit].factor,
             ms == 0 ? "" : time_units[unit].suffix);
}

void value_print_moment(char out[VALUE_TEXT], uint64_t wall_ms)
{
    struct tm utc;
    time_t seconds = (time_t)(wall_ms / SECOND_MS);
    ASSERT(gmtime_r(&seconds, &utc) != NULL);
    size_t len = strftime(out, VALUE_TEXT, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + len, VALUE_TEXT - len, ".%03uZ", (unsigned)(wall_ms % SECOND_MS));
}
