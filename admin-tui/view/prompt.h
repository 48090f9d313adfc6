/*
 * prompt: a question to the operator: a filter, yes or no, a number, a name.
 *
 * An open prompt receives every key. Only what the question wants is a yes: y, the exact name, a
 * number; everything else is a no.
 *
 * Pure, except prompt_draw(). Owner of a prompt: the caller.
 */
#ifndef SPIKE_TOP_PROMPT_H
#define SPIKE_TOP_PROMPT_H

#include <stdint.h>

#include "conf/base/check.h"
#include "conf/base/limits.h"

#define PROMPT_QUESTION 256
#define PROMPT_TEXT     40
#define PROMPT_WRONG    64

enum prompt_kind { PROMPT_NONE, PROMPT_FILTER, PROMPT_CONFIRM, PROMPT_NUMBER, PROMPT_NAME };
enum prompt_end { PROMPT_GOES_ON, PROMPT_YES, PROMPT_NO };

struct prompt {
    enum prompt_kind kind;
    char question[PROMPT_QUESTION];
    char want[EVENT_NAME_MAX + 1]; /* PROMPT_NAME: what must be typed */
    char text[PROMPT_TEXT];        /* what has been typed */
    char wrong[PROMPT_WRONG];      /* why the text was refused; "": it was not */
};

/* Opens the prompt with that question; kind is not PROMPT_NONE. */
void prompt_open(struct prompt *p, enum prompt_kind kind, const char *format, ...) PRINTF(3, 4);
/* Handles a key of an open prompt. PROMPT_YES and PROMPT_NO: it is closed now, and `text` still
 * holds what was typed. */
enum prompt_end prompt_key(struct prompt *p, int code);
/* After PROMPT_YES: the text is refused, and why; the prompt is open again, with the same text. */
void prompt_refuse(struct prompt *p, enum prompt_kind kind, const char *format, ...) PRINTF(3, 4);
/* The number of a PROMPT_NUMBER; of more than UINT32_MAX: UINT32_MAX. */
uint64_t prompt_number(const struct prompt *p);

struct canvas;
/* Nothing if the prompt is closed. */
void prompt_draw(const struct canvas *c, const struct prompt *p);

#endif
