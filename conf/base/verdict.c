/*
 * verdict: the table of verdict.def and the reason phrases of HTTP.
 */
#include "conf/base/verdict.h"

#include <ctype.h>

#include "conf/base/check.h"

static const struct {
    const char *name;
    int code;
    const char *message;
    int status;
} table[VERDICT_COUNT] = {
#define VERDICT(name, code, message, status) [VERDICT_##name] = {#name, code, message, status},
#include "conf/base/verdict.def"
#undef VERDICT
};

/* RFC 9110 and, for 431, RFC 6585. */
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {431, "Request Header Fields Too Large"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
};

int verdict_code(enum verdict v)
{
    ASSERT(v < VERDICT_COUNT);
    return table[v].code;
}

const char *verdict_message(enum verdict v)
{
    ASSERT(v < VERDICT_COUNT);
    return table[v].message;
}

void verdict_name(enum verdict v, char out[VERDICT_NAME_BYTES])
{
    ASSERT(v < VERDICT_COUNT);
    size_t i = 0;
    for (const char *name = table[v].name; name[i] != '\0'; i++) {
        ASSERT(i < VERDICT_NAME_BYTES - 1);
        out[i] = (char)tolower((unsigned char)name[i]);
    }
    out[i] = '\0';
}

int verdict_status(enum verdict v)
{
    ASSERT(v < VERDICT_COUNT);
    return table[v].status;
}

const char *verdict_reason(enum verdict v)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == verdict_status(v))
            return reasons[i].reason;
    check_failed(__FILE__, __LINE__, "every status has a reason");
}
