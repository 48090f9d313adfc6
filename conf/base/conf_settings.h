/*
 * conf_settings: settings.def as a table, and what the parts of conf share: locations in the file,
 * and the block that is being read.
 *
 * Owner: main; never allocates. Private to conf.
 */
#ifndef SPIKE_CONF_SETTINGS_H
#define SPIKE_CONF_SETTINGS_H

#include "conf/base/conf.h"
#include "conf/base/log.h"

enum conf_block { BLOCK_TOP, BLOCK_JOURNAL, BLOCK_EVENT, BLOCK_COUNT };

/* How the words behind a name become a value, and the type of the member. */
enum conf_kind {
    KIND_NODE,    /* a node's number -> uint16_t */
    KIND_NODES,   /* one or more numbers of nodes -> nodes, node_count */
    KIND_NUMBER,  /* -> uint32_t */
    KIND_BYTES,   /* -> uint32_t */
    KIND_SIZE,    /* bytes -> uint64_t */
    KIND_TIME,    /* -> uint64_t, milliseconds */
    KIND_MOMENT,  /* -> uint64_t, Unix milliseconds */
    KIND_YES_NO,  /* -> bool */
    KIND_LEVEL,   /* -> int, enum log_level */
    KIND_FILE,    /* a file name -> char[PATH_TEXT_MAX] */
    KIND_JOURNAL, /* a file name, and perhaps a block -> char[PATH_TEXT_MAX] */
    KIND_ADDR,    /* -> struct conf_addr */
    KIND_PEER,    /* an address to connect to, so not port 0 -> struct conf_addr */
    KIND_LISTEN,  /* an address; may repeat -> listen, listen_count */
    KIND_EVENT,   /* a name and a block; may repeat -> events, event_count */
};

enum conf_given { GIVEN_REQUIRED, GIVEN_VALUE, GIVEN_WORDS };

enum setting_id {
#define SETTING(block, member, name, kind, min, max, given, standard) SET_##member,
#include "conf/base/settings.def"
#undef SETTING
    SETTING_COUNT
};

struct setting {
    const char *name;
    enum conf_block block;
    enum conf_kind kind;
    enum conf_given given;
    const char *min, *max; /* as in the file; "" without a range */
    const char *standard;  /* the default, as in the file or in words */
    size_t offset;         /* of the member in struct conf or struct conf_event */
};

extern const struct setting settings[SETTING_COUNT];

#define LEVEL_COUNT (LOG_DEBUG + 1)
extern const char *const level_names[LEVEL_COUNT]; /* by enum log_level */

/* A line of a file. line 0: none. */
struct source_location {
    const char *path;
    int line;
};

/* A block that is being read. */
struct block {
    enum conf_block kind;
    void *base;                         /* struct conf; in an event's block struct conf_event */
    struct source_location opened, end; /* its first line; its '}' or the last line of the file */
    struct source_location
        set[SETTING_COUNT]; /* of each setting (the first one, if it may repeat) */
};

/* "FILE:LINE: " and the text; always false. */
bool location_fault(struct fault *f, const struct source_location *at, const char *format, ...)
    PRINTF(3, 4);

/* "event" or "journal"; "" for the top. */
const char *block_name(enum conf_block b);
/* NULL: no such setting in this block. */
const struct setting *setting_find(enum conf_block block, const char *name);
/* The first of that name in any block. */
const struct setting *setting_find_anywhere(const char *name);
/* The name in this block that is most similar to a misspelled one; NULL: none is similar. */
const char *setting_nearest(enum conf_block block, const char *written);
bool setting_repeats(const struct setting *s);

/* Parses a value of `count` words and stores it in the member. named_in: the file with these words.
 * The fault has no FILE:LINE. Not for KIND_EVENT: an event has a block (conf.c). */
MUST_CHECK bool setting_store(const struct setting *s, void *base, const char *const *words,
                              uint32_t count, const char *named_in, struct fault *f);
/* Gives every GIVEN_VALUE setting of a block its default. */
void settings_default(enum conf_block block, void *base);

/* After the last line of a block (conf_finish.c): checks that required settings are there, computes
 * defaults, and checks the values against each other. */
MUST_CHECK bool event_finish(struct conf_event *e, const struct block *b, struct fault *f);
MUST_CHECK bool conf_finish(struct conf *conf, const struct block *b, struct fault *f);

#endif
