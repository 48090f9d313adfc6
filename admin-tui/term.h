/*
 * term: the terminal: taken, given back, and given back even when this program crashes.
 *
 * A crash (SEGV, BUS, ABRT, ILL, FPE) cannot ask ncurses: the bytes that put the terminal right are
 * made ready at the start, and a handler on a stack of its own writes them, sets the modes that the
 * terminal had, and lets the signal do what it does.
 *
 * Owner: the thread of the screen; one terminal a process.
 */
#ifndef SPIKE_TOP_TERM_H
#define SPIKE_TOP_TERM_H

#include "admin-tui/draw.h"
#include "conf/base/fault.h"

/* Takes standard input and output. False: nothing was changed; f says why. */
MUST_CHECK bool term_open(bool no_color, bool blocks, struct fault *f);
/* Puts everything back; may be called twice. */
void term_close(void);
/* The whole screen. */
struct canvas term_canvas(void);
/* What was drawn becomes visible, at once. */
void term_show(void);
/* The next key as keys.h knows it; KEYS_NONE: no more for now. */
int term_key(void);
/* The terminal is gone: nobody will ever press a key again. */
bool term_is_gone(void);
/* Takes the size that the terminal has now. */
void term_resize(void);
/* All is drawn anew with the next term_show(). */
void term_redraw(void);
/* Gives the terminal back for a while, and takes it again. */
void term_pause(void);
void term_resume(void);

#endif
