/*
 * conf: the parser of spike.conf: statements, blocks, includes.
 *
 *     statement = NAME WORD ... ';'  |  NAME WORD ... '{' statement ... '}'
 *
 * conf_lex splits bytes into words; this file collects a statement, finds its setting in the table
 * and stores the value; a block that ends is checked (conf_finish.c). A file that includes another
 * one keeps its buffer meanwhile, so there is one static buffer for each depth; the name of a file
 * that was read stays known for errors. The first error ends the reading, with FILE:LINE.
 *
 * Only *conf and *f change; if the process dies here, nothing has happened.
 *
 * Owner: main.
 */
#include "conf/base/conf.h"

#include <string.h>

#include "conf/base/conf_lex.h"
#include "conf/base/conf_settings.h"
#include "conf/base/conf_value.h"

#define DEPTH_MAX       8  /* a file that is included by one that is included by ... */
#define FILES_MAX       64 /* of one configuration; bounds what nested includes can do */
#define WORDS_MAX       (1 + NODES_MAX) /* `nodes` with every node */
#define STATEMENT_BYTES 8192

struct file {
    char path[PATH_TEXT_MAX];
    dev_t device;
    ino_t inode;
};

struct reader {
    char text[SOURCE_BYTES_MAX + 1];
    struct source source;
    const struct file *file;
};

struct statement {
    const char *words[WORDS_MAX + 1]; /* one more than is ever valid, to detect it */
    int lines[WORDS_MAX + 1];
    uint32_t count;
    enum token_kind end;       /* SEMICOLON, OPEN; without words also CLOSE, END */
    struct source_location at; /* location of its first word, or of the end */
    size_t used;
    char bytes[STATEMENT_BYTES]; /* of the words, each with a NUL */
};

static struct {
    struct conf *conf;
    struct fault *f;
    struct file files[FILES_MAX];
    uint32_t file_count;
    struct reader readers[DEPTH_MAX];
    uint32_t depth;
    struct statement statement;
} parser;

/* The innermost file. */
static struct reader *current_reader(void)
{
    ASSERT(parser.depth > 0 && parser.depth <= DEPTH_MAX);
    return &parser.readers[parser.depth - 1];
}

static struct source_location location_of(int line)
{
    return (struct source_location){.path = current_reader()->file->path, .line = line};
}

/* A word on a new line that is the name of a setting: the ';' before it is missing. */
static bool starts_setting(const struct statement *st, const struct token *t, const char *word)
{
    return st->count > 1 && !t->quoted && t->line > st->lines[st->count - 1] &&
           (setting_find_anywhere(word) != NULL || strcmp(word, "include") == 0);
}

static bool missing_semicolon(const struct statement *st)
{
    ASSERT(st->count > 0);
    struct source_location at = location_of(st->lines[st->count - 1]);
    return location_fault(parser.f, &at, "a ';' is missing after '%.60s'",
                          st->words[st->count - 1]);
}

static bool add_word(struct statement *st, const struct token *t)
{
    struct source_location at = location_of(t->line);
    ASSERT(t->kind == TOKEN_WORD && st->used <= sizeof st->bytes);
    if (st->count > WORDS_MAX || st->used + t->len + 1 > sizeof st->bytes)
        return location_fault(parser.f, &at, "%.40s: too many words; is a ';' missing?",
                              st->words[0]);
    char *word = st->bytes + st->used;
    memcpy(word, t->text, t->len);
    word[t->len] = '\0';
    if (starts_setting(st, t, word))
        return missing_semicolon(st);
    st->used += t->len + 1;
    st->lines[st->count] = t->line;
    st->words[st->count++] = word;
    return true;
}

/* Collects words up to ';' or '{'. A '}' or the end of the file is a statement without words. */
static bool next_statement(struct statement *st)
{
    struct token t;
    st->count = 0;
    st->used = 0;
    for (;;) {
        if (!source_next(&current_reader()->source, &t, parser.f))
            return false;
        if (t.kind != TOKEN_WORD)
            break;
        if (!add_word(st, &t))
            return false;
    }
    bool ends_block = t.kind == TOKEN_CLOSE || t.kind == TOKEN_END;
    st->at = location_of(st->count > 0 ? st->lines[0] : t.line);
    st->end = t.kind;
    if (ends_block && st->count > 0)
        return missing_semicolon(st);
    if (!ends_block && st->count == 0)
        return location_fault(parser.f, &st->at, "a '%c' with nothing before it",
                              t.kind == TOKEN_OPEN ? '{' : ';');
    return true;
}

