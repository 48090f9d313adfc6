/*
 * keys: see keys.h.
 */
#include "admin-tui/view/keys.h"

#include <string.h>

#define ACTS  true
#define VIEWS false
#define K(...)      \
    {               \
        __VA_ARGS__ \
    }

static const struct key_line lines[KEY_IS_COUNT] = {
#define KEY(name, where, act, pressed, seen, word, text) \
    [KEY_IS_##name] = {                                  \
        .views = (where),                                \
        .acts = (act),                                   \
        .codes = pressed,                                \
        .shown = (seen),                                 \
        .hint = (word),                                  \
        .help = (text),                                  \
    },
#include "admin-tui/view/keys.def"
#undef KEY
};

const struct key_line *key_line(enum key key)
{
    ASSERT(key < KEY_IS_COUNT);
    return &lines[key];
}

bool key_works(enum key key, char view, bool readonly)
{
    ASSERT(view != '\0');
    const struct key_line *line = key_line(key);
    return strchr(line->views, view) != NULL && !(readonly && line->acts);
}

enum key key_find(int code, char view, bool readonly)
{
    for (int key = 0; key < KEY_IS_COUNT; key++)
        for (int i = 0; i < KEY_CODES_MAX && lines[key].codes[i] != 0; i++)
            if (lines[key].codes[i] == code && key_works((enum key)key, view, readonly))
                return (enum key)key;
    return KEY_IS_NOTHING;
}
