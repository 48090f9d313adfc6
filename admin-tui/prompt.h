/*
 * prompt: what is asked of the operator: a filter, yes or no, a number, a name.
 *
 * While one is open it gets every key. Nothing but the word that is asked for is a yes: y, the
 * exact name, a number; every doubt is a no.
 *
 * Pure, but for prompt_draw.
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
    char want[EVENT_NAME_MAX + 1]; /* PROMPT_NAME: what has to be typed */
    char text[PROMPT_TEXT];        /* what was typed */
    char wrong[PROMPT_WRONG];      /* why it cannot be that; "": nothing is wrong */
};

/* Opens one; `kind` is none of PROMPT_NONE. */
void prompt_open(struct prompt *p, enum prompt_kind kind, const char *format, ...) PRINTF(3, 4);
/* A key; at PROMPT_YES and PROMPT_NO it is closed, and `text` still holds what was typed. */
enum prompt_end prompt_key(struct prompt *p, int code);
/* After PROMPT_YES: it cannot be that, and why; it is open again, with what was typed. */
void prompt_refuse(struct prompt *p, enum prompt_kind kind, const char *format, ...) PRINTF(3, 4);
/* PROMPT_NUMBER, after PROMPT_YES. */
uint64_t prompt_number(const struct prompt *p);

struct canvas;
void prompt_draw(const struct canvas *c, const struct prompt *p);

#endif