static bool unknown_name(const struct statement *st, const struct block *b)
{
    ASSERT(st->count > 0);
    const char *name = st->words[0];
    const struct setting *elsewhere = setting_find_anywhere(name);
    if (elsewhere != NULL && elsewhere->block != BLOCK_TOP)
        return location_fault(parser.f, &st->at, "'%s' belongs in the block of %s", name,
                              block_name(elsewhere->block));
    if (elsewhere != NULL)
        return location_fault(parser.f, &st->at,
                              "'%s' does not belong in the block of %s; is a '}' missing?", name,
                              block_name(b->kind));
    const char *nearest = setting_nearest(b->kind, name);
    if (nearest == NULL)
        return location_fault(parser.f, &st->at, "unknown setting '%.60s'", name);
    return location_fault(parser.f, &st->at, "unknown setting '%.60s' (did you mean '%s'?)", name,
                          nearest);
}

/* Checks how many words follow the name, and that none of them is empty. */
static bool check_words(const struct statement *st, bool many)
{
    const char *name = st->words[0];
    if (st->count == 1)
        return location_fault(parser.f, &st->at, "%s: a value is missing", name);
    for (uint32_t i = 1; i < st->count; i++) {
        struct source_location at = location_of(st->lines[i]);
        if (st->words[i][0] == '\0')
            return location_fault(parser.f, &at, "%s: an empty value", name);
    }
    if (many || st->count == 2)
        return true;
    struct source_location at = location_of(st->lines[1]);
    return location_fault(parser.f, &at, "%s: one value, not %u; is a ';' missing after '%.40s'?",
                          name, st->count - 1, st->words[1]);
}

static bool check_repeated(const struct setting *s, const struct statement *st,
                           const struct block *b)
{
    ASSERT((size_t)(s - settings) < SETTING_COUNT);
    const struct source_location *first = &b->set[s - settings];
    if (first->line == 0 || setting_repeats(s))
        return true;
    return location_fault(parser.f, &st->at, "'%s' is set twice; the first time at %s:%d", s->name,
                          first->path, first->line);
}

static bool check_block(const struct setting *s, const struct statement *st)
{
    if (st->end == TOKEN_OPEN && s->kind != KIND_JOURNAL && s->kind != KIND_EVENT)
        return location_fault(parser.f, &st->at, "'%s' has no block; end it with ';'", s->name);
    if (st->end == TOKEN_SEMICOLON && s->kind == KIND_EVENT)
        return location_fault(parser.f, &st->at, "event %.40s needs a block { ... }", st->words[1]);
    return true;
}

static bool read_statements(struct block *b, bool braced);

static bool is_known_event(const char *name)
{
    for (uint32_t i = 0; i < parser.conf->event_count; i++)
        if (strcmp(parser.conf->events[i].name, name) == 0)
            return true;
    return false;
}

/* NULL: the name is not valid here; the fault is set. */
static struct conf_event *add_event(const struct statement *st)
{
    struct conf *conf = parser.conf;
    const char *name = st->words[1];
    size_t len = strlen(name);
    ASSERT(st->count == 2);
    if (len > EVENT_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len)
        location_fault(parser.f, &st->at,
                       "event '%.60s': a name has 1 to %d of a-z, 0-9, '_' and '-'", name,
                       EVENT_NAME_MAX);
    else if (is_known_event(name))
        location_fault(parser.f, &st->at, "event '%s' is listed twice", name);
    else if (conf->event_count == EVENTS_MAX)
        location_fault(parser.f, &st->at, "%d events at most", EVENTS_MAX);
    else {
        struct conf_event *e = &conf->events[conf->event_count++];
        memcpy(e->name, name, len + 1);
        return e;
    }
    return NULL;
}

static bool read_event(const struct statement *st)
{
    struct conf_event *e = add_event(st);
    if (e == NULL)
        return false;
    struct block b = {.kind = BLOCK_EVENT, .base = e, .opened = st->at};
    settings_default(BLOCK_EVENT, e);
    return read_statements(&b, true) && event_finish(e, &b, parser.f);
}

static bool read_journal(const struct statement *st)
{
    struct block b = {.kind = BLOCK_JOURNAL, .base = parser.conf, .opened = st->at};
    return st->end == TOKEN_SEMICOLON || read_statements(&b, true);
}

