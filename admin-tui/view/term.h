/*
 * term: the terminal: set up, restored at the end, and restored even when this program crashes.
 *
 * After a crash (SEGV, BUS, ABRT, ILL, FPE) ncurses cannot be called: the bytes that restore the
 * terminal are prepared at the start, and a handler on a stack of its own writes them, sets the
 * modes that the terminal had, and lets the signal end the process.
 *
 * Owner: the thread of the screen; one terminal a process.
 */
#ifndef SPIKE_TOP_TERM_H
#define SPIKE_TOP_TERM_H

#include "admin-tui/view/draw.h"
#include "conf/base/fault.h"

/* Sets up the terminal at standard input and output. False: nothing was changed; f says why. */
MUST_CHECK bool term_open(bool no_color, bool blocks, struct fault *f);
/* Restores the terminal; may be called twice. */
void term_close(void);
/* The whole screen; the terminal must be open, as for all below. */
struct canvas term_canvas(void);
/* Shows what was drawn. */
void term_show(void);
/* The next key, in the codes of keys.h; KEYS_NONE: no more for now. */
int term_key(void);
/* The terminal is gone (hung up, closed): no key will ever come. */
bool term_is_gone(void);
/* Adapts to the size that the terminal has now. */
void term_resize(void);
/* The next term_show() draws everything anew. */
void term_redraw(void);
/* Restores the terminal for a while, and sets it up again. */
void term_pause(void);
void term_resume(void);

#endif
