/*
 * keys: what a key means in a view. One table (keys.def) makes the dispatch, the help and the
 * hints.
 *
 * A key is a byte, or one of the codes below; term.c translates the codes of ncurses.
 *
 * Pure; constant.
 */
#ifndef SPIKE_TOP_KEYS_H
#define SPIKE_TOP_KEYS_H

#include <stddef.h>

#include "conf/base/check.h"

enum key_code {
    KEYS_NONE = 0,
    KEYS_TAB = '\t',
    KEYS_ENTER = '\r',
    KEYS_ESC = 27,
    KEYS_BACKSPACE = 127,
    KEYS_UP = 256, /* above every byte */
    KEYS_DOWN,
    KEYS_LEFT,
    KEYS_RIGHT,
    KEYS_PAGE_UP,
    KEYS_PAGE_DOWN,
    KEYS_HOME,
    KEYS_END,
    KEYS_BACK_TAB,
    KEYS_F1,
    KEYS_F10,
    KEYS_OTHER /* known to the terminal, without a meaning here */
};

enum key {
#define KEY(name, views, act, pressed, shown, hint, help) KEY_IS_##name,
#include "admin-tui/view/keys.def"
#undef KEY
    KEY_IS_COUNT,
    KEY_IS_NOTHING = KEY_IS_COUNT
};

#define KEY_CODES_MAX     4
#define KEYS_CTRL(letter) ((letter)&31)

/* A line of the table (keys.def). */
struct key_line {
    const char *views;
    bool acts;                /* it changes the sale */
    int codes[KEY_CODES_MAX]; /* 0: no more */
    const char *shown, *hint, *help;
};

const struct key_line *key_line(enum key key);
/* True: the key works in the view of that letter. */
bool key_works(enum key key, char view, bool readonly);
/* The key that a code means there; KEY_IS_NOTHING: none. */
enum key key_find(int code, char view, bool readonly);

#endif
