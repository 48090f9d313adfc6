/*
 * conf_settings: the table, the search in it, and one small function for each kind of value. The
 * only effect of a value is in the struct that is being filled.
 *
 * Owner: main, through conf.c.
 */
#include "conf/base/conf_settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/base/conf_value.h"

#define OWNER_TOP     struct conf
#define OWNER_JOURNAL struct conf
#define OWNER_EVENT   struct conf_event

const struct setting settings[SETTING_COUNT] = {
#define SETTING(block, member, name, kind, min, max, given, standard) \
    {name, BLOCK_##block, KIND_##kind, GIVEN_##given,                 \
     min,  max,           standard,    offsetof(OWNER_##block, member)},
#include "conf/base/settings.def"
#undef SETTING
};

const char *const level_names[LEVEL_COUNT] = {"error", "warn", "info", "debug"};
static const char *const yes_no_names[] = {"no", "yes"};

bool location_fault(struct fault *f, const struct source_location *at, const char *format, ...)
{
    va_list arguments;
    ASSERT(at->line > 0);
    int len = snprintf(f->text, sizeof f->text, "%s:%d: ", at->path, at->line);
    ASSERT(len > 0);
    if ((size_t)len >= sizeof f->text)
        return false; /* a very long file name has filled the text */
    va_start(arguments, format);
    vsnprintf(f->text + len, sizeof f->text - (size_t)len, format, arguments);
    va_end(arguments);
    return false;
}

const char *block_name(enum conf_block b)
{
    static const char *const names[BLOCK_COUNT] = {"", "journal", "event"};
    ASSERT(b < BLOCK_COUNT);
    return names[b];
}

const struct setting *setting_find(enum conf_block block, const char *name)
{
    ASSERT(block < BLOCK_COUNT);
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (settings[i].block == block && strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

const struct setting *setting_find_anywhere(const char *name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

bool setting_repeats(const struct setting *s)
{
    return s->kind == KIND_LISTEN || s->kind == KIND_EVENT;
}

#define NAME_LEN_MAX 32

static uint32_t min_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many letters must be inserted, removed or changed to get from a to b (Levenshtein distance,
 * one row at a time). Both have at most NAME_LEN_MAX letters. */
static uint32_t distance(const char *a, const char *b)
{
    uint32_t row[NAME_LEN_MAX + 1];
    uint32_t len = (uint32_t)strlen(b);
    ASSERT(strlen(a) <= NAME_LEN_MAX && len <= NAME_LEN_MAX);
    for (uint32_t j = 0; j <= len; j++)
        row[j] = j;
    for (uint32_t i = 1; a[i - 1] != '\0'; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= len; j++) {
            uint32_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = min_of(changed, min_of(row[j], row[j - 1]) + 1);
        }
    }
    return row[len];
}

const char *setting_nearest(enum conf_block block, const char *written)
{
    const char *nearest = NULL;
    size_t len = strlen(written);
    uint32_t best = len < 4 ? 1 : (uint32_t)(len / 3) + 1; /* a larger distance: another word */
    if (len > NAME_LEN_MAX)
        return NULL;
    for (size_t i = 0; i <= SETTING_COUNT; i++) {
        const char *name = i < SETTING_COUNT ? settings[i].name : "include";
        if (i < SETTING_COUNT && settings[i].block != block)
            continue;
        uint32_t d = distance(written, name);
        if (d < best || (d == best && nearest == NULL)) {
            best = d;
            nearest = name;
        }
    }
    return nearest;
}

static bool store_node(const struct setting *s, uint16_t *to, const char *word, struct fault *f)
{
    uint64_t value;
    ASSERT(s->kind == KIND_NODE || s->kind == KIND_NODES);
    if (word[strspn(word, "0123456789")] != '\0')
        return fault(f, "'%.40s' is not a node; nodes are numbers, %s to %s", word, s->min, s->max);
    if (!value_number(word, s->min, s->max, &value, f))
        return false;
    *to = (uint16_t)value;
    return true;
}

/* Inserted in rising order. */
static bool store_nodes(const struct setting *s, struct conf *conf, const char *const *words,
                        uint32_t count, struct fault *f)
{
    if (count > NODES_MAX)
        return fault(f, "%u nodes; %d at most", count, NODES_MAX);
    for (conf->node_count = 0; conf->node_count < count; conf->node_count++) {
        uint32_t at = conf->node_count;
        uint16_t node = 0;
        if (!store_node(s, &node, words[at], f))
            return false;
        for (; at > 0 && conf->nodes[at - 1] >= node; at--) {
            if (conf->nodes[at - 1] == node)
                return fault(f, "node %u is listed twice", node);
            conf->nodes[at] = conf->nodes[at - 1];
        }
        conf->nodes[at] = node;
    }
    return true;
}

static bool store_number(const struct setting *s, uint32_t *to, const char *word, struct fault *f)
{
    uint64_t value;
    if (!value_number(word, s->min, s->max, &value, f))
        return false;
    ASSERT(value < UINT32_MAX);
    *to = (uint32_t)value;
    return true;
}

static bool store_yes_no(bool *to, const char *word, struct fault *f)
{
    uint32_t choice;
    if (!value_choice(word, yes_no_names, ARRAY_LEN(yes_no_names), &choice, f))
        return false;
    *to = choice == 1;
    return true;
}

static bool store_level(int *to, const char *word, struct fault *f)
{
    uint32_t choice;
    if (!value_choice(word, level_names, LEVEL_COUNT, &choice, f))
        return false;
    *to = (int)choice;
    return true;
}

static bool store_peer(struct conf_addr *to, const char *word, const char *named_in,
                       struct fault *f)
{
    if (!value_addr(word, named_in, to, f))
        return false;
    if (to->to.any.sa_family != AF_UNIX && addr_port(to) == 0)
        return fault(f, "%s has port 0, which cannot be connected to", to->text);
    return true;
}

static bool store_listen(struct conf *conf, const char *word, const char *named_in, struct fault *f)
{
    ASSERT(conf->listen_count <= LISTEN_MAX);
    if (conf->listen_count == LISTEN_MAX)
        return fault(f, "%d addresses at most", LISTEN_MAX);
    struct conf_addr *to = &conf->listen[conf->listen_count];
    if (!value_addr(word, named_in, to, f))
        return false;
    for (uint32_t i = 0; i < conf->listen_count; i++)
        if (addr_is_same(&conf->listen[i], to))
            return fault(f, "%s is listed twice", to->text);
    conf->listen_count++;
    return true;
}

bool setting_store(const struct setting *s, void *base, const char *const *words, uint32_t count,
                   const char *named_in, struct fault *f)
{
    ASSERT(count >= 1);
    void *to = (char *)base + s->offset;
    switch (s->kind) {
    case KIND_NODE:
        return store_node(s, to, words[0], f);
    case KIND_NODES:
        return store_nodes(s, base, words, count, f);
    case KIND_NUMBER:
    case KIND_BYTES:
        return store_number(s, to, words[0], f);
    case KIND_SIZE:
        return value_number(words[0], s->min, s->max, to, f);
    case KIND_TIME:
        return value_time(words[0], s->min, s->max, to, f);
    case KIND_MOMENT:
        return value_moment(words[0], to, f);
    case KIND_YES_NO:
        return store_yes_no(to, words[0], f);
    case KIND_LEVEL:
        return store_level(to, words[0], f);
    case KIND_FILE:
    case KIND_JOURNAL:
        return value_path(words[0], named_in, to, PATH_TEXT_MAX, f);
    case KIND_ADDR:
        return value_addr(words[0], named_in, to, f);
    case KIND_PEER:
        return store_peer(to, words[0], named_in, f);
    case KIND_LISTEN:
        return store_listen(base, words[0], named_in, f);
    case KIND_EVENT:
        break;
    }
    check_failed(__FILE__, __LINE__, "every kind of value can be stored");
}

void settings_default(enum conf_block block, void *base)
{
    struct fault f;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];
        if (s->block == block && s->given == GIVEN_VALUE)
            ASSERT(setting_store(s, base, &s->standard, 1, "",
                                 &f)); /* settings.def is part of this program */
    }
}
