/*
 * verdict: the result of a request. One table (verdict.def) makes the enum, the code, the message
 * and the HTTP status.
 *
 * Threads: any; constant.
 */
#ifndef SPIKE_VERDICT_H
#define SPIKE_VERDICT_H

enum verdict {
#define VERDICT(name, code, message, status) VERDICT_##name,
#include "conf/base/verdict.def"
#undef VERDICT
    VERDICT_COUNT
};

/* The verdicts of the sale itself come first; only these have canned responses. */
#define VERDICT_SALE_COUNT (VERDICT_ENDED + 1)

int verdict_code(enum verdict v);
const char *verdict_message(enum verdict v);
/* Its name in lower case, such as "sold_out_here", for /metrics and the stat log. */
#define VERDICT_NAME_BYTES 24
void verdict_name(enum verdict v, char out[VERDICT_NAME_BYTES]);
int verdict_status(enum verdict v);
/* The reason phrase of the status line: "OK" for 200 and so on. */
const char *verdict_reason(enum verdict v);

#endif
