/*
 * conf_lex: splits the bytes of one configuration file into words, ';', '{' and '}'.
 *
 * Blanks are space, tab, CR and newline. '#' where a word could begin starts a comment up to the
 * end of the line. A word ends before a blank, ';', '{' or '}'; one in double quotes may contain
 * these, ends at the next quote of the same line and has no escapes. Other control bytes (except
 * for a tab between quotes) are refused, so that a word may be printed unchanged.
 *
 * Owner: main; never allocates. Private to conf.
 */
#ifndef SPIKE_CONF_LEX_H
#define SPIKE_CONF_LEX_H

#include <sys/stat.h>

#include "conf/base/fault.h"
#include "conf/base/limits.h"

#define SOURCE_BYTES_MAX (256 * 1024)

/* A file being read. */
struct source {
    const char *path; /* as errors name it */
    const char *at;   /* the next byte */
    const char *end;
    int line; /* of the next byte, from 1 */
};

enum token_kind { TOKEN_WORD, TOKEN_SEMICOLON, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_END };

struct token {
    enum token_kind kind;
    bool quoted;
    int line;
    const char *text; /* TOKEN_WORD: in the source, not terminated; shorter than PATH_TEXT_MAX */
    size_t len;
};

/* Reads a regular file of at most SOURCE_BYTES_MAX bytes into buf[0..SOURCE_BYTES_MAX]. False: f
 * says why, without FILE:LINE: only the caller knows which line names the file. */
MUST_CHECK bool source_read(const char *path, char *buf, size_t *len, struct stat *id,
                            struct fault *f);
/* False: f says what is wrong, with FILE:LINE. After TOKEN_END comes TOKEN_END. */
MUST_CHECK bool source_next(struct source *s, struct token *t, struct fault *f);

#endif