static bool apply(const struct statement *st, struct block *b)
{
    struct fault why;
    const struct setting *s = setting_find(b->kind, st->words[0]);
    if (s == NULL)
        return unknown_name(st, b);
    if (!check_words(st, s->kind == KIND_NODES) || !check_repeated(s, st, b) || !check_block(s, st))
        return false;
    if (b->set[s - settings].line == 0)
        b->set[s - settings] = st->at;
    if (s->kind == KIND_EVENT)
        return read_event(st);
    struct source_location value = location_of(st->lines[1]);
    if (!setting_store(s, b->base, st->words + 1, st->count - 1, value.path, &why))
        return location_fault(parser.f, &value, "%s: %s", s->name, why.text);
    return s->kind != KIND_JOURNAL || read_journal(st);
}

static bool is_being_read(const struct stat *id)
{
    for (uint32_t i = 0; i < parser.depth; i++)
        if (parser.readers[i].file->inode == id->st_ino &&
            parser.readers[i].file->device == id->st_dev)
            return true;
    return false;
}

/* Makes a file the innermost one. The fault has no FILE:LINE. */
static bool push_file(const char *path, struct fault *why)
{
    struct stat id;
    size_t len;
    if (parser.depth == DEPTH_MAX)
        return fault(why, "is more than %d files deep", DEPTH_MAX);
    if (parser.file_count == FILES_MAX)
        return fault(why, "is one file too many; %d at most", FILES_MAX);
    struct reader *r = &parser.readers[parser.depth];
    if (!source_read(path, r->text, &len, &id, why))
        return false;
    if (is_being_read(&id))
        return fault(why, "makes a loop: it is being read already");
    struct file *file = &parser.files[parser.file_count++];
    ASSERT(strlen(path) < sizeof file->path);
    memcpy(file->path, path, strlen(path) + 1);
    file->device = id.st_dev;
    file->inode = id.st_ino;
    r->file = file;
    r->source = (struct source){.path = file->path, .at = r->text, .end = r->text + len, .line = 1};
    parser.depth++;
    return true;
}

static bool read_include(const struct statement *st, struct block *b)
{
    char path[PATH_TEXT_MAX];
    struct fault why;
    struct source_location named;
    if (st->end == TOKEN_OPEN)
        return location_fault(parser.f, &st->at, "'include' has no block; end it with ';'");
    if (!check_words(st, false))
        return false;
    named = location_of(st->lines[1]);
    if (!value_path(st->words[1], named.path, path, sizeof path, &why))
        return location_fault(parser.f, &named, "include: %s", why.text);
    if (!push_file(path, &why))
        return location_fault(parser.f, &named, "include %s %s", path, why.text);
    if (!read_statements(b, false))
        return false;
    parser.depth--;
    return true;
}

/* Reads into b up to its '}' (braced) or to the end of the innermost file. */
static bool read_statements(struct block *b, bool braced)
{
    struct statement *st = &parser.statement;
    for (;;) {
        if (!next_statement(st))
            return false;
        if (st->count == 0)
            break;
        if (!(strcmp(st->words[0], "include") == 0 ? read_include(st, b) : apply(st, b)))
            return false;
    }
    b->end = st->at;
    if (st->end == TOKEN_CLOSE && !braced)
        return location_fault(parser.f, &st->at, "a '}' that closes nothing");
    if (st->end == TOKEN_END && braced)
        return location_fault(parser.f, &st->at, "the block of %s opened at line %d is not closed",
                              block_name(b->kind), b->opened.line);
    return true;
}

bool conf_load(struct conf *conf, const char *path, struct fault *f)
{
    struct source_location whole = {.path = path, .line = 1};
    struct block top = {.kind = BLOCK_TOP, .base = conf};
    struct fault why;
    ASSERT_MAIN();
    memset(conf, 0, sizeof *conf);
    parser.conf = conf;
    parser.f = f;
    parser.depth = parser.file_count = 0;
    if (path[0] == '\0')
        return fault(f, "the name of the configuration file is empty");
    if (strlen(path) >= PATH_TEXT_MAX)
        return location_fault(f, &whole, "a file name longer than %d bytes", PATH_TEXT_MAX - 1);
    settings_default(BLOCK_TOP, conf);
    settings_default(BLOCK_JOURNAL, conf);
    if (!push_file(path, &why))
        return location_fault(f, &whole, "%s", why.text);
    return read_statements(&top, false) && conf_finish(conf, &top, f);
}
